//! Questions and answers of tests: built and read by hickory-proto, so that our own encoder has a judge.

use std::net::SocketAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, RData, Record, RecordType, rdata};
use landfall::dns::{Transport, parse_name, parse_type, type_mnemonic};

/// A question as a client asks it.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    pub record_type: RecordType,
    pub class: DNSClass,
    pub op_code: OpCode,
    /// `rd`, `cd`, `ad`.
    pub flags: Vec<String>,
    pub edns: Option<ClientEdns>,
    pub client: SocketAddr,
    pub local: SocketAddr,
    pub transport: Transport,
    /// The serial that the client has, of IXFR.
    pub serial: Option<u32>,
}

/// OPT of a question.
#[derive(Clone, Debug)]
pub struct ClientEdns {
    pub udp_size: u16,
    pub dnssec_ok: bool,
    pub version: u8,
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Question {
    /// The message as octets.
    pub fn octets(&self, id: u16) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, self.op_code);
        let has = |flag: &str| self.flags.iter().any(|set| set.eq_ignore_ascii_case(flag));
        message.metadata.recursion_desired = has("rd");
        message.metadata.checking_disabled = has("cd");
        message.metadata.authentic_data = has("ad");
        let name = parse_name(&self.name).expect("a name to ask for");
        if let Some(serial) = self.serial {
            let soa = RData::SOA(rdata::SOA::new(name.clone(), name.clone(), serial, 0, 0, 0, 0));
            message.add_authority(Record::from_rdata(name.clone(), 0, soa));
        }
        let mut query = Query::query(name, self.record_type);
        query.set_query_class(self.class);
        message.add_query(query);
        if let Some(client) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(client.udp_size).set_version(client.version).set_dnssec_ok(client.dnssec_ok);
            for (code, octets) in &client.options {
                edns.options_mut().insert(EdnsOption::Unknown(*code, octets.clone()));
            }
            message.edns = Some(edns);
        }
        message.to_vec().expect("a question that can be encoded")
    }
}

/// The flags of an answer as dig prints them, in upper case.
pub fn flags(message: &Message) -> Vec<&'static str> {
    let metadata = &message.metadata;
    [
        ("AA", metadata.authoritative),
        ("TC", metadata.truncation),
        ("RD", metadata.recursion_desired),
        ("RA", metadata.recursion_available),
        ("AD", metadata.authentic_data),
        ("CD", metadata.checking_disabled),
    ]
    .into_iter()
    .filter_map(|(flag, is_set)| is_set.then_some(flag))
    .collect()
}

/// The word of a response code as dig prints it.
pub fn status(message: &Message) -> String {
    use hickory_proto::op::ResponseCode::*;
    match message.metadata.response_code {
        NoError => "NOERROR".to_owned(),
        FormErr => "FORMERR".to_owned(),
        ServFail => "SERVFAIL".to_owned(),
        NXDomain => "NXDOMAIN".to_owned(),
        NotImp => "NOTIMP".to_owned(),
        Refused => "REFUSED".to_owned(),
        // 16 is BADVERS in an answer with OPT, and BADSIG in one with TSIG.
        BADVERS | BADSIG => "BADVERS".to_owned(),
        other => format!("RCODE{}", u16::from(other)),
    }
}

/// Reads `NAME TTL CLASS TYPE DATA`. A `*` as the serial of an SOA stands for any.
pub fn record(text: &str) -> Record {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [name, ttl, class, record_type, data @ ..] = fields.as_slice() else { panic!("no record: {text}") };
    let data = data_of(parse_type(record_type).expect("a type"), data);
    let mut record = Record::from_rdata(parse_name(name).expect("a name"), ttl.parse().expect("a TTL"), data);
    record.dns_class = class.parse().expect("a class");
    record
}

/// Names are read by our own reader: hickory's makes them lower case.
fn data_of(record_type: RecordType, fields: &[&str]) -> RData {
    let name = |text: &str| parse_name(text).expect("a name");
    let number = |text: &str| text.parse().expect("a number");
    match (record_type, fields) {
        (RecordType::CNAME, [target]) => RData::CNAME(rdata::CNAME(name(target))),
        (RecordType::NS, [server]) => RData::NS(rdata::NS(name(server))),
        (RecordType::PTR, [target]) => RData::PTR(rdata::PTR(name(target))),
        (RecordType::SRV, [priority, weight, port, target]) => {
            RData::SRV(rdata::SRV::new(number(priority), number(weight), number(port), name(target)))
        }
        (RecordType::SOA, [mname, rname, _, refresh, retry, expire, minimum]) => {
            let time = |text: &str| text.parse().expect("a time");
            let minimum = minimum.parse().expect("a time");
            RData::SOA(rdata::SOA::new(name(mname), name(rname), 0, time(refresh), time(retry), time(expire), minimum))
        }
        _ => RData::try_from_str(record_type, &fields.join(" ")).unwrap_or_else(|_| {
            // What hickory has no words for.
            let text = format!(". 0 IN {} {}", type_mnemonic(record_type), fields.join(" "));
            landfall::dns::parse_record(&text, 0).expect("data").data
        }),
    }
}

/// A record as it is compared: the serial of an SOA left out.
pub fn comparable(mut record: Record) -> Record {
    if let RData::SOA(soa) = &mut record.data {
        soa.serial = 0;
    }
    record
}

/// A record as one line, letter case kept, for comparing and for showing.
pub fn line(record: &Record) -> String {
    let record = comparable(record.clone());
    format!("{} {} {} {} {}", record.name.to_ascii(), record.ttl, record.dns_class, record.record_type(), record.data)
}
