//! The outside world of a test: a recursive resolver over zone files, behind [`Exchange`] instead of a socket.
//!
//! It behaves as the resolver that the golden answers were recorded with: RA set, AA clear, aliases followed over all its
//! zones, the SOA of the closest zone in negative answers, the client's UDP size obeyed, other classes REFUSED.

use std::net::IpAddr;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::txt::Parser;
use landfall::upstream::{Attempt, Channel, Exchange, Exchanging, UpstreamError};

/// Zones, and names that fail.
#[derive(Debug, Default)]
pub struct Internet {
    zones: RwLock<Vec<Zone>>,
    special: RwLock<Vec<Special>>,
    asked: AtomicUsize,
}

/// A name, of one type or all, that fails.
#[derive(Debug)]
struct Special {
    name: Name,
    record_type: Option<RecordType>,
    /// The only server where it does; None: at all.
    server: Option<IpAddr>,
    fault: Fault,
}

/// Records below an origin.
#[derive(Clone, Debug)]
struct Zone {
    origin: Name,
    records: Vec<Record>,
    /// The only server that knows it; None: all do.
    server: Option<IpAddr>,
}

/// What happens instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Code(ResponseCode),
    NoReply,
    /// Over TCP there is no reply.
    NoTcp,
    NoSoa,
}

const ALIASES_MAX: usize = 16;

impl Zone {
    fn parse(server: Option<IpAddr>, text: &str) -> Self {
        let text = text.to_owned() + "\n";
        let (origin, sets) =
            Parser::new(text.as_str(), None, Some(Name::root())).parse().expect("a zone in master file form");
        let sets = sets.into_values();
        let records = sets.flat_map(|set| set.records_without_rrsigs().cloned().collect::<Vec<_>>());
        Self { origin, records: records.collect(), server }
    }

    fn is_instead_of(&self, other: &Self) -> bool {
        self.origin == other.origin && self.server == other.server
    }
}

