//! Questions, answers and configurations for the tests of this folder.

use crate::config::corefile::Source;
use crate::config::{ServerBlock, directive};
use crate::dns::{Answer, Class, Name, Query, RData, Record, RecordType, ResponseCode, Transport, parse_name, rdata};

pub fn name(text: &str) -> Name {
    parse_name(text).expect("a name")
}

/// A server block with these directives.
pub fn server(directives: &str) -> ServerBlock {
    let text = format!(".:53 {{\n{directives}\nwhoami\n}}\n");
    let source = Source::Text { name: "Corefile".to_owned(), text };
    source.load(53).expect("a Corefile").config.servers.remove(0)
}

/// The directive in a Corefile.
pub fn config(directive: &str) -> directive::Cache {
    server(directive).cache.expect("cache")
}

pub fn query(text: &str, record_type: RecordType) -> Query {
    Query {
        id: 1,
        name: name(text),
        record_type,
        class: Class::IN,
        recursion_desired: true,
        checking_disabled: false,
        authentic_data: false,
        edns: None,
        client: "127.0.0.1:4000".parse().expect("an address"),
        local: "127.0.0.1:53".parse().expect("an address"),
        transport: Transport::Udp,
        size_bytes: 40,
        depth: 0,
    }
}

pub fn a(owner: &str, ttl: u32, host: u8) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(rdata::A::new(192, 0, 2, host)))
}

pub fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(rdata::CNAME(name(target))))
}

pub fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = rdata::SOA::new(name("ns.example."), name("ops.example."), 1, 7200, 3600, 86400, minimum);
    Record::from_rdata(name("example."), ttl, RData::SOA(soa))
}

pub fn nx(soa: Record) -> Answer {
    Answer::relayed(ResponseCode::NXDomain, false, true).with_authority(vec![soa])
}

pub fn nodata(soa: Record) -> Answer {
    Answer::relayed(ResponseCode::NoError, false, true).with_authority(vec![soa])
}
