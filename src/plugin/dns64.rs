//! `dns64`: AAAA records from A records (RFC 6147).
//!
//! An answer is made of two: what the server says of AAAA, and what it says of A. Unlike CoreDNS, failures stay failures, an
//! address of an IPv6-only name is never thrown away, and addresses that no NAT64 can reach are not made.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Pipeline, Router, acl};
use crate::config::directive::{Dns64 as Config, Dns64Mode, Dns64Rule};
use crate::dns::{
    Answer, Class, Name, Query, RData, Record, RecordType, ResponseCode, address_of_reverse_name, label_count,
    parse_name, rdata, reverse_name,
};
use crate::metrics::Metrics;
use crate::nat64::{InvalidPrefix, Prefix, is_excluded, may_translate};

/// The name of the plugin in metrics.
const NAME: &str = "dns64";

/// How long a synthesized address is kept where nothing says how long there was no AAAA (RFC 6147 section 5.1.7).
const TTL_WITHOUT_SOA: u32 = 600;

/// The addresses of ipv4only.arpa (RFC 7050 section 2.2).
const IPV4_ONLY: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// How AAAA records are made.
#[derive(Debug)]
pub struct Dns64 {
    prefix: Prefix,
    mode: Dns64Mode,
    rules: Vec<Dns64Rule>,
    allow_ipv4: bool,
    ipv4_only: Option<Name>,
    server: String,
    metrics: Arc<Metrics>,
}

impl Dns64 {
    /// DNS64 of the server with this label.
    pub fn new(config: &Config, server: String, metrics: Arc<Metrics>) -> Result<Self, InvalidPrefix> {
        Ok(Self {
            prefix: Prefix::new(config.prefix)?,
            mode: if config.translate_all { Dns64Mode::TranslateAll } else { Dns64Mode::Default },
            rules: config.rules.clone(),
            allow_ipv4: config.allow_ipv4,
            ipv4_only: parse_name("ipv4only.arpa.").ok(),
            server,
            metrics,
        })
    }

    /// Whether a query may need synthesis at all: AAAA or a reverse name in the prefix, from a client with IPv6. CD asks for the
    /// data as they are.
    pub fn applies_to(&self, query: &Query) -> bool {
        let is_for_client = self.allow_ipv4 || query.family() == 2;
        let is_for_type = match query.record_type {
            RecordType::AAAA => !query.checking_disabled,
            RecordType::PTR => self.embedded(&query.name).is_some(),
            _ => false,
        };
        is_for_client && is_for_type && query.class == Class::IN
    }

    /// Answers a query that [`Dns64::applies_to`].
    pub async fn answer(&self, query: &Query, pipeline: &Pipeline, router: &Router) -> Answer {
        let embedded = self.embedded(&query.name).filter(|_| query.record_type == RecordType::PTR);
        let is_ipv4_only = self.ipv4_only.as_ref() == Some(&query.name);
        // What is answered here does not come to `acl` behind it.
        if (embedded.is_some() || is_ipv4_only)
            && let Some(refusal) = pipeline.refusal(query)
        {
            return refusal;
        }
        if let Some(address) = embedded {
            return self.answer_reverse(query, address, router).await;
        }
        if is_ipv4_only {
            return self.ipv4_only_answer(query);
        }
        let native = pipeline.answer_as_asked(query, router).await;
        let end = end_of_aliases(&query.name, &native);
        let mode = self.mode(&end);
        let is_answer = native.source() == acl::NAME || native.is_nx_domain();
        let goes_on = !is_answer
            && match mode {
                Dns64Mode::Off => false,
                Dns64Mode::Default => !may_have_address(&native),
                Dns64Mode::TranslateAll | Dns64Mode::TranslateAllOrNothing => true,
            };
        query.explain(NAME, || match (goes_on, mode) {
            (false, Dns64Mode::Off) => format!("nothing is synthesized for {end} (`off`)"),
            (false, _) => "nothing is synthesized: the AAAA question is answered".to_owned(),
            (true, Dns64Mode::Off | Dns64Mode::Default) => {
                "there is no AAAA record: asks for A, to translate it".to_owned()
            }
            (true, _) => "asks for A, to translate it (`translate_all`)".to_owned(),
        });
        if !goes_on {
            return without_excluded(native);
        }
        let native = if mode == Dns64Mode::TranslateAllOrNothing { without_native(native) } else { native };
        // The name in lower case, as CoreDNS asks: caches and other servers see one name.
        let a = router.follow_up(query, query.name.to_lowercase(), RecordType::A).await;
        let is_translated = has_translatable(self.prefix, &a);
        query.explain(NAME, || match is_translated {
            true => format!("translates the A records with {}", self.prefix),
            false => "there is no A record that may be translated".to_owned(),
        });
        if is_translated {
            self.metrics.dns64_requests_translated.with_label_values(&[&self.server]).inc();
        }
        combine(self.prefix, native, a)
    }

