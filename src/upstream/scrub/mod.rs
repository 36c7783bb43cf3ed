//! What of another server's answer is believed.
//!
//! Pure: a message in, the records that belong to the question out. Everything else is dropped, whoever sent it: records
//! of other names, of other classes, of types that nobody asked for.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::dns::{Class, Name, Query, RData, Record, RecordType, ResponseCode, UpstreamMessage, parse_signature};

/// Aliases in a row at most; what is behind them is dropped.
const ALIASES_MAX: usize = 16;

/// No answer is good for longer.
const TTL_MAX: u32 = 24 * 60 * 60;

/// The type of DNAME (RFC 6672).
const DNAME: u16 = 39;

/// Why nothing of an answer is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It says of a name both that it does not exist and what is there.
    #[error("the answer denies a name and has data of it")]
    Contradiction,
    /// Its aliases lead back to themselves.
    #[error("the aliases of the answer lead in a circle")]
    Circle,
}

/// Leaves in a message only what belongs to the question:
///
/// - answer: the chain of aliases that begins at the name asked for, and the type asked for at its end;
/// - authority: SOA and NS of zones that hold one of these names, and with DO the proofs of these zones;
/// - additional: addresses of the names that the other two point to.
///
/// Signatures are left only beside what they sign, and only if the client set DO.
pub fn scrub(query: &Query, message: &mut UpstreamMessage) -> Result<(), Unusable> {
    let UpstreamMessage { answers, authority, additional, .. } = message;
    for section in [&mut *answers, &mut *authority, &mut *additional] {
        section.retain(|record| record.dns_class == Class::IN);
        // RFC 8767 section 4: a TTL with its highest bit set is a long one.
        section.iter_mut().for_each(|record| record.ttl = record.ttl.min(TTL_MAX));
    }
    let chain = Chain::follow(query, answers)?;
    chain.sort_out_answers(answers);
    chain.sort_out_authority(authority);
    sort_out_additional(query, answers, authority, additional);
    let is_denied = message.response_code == ResponseCode::NXDomain;
    let has_data = message.answers.iter().any(|record| chain.is_data(record));
    if is_denied && has_data { Err(Unusable::Contradiction) } else { Ok(()) }
}

/// The names that an answer leads through.
struct Chain<'a> {
    query: &'a Query,
    /// The name asked for, then the target of each alias; never empty.
    names: Vec<Name>,
}

impl<'a> Chain<'a> {
    /// Follows the aliases of an answer as far as they lead.
    fn follow(query: &'a Query, answers: &[Record]) -> Result<Self, Unusable> {
        let mut names = Vec::new();
        let mut next = Some(&query.name);
        while let Some(name) = next.take() {
            let at_name = || answers.iter().filter(|record| record.name == *name);
            let is_end = matches!(query.record_type, RecordType::ANY | RecordType::CNAME)
                || at_name().any(|record| record.record_type() == query.record_type);
            names.push(name.clone());
            if !is_end && names.len() <= ALIASES_MAX {
                next = at_name().find_map(alias_target);
            }
            if next.is_some_and(|target| names.contains(target)) {
                return Err(Unusable::Circle);
            }
        }
        Ok(Self { query, names })
    }

    /// Aliases come before what they lead to, whatever the order was: many clients read an answer only once.
    fn sort_out_answers(&self, answers: &mut Vec<Record>) {
        answers.retain(|record| self.place(record).is_some());
        answers.sort_by_cached_key(|record| self.place(record));
    }

    /// At which name of the chain a record has its place in the answer; None: nowhere.
    fn place(&self, record: &Record) -> Option<usize> {
        let last = self.names.len() - 1;
        let record_type = self.type_or_covered(record)?;
        if u16::from(record_type) == DNAME && record_type != self.query.record_type {
            let is_above = |name: &Name| record.name.zone_of(name) && record.name != *name;
            return self.names.iter().take(last).position(is_above);
        }
        let place = self.names.iter().position(|name| record.name == *name)?;
        let belongs = match place == last {
            true => record_type == self.query.record_type || self.query.record_type == RecordType::ANY,
            // A second alias of the same name leads nowhere.
            false => {
                record_type == RecordType::CNAME
                    && alias_target(record).is_none_or(|target| self.names.get(place + 1) == Some(target))
            }
        };
        belongs.then_some(place)
    }

    /// Whether a record of the answer is more than an alias on the way.
    fn is_data(&self, record: &Record) -> bool {
        match self.query.record_type {
            RecordType::ANY => record.record_type() != RecordType::CNAME,
            record_type => record.record_type() == record_type,
        }
    }

    fn sort_out_authority(&self, authority: &mut Vec<Record>) {
        let apexes = self.apexes(authority);
        authority.retain(|record| {
            let dnssec_ok = self.query.dnssec_ok();
            match self.type_or_covered(record) {
                Some(RecordType::SOA | RecordType::NS) => self.is_in(&record.name),
                Some(RecordType::DS) => dnssec_ok && self.is_in(&record.name),
                Some(RecordType::NSEC | RecordType::NSEC3) => {
                    dnssec_ok && apexes.iter().any(|apex| apex.zone_of(&record.name))
                }
                _ => false,
            }
        });
    }

    /// The zones of the chain that the authority section speaks for: NSEC and NSEC3 have names beside those of the chain.
    fn apexes(&self, authority: &[Record]) -> Vec<Name> {
        let apex = |record: &Record| match record.record_type() {
            RecordType::SOA | RecordType::NS => Some(record.name.clone()),
            _ => parse_signature(record).map(|signature| signature.signer),
        };
        let mut apexes: Vec<Name> = authority.iter().filter_map(apex).filter(|apex| self.is_in(apex)).collect();
        apexes.sort_unstable();
        apexes.dedup();
        apexes
    }

    /// Whether any name of the chain is in a zone.
    fn is_in(&self, apex: &Name) -> bool {
        self.names.iter().any(|name| apex.zone_of(name))
    }

    fn type_or_covered(&self, record: &Record) -> Option<RecordType> {
        type_or_covered(self.query, record)
    }
}

/// The type that decides whether a record belongs: its own, or the one that it signs. None: a signature nobody wants.
fn type_or_covered(query: &Query, record: &Record) -> Option<RecordType> {
    let is_wanted_itself = matches!(query.record_type, RecordType::RRSIG | RecordType::ANY);
    match record.record_type() {
        RecordType::RRSIG if !is_wanted_itself => {
            parse_signature(record).filter(|_| query.dnssec_ok()).map(|signature| signature.covered)
        }
        record_type => Some(record_type),
    }
}

fn sort_out_additional(query: &Query, answers: &[Record], authority: &[Record], additional: &mut Vec<Record>) {
    let targets: HashSet<&Name> = answers.iter().chain(authority).filter_map(host_of).collect();
    additional.retain(|record| {
        let is_address = matches!(type_or_covered(query, record), Some(RecordType::A | RecordType::AAAA));
        is_address && targets.contains(&record.name)
    });
}

fn alias_target(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// The host that a record points to, whose addresses a client wants next.
fn host_of(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::SRV(srv) => Some(&srv.target),
        RData::MX(mx) => Some(&mx.exchange),
        RData::NS(ns) => Some(&ns.0),
        _ => None,
    }
}
