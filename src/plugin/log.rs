//! `log`: a line for each query, in CoreDNS's words.

use std::net::IpAddr;
use std::time::Duration;

use tracing::info;

use crate::config::directive::{LogClass, LogRule};
use crate::dns::{
    Answer, Query, RecordType, ResponseCode, class_mnemonic, flag_words, mnemonic, name_text, type_mnemonic,
};

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

    /// Logs a query and its answer by the first rule whose names fit; without a reply where none was sent.
    pub fn observe(&self, query: &Query, answer: &Answer, reply: Option<&[u8]>, took: Duration) {
        let is_for = |rule: &&LogRule| rule.zones.iter().any(|zone| zone.zone_of(&query.name));
        let Some(rule) = self.rules.iter().find(is_for) else { return };
        let (kind, class) = classify(query, answer);
        query.metadata.tell("log/type", || kind.to_owned());
        query.metadata.tell("log/class", || class.as_str().to_owned());
        if rule.classes.contains(&LogClass::All) || rule.classes.contains(&class) {
            info!(target: "query", "{}", line(&rule.format, query, answer, reply, took));
        }
    }
}

/// The kind of an answer in CoreDNS's words, and its class: delegations count as success.
fn classify(query: &Query, answer: &Answer) -> (&'static str, LogClass) {
    if matches!(query.record_type, RecordType::AXFR | RecordType::IXFR) {
        return ("META", LogClass::Error);
    }
    let is_delegation = answer.authority.iter().any(|record| record.record_type() == RecordType::NS);
    match answer.response_code() {
        _ if answer.is_dropped() => ("OTHERERROR", LogClass::Error),
        ResponseCode::NoError if !answer.answers.is_empty() => ("NOERROR", LogClass::Success),
        ResponseCode::NoError if answer.soa().is_some() => ("NODATA", LogClass::Denial),
        ResponseCode::NoError if is_delegation => ("DELEGATION", LogClass::Success),
        ResponseCode::NoError => ("NOERROR", LogClass::Success),
        // Unlike CoreDNS, also behind an alias: there is no such name (RFC 6604 section 3).
        ResponseCode::NXDomain => ("NXDOMAIN", LogClass::Denial),
        ResponseCode::ServFail | ResponseCode::NotImp => ("SERVERERROR", LogClass::Error),
        _ => ("OTHERERROR", LogClass::Error),
    }
}

/// Puts values in the place of `{placeholders}`; what is no placeholder stays.
fn line(format: &str, query: &Query, answer: &Answer, reply: Option<&[u8]>, took: Duration) -> String {
    let (mut line, mut rest) = (String::with_capacity(160), format);
    while let Some((before, behind)) = rest.split_once('}') {
        let placeholder = before.rsplit_once('{');
        match placeholder.and_then(|(text, word)| Some((text, value(word, query, answer, reply, took)?))) {
            Some((text, value)) => line.extend([text, &value]),
            None => line.extend([before, "}"]),
        }
        rest = behind;
    }
    line + rest
}

/// What stands for a value that is not there.
const NOTHING: &str = "-";