    /// The rule for a name: that of the zone with most labels.
    fn mode(&self, name: &Name) -> Dns64Mode {
        let zones = self.rules.iter().flat_map(|rule| rule.zones.iter().map(|zone| (zone, rule.mode)));
        let longest = zones.filter(|(zone, _)| zone.zone_of(name)).max_by_key(|(zone, _)| label_count(zone));
        longest.map_or(self.mode, |(_, mode)| mode)
    }

    /// RFC 8880 section 7.1: every DNS64 answers this itself, so that its clients learn the prefix.
    fn ipv4_only_answer(&self, query: &Query) -> Answer {
        let records = IPV4_ONLY.map(|address| {
            Record::from_rdata(
                query.name.clone(),
                TTL_WITHOUT_SOA,
                RData::AAAA(rdata::AAAA(self.prefix.embed(address))),
            )
        });
        Answer::positive(records.into()).by(NAME)
    }

    /// The IPv4 address in a reverse name below the prefix.
    fn embedded(&self, name: &Name) -> Option<Ipv4Addr> {
        match address_of_reverse_name(name)? {
            IpAddr::V6(address) => self.prefix.extract(address),
            IpAddr::V4(_) => None,
        }
    }

    /// RFC 6147 section 5.3.1: an alias for the IPv4 reverse name with what is there; no alias that leads nowhere.
    async fn answer_reverse(&self, query: &Query, address: Ipv4Addr, router: &Router) -> Answer {
        let mut v4 = router.follow_up(query, reverse_name(IpAddr::V4(address)), RecordType::PTR).await;
        let pointers: Vec<Record> =
            v4.answers.iter().filter(|record| record.record_type() == RecordType::PTR).cloned().collect();
        let Some(first) = pointers.first() else {
            // Aliases of the IPv4 name are none of the name that was asked for.
            v4.answers.clear();
            return v4;
        };
        let ttl = first.ttl.min(TTL_WITHOUT_SOA);
        let alias = Record::from_rdata(query.name.clone(), ttl, RData::CNAME(rdata::CNAME(first.name.clone())));
        let recursion_available = v4.is_recursion_available();
        Answer::positive(std::iter::once(alias).chain(pointers).collect())
            .with_authoritative(v4.is_authoritative())
            .with_recursion_available(recursion_available)
            .by(NAME)
    }
}

/// Makes one answer of what is said of AAAA and of A.
fn combine(prefix: Prefix, native: Answer, a: Answer) -> Answer {
    match a.response_code() {
        ResponseCode::NoError if has_translatable(prefix, &a) || a.is_truncated() => synthesize(prefix, &native, a),
        // Nothing to translate: what there is natively, or that there is nothing.
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let native = without_excluded(native);
            // What was left of mapped addresses says nothing of how long that holds; the A side does.
            let says_something = has_address(&native) || native.soa().is_some();
            if says_something && native.response_code() == ResponseCode::NoError {
                native
            } else {
                without_addresses(a)
            }
        }
        // RFC 6147 section 5.1.6: the failure of the A query is the failure of the answer.
        _ if has_address(&native) => without_excluded(native),
        ResponseCode::ServFail => a,
        _ if a.source() == acl::NAME => a,
        code => Answer::serv_fail(format!("the A query for DNS64 failed: {code}")).by(NAME),
    }
}