impl Internet {
    /// Reads the `*.zone` files of a folder, and its `special.tsv`.
    pub fn from_folder(folder: &Path) -> Self {
        let mut internet = Self::default();
        for entry in std::fs::read_dir(folder).expect("the folder of zones is there") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|extension| extension == "zone") {
                internet.add_zone(&std::fs::read_to_string(&path).expect("a zone file can be read"));
            }
        }
        let special = std::fs::read_to_string(folder.join("special.tsv")).unwrap_or_default();
        special.lines().filter(|line| !line.starts_with('#')).for_each(|line| internet.add_fault(line));
        internet
    }

    /// Adds the records of a zone in master file form; its first record is the SOA.
    pub fn add_zone(&mut self, text: &str) {
        self.add_zone_of(None, text);
    }

    /// The same; only `server` knows it, if there is one.
    pub fn add_zone_of(&mut self, server: Option<IpAddr>, text: &str) {
        let zone = Zone::parse(server, text);
        let mut zones = self.zones.write().expect("no test has panicked with it");
        match zones.iter_mut().find(|known| known.is_instead_of(&zone)) {
            Some(known) => known.records.extend(zone.records),
            None => zones.push(zone),
        }
    }

    /// Puts a zone in place of what its server knows of it.
    pub fn replace_zone_of(&self, server: Option<IpAddr>, text: &str) {
        let zone = Zone::parse(server, text);
        let mut zones = self.zones.write().expect("no test has panicked with it");
        zones.retain(|known| !known.is_instead_of(&zone));
        zones.push(zone);
    }

    /// Adds a fault: `NAME[@SERVER] TYPE|* FAULT`, separated by tabs or blanks; `*.x` stands for every name below x.
    pub fn add_fault(&mut self, line: &str) {
        self.special.write().expect("no test has panicked with it").extend(special(line));
    }

    /// Puts these faults, one a line, in place of all.
    pub fn replace_faults(&self, text: &str) {
        *self.special.write().expect("no test has panicked with it") = text.lines().filter_map(special).collect();
    }

    /// How many questions came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn fault(&self, server: IpAddr, name: &Name, record_type: RecordType) -> Option<Fault> {
        let fits = |pattern: &Name| match pattern.is_wildcard() {
            true => pattern.base_name().zone_of(name) && pattern.base_name() != *name,
            false => pattern == name,
        };
        let special = self.special.read().expect("no test has panicked with it");
        let is_of = |special: &&Special| {
            special.record_type.is_none_or(|of_type| of_type == record_type)
                && special.server.is_none_or(|only| only == server)
                && fits(&special.name)
        };
        special.iter().find(is_of).map(|special| special.fault)
    }

    /// What a server sends back for a message: as much as the channel and the client can take. None: no reply.
    pub fn reply_of(&self, server: IpAddr, channel: Channel, message: &[u8]) -> Option<Vec<u8>> {
        let request = Message::from_vec(message).expect("a well-formed question");
        let mut reply = self.answer_of(server, channel, &request)?;
        let octets = reply.to_vec().expect("a reply that can be encoded");
        let limit = match channel {
            Channel::Udp => request.edns.as_ref().map_or(512, |edns| usize::from(edns.max_payload())),
            Channel::Tcp | Channel::Tls | Channel::Https | Channel::Quic => usize::from(u16::MAX),
        };
        if octets.len() <= limit {
            return Some(octets);
        }
        reply.answers.clear();
        reply.authorities.clear();
        reply.metadata.truncation = true;
        Some(reply.to_vec().expect("a reply that can be encoded"))
    }

    /// What a server says over a channel. None: no reply.
    fn answer_of(&self, server: IpAddr, channel: Channel, request: &Message) -> Option<Message> {
        let question = request.queries.first().expect("a question").clone();
        let mut reply = Message::new(request.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = request.metadata.recursion_desired;
        reply.metadata.checking_disabled = request.metadata.checking_disabled;
        reply.metadata.recursion_available = true;
        reply.add_query(question.clone());
        if let Some(edns) = &request.edns {
            let mut ours = Edns::new();
            ours.set_max_payload(1232).set_dnssec_ok(edns.flags().dnssec_ok);
            reply.edns = Some(ours);
        }
        if question.query_class != DNSClass::IN {
            reply.metadata.response_code = ResponseCode::Refused;
            return Some(reply);
        }
        self.resolve(server, channel, &question, &mut reply).then_some(reply)
    }

    /// Fills the sections; false: no reply.
    fn resolve(&self, server: IpAddr, channel: Channel, question: &Query, reply: &mut Message) -> bool {
        let (mut name, wanted) = (question.name.clone(), question.query_type);
        for _ in 0..ALIASES_MAX {
            let fault = self.fault(server, &name, wanted);
            match fault {
                Some(Fault::NoReply) => return false,
                Some(Fault::NoTcp) if channel != Channel::Udp => return false,
                Some(Fault::Code(code)) if code != ResponseCode::NXDomain => {
                    reply.metadata.response_code = code;
                    reply.answers.clear();
                    return true;
                }
                _ => {}
            }
            let is_missing = fault == Some(Fault::Code(ResponseCode::NXDomain));
            let (exists, records) = if is_missing { (false, Vec::new()) } else { self.records_at(&name, server) };
            let target = records.iter().find_map(|record| match &record.data {
                RData::CNAME(target) if wanted != RecordType::CNAME => Some((record.clone(), target.0.clone())),
                _ => None,
            });
            if let Some((alias, target)) = target {
                reply.add_answer(alias);
                name = target;
                continue;
            }
            let of_type: Vec<_> = records
                .into_iter()
                .filter(|record| wanted == RecordType::ANY || record.record_type() == wanted)
                .collect();
            if of_type.is_empty() {
                if !exists {
                    reply.metadata.response_code = ResponseCode::NXDomain;
                }
                if fault != Some(Fault::NoSoa) {
                    reply.authorities.extend(self.closest_soa(&name, server));
                }
            }
            reply.answers.extend(of_type);
            return true;
        }
        reply.metadata.response_code = ResponseCode::ServFail;
        reply.answers.clear();
        true
    }

    /// Whether a name exists (also as an empty non-terminal), and its records, a wildcard's under the name asked for.
    fn records_at(&self, name: &Name, server: IpAddr) -> (bool, Vec<Record>) {
        let Some(Zone { records, .. }) = self.closest_zone(name, server) else { return (false, Vec::new()) };
        let own: Vec<_> = records.iter().filter(|record| record.name == *name).cloned().collect();
        if records.iter().any(|record| name.zone_of(&record.name)) {
            return (true, renamed(own, name));
        }
        let wildcard = name.base_name().prepend_label("*").expect("a name of legal length");
        let from_wildcard: Vec<_> = records.iter().filter(|record| record.name == wildcard).cloned().collect();
        (!from_wildcard.is_empty(), renamed(from_wildcard, name))
    }

    fn closest_zone(&self, name: &Name, server: IpAddr) -> Option<Zone> {
        let zones = self.zones.read().expect("no test has panicked with it");
        let known = zones.iter().filter(|zone| zone.server.is_none_or(|only| only == server));
        known.filter(|zone| zone.origin.zone_of(name)).max_by_key(|zone| zone.origin.num_labels()).cloned()
    }

    fn closest_soa(&self, name: &Name, server: IpAddr) -> Option<Record> {
        let Zone { records, .. } = self.closest_zone(name, server)?;
        records.iter().find(|record| record.record_type() == RecordType::SOA).cloned()
    }
}

fn special(line: &str) -> Option<Special> {
    let mut fields = line.split_whitespace();
    let (name, record_type) = (fields.next()?, fields.next()?);
    let (name, server) = match name.split_once('@') {
        None => (name, None),
        Some((name, server)) => (name, Some(server.parse().expect("an address"))),
    };
    let record_type = (record_type != "*").then(|| record_type.parse().expect("a record type"));
    let fault = match fields.collect::<Vec<_>>().join(" ").as_str() {
        "SERVFAIL" => Fault::Code(ResponseCode::ServFail),
        "REFUSED" => Fault::Code(ResponseCode::Refused),
        "NOTIMP" => Fault::Code(ResponseCode::NotImp),
        "NXDOMAIN" => Fault::Code(ResponseCode::NXDomain),
        "no reply" => Fault::NoReply,
        "no TCP" => Fault::NoTcp,
        "no SOA" => Fault::NoSoa,
        other => panic!("unknown fault {other:?}"),
    };
    Some(Special { name: Name::from_ascii(name).expect("a name"), record_type, server, fault })
}

fn renamed(records: Vec<Record>, name: &Name) -> Vec<Record> {
    records.into_iter().map(|mut record| (record.name = name.clone(), record).1).collect()
}

impl Exchange for Internet {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let Attempt { upstream, channel, message, timeout, .. } = attempt;
            let Some(reply) = self.reply_of(upstream.address.ip(), channel, &message) else {
                tokio::time::sleep(timeout).await;
                return Err(UpstreamError::Timeout { server: upstream.address, timeout });
            };
            Ok(reply)
        })
    }
}
