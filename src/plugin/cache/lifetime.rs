//! Which answers are remembered, and for how long.

use std::time::Duration;

use crate::config::directive;
use crate::dns::{Answer, Query, RData, Record, RecordType, ResponseCode};

/// How long an answer holds that says nothing of it: no record, no SOA. RFC 2308 section 5 would not keep it at all; CoreDNS
/// keeps it this long, and so spares servers that never send an SOA.
const WITHOUT_RECORDS: Duration = Duration::from_secs(5);

/// What an answer is to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There are records, or nothing says how long there are none.
    Positive,
    /// NXDOMAIN, or NODATA with an SOA.
    Negative,
    /// Another server could not or would not say: SERVFAIL, NOTIMP.
    Failure,
    /// REFUSED and the like: about this client or this server, not about the name.
    Other,
}

impl Kind {
    /// What an answer is. An alias without its end is positive, even with the SOA that says that there is nothing at its
    /// end: CoreDNS 1.13 limits it as `success`.
    pub fn of(answer: &Answer) -> Self {
        match answer.response_code() {
            ResponseCode::NoError if answer.answers.is_empty() && answer.soa().is_some() => Kind::Negative,
            ResponseCode::NoError => Kind::Positive,
            ResponseCode::NXDomain => Kind::Negative,
            ResponseCode::ServFail | ResponseCode::NotImp => Kind::Failure,
            _ => Kind::Other,
        }
    }
}

/// How long an answer holds: the TTL that all its records get.
pub fn lifetime(query: &Query, answer: &Answer, config: &directive::Cache) -> Duration {
    let (smallest, largest) = match Kind::of(answer) {
        Kind::Positive => (config.success.ttl_min, config.success.ttl_max),
        // Aliases that lead to no name are an answer of both sides.
        Kind::Negative if !answer.answers.is_empty() => {
            (config.success.ttl_min.max(config.denial.ttl_min), config.success.ttl_max.min(config.denial.ttl_max))
        }
        Kind::Negative | Kind::Other => (config.denial.ttl_min, config.denial.ttl_max),
        Kind::Failure => return config.servfail,
    };
    // The largest wins where it is below the smallest, as in CoreDNS: `cache 3`.
    smallest_ttl(query, answer).unwrap_or(WITHOUT_RECORDS).max(smallest).min(largest)
}

/// Whether another server's answer may be given to others who ask the same.
pub fn is_remembered(query: &Query, answer: &Answer) -> bool {
    if answer.is_truncated() {
        return false;
    }
    match Kind::of(answer) {
        // An alias that leads nowhere, without a word on why, is half an answer.
        Kind::Positive => answer.answers.is_empty() || has_type(query, answer) || answer.soa().is_some(),
        // RFC 2308 section 5: without an SOA nobody knows how long. NXDOMAIN with data contradicts itself, but for the aliases
        // that lead to the name (RFC 6604).
        Kind::Negative => answer.soa().is_some() && answer.answers.iter().all(is_alias),
        // Our own failures, such as a time-out, are about us: the next client may have more luck.
        Kind::Failure => answer.failure().is_none(),
        Kind::Other => false,
    }
}

/// The smallest TTL of all records; of the SOA that goes with a negative answer, the smaller one of TTL and MINIMUM (RFC 2308
/// section 5). A TTL with its highest bit set is a long one (RFC 8767 section 4).
fn smallest_ttl(query: &Query, answer: &Answer) -> Option<Duration> {
    let is_negative = answer.is_nx_domain() || !has_type(query, answer);
    let minimum = answer.soa().filter(|_| is_negative).and_then(|soa| match &soa.data {
        RData::SOA(soa) => Some(soa.minimum),
        _ => None,
    });
    let records = answer.answers.iter().chain(&answer.authority).chain(&answer.additional);
    let smallest = records.map(|record| record.ttl).chain(minimum).min()?;
    Some(Duration::from_secs(smallest.into()))
}

/// Whether the answer section has what was asked for, or this server itself says what is at the end of its aliases.
pub fn has_type(query: &Query, answer: &Answer) -> bool {
    let wanted = query.record_type;
    let is_wanted = |record: &Record| wanted == RecordType::ANY || record.record_type() == wanted;
    answer.is_leading_on() || answer.answers.iter().any(is_wanted)
}