/// The A answer with AAAA in place of A. Their TTL is at most that of the SOA that came with the missing AAAA (RFC 6147
/// section 5.1.7).
fn synthesize(prefix: Prefix, native: &Answer, a: Answer) -> Answer {
    let ttl_max = native.soa().map_or(TTL_WITHOUT_SOA, |soa| soa.ttl);
    let answers = a.answers.iter().filter_map(|record| match record.data {
        RData::A(address) => may_translate(prefix, address.0).then(|| {
            let data = RData::AAAA(rdata::AAAA(prefix.embed(address.0)));
            Record::from_rdata(record.name.clone(), record.ttl.min(ttl_max), data)
        }),
        RData::CNAME(_) => Some(record.clone()),
        // Signatures of the A records sign nothing here.
        _ => (u16::from(record.record_type()) == DNAME).then(|| record.clone()),
    });
    Answer::positive(answers.collect())
        .with_authority(a.authority.clone())
        .with_additional(a.additional.clone())
        .with_truncated(a.is_truncated())
        .with_authoritative(a.is_authoritative())
        .with_recursion_available(a.is_recursion_available())
        .with_extended_error(SYNTHESIZED, "DNS64")
        .by(NAME)
}

/// The type of DNAME (RFC 6672).
const DNAME: u16 = 39;
/// The extended DNS error "Synthesized".
const SYNTHESIZED: u16 = 29;

fn has_translatable(prefix: Prefix, a: &Answer) -> bool {
    a.answers.iter().any(|record| matches!(record.data, RData::A(address) if may_translate(prefix, address.0)))
}

/// Whether there is an AAAA record that counts.
fn has_address(native: &Answer) -> bool {
    native.answers.iter().any(|record| matches!(record.data, RData::AAAA(address) if !is_excluded(address.0)))
}

/// Whether there is such a record, or may be one in the part that was cut off.
fn may_have_address(native: &Answer) -> bool {
    native.is_truncated() || has_address(native)
}

fn without_excluded(mut native: Answer) -> Answer {
    native.answers.retain(|record| !matches!(record.data, RData::AAAA(address) if is_excluded(address.0)));
    native
}

/// The name that owns the addresses, or would: where the aliases end.
fn end_of_aliases(name: &Name, answer: &Answer) -> Name {
    let targets = answer.answers.iter().rev().filter_map(|record| match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    });
    targets.into_iter().next().unwrap_or(name).clone()
}

fn without_native(mut native: Answer) -> Answer {
    native.answers.retain(|record| record.record_type() != RecordType::AAAA);
    native
}

