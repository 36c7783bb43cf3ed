//! What is remembered of an answer, and how it is given back.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use super::lifetime::Kind;
use crate::dns::{Answer, Class, Name, Query, RecordType};

/// INFO-CODE of an expired answer (RFC 8914 section 4.4).
const STALE: u16 = 3;

/// INFO-CODE of an expired NXDOMAIN (RFC 8914 section 4.20).
const STALE_NX_DOMAIN: u16 = 19;

/// What a question is to a cache: two clients with equal keys may have the same answer.
///
/// Names compare and hash without regard to case. CD is in it because an answer with it was not validated (CVE-2024-0874).
#[derive(Debug)]
pub struct Key {
    name: Name,
    record_type: RecordType,
    class: Class,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// Another server may answer by what it was told of a client (RFC 7871 section 7.3).
    upstream_options: Vec<(u16, Vec<u8>)>,
}

impl Key {
    /// The key of a question.
    pub fn of(query: &Query) -> Self {
        Self {
            name: query.name.clone(),
            record_type: query.record_type,
            class: query.class,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled,
            upstream_options: query.upstream_options.clone(),
        }
    }

    /// Whether this is the key of that question.
    pub fn is_of(&self, query: &Query) -> bool {
        self.record_type == query.record_type
            && self.class == query.class
            && self.dnssec_ok == query.dnssec_ok()
            && self.checking_disabled == query.checking_disabled
            && self.name == query.name
            && self.upstream_options == query.upstream_options
    }

    /// The hash of a question's key, without making one: look-ups allocate nothing.
    pub fn hash_of(query: &Query, hasher: &RandomState) -> u64 {
        let flags = (query.dnssec_ok(), query.checking_disabled);
        hasher.hash_one((&query.name, query.record_type, query.class, flags, &query.upstream_options))
    }
}

/// A remembered answer.
#[derive(Debug)]
pub struct Entry {
    /// The records already have their common TTL.
    answer: Answer,
    kind: Kind,
    stored_at: Instant,
    lifetime: Duration,
}

impl Entry {
    /// Remembers an answer whose records have `lifetime` as their TTL.
    pub fn new(answer: Answer, lifetime: Duration, now: Instant) -> Self {
        Self { kind: Kind::of(&answer), answer, stored_at: now, lifetime }
    }

    /// What the answer is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the answer still holds.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime
    }

    /// Whether the answer may be given if nothing better is to be had, `stale` after its end. Failures never outlive theirs.
    pub fn is_servable(&self, stale: Duration, now: Instant) -> bool {
        self.is_fresh(now) || (self.kind != Kind::Failure && self.age(now) < self.lifetime.saturating_add(stale))
    }

    /// Whether at most so many percent of its life are left, in seconds as CoreDNS counts them.
    pub fn is_near_its_end(&self, percent: u8, now: Instant) -> bool {
        self.remaining_seconds(now) <= (self.lifetime.as_secs() * u64::from(percent)).div_ceil(100)
    }

    /// The answer for a client who asks at `now`; with `keep_ttl` its TTL as it was in the beginning.
    pub fn answer(&self, query: &Query, keep_ttl: bool, now: Instant) -> Answer {
        let remaining = if keep_ttl { self.lifetime.as_secs() } else { self.remaining_seconds(now) };
        self.with_ttl(query, u32::try_from(remaining).unwrap_or(u32::MAX))
    }

    /// The answer after its end. Its TTL is 0 unless the directive says otherwise, as in CoreDNS, where RFC 8767 section 4
    /// advises 30: clients come back at once, when the source may have answered.
    pub fn stale_answer(&self, query: &Query, ttl: Duration) -> Answer {
        let code = if self.answer.is_nx_domain() { STALE_NX_DOMAIN } else { STALE };
        self.with_ttl(query, u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)).with_extended_error(code, "stale answer")
    }

    /// AA and RA are those of the answer that was stored; unlike CoreDNS, which says AA for whatever comes from its cache. Names
    /// keep the letters of the client who asked first, as in CoreDNS: they compare without regard to case (RFC 4343).
    fn with_ttl(&self, query: &Query, ttl: u32) -> Answer {
        let mut answer = self.answer.clone();
        answer.records_mut().for_each(|record| record.ttl = ttl);
        // RFC 6840 section 5.8: AD only for those who say that they understand it.
        let is_authentic = answer.is_authentic_data() && (query.authentic_data || query.dnssec_ok());
        answer.with_authentic_data(is_authentic)
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored_at)
    }

    fn remaining_seconds(&self, now: Instant) -> u64 {
        self.lifetime.as_secs().saturating_sub(self.age(now).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{a, nx, query, soa};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn entry(answer: Answer, now: Instant) -> Entry {
        Entry::new(answer, MINUTE, now)
    }

    #[test]
    fn ttl_counts_down_and_ends_at_one() {
        let now = Instant::now();
        let entry = entry(Answer::positive(vec![a("www.example.", 60, 1)]), now);
        let query = query("www.example.", RecordType::A);
        for (millis, fresh, ttl) in
            [(0, true, 60), (999, true, 60), (1000, true, 59), (59_999, true, 1), (60_000, false, 0)]
        {
            let now = now + Duration::from_millis(millis);
            assert_eq!(entry.is_fresh(now), fresh, "{millis} ms");
            assert_eq!(entry.answer(&query, false, now).answers[0].ttl, ttl, "{millis} ms");
            assert_eq!(entry.answer(&query, true, now).answers[0].ttl, 60, "{millis} ms");
        }
    }

    #[test]
    fn a_failure_is_never_served_after_its_end() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        let failure = entry(Answer::relayed(crate::dns::ResponseCode::ServFail, false, true), now);
        let negative = entry(nx(soa(60, 60)), now);
        for (seconds, failure_is, negative_is) in
            [(59, true, true), (60, false, true), (3659, false, true), (3660, false, false)]
        {
            let now = now + Duration::from_secs(seconds);
            assert_eq!(failure.is_servable(hour, now), failure_is, "{seconds} s");
            assert_eq!(negative.is_servable(hour, now), negative_is, "{seconds} s");
        }
    }

    #[test]
    fn a_stale_answer_says_so() {
        let now = Instant::now();
        let query = query("www.example.", RecordType::A);
        let positive =
            entry(Answer::positive(vec![a("www.example.", 60, 1)]), now).stale_answer(&query, Duration::ZERO);
        assert_eq!((positive.answers[0].ttl, positive.extended_error().map(|error| error.code)), (0, Some(3)));
        let negative = entry(nx(soa(60, 60)), now).stale_answer(&query, Duration::ZERO);
        assert_eq!((negative.authority[0].ttl, negative.extended_error().map(|error| error.code)), (0, Some(19)));
    }

    #[test]
    fn the_end_is_near_at_a_percentage_rounded_up_to_seconds() {
        let now = Instant::now();
        let entry = entry(nx(soa(60, 60)), now);
        let near = |percent, seconds| entry.is_near_its_end(percent, now + Duration::from_secs(seconds));
        assert!(!near(10, 53) && near(10, 54) && !near(90, 5) && near(90, 6) && near(11, 53));
    }

    #[test]
    fn ad_is_for_those_who_ask_for_it() {
        let now = Instant::now();
        let entry = entry(Answer::positive(vec![a("www.example.", 60, 1)]).with_authentic_data(true), now);
        let mut query = query("www.example.", RecordType::A);
        assert!(!entry.answer(&query, false, now).is_authentic_data());
        query.authentic_data = true;
        assert!(entry.answer(&query, false, now).is_authentic_data());
    }
}
