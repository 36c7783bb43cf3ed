//! What is remembered of an answer, and how it is given back.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Duration;

use super::Moment;
use super::lifetime::{Kind, has_type};
use crate::dns::{Answer, Class, Name, Query, RecordType, footprint_bytes};

/// INFO-CODE of an expired answer (RFC 8914 section 4.4).
const STALE: u16 = 3;

/// INFO-CODE of an expired NXDOMAIN (RFC 8914 section 4.20).
const STALE_NX_DOMAIN: u16 = 19;

/// What a question is to a cache: two clients with equal keys may have the same answer.
///
/// Names compare without regard to case. CD is in it because an answer with it was not validated (CVE-2024-0874).
#[derive(Debug)]
pub struct Key {
    name: Name,
    /// None: all types of the name.
    record_type: Option<RecordType>,
    class: Class,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// Another server may answer by what it was told of a client (RFC 7871 section 7.3).
    upstream_options: Vec<(u16, Vec<u8>)>,
}

impl Key {
    /// The key of a question.
    pub fn of(query: &Query, scope: Scope) -> Self {
        Self {
            name: query.name.clone(),
            record_type: scope.record_type(),
            class: query.class,
            dnssec_ok: query.dnssec_ok(),
            checking_disabled: query.checking_disabled,
            upstream_options: query.upstream_options.clone(),
        }
    }

    /// Whether this is the key of that question.
    pub fn is_of(&self, query: &Query, scope: Scope) -> bool {
        self.record_type == scope.record_type()
            && self.class == query.class
            && self.dnssec_ok == query.dnssec_ok()
            && self.checking_disabled == query.checking_disabled
            && self.name == query.name
            && self.upstream_options == query.upstream_options
    }

    /// Octets beside its own size.
    pub fn heap_bytes(&self) -> usize {
        let options = self.upstream_options.iter().map(|(_, octets)| size_of::<(u16, Vec<u8>)>() + octets.len());
        self.name.len() + options.sum::<usize>()
    }
}

/// Which questions about a name an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those for one type.
    Type(RecordType),
    /// All: the name does not exist, whatever it is asked for (RFC 2308 section 5).
    Name,
}

impl Scope {
    fn record_type(self) -> Option<RecordType> {
        match self {
            Scope::Type(record_type) => Some(record_type),
            Scope::Name => None,
        }
    }
}

/// The hashes of a question's keys, without making any: look-ups allocate nothing.
#[derive(Clone, Copy, Debug)]
pub struct Hashes(u64);

impl Hashes {
    /// Those of a question; nobody who does not know the key of the hasher can find two that meet.
    pub fn of(query: &Query, hasher: &RandomState) -> Self {
        let mut state = hasher.build_hasher();
        // The hash of the name's own writes octet by octet.
        let mut octets = [0; NAME_BYTES_MAX];
        let mut free = octets.iter_mut();
        for label in query.name.iter() {
            let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
            let lower = label.iter().map(u8::to_ascii_lowercase);
            std::iter::once(length).chain(lower).zip(&mut free).for_each(|(octet, place)| *place = octet);
        }
        let used = NAME_BYTES_MAX - free.len();
        state.write(octets.get(..used).unwrap_or_default());
        state.write_u16(query.class.into());
        state.write_u8(u8::from(query.dnssec_ok()) << 1 | u8::from(query.checking_disabled));
        if !query.upstream_options.is_empty() {
            query.upstream_options.hash(&mut state);
        }
        Self(state.finish())
    }

    /// The hash of one key.
    pub fn in_scope(self, scope: Scope) -> u64 {
        match scope {
            Scope::Name => self.0,
            // Another number for each type, and spread over all bits.
            Scope::Type(record_type) => {
                self.0.wrapping_add((u64::from(u16::from(record_type)) + 1).wrapping_mul(SPREAD))
            }
        }
    }

    /// One of so many parts: the same for all questions about a name.
    pub fn part(self, parts: usize) -> usize {
        (self.0 >> u32::BITS) as usize % parts
    }
}

/// Octets of the longest name (RFC 1035 section 2.3.4).
const NAME_BYTES_MAX: usize = 255;

