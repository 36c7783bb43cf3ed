//! What a real CoreDNS answered over the cluster of tests/golden/cluster, asked again of us.
//!
//! A record with a `quirk` marks a CoreDNS defect: one of its `better` answers is called for. All others must agree in
//! response code, flags and the three sections as sets; tests/golden/answers/README.md says what the keys mean.

mod in_memory;
mod known;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, RecordType};
use landfall::dns::Transport;
use serde::Deserialize;

pub use self::known::is_known;
use crate::dialogue::{self, ClientEdns, Question};

/// A question and its recorded answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchanged {
    client: String,
    src: Option<String>,
    transport: String,
    edns: Option<Opt>,
    pub qname: String,
    pub qtype: String,
    qclass: Option<String>,
    opcode: Option<String>,
    qflags: Option<Vec<String>>,
    serial: Option<u32>,
    /// After which step of a cluster that changes.
    #[serde(default)]
    pub step: String,
    rcode: String,
    flags: Vec<String>,
    pub answer: Vec<Row>,
    authority: Vec<Row>,
    additional: Vec<Row>,
    #[serde(default)]
    ask: usize,
    #[serde(default)]
    after: Vec<serde_json::Value>,
    cut: Option<serde_json::Value>,
    #[serde(default)]
    octets: usize,
    opt: Option<Opt>,
    #[serde(default)]
    pub via_cache: bool,
    #[serde(default)]
    fresh: bool,
    #[serde(default)]
    varies: bool,
    better: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Opt {
    bufsize: u16,
    #[serde(rename = "do")]
    dnssec_ok: bool,
    #[serde(default)]
    version: u8,
    #[serde(default)]
    options: Vec<(u16, String)>,
}

/// Owner, TTL, class, type, data.
pub type Row = (String, u32, String, String, String);

/// What one answer has to be. None: anything.
#[derive(Clone, Debug)]
struct Expected {
    rcode: Option<String>,
    flags: Option<BTreeSet<String>>,
    sections: [Option<BTreeSet<String>>; 3],
}

/// The folder of what was recorded.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn octets_of(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len() / 2)
        .map(|i| u8::from_str_radix(&hexadecimal[2 * i..2 * i + 2], 16).expect("hexadecimal digits"))
        .collect()
}

impl Exchanged {
    pub fn question(&self) -> Question {
        let default = if self.client == "v6" { "::1" } else { "127.0.0.1" };
        let client: IpAddr = self.src.as_deref().unwrap_or(default).parse().expect("an address");
        let class = match self.qclass.as_deref() {
            None | Some("IN") => DNSClass::IN,
            Some("CH") => DNSClass::CH,
            Some("ANY") => DNSClass::ANY,
            Some("NONE") => DNSClass::NONE,
            Some(other) => panic!("unknown class {other}"),
        };
        let op_code = match self.opcode.as_deref() {
            None => OpCode::Query,
            Some("STATUS") => OpCode::Status,
            Some("NOTIFY") => OpCode::Notify,
            Some("UPDATE") => OpCode::Update,
            Some(other) => panic!("unknown opcode {other}"),
        };
        Question {
            serial: self.serial,
            name: self.qname.clone(),
            record_type: record_type(&self.qtype),
            class,
            op_code,
            flags: self.qflags.clone().unwrap_or_else(|| vec!["RD".to_owned()]),
            edns: self.edns.as_ref().map(|edns| ClientEdns {
                udp_size: edns.bufsize,
                dnssec_ok: edns.dnssec_ok,
                version: edns.version,
                options: edns.options.iter().map(|(code, hexadecimal)| (*code, octets_of(hexadecimal))).collect(),
            }),
            client: SocketAddr::new(client, 40_000),
            local: SocketAddr::new(default.parse().expect("an address"), 53),
            transport: if self.transport == "tcp" { Transport::Tcp } else { Transport::Udp },
        }
    }

    /// Whether CoreDNS sent a longer datagram than we ever do (RFC 9715).
    fn is_too_long(&self) -> bool {
        self.transport == "udp" && self.octets > 1232
    }

