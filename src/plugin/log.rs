//! `log`: a line for each query, in CoreDNS's words.

use std::net::IpAddr;
use std::time::Duration;

use tracing::info;

use crate::config::directive::{LogClass, LogRule};
use crate::dns::{Answer, Query, RecordType, ResponseCode, mnemonic, type_word};

/// A line for each query.
#[derive(Debug)]
pub struct Log {
    rules: Vec<LogRule>,
}

impl Log {
    /// The rules in the order of the file.
    pub fn new(rules: Vec<LogRule>) -> Self {
        Self { rules }
    }

    /// Logs a query and its answer by the first rule whose names fit.
    pub fn observe(&self, query: &Query, answer: &Answer, size_bytes: usize, took: Duration) {
        let is_for = |rule: &&LogRule| rule.zones.iter().any(|zone| zone.zone_of(&query.name));
        let Some(rule) = self.rules.iter().find(is_for) else { return };
        let class = classify(answer);
        if rule.classes.contains(&LogClass::All) || rule.classes.contains(&class) {
            info!(target: "query", "{}", line(&rule.format, query, answer, size_bytes, took));
        }
    }
}

/// The kind of an answer: delegations count as success.
fn classify(answer: &Answer) -> LogClass {
    let is_delegation = answer.authority.iter().any(|record| record.record_type() == RecordType::NS);
    match answer.response_code() {
        ResponseCode::NoError if !answer.answers.is_empty() || is_delegation => LogClass::Success,
        ResponseCode::NoError if answer.soa().is_none() => LogClass::Success,
        ResponseCode::NoError | ResponseCode::NXDomain => LogClass::Denial,
        _ => LogClass::Error,
    }
}

/// Puts values in the place of `{placeholders}`; what is no placeholder stays.
fn line(format: &str, query: &Query, answer: &Answer, size_bytes: usize, took: Duration) -> String {
    let (mut line, mut rest) = (String::with_capacity(160), format);
    while let Some((before, after)) = rest.split_once('{') {
        line.push_str(before);
        let value = after
            .split_once('}')
            .and_then(|(word, behind)| Some((value(word, query, answer, size_bytes, took)?, behind)));
        match value {
            Some((value, behind)) => {
                line.push_str(&value);
                rest = behind;
            }
            None => {
                line.push('{');
                rest = after;
            }
        }
    }
    line + rest
}

fn value(word: &str, query: &Query, answer: &Answer, size_bytes: usize, took: Duration) -> Option<String> {
    let edns = query.edns.as_ref();
    Some(match word {
        "type" => type_word(query.record_type).into_owned(),
        "name" => query.name.to_lowercase().to_ascii(),
        "class" => query.class.to_string(),
        "proto" => query.transport.as_str().to_owned(),
        "size" => query.size_bytes.to_string(),
        "remote" => address(query.client.ip()),
        "port" => query.client.port().to_string(),
        "local" => address(query.local.ip()),
        ">id" => query.id.to_string(),
        ">opcode" => "0".to_owned(),
        ">do" => query.dnssec_ok().to_string(),
        ">bufsize" => edns.map_or(512, |edns| edns.udp_size).to_string(),
        "rcode" => mnemonic(answer.response_code()).into_owned(),
        "rsize" => size_bytes.to_string(),
        "duration" => format!("{}s", took.as_secs_f64()),
        ">rflags" => flags(query, answer),
        // Labels of `metadata`, which is not built yet: CoreDNS's word for a label that nobody set.
        _ if word.starts_with('/') => "-".to_owned(),
        _ => return None,
    })
}

/// An address, IPv6 in brackets.
fn address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn flags(query: &Query, answer: &Answer) -> String {
    let flags = [
        ("qr", true),
        ("aa", answer.is_authoritative()),
        ("tc", answer.is_truncated()),
        ("rd", query.recursion_desired),
        ("ra", answer.is_recursion_available()),
        ("ad", answer.is_authentic_data()),
        ("cd", query.checking_disabled),
    ];
    flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Class, Transport, parse_name};

    fn check(format: &str, expected: &str) {
        let query = Query {
            id: 12345,
            name: parse_name("Kubernetes.Default.svc.cluster.local.").unwrap(),
            record_type: RecordType::A,
            class: Class::IN,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: None,
            client: "10.244.0.5:38214".parse().unwrap(),
            local: "[fd00::1]:53".parse().unwrap(),
            transport: Transport::Udp,
            size_bytes: 54,
            depth: 0,
        };
        let answer = Answer::positive(Vec::new());
        assert_eq!(line(format, &query, &answer, 106, Duration::from_micros(165)), expected);
    }

    #[test]
    fn the_common_line_is_that_of_coredns() {
        let format = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;
        check(
            format,
            r#"10.244.0.5:38214 - 12345 "A IN kubernetes.default.svc.cluster.local. udp 54 false 512" NOERROR qr,aa,rd 106 0.000165s"#,
        );
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        check("{local} {unknown} {", "[fd00::1] {unknown} {");
        check(r#"{"remoteIp":"{remote}","port":{port}}"#, r#"{"remoteIp":"10.244.0.5","port":38214}"#);
        check("{/kubernetes/client-namespace}", "-");
    }
}
