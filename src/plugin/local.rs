//! `local`: names of this host, and of none.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::config::directive::Local as Config;
use crate::dns::{Answer, Class, Name, Query, RData, Record, RecordType, label_count, parse_name, rdata};
use crate::metrics::Counter;

/// The name of the plugin in metrics.
const NAME: &str = "local";

/// The TTL, which is CoreDNS's.
const TTL: u32 = 604_800;

/// Names of this host, and of none.
#[derive(Debug)]
pub struct Local {
    config: Config,
    localhost: Name,
    loopback: Name,
    /// `localhost.` and the reverse zones of addresses that are no other host's.
    apexes: [Name; 4],
    localhost_requests: Counter,
}

impl Local {
    /// `localhost_requests` counts questions for other names of this host than `localhost.`
    pub fn new(config: Config, localhost_requests: Counter) -> Self {
        let name = |text| parse_name(text).unwrap_or_default();
        Self {
            config,
            localhost: name("localhost."),
            loopback: name("1.0.0.127.in-addr.arpa."),
            apexes: ["localhost.", "0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa."].map(name),
            localhost_requests,
        }
    }

    /// The answer; None: the name is another's. As in CoreDNS, nobody is the authority.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        if query.class != Class::IN {
            return None;
        }
        let answer = if self.is_of_this_host(&query.name) {
            self.localhost_requests.inc();
            let apex = if self.localhost.zone_of(&query.name) { &self.localhost } else { &query.name };
            self.positive_or_no_data(query, address(query.record_type), apex)
        } else {
            self.answer_below(self.apexes.iter().find(|apex| apex.zone_of(&query.name))?, query)
        };
        query.explain(NAME, || "the name belongs to this host, or to none: nobody else is asked".to_owned());
        Some(answer.with_authoritative(false).by(NAME))
    }

    /// Whether a name is one of this host, or of none.
    pub fn serves(&self, name: &Name) -> bool {
        self.is_of_this_host(name) || self.apexes.iter().any(|apex| apex.zone_of(name))
    }

    /// Whether this is a name below `localhost.`, or one that begins with it.
    fn is_of_this_host(&self, name: &Name) -> bool {
        let begins = || name.iter().next().is_some_and(|label| label.eq_ignore_ascii_case(b"localhost"));
        label_count(name) > 1 && (self.localhost.zone_of(name) || self.config.localhost_prefix && begins())
    }

    fn answer_below(&self, apex: &Name, query: &Query) -> Answer {
        let (name, localhost) = (&query.name, &self.localhost);
        let data = match query.record_type {
            RecordType::PTR if *name == self.loopback => Some(RData::PTR(rdata::PTR(localhost.clone()))),
            RecordType::NS if name == apex => Some(RData::NS(rdata::NS(localhost.clone()))),
            RecordType::SOA if name == apex => Some(self.soa(apex).data),
            other if name == localhost => address(other),
            _ => None,
        };
        // Unlike in CoreDNS, what is above a name that exists does so, too (RFC 8020).
        match name == apex || name.zone_of(&self.loopback) {
            true => self.positive_or_no_data(query, data, apex),
            false => Answer::nx_domain(Some(self.soa(apex))),
        }
    }

    fn positive_or_no_data(&self, query: &Query, data: Option<RData>, apex: &Name) -> Answer {
        match data {
            Some(data) => Answer::positive(vec![Record::from_rdata(query.name.clone(), TTL, data)]),
            None => Answer::no_data(Some(self.soa(apex))),
        }
    }

    fn soa(&self, apex: &Name) -> Record {
        let mailbox = self.localhost.prepend_label("root").unwrap_or_default();
        let soa = rdata::SOA::new(self.localhost.clone(), mailbox, 1, 0, 0, 0, TTL);
        Record::from_rdata(apex.clone(), TTL, RData::SOA(soa))
    }
}

/// The address of this host, if that is asked for.
fn address(record_type: RecordType) -> Option<RData> {
    match record_type {
        RecordType::A => Some(RData::A(rdata::A(Ipv4Addr::LOCALHOST))),
        RecordType::AAAA => Some(RData::AAAA(rdata::AAAA(Ipv6Addr::LOCALHOST))),
        _ => None,
    }
}