    /// The answers that are called for; one must fit.
    fn expected(&self) -> Vec<Expected> {
        let base = Expected {
            rcode: Some(self.rcode.clone()),
            flags: Some(self.flags.iter().cloned().collect()),
            sections: [&self.answer, &self.authority, &self.additional]
                .map(|rows| Some(rows.iter().map(row_line).collect())),
        };
        match &self.better {
            None => vec![base],
            Some(serde_json::Value::Array(alternatives)) => {
                alternatives.iter().map(|better| base.overridden(better)).collect()
            }
            Some(better) => vec![base.overridden(better)],
        }
    }
}

/// hickory has a type IXFR, but no word for it.
fn record_type(word: &str) -> RecordType {
    match word {
        "IXFR" => RecordType::IXFR,
        _ => word.parse().expect("a type"),
    }
}

fn row_line((name, ttl, class, record_type, data): &Row) -> String {
    dialogue::line(&dialogue::record(&format!("{name} {ttl} {class} {record_type} {data}")))
}

impl Expected {
    fn overridden(&self, better: &serde_json::Value) -> Self {
        let mut expected = self.clone();
        let better = better.as_object().expect("better answers are objects");
        if better.contains_key("answer") {
            // Addresses of targets go with the answer, and no better answer states them.
            expected.sections[2] = None;
        }
        for (key, value) in better {
            let is_any = value == "*";
            let rows = || -> BTreeSet<String> {
                let rows: Vec<Row> = serde_json::from_value(value.clone()).expect("rows");
                rows.iter().map(row_line).collect()
            };
            match key.as_str() {
                "rcode" => expected.rcode = (!is_any).then(|| value.as_str().expect("a code").to_owned()),
                "flags" => {
                    expected.flags = (!is_any).then(|| serde_json::from_value(value.clone()).expect("flags"));
                }
                "answer" => expected.sections[0] = (!is_any).then(rows),
                "authority" => expected.sections[1] = (!is_any).then(rows),
                "additional" => expected.sections[2] = (!is_any).then(rows),
                other => panic!("unknown key {other}"),
            }
        }
        expected
    }

    /// What differs; None: nothing.
    fn difference(&self, exchanged: &Exchanged, reply: &Message) -> Option<String> {
        let rcode = dialogue::status(reply);
        if self.rcode.as_ref().is_some_and(|expected| *expected != rcode) {
            return Some(format!("rcode {rcode}, called for {:?}", self.rcode));
        }
        let ignores_aa = exchanged.via_cache && !exchanged.fresh;
        // CD comes back, also from a cache (RFC 4035 section 3.2.2).
        let asks_cd = exchanged.qflags.iter().flatten().any(|flag| flag == "CD");
        let kept = |flag: &String| !(ignores_aa && flag == "AA" || asks_cd && flag == "CD");
        if asks_cd && !reply.metadata.checking_disabled {
            return Some("CD does not come back".to_owned());
        }
        let flags: BTreeSet<String> = dialogue::flags(reply).into_iter().map(str::to_owned).filter(kept).collect();
        let cut = exchanged.is_too_long().then(|| "TC".to_owned());
        if let Some(expected) = &self.flags
            && expected.iter().cloned().chain(cut).filter(kept).collect::<BTreeSet<_>>() != flags
        {
            return Some(format!("flags {flags:?}, called for {expected:?}"));
        }
        if exchanged.varies || exchanged.cut.is_some() || exchanged.is_too_long() {
            return None;
        }
        let ignores_ttl = exchanged.via_cache && !exchanged.fresh;
        let sections =
            [("answer", &reply.answers), ("authority", &reply.authorities), ("additional", &reply.additionals)];
        for ((name, records), expected) in sections.into_iter().zip(&self.sections) {
            let Some(expected) = expected else { continue };
            let found: BTreeSet<String> = records.iter().map(dialogue::line).collect();
            let same = match ignores_ttl {
                true => without_ttl(&found) == without_ttl(expected),
                false => found == *expected,
            };
            if !same {
                let missing: Vec<_> = expected.difference(&found).take(4).collect();
                let surplus: Vec<_> = found.difference(expected).take(4).collect();
                return Some(format!("{name}: missing {missing:?}, surplus {surplus:?}"));
            }
        }
        None
    }
}