fn value(word: &str, query: &Query, answer: &Answer, reply: Option<&[u8]>, took: Duration) -> Option<String> {
    if let Some(label) = word.strip_prefix('/') {
        return Some(query.metadata.get(label).unwrap_or_else(|| NOTHING.to_owned()));
    }
    Some(match word {
        "type" => type_mnemonic(query.record_type).into_owned(),
        "name" => name_text(&query.name.to_lowercase()),
        "class" => class_mnemonic(query.class).into_owned(),
        "proto" => query.transport.as_str().to_owned(),
        "size" => query.size_bytes.to_string(),
        "remote" => address(query.client.ip()),
        "port" => query.client.port().to_string(),
        "local" => address(query.local.ip()),
        ">id" => query.id.to_string(),
        ">opcode" => "0".to_owned(),
        ">do" => query.dnssec_ok().to_string(),
        ">bufsize" => query.size_limit().to_string(),
        "rcode" => reply.map_or(NOTHING.to_owned(), |_| code(answer.response_code())),
        "rsize" => reply.map_or(0, <[u8]>::len).to_string(),
        "duration" => format!("{}s", took.as_secs_f64()),
        ">rflags" => reply.map_or(NOTHING.to_owned(), flag_words),
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

/// The word of a response code; unlike in metrics, one without a word is its number.
fn code(code: ResponseCode) -> String {
    let word = mnemonic(code);
    word.strip_prefix("RCODE").unwrap_or(&word).to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::dns::{Class, Metadata, RData, Record, Transport, encode, parse_name, rdata};

    fn query() -> Query {
        Query {
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
            serial: None,
            metadata: Metadata::default(),
            budget: Arc::default(),
            may_wait: true,
            upstream_options: Vec::new(),
            explanation: None,
        }
    }

    fn check_query(query: &Query, answer: &Answer, format: &str, expected: &str) {
        let reply = (!answer.is_dropped()).then(|| encode(query, answer));
        assert_eq!(line(format, query, answer, reply.as_deref(), Duration::from_nanos(165_527)), expected);
    }

    fn check(format: &str, expected: &str) {
        check_query(&query(), &Answer::positive(Vec::new()), format, expected);
    }

    #[test]
    fn names_types_and_classes_are_written_as_in_coredns() {
        let query = Query {
            name: parse_name(r#"A\007\"$/.X"#).unwrap(),
            record_type: RecordType::Unknown(65280),
            class: Class::Unknown(7),
            ..query()
        };
        let answer = Answer::relayed(ResponseCode::Unknown(12), false, true);
        check_query(
            &query,
            &answer,
            "{type} {class} {name} {rcode} {>rflags}",
            r#"TYPE65280 CLASS7 a\007\"$/.x. 12 qr,rd,ra"#,
        );
    }

    #[test]
    fn what_was_cut_has_tc_and_a_stream_takes_64_kib() {
        let answer = Answer::positive(vec![
            Record::from_rdata(
                query().name,
                5,
                RData::TXT(rdata::TXT::new(vec!["x".repeat(250)]))
            );
            3
        ]);
        check_query(&query(), &answer, "{>rflags} {>bufsize}", "qr,aa,tc,rd 512");
        let stream = Query { transport: Transport::Tcp, ..query() };
        check_query(&stream, &answer, "{proto} {>rflags} {>bufsize}", "tcp qr,aa,rd 65535");
    }

    #[test]
    fn the_common_line_is_that_of_coredns() {
        let format = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;
        check(
            format,
            r#"10.244.0.5:38214 - 12345 "A IN kubernetes.default.svc.cluster.local. udp 54 false 512" NOERROR qr,aa,rd 54 0.000165527s"#,
        );
    }

    #[test]
    fn what_is_no_placeholder_stays() {
        check("{local} {unknown} {", "[fd00::1] {unknown} {");
        check("{ {proto} } {x {proto} }{} {/a{proto}}", "{ udp } {x udp }{} {/audp}");
        check(r#"{"remoteIp":"{remote}","port":{port}}"#, r#"{"remoteIp":"10.244.0.5","port":38214}"#);
    }

    #[test]
    fn labels_are_those_that_were_told() {
        check("{/forward/upstream}", "-");
        let metadata = Metadata::wanted();
        metadata.tell("forward/upstream", || "192.0.2.1:53".to_owned());
        let query = Query { metadata, ..query() };
        check_query(&query, &Answer::refused(), "{/forward/upstream}{/x}{/}", "192.0.2.1:53--");
    }

    #[test]
    fn where_no_reply_was_sent_there_is_nothing_to_tell_of_it() {
        check_query(
            &query(),
            &Answer::dropped(),
            "{name} {rcode} {rsize} {>rflags}",
            "kubernetes.default.svc.cluster.local. - 0 -",
        );
    }

    #[test]
    fn answers_have_a_kind_and_a_class() {
        let name = || parse_name("example.").unwrap();
        let soa = || Record::from_rdata(name(), 5, RData::SOA(rdata::SOA::new(name(), name(), 1, 1, 1, 1, 5)));
        let ns = || Record::from_rdata(name(), 5, RData::NS(rdata::NS(name())));
        let check =
            |answer: Answer, kind: &str, class: LogClass| assert_eq!(classify(&query(), &answer), (kind, class));
        check(Answer::positive(vec![ns()]).with_authority(vec![soa()]), "NOERROR", LogClass::Success);
        check(Answer::positive(Vec::new()), "NOERROR", LogClass::Success);
        check(Answer::no_data(Some(soa())), "NODATA", LogClass::Denial);
        check(Answer::positive(Vec::new()).with_authority(vec![soa(), ns()]), "NODATA", LogClass::Denial);
        check(Answer::positive(Vec::new()).with_authority(vec![ns()]), "DELEGATION", LogClass::Success);
        check(Answer::nx_domain(None).with_answers(vec![ns()]), "NXDOMAIN", LogClass::Denial);
        check(Answer::serv_fail(""), "SERVERERROR", LogClass::Error);
        check(Answer::refused(), "OTHERERROR", LogClass::Error);
        check(Answer::dropped(), "OTHERERROR", LogClass::Error);
        let transfer = Query { record_type: RecordType::AXFR, ..query() };
        assert_eq!(classify(&transfer, &Answer::positive(Vec::new())), ("META", LogClass::Error));
    }
}
