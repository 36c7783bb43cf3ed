//! What a zone says of a name and a type (RFC 1034 section 4.3.2, RFC 4592, RFC 6672, RFC 4035 section 3.1).

use std::fmt;

use super::{Node, Set, Zone, compare};
use crate::dns::{Name, Query, RData, Record, RecordType, Transport, dname_target, label_count, rdata, server_name};

/// Aliases that are followed inside a zone at most.
const ALIASES_MAX: usize = 11;

/// What a zone says.
#[derive(Debug, Default)]
pub struct Response {
    /// How it ends.
    pub outcome: Outcome,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section.
    pub additional: Vec<Record>,
    /// The wildcard that made the answer, if one did; the last one of a chain.
    pub wildcard: Option<Name>,
}

/// How a lookup ends, for the last name of a chain of aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Records; or a chain of aliases that leads nowhere.
    #[default]
    Positive,
    /// An alias for a name outside the zone.
    Alias(Name),
    /// A name below a cut: who to ask is in the authority section.
    Delegation,
    /// The name is there, but not with this type.
    NoData {
        /// Whether the name has no records at all, only names below it.
        is_empty_non_terminal: bool,
    },
    /// No such name.
    NxDomain,
    /// DNAME leads to a name that is too long (RFC 6672 section 2.2).
    TooLong,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Positive => f.write_str("it has records"),
            Outcome::Alias(target) => write!(f, "an alias leads out of the zone, to {target}"),
            Outcome::Delegation => f.write_str("the name is below a cut, and other servers have it"),
            Outcome::NoData { is_empty_non_terminal: true } => f.write_str("there are only names below it"),
            Outcome::NoData { is_empty_non_terminal: false } => f.write_str("the name has no records of this type"),
            Outcome::NxDomain => f.write_str("there is no such name"),
            Outcome::TooLong => f.write_str("DNAME leads to a name that is too long"),
        }
    }
}

/// Where a name is in a zone.
enum Place<'a> {
    Node(&'a Node),
    EmptyNonTerminal,
    /// At or below a cut.
    Cut(&'a Node),
    /// Below a DNAME.
    Renamed(&'a Node),
    /// Made by a wildcard.
    Wildcard(&'a Node),
    /// Nowhere; this many of its labels are.
    Nothing(usize),
}

/// One question to one zone.
struct Lookup<'a> {
    zone: &'a Zone,
    query: &'a Query,
    response: Response,
}

impl Zone {
    /// Answers a question about a name in the zone. Aliases are followed as long as they stay in it.
    pub fn lookup(&self, query: &Query) -> Response {
        let mut lookup = Lookup { zone: self, query, response: Response::default() };
        let mut name = query.name.clone();
        let mut seen = Vec::new();
        while let Some(target) = lookup.step(&name) {
            seen.push(std::mem::replace(&mut name, target));
            if !self.apex.zone_of(&name) {
                lookup.add_name_servers();
                lookup.response.outcome = Outcome::Alias(name);
                break;
            }
            // A circle leads nowhere, and neither does what is as long as one.
            if seen.len() >= ALIASES_MAX || seen.contains(&name) {
                lookup.add_name_servers();
                break;
            }
        }
        lookup.response
    }

    /// Whether a name is at or below a cut: other servers know it.
    pub fn delegates(&self, name: &Name) -> bool {
        matches!(self.place(name, RecordType::A), Place::Cut(_))
    }

    /// Goes down from the apex to a name.
    fn place(&self, name: &Name, record_type: RecordType) -> Place<'_> {
        let labels: Vec<&[u8]> = name.iter().collect();
        let apex = label_count(&self.apex);
        for depth in apex..=labels.len() {
            let ancestor = labels.get(labels.len() - depth..).unwrap_or_default();
            let is_last = depth == labels.len();
            match self.search(ancestor).map(|at| self.nodes.get(at)) {
                Ok(Some(node)) => {
                    // RFC 4035 section 3.1.4.1: DS is on this side of a cut.
                    let is_of_parent = is_last && matches!(record_type, RecordType::DS | RecordType::NSEC);
                    if depth > apex && !is_of_parent && node.set(RecordType::NS).is_some() {
                        return Place::Cut(node);
                    }
                    if is_last {
                        return Place::Node(node);
                    }
                    if node.set(RecordType::DNAME).is_some() {
                        return Place::Renamed(node);
                    }
                }
                Ok(None) | Err(_) if self.has_below(ancestor) => {
                    if is_last {
                        return Place::EmptyNonTerminal;
                    }
                }
                Ok(None) | Err(_) => return self.wildcard(ancestor.get(1..).unwrap_or_default()),
            }
        }
        Place::Nothing(apex)
    }

    /// The wildcard below the closest encloser (RFC 4592 section 3.3.1).
    fn wildcard(&self, closest: &[&[u8]]) -> Place<'_> {
        let wildcard: Vec<&[u8]> = std::iter::once(b"*" as &[u8]).chain(closest.iter().copied()).collect();
        match self.search(&wildcard) {
            Ok(at) => self.nodes.get(at).map_or(Place::EmptyNonTerminal, Place::Wildcard),
            Err(_) if self.has_below(&wildcard) => Place::EmptyNonTerminal,
            Err(_) => Place::Nothing(closest.len()),
        }
    }

    /// Whether there are names below one that has no records.
    fn has_below(&self, labels: &[&[u8]]) -> bool {
        let Err(at) = self.search(labels) else { return false };
        self.nodes.get(at).is_some_and(|next| {
            let surplus = label_count(&next.name).checked_sub(labels.len());
            surplus.is_some_and(|surplus| {
                compare(next.name.iter().skip(surplus).collect::<Vec<_>>().into_iter(), labels.iter().copied()).is_eq()
            })
        })
    }

    /// The NSEC record that says that a name is not there: that of the last name before it which has one.
    fn nsec_before(&self, labels: &[&[u8]]) -> Option<&Set> {
        let (Ok(at) | Err(at)) = self.search(labels);
        self.nodes.get(..at)?.iter().rev().find_map(|node| node.set(RecordType::NSEC))
    }

    fn is_signed(&self) -> bool {
        self.apex_set(RecordType::NSEC).is_some()
    }
}