fn is_alias(record: &Record) -> bool {
    matches!(record.record_type(), RecordType::CNAME | RecordType::DNAME)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{a, cname, config, nodata, nx, query, soa};
    use super::*;

    fn relayed(code: ResponseCode, answers: Vec<Record>, authority: Vec<Record>) -> Answer {
        let mut answer = Answer::relayed(code, false, true).with_authority(authority);
        answer.answers = answers;
        answer
    }

    /// Success 7 to 20 s, denial 6 to 11 s, failures 9 s.
    fn check(answer: &Answer, seconds: u64, remembered: bool) {
        let config = config("cache {\n success 5000 20 7\n denial 2500 11 6\n servfail 9s\n}");
        let query = query("www.example.", RecordType::A);
        assert_eq!(lifetime(&query, answer, &config), Duration::from_secs(seconds), "{answer:?}");
        assert_eq!(is_remembered(&query, answer), remembered, "{answer:?}");
    }

    #[test]
    fn the_smallest_ttl_counts_within_the_limits_of_its_side() {
        let www = |ttl| a("www.example.", ttl, 1);
        let ok = |answers, authority| relayed(ResponseCode::NoError, answers, authority);
        check(&ok(vec![www(15)], vec![]), 15, true);
        check(&ok(vec![www(15), www(12)], vec![]), 12, true);
        check(&ok(vec![www(15)], vec![]).with_additional(vec![a("ns.example.", 9, 1)]), 9, true);
        check(&ok(vec![cname("www.example.", 8, "x.example."), a("x.example.", 15, 1)], vec![]), 8, true);
        check(&ok(vec![www(0)], vec![]), 7, true);
        check(&ok(vec![www(7200)], vec![]), 20, true);
        check(&ok(vec![www(1 << 31)], vec![]), 20, true);
        check(&ok(vec![www(u32::MAX)], vec![]), 20, true);
        check(&ok(vec![www(15)], vec![soa(900, 8)]), 15, true);
    }

    #[test]
    fn a_negative_answer_holds_as_long_as_its_soa_says() {
        check(&nx(soa(900, 120)), 11, true);
        check(&nx(soa(900, 8)), 8, true);
        check(&nx(soa(8, 900)), 8, true);
        check(&nx(soa(0, 900)), 6, true);
        check(&nodata(soa(900, 8)), 8, true);
        check(&relayed(ResponseCode::NXDomain, vec![], vec![]), 6, false);
        check(&relayed(ResponseCode::NoError, vec![], vec![]), 7, true);
        check(&relayed(ResponseCode::NoError, vec![], vec![a("ns.example.", 15, 1)]), 15, true);
    }

    #[test]
    fn an_alias_is_remembered_with_its_end_or_with_the_reason_that_there_is_none() {
        let alias = || vec![cname("www.example.", 9, "x.example.")];
        check(&relayed(ResponseCode::NoError, alias(), vec![soa(900, 120)]), 9, true);
        check(&relayed(ResponseCode::NoError, alias(), vec![soa(900, 8)]), 8, true);
        check(&relayed(ResponseCode::NoError, alias(), vec![]), 9, false);
        check(&relayed(ResponseCode::NoError, alias(), vec![]).leading_on(), 9, true);
        check(&relayed(ResponseCode::NXDomain, alias(), vec![soa(900, 120)]), 9, true);
        check(&relayed(ResponseCode::NXDomain, alias(), vec![soa(900, 8)]), 8, true);
        check(&relayed(ResponseCode::NXDomain, alias(), vec![soa(900, 3)]), 7, true);
        check(
            &relayed(ResponseCode::NXDomain, vec![cname("www.example.", 50, "x.example.")], vec![soa(900, 20)]),
            11,
            true,
        );
        check(&relayed(ResponseCode::NXDomain, alias(), vec![]), 9, false);
        check(&relayed(ResponseCode::NXDomain, vec![a("www.example.", 9, 1)], vec![soa(900, 8)]), 8, false);
    }

    #[test]
    fn only_failures_of_other_servers_are_remembered() {
        check(&relayed(ResponseCode::ServFail, vec![], vec![]), 9, true);
        check(&relayed(ResponseCode::NotImp, vec![], vec![]), 9, true);
        check(&Answer::serv_fail("nobody answered"), 9, false);
    }

    #[test]
    fn refusals_and_parts_of_answers_are_not_remembered() {
        check(&relayed(ResponseCode::Refused, vec![], vec![]), 6, false);
        check(&relayed(ResponseCode::FormErr, vec![], vec![]), 6, false);
        check(&relayed(ResponseCode::YXDomain, vec![], vec![]), 6, false);
        check(&relayed(ResponseCode::NoError, vec![a("www.example.", 9, 1)], vec![]).with_truncated(true), 9, false);
        check(&nx(soa(900, 8)).with_truncated(true), 8, false);
    }

    #[test]
    fn the_largest_ttl_wins_over_the_smallest() {
        let query = query("www.example.", RecordType::A);
        let answer = Answer::positive(vec![a("www.example.", 300, 1)]);
        assert_eq!(lifetime(&query, &answer, &config("cache 3")), Duration::from_secs(3));
    }

    #[test]
    fn the_minimum_of_an_soa_that_was_asked_for_is_only_data() {
        let answer = Answer::positive(vec![soa(300, 1)]);
        let lifetime = lifetime(&query("example.", RecordType::SOA), &answer, &config("cache"));
        assert_eq!(lifetime, Duration::from_secs(300));
    }
}