/// 2^64 divided by the golden ratio: an odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A remembered answer.
#[derive(Debug)]
pub struct Entry {
    /// The records already have their common TTL.
    answer: Answer,
    kind: Kind,
    scope: Scope,
    stored_at: Moment,
    lifetime: Duration,
}

impl Entry {
    /// Remembers an answer to the questions of `scope`, whose records have `lifetime` as their TTL.
    pub fn new(answer: Answer, scope: Scope, lifetime: Duration, stored_at: Moment) -> Self {
        Self { kind: Kind::of(&answer), answer, scope, stored_at, lifetime }
    }

    /// Which questions it answers.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Octets that it takes in memory, shared as it is.
    pub fn size_bytes(&self) -> usize {
        let beside = size_of::<Self>() - size_of::<Answer>() + 2 * size_of::<usize>();
        footprint_bytes(&self.answer) + beside
    }

    /// What the answer is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the answer has what a question asks for.
    pub fn has_type(&self, query: &Query) -> bool {
        has_type(query, &self.answer)
    }

    /// Whether the answer still holds. A failure does so until one of the servers comes back.
    pub fn is_fresh(&self, at: Moment) -> bool {
        self.age(at) < self.lifetime && (self.kind != Kind::Failure || self.stored_at.epoch == at.epoch)
    }

    /// Whether the answer may be given if nothing better is to be had, `stale` after its end. Failures never outlive theirs.
    pub fn is_servable(&self, stale: Duration, at: Moment) -> bool {
        self.is_fresh(at) || (self.kind != Kind::Failure && self.age(at) < self.lifetime.saturating_add(stale))
    }

    /// Whether at most so many percent of its life are left, in seconds as CoreDNS counts them.
    pub fn is_near_its_end(&self, percent: u8, at: Moment) -> bool {
        self.remaining_seconds(at) <= (self.lifetime.as_secs() * u64::from(percent)).div_ceil(100)
    }

    /// The answer for a client who asks at `at`; with `keep_ttl` its TTL as it was in the beginning.
    pub fn answer(&self, query: &Query, keep_ttl: bool, at: Moment) -> Answer {
        let remaining = if keep_ttl { self.lifetime.as_secs() } else { self.remaining_seconds(at) };
        self.with_ttl(query, u32::try_from(remaining).unwrap_or(u32::MAX))
    }

    /// The answer after its end, with the TTL that the directive says.
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

    fn age(&self, at: Moment) -> Duration {
        at.time.saturating_duration_since(self.stored_at.time)
    }

    fn remaining_seconds(&self, at: Moment) -> u64 {
        self.lifetime.as_secs().saturating_sub(self.age(at).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{a, nx, query, soa};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn entry(answer: Answer, now: Moment) -> Entry {
        Entry::new(answer, Scope::Type(RecordType::A), MINUTE, now)
    }

    #[test]
    fn ttl_counts_down_and_ends_at_one() {
        let now = Moment::first();
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
        let now = Moment::first();
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
        let now = Moment::first();
        let query = query("www.example.", RecordType::A);
        let positive =
            entry(Answer::positive(vec![a("www.example.", 60, 1)]), now).stale_answer(&query, Duration::ZERO);
        assert_eq!((positive.answers[0].ttl, positive.extended_error().map(|error| error.code)), (0, Some(3)));
        let negative = entry(nx(soa(60, 60)), now).stale_answer(&query, Duration::ZERO);
        assert_eq!((negative.authority[0].ttl, negative.extended_error().map(|error| error.code)), (0, Some(19)));
    }

    #[test]
    fn the_end_is_near_at_a_percentage_rounded_up_to_seconds() {
        let now = Moment::first();
        let entry = entry(nx(soa(60, 60)), now);
        let near = |percent, seconds| entry.is_near_its_end(percent, now + Duration::from_secs(seconds));
        assert!(!near(10, 53) && near(10, 54) && !near(90, 5) && near(90, 6) && near(11, 53));
    }

    #[test]
    fn ad_is_for_those_who_ask_for_it() {
        let now = Moment::first();
        let entry = entry(Answer::positive(vec![a("www.example.", 60, 1)]).with_authentic_data(true), now);
        let mut query = query("www.example.", RecordType::A);
        assert!(!entry.answer(&query, false, now).is_authentic_data());
        query.authentic_data = true;
        assert!(entry.answer(&query, false, now).is_authentic_data());
    }
}