fn without_ttl(lines: &BTreeSet<String>) -> BTreeSet<String> {
    lines
        .iter()
        .map(|line| {
            line.split(' ').enumerate().filter(|(i, _)| *i != 1).map(|(_, word)| word).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

impl Exchanged {
    /// What has to be asked before, and the question.
    pub fn questions(&self) -> Vec<Question> {
        let earlier = self.after.iter().map(|changes| self.changed(changes).question());
        let again = std::iter::repeat_with(|| self.question()).take(self.ask.max(1));
        earlier.chain(again).collect()
    }

    fn changed(&self, changes: &serde_json::Value) -> Self {
        let mut changed = self.clone();
        for (key, value) in changes.as_object().expect("changes are objects") {
            match key.as_str() {
                "transport" => changed.transport = serde_json::from_value(value.clone()).expect("a transport"),
                "edns" => changed.edns = serde_json::from_value(value.clone()).expect("OPT"),
                "qname" => changed.qname = serde_json::from_value(value.clone()).expect("a name"),
                "qtype" => changed.qtype = serde_json::from_value(value.clone()).expect("a type"),
                "client" => changed.client = serde_json::from_value(value.clone()).expect("a client"),
                "qflags" => changed.qflags = serde_json::from_value(value.clone()).expect("flags"),
                other => panic!("unknown change {other}"),
            }
        }
        changed
    }

    /// The question in short.
    pub fn title(&self) -> String {
        format!("{} {} {} {}", self.client, self.transport, self.qname, self.qtype)
    }
}

/// What differs from the answers that are called for; None: nothing.
pub fn difference(exchanged: &Exchanged, reply: Option<&Message>) -> Option<String> {
    let Some(reply) = reply else { return Some("no reply".to_owned()) };
    if reply.edns.is_some() != exchanged.opt.is_some() {
        return Some(format!("OPT {:?}, called for {:?}", reply.edns, exchanged.opt));
    }
    let differences: Vec<_> =
        exchanged.expected().iter().map(|expected| expected.difference(exchanged, reply)).collect();
    match differences.iter().any(Option::is_none) {
        true => None,
        false => differences.into_iter().flatten().next(),
    }
}

/// The Corefile of a recording, with these ports, and this in place of `kubeconfig`.
pub fn corefile(id: &str, ports: [u16; 4], upstream: SocketAddr, source: &str) -> String {
    let file = golden().join(format!("answers/corefiles/{id}.corefile"));
    filled_in(&std::fs::read_to_string(file).expect("a Corefile"), ports, upstream, source)
}

/// A Corefile with its places filled in.
pub fn filled_in(corefile: &str, ports: [u16; 4], upstream: SocketAddr, source: &str) -> String {
    let names = ["${DNS_PORT}", "${READY_PORT}", "${HEALTH_PORT}", "${METRICS_PORT}"];
    names
        .into_iter()
        .zip(ports)
        .fold(corefile.to_owned(), |corefile, (name, port)| corefile.replace(name, &port.to_string()))
        .replace("${UPSTREAM}", &upstream.to_string())
        .replace("${FILES}", golden().join("answers/files").to_str().expect("a path of text"))
        .replace("kubeconfig ${KUBECONFIG}", source)
}

/// What was recorded with a Corefile.
pub fn recorded(id: &str) -> Vec<Exchanged> {
    records(&golden().join(format!("answers/public/{id}.jsonl")))
}

/// The records of a file.
pub fn records(file: &Path) -> Vec<Exchanged> {
    let records = std::fs::read_to_string(file).expect("records");
    records.lines().map(|text| serde_json::from_str(text).expect("a record")).collect()
}

/// What the API server makes by itself.
pub const MADE_BY_THE_API_SERVER: &str = "\
kind: Namespace
metadata: {name: default}
---
kind: Namespace
metadata: {name: kube-system}
---
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, protocol: TCP}]}
";
