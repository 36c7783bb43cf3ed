//! What is done with the answer to a question that was rewritten.

use super::matching::Matcher;
use super::{NAME, NoName, Router, text};
use crate::dns::{Answer, Name, Query, RData, Record, ResponseCode, parse_name, rdata};

/// One change of an answer.
#[derive(Clone, Debug)]
pub enum Restoration {
    /// The name that was asked for, and those below it, become the client's again: owners and values.
    Asked { from: Name, to: Name },
    /// Names that match become others.
    Names { names: Names, matcher: Matcher, to: String },
    /// TTLs are kept within bounds.
    Ttl { min: u32, max: u32 },
    /// A response code becomes another. Unlike CoreDNS, also where the answer has no record.
    Code { from: ResponseCode, to: ResponseCode },
    /// Aliases to such a target lead elsewhere.
    Alias { target: Matcher, to: String },
}

/// Which names of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Owners,
    Values,
    All,
}

impl Restoration {
    pub async fn apply(&self, mut answer: Answer, query: &Query, router: &Router) -> Answer {
        match self {
            Self::Asked { from, to } => change_names(&mut answer, Names::All, |name| moved(name, from, to)),
            Self::Names { names, matcher, to } => {
                change_names(&mut answer, *names, |name| parse_name(&matcher.replace(&text(name), to)?).ok());
            }
            Self::Ttl { min, max } => answer.records_mut().for_each(|record| record.ttl = record.ttl.clamp(*min, *max)),
            Self::Code { from, to } if answer.response_code() == *from => answer = answer.with_response_code(*to),
            Self::Code { .. } => {}
            Self::Alias { target, to } => answer = follow_elsewhere(answer, target, to, query, router).await,
        }
        answer
    }
}

/// `from` and what is below it, below `to` instead; None: it is neither, or would be too long.
fn moved(name: &Name, from: &Name, to: &Name) -> Option<Name> {
    let lower = name.to_lowercase();
    let labels = from.zone_of(&lower).then(|| lower.iter().count().checked_sub(from.iter().count()))??;
    Name::from_labels(name.iter().take(labels).chain(to.iter())).ok().map(absolute)
}

fn absolute(mut name: Name) -> Name {
    name.set_fqdn(true);
    name
}

/// Changes names of records; None leaves one as it is.
fn change_names(answer: &mut Answer, names: Names, change: impl Fn(&Name) -> Option<Name>) {
    for record in answer.records_mut() {
        if names != Names::Values
            && let Some(name) = change(&record.name)
        {
            record.name = name;
        }
        if names != Names::Owners
            && let Some(data) = value(&record.data).and_then(&change).and_then(|name| with_value(&record.data, name))
        {
            record.data = data;
        }
    }
}

/// The name that a record speaks of.
fn value(data: &RData) -> Option<&Name> {
    match data {
        RData::CNAME(cname) => Some(&cname.0),
        RData::NS(ns) => Some(&ns.0),
        RData::PTR(ptr) => Some(&ptr.0),
        RData::MX(mx) => Some(&mx.exchange),
        RData::SRV(srv) => Some(&srv.target),
        RData::SOA(soa) => Some(&soa.mname),
        RData::NAPTR(naptr) => Some(&naptr.replacement),
        _ => None,
    }
}

/// The same data with another name in it.
fn with_value(data: &RData, name: Name) -> Option<RData> {
    Some(match data {
        RData::CNAME(_) => RData::CNAME(rdata::CNAME(name)),
        RData::NS(_) => RData::NS(rdata::NS(name)),
        RData::PTR(_) => RData::PTR(rdata::PTR(name)),
        RData::MX(mx) => RData::MX(rdata::MX::new(mx.preference, name)),
        RData::SRV(srv) => RData::SRV(rdata::SRV::new(srv.priority, srv.weight, srv.port, name)),
        RData::SOA(soa) => {
            let mut soa = soa.clone();
            soa.mname = name;
            RData::SOA(soa)
        }
        RData::NAPTR(naptr) => {
            let mut naptr = naptr.clone();
            naptr.replacement = name;
            RData::NAPTR(naptr)
        }
        _ => return None,
    })
}

/// The first alias whose target matches leads to another name, which is looked up; what stood behind it goes. Where that fails,
/// the answer fails: half of an alias helps nobody.
async fn follow_elsewhere(answer: Answer, target: &Matcher, to: &str, query: &Query, router: &Router) -> Answer {
    let targets = answer.answers.iter().enumerate().filter_map(|(index, record)| match &record.data {
        RData::CNAME(cname) => Some((index, target.replace(&text(&cname.0), to)?)),
        _ => None,
    });
    let Some((index, name)) = targets.into_iter().next() else { return answer };
    let Ok(name) = parse_name(&name) else { return NoName(name).answer() };
    query.explain(NAME, || format!("an alias leads to {name} instead, which is looked up"));
    let end = router.follow_up(query, name.clone(), query.record_type).await;
    if let Some(failure) = end.failure() {
        return Answer::serv_fail(format!("{name}, to which an alias was rewritten: {failure}")).by(NAME);
    }
    let mut records: Vec<Record> = answer.answers.iter().take(index + 1).cloned().collect();
    if let Some(alias) = records.last_mut() {
        alias.data = RData::CNAME(rdata::CNAME(name));
    }
    // RFC 6604: the code is that of the end.
    let (code, is_truncated) = (end.response_code(), end.is_truncated());
    records.extend(end.answers);
    answer.with_response_code(code).with_answers(records).with_authority(end.authority).with_truncated(is_truncated)
}