fn without_addresses(mut a: Answer) -> Answer {
    a.answers.retain(|record| record.record_type() != RecordType::A);
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ttl: u32, data: RData) -> Record {
        Record::from_rdata(parse_name("x.example.").unwrap(), ttl, data)
    }

    fn a(ttl: u32, text: &str) -> Record {
        record(ttl, RData::A(rdata::A(text.parse().unwrap())))
    }

    fn aaaa(text: &str) -> Record {
        record(300, RData::AAAA(rdata::AAAA(text.parse().unwrap())))
    }

    fn soa(ttl: u32) -> Record {
        let name = parse_name("example.").unwrap();
        record(ttl, RData::SOA(rdata::SOA::new(name.clone(), name, 1, 1, 1, 1, 60)))
    }

    /// Addresses with their TTL, and the response code.
    fn check(native: Answer, a: Answer, code: ResponseCode, expected: &[(u32, &str)]) {
        let answer = combine(Prefix::WELL_KNOWN, native, a);
        let found: Vec<(u32, String)> = answer
            .answers
            .iter()
            .filter_map(|record| match record.data {
                RData::AAAA(address) => Some((record.ttl, address.0.to_string())),
                _ => None,
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(ttl, text)| (*ttl, (*text).to_owned())).collect();
        assert_eq!((answer.response_code(), found), (code, expected));
    }

    #[test]
    fn the_ttl_is_the_smaller_of_both_halves() {
        let no_error = ResponseCode::NoError;
        check(
            Answer::no_data(Some(soa(15))),
            Answer::positive(vec![a(3600, "8.8.8.8")]),
            no_error,
            &[(15, "64:ff9b::808:808")],
        );
        check(
            Answer::no_data(Some(soa(3600))),
            Answer::positive(vec![a(30, "8.8.8.8")]),
            no_error,
            &[(30, "64:ff9b::808:808")],
        );
        check(
            Answer::no_data(None),
            Answer::positive(vec![a(3600, "8.8.8.8")]),
            no_error,
            &[(600, "64:ff9b::808:808")],
        );
        check(Answer::no_data(None), Answer::positive(vec![a(0, "8.8.8.8")]), no_error, &[(0, "64:ff9b::808:808")]);
    }

    #[test]
    fn a_failure_of_aaaa_leads_to_a() {
        let failures =
            [Answer::serv_fail("x"), Answer::refused(), Answer::refused().with_response_code(ResponseCode::NotImp)];
        for failure in failures {
            check(
                failure,
                Answer::positive(vec![a(300, "8.8.8.8")]),
                ResponseCode::NoError,
                &[(300, "64:ff9b::808:808")],
            );
        }
    }

    #[test]
    fn a_failure_of_a_is_a_failure() {
        for failure in [Answer::serv_fail("x"), Answer::refused()] {
            check(Answer::no_data(Some(soa(60))), failure, ResponseCode::ServFail, &[]);
        }
    }

    #[test]
    fn what_only_exists_natively_is_kept() {
        check(
            Answer::positive(vec![aaaa("2001:db8::1")]),
            Answer::no_data(None),
            ResponseCode::NoError,
            &[(300, "2001:db8::1")],
        );
        check(
            Answer::positive(vec![aaaa("2001:db8::1")]),
            Answer::serv_fail("x"),
            ResponseCode::NoError,
            &[(300, "2001:db8::1")],
        );
    }

    #[test]
    fn what_was_cut_off_may_be_an_address() {
        assert!(may_have_address(&Answer::no_data(None).with_truncated(true)));
        assert!(may_have_address(&Answer::positive(vec![aaaa("2001:db8::1")])));
        assert!(!may_have_address(&Answer::positive(vec![aaaa("::ffff:8.8.4.4")])));
    }

    #[test]
    fn mapped_addresses_never_come_out() {
        check(Answer::positive(vec![aaaa("::ffff:8.8.4.4")]), Answer::no_data(None), ResponseCode::NoError, &[]);
        let a = Answer::positive(vec![a(300, "8.8.8.8")]);
        check(Answer::positive(vec![aaaa("::ffff:8.8.4.4")]), a, ResponseCode::NoError, &[(300, "64:ff9b::808:808")]);
    }

    #[test]
    fn only_what_may_be_translated_is() {
        let mixed = Answer::positive(vec![a(300, "10.9.9.9"), a(300, "8.8.8.8")]);
        check(Answer::no_data(None), mixed, ResponseCode::NoError, &[(300, "64:ff9b::808:808")]);
        let private = Answer::positive(vec![a(300, "10.9.9.9")]);
        check(Answer::no_data(Some(soa(60))), private, ResponseCode::NoError, &[]);
    }

    #[test]
    fn aaaa_failed_and_a_is_missing() {
        check(Answer::serv_fail("x"), Answer::no_data(Some(soa(60))), ResponseCode::NoError, &[]);
        check(Answer::serv_fail("x"), Answer::nx_domain(Some(soa(60))), ResponseCode::NXDomain, &[]);
    }
}
