//! From what was found to an answer: negative ones with their SOA, aliases with what they lead to.

use super::found::Found;
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, ResponseCode, rdata};
use crate::plugin::Router;

/// What an answer depends on, beside what was found.
pub struct Outcome<'a, S> {
    /// The plugin.
    pub plugin: &'static str,
    /// The question.
    pub query: &'a Query,
    /// Who knows what aliases lead to.
    pub router: &'a Router,
    /// TTL of an alias.
    pub ttl: u32,
    /// Whether a negative answer cannot be otherwise once everything is listed.
    pub is_certain: bool,
    /// Whether a name that does not exist goes to the next plugin.
    pub falls_through: bool,
    /// The SOA of the zone.
    pub soa: S,
}

impl<S: Fn() -> Record> Outcome<'_, S> {
    /// The answer; None: ask the next plugin.
    pub async fn of(self, found: Found) -> Option<Answer> {
        if found.is_negative() && !self.is_certain {
            self.query.explain(self.plugin, || {
                "not everything that it depends on was listed yet: SERVFAIL, not NXDOMAIN".to_owned()
            });
            let answer =
                Answer::serv_fail("the Kubernetes API was not heard yet").with_extended_error(14, "not synced");
            return Some(answer.by(self.plugin));
        }
        if matches!(found, Found::Nothing) && self.falls_through {
            self.query.explain(self.plugin, || "falls through to the next plugin (`fallthrough`)".to_owned());
            return None;
        }
        let answer = match found {
            Found::Nothing => Answer::nx_domain(Some((self.soa)())),
            Found::NoData => Answer::no_data(Some((self.soa)())),
            Found::Records { answers, additional } => Answer::positive(answers).with_additional(additional),
            Found::Alias(target) => self.follow(target).await,
        };
        Some(answer.by(self.plugin))
    }

    /// An alias, and what its target leads to.
    async fn follow(&self, target: Name) -> Answer {
        let Self { query, router, ttl, .. } = self;
        let alias = Record::from_rdata(query.name.clone(), *ttl, RData::CNAME(rdata::CNAME(target.clone())));
        match query.record_type {
            RecordType::CNAME => return Answer::positive(vec![alias]),
            RecordType::A | RecordType::AAAA => {}
            _ => return Answer::no_data(Some((self.soa)())),
        }
        let end = router.follow_up(query, target, query.record_type).await;
        if end.is_dropped() {
            return end;
        }
        match end.response_code() {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let mut answers = vec![alias];
                let authority = if end.is_no_data() || end.is_nx_domain() || end.answers.iter().all(is_alias) {
                    end.authority.clone()
                } else {
                    Vec::new()
                };
                // RFC 6604 section 3: the response code is that of the last name of the chain.
                let code = end.response_code();
                let is_truncated = end.is_truncated();
                answers.extend(end.answers);
                Answer::positive(answers)
                    .with_authority(authority)
                    .with_response_code(code)
                    .with_truncated(is_truncated)
            }
            // No block of this server knows the target: the client has to ask somebody else.
            ResponseCode::Refused if end.source().is_empty() => Answer::positive(vec![alias]),
            code => Answer::serv_fail(format!("the target of the alias could not be resolved: {code}"))
                .with_extended_error(22, "target of an alias"),
        }
    }
}

fn is_alias(record: &Record) -> bool {
    record.record_type() == RecordType::CNAME
}