impl Lookup<'_> {
    /// Answers for one name of the chain; returns the next one.
    fn step(&mut self, name: &Name) -> Option<Name> {
        match self.zone.place(name, self.query.record_type) {
            Place::Node(node) => return self.data(name, node, false),
            Place::Wildcard(node) => {
                self.response.wildcard = Some(node.name.clone());
                return self.data(name, node, true);
            }
            Place::Renamed(node) => return self.rename(name, node),
            Place::Cut(node) => self.delegate(node),
            Place::EmptyNonTerminal => self.deny(name, Outcome::NoData { is_empty_non_terminal: true }, None),
            Place::Nothing(closest) => self.deny(name, Outcome::NxDomain, Some(closest)),
        }
        None
    }

    /// The records of a node, as those of `name`.
    fn data(&mut self, name: &Name, node: &Node, is_wildcard: bool) -> Option<Name> {
        let record_type = self.query.record_type;
        // RFC 4035 section 2.5: NSEC and RRSIG stand beside an alias.
        let is_beside_alias =
            matches!(record_type, RecordType::CNAME | RecordType::ANY | RecordType::RRSIG | RecordType::NSEC);
        if let Some(alias) = node.set(RecordType::CNAME).filter(|_| !is_beside_alias) {
            self.answer(name, alias);
            if is_wildcard {
                self.add_nsec_before(name);
            }
            return match alias.records.first().map(|record| &record.data) {
                Some(RData::CNAME(target)) => Some(target.0.clone()),
                _ => None,
            };
        }
        let found = match record_type {
            RecordType::ANY => self.answer_any(name, node),
            RecordType::RRSIG => self.answer_signatures(name, node),
            _ => node.set(record_type).map(|set| self.answer(name, set)).is_some(),
        };
        if !found {
            self.deny(name, Outcome::NoData { is_empty_non_terminal: false }, None);
            if self.query.dnssec_ok() {
                self.add_nsec(node.set(RecordType::NSEC));
            }
            return None;
        }
        let is_apex_ns = record_type == RecordType::NS && node.name == self.zone.apex;
        if !is_apex_ns {
            self.add_name_servers();
        }
        if is_wildcard {
            self.add_nsec_before(name);
        }
        self.add_addresses();
        None
    }

    fn answer(&mut self, name: &Name, set: &Set) {
        extend(&mut self.response.answers, set, Some(name), self.query.dnssec_ok());
    }

    /// Everything over TCP; one set over UDP, so that nobody is made to send much to others (RFC 8482 section 4.1).
    fn answer_any(&mut self, name: &Name, node: &Node) -> bool {
        let most = if self.query.transport == Transport::Udp { 1 } else { usize::MAX };
        let sets = node.sets.iter().filter(|set| !set.records.is_empty()).take(most);
        let before = self.response.answers.len();
        sets.for_each(|set| self.answer(name, set));
        self.response.answers.len() > before
    }

    fn answer_signatures(&mut self, name: &Name, node: &Node) -> bool {
        let signatures = node.sets.iter().flat_map(|set| &set.signatures);
        let before = self.response.answers.len();
        self.response.answers.extend(signatures.map(|record| renamed(record, Some(name))));
        self.response.answers.len() > before
    }

    /// RFC 6672: the ending of the name is replaced, and an alias made that says so.
    fn rename(&mut self, name: &Name, node: &Node) -> Option<Name> {
        let dname = node.set(RecordType::DNAME)?;
        extend(&mut self.response.answers, dname, None, self.query.dnssec_ok());
        let record = dname.records.first()?;
        let ending = dname_target(&record.data)?;
        let kept = label_count(name) - label_count(&node.name);
        let Ok(target) = Name::from_labels(name.iter().take(kept).chain(ending.iter())) else {
            self.response.outcome = Outcome::TooLong;
            return None;
        };
        let alias = RData::CNAME(rdata::CNAME(target.clone()));
        self.response.answers.push(Record::from_rdata(name.clone(), record.ttl, alias));
        if self.query.record_type == RecordType::CNAME {
            self.add_name_servers();
            return None;
        }
        Some(target)
    }

    /// The servers below a cut, their addresses as far as they are here, and whether the zone there is signed.
    fn delegate(&mut self, node: &Node) {
        self.response.outcome = Outcome::Delegation;
        let servers = node.set(RecordType::NS);
        let is_signed = node.set(RecordType::DS).or(node.set(RecordType::NSEC)).filter(|_| self.query.dnssec_ok());
        servers.into_iter().for_each(|servers| extend(&mut self.response.authority, servers, None, false));
        is_signed.into_iter().for_each(|proof| extend(&mut self.response.authority, proof, None, true));
        let servers = servers.map(|servers| servers.records.clone()).unwrap_or_default();
        self.add_addresses_of(&servers);
    }

    /// A negative answer: the SOA, and the proof if the client wants it. `closest` says how many labels of a name that is
    /// not there are.
    fn deny(&mut self, name: &Name, outcome: Outcome, closest: Option<usize>) {
        let dnssec_ok = self.query.dnssec_ok();
        let is_data_of_name =
            outcome == Outcome::NoData { is_empty_non_terminal: false } && self.zone.node(name).is_some();
        self.response.outcome = outcome;
        if let Some(soa) = self.zone.soa_set() {
            let start = self.response.authority.len();
            extend(&mut self.response.authority, soa, None, dnssec_ok);
            // RFC 2308 section 3, unlike CoreDNS: how long it may be remembered that something is not there.
            let minimum = soa.records.iter().find_map(|record| match &record.data {
                RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
                _ => None,
            });
            let added = self.response.authority.iter_mut().skip(start);
            added.for_each(|record| record.ttl = minimum.unwrap_or_default());
        }
        if is_data_of_name {
            return;
        }
        self.add_nsec_before(name);
        if let Some(closest) = closest.filter(|_| dnssec_ok && self.zone.is_signed()) {
            let labels: Vec<&[u8]> = name.iter().collect();
            let closest = labels.get(labels.len() - closest..).unwrap_or_default();
            let wildcard: Vec<&[u8]> = std::iter::once(b"*" as &[u8]).chain(closest.iter().copied()).collect();
            self.add_nsec(self.zone.nsec_before(&wildcard));
        }
    }

    /// The proof that a name is not there.
    fn add_nsec_before(&mut self, name: &Name) {
        if self.query.dnssec_ok() && self.zone.is_signed() {
            let labels: Vec<&[u8]> = name.iter().collect();
            self.add_nsec(self.zone.nsec_before(&labels));
        }
    }

    /// Adds a proof that is not there yet.
    fn add_nsec(&mut self, nsec: Option<&Set>) {
        let Some((nsec, record)) = nsec.and_then(|nsec| Some((nsec, nsec.records.first()?))) else { return };
        if !self.response.authority.contains(record) {
            extend(&mut self.response.authority, nsec, None, true);
        }
    }

    /// As CoreDNS does: a positive answer says whose it is.
    fn add_name_servers(&mut self) {
        if let Some(servers) = self.zone.apex_set(RecordType::NS) {
            extend(&mut self.response.authority, servers, None, self.query.dnssec_ok());
        }
    }

    /// The addresses of the servers that the answer names.
    fn add_addresses(&mut self) {
        let answers = std::mem::take(&mut self.response.answers);
        self.add_addresses_of(&answers);
        self.response.answers = answers;
    }

    fn add_addresses_of(&mut self, records: &[Record]) {
        let mut seen: Vec<Name> = Vec::new();
        for record in records {
            let Some(mut server) = server_name(&record.data) else { continue };
            if server.is_root() {
                // RFC 9460 section 2.5.2: the owner itself.
                server = record.name.clone();
            }
            if seen.contains(&server) || !self.zone.apex.zone_of(&server) {
                continue;
            }
            let sets =
                self.zone.node(&server).into_iter().flat_map(|node| {
                    [RecordType::A, RecordType::AAAA].into_iter().filter_map(|address| node.set(address))
                });
            for set in sets {
                extend(&mut self.response.additional, set, None, self.query.dnssec_ok());
            }
            seen.push(server);
        }
    }
}

/// Adds the records of a set, as those of `name` if there is one, and their signatures.
fn extend(section: &mut Vec<Record>, set: &Set, name: Option<&Name>, with_signatures: bool) {
    let signatures: &[Record] = if with_signatures { &set.signatures } else { &[] };
    section.extend(set.records.iter().chain(signatures).map(|record| renamed(record, name)));
}

fn renamed(record: &Record, name: Option<&Name>) -> Record {
    let mut record = record.clone();
    if let Some(name) = name {
        record.name = name.clone();
    }
    record
}
