//! What a zone says, as an answer.

use super::ZoneFile;
use crate::config::directive::Fallthrough;
use crate::dns::{Answer, Query, ResponseCode, name_text};
use crate::plugin::Router;
use crate::zone::{Outcome, Response};

/// The answer of a zone; None: the name is not there, and the next plugin is asked.
pub async fn answer(
    plugin: &'static str,
    zone: &ZoneFile,
    fallthrough: &Fallthrough,
    query: &Query,
    router: &Router,
) -> Option<Answer> {
    let Some(loaded) = zone.zone() else {
        let failure = format!("zone {} was not read from {} yet", zone.apex(), zone.file().display());
        query.explain(plugin, || failure.clone());
        return Some(Answer::serv_fail(failure).by(plugin));
    };
    let response = loaded.lookup(query);
    query.explain(plugin, || {
        format!("zone {} of {}, serial {}: {}", zone.apex(), zone.file().display(), loaded.serial(), response.outcome)
    });
    if let Some(wildcard) = &response.wildcard {
        query.metadata.tell("zone/wildcard", || name_text(wildcard));
    }
    // As in CoreDNS, a name that only others stand below may be known to the next plugin.
    let is_unknown = matches!(response.outcome, Outcome::NxDomain | Outcome::NoData { is_empty_non_terminal: true });
    if is_unknown && response.answers.is_empty() && fallthrough.covers(&query.name) {
        query.explain(plugin, || "the name falls through".to_owned());
        return None;
    }
    Some(complete(response, query, router).await.by(plugin))
}

/// RFC 6604 section 3: the response code is that of the last name of a chain; the rest is about the first one.
async fn complete(response: Response, query: &Query, router: &Router) -> Answer {
    let Response { outcome, answers, authority, additional, .. } = response;
    let is_chain = !answers.is_empty();
    let answer = Answer::positive(answers).with_authority(authority).with_additional(additional);
    match outcome {
        Outcome::Positive | Outcome::NoData { .. } => answer,
        Outcome::NxDomain => answer.with_response_code(ResponseCode::NXDomain),
        Outcome::TooLong => answer.with_response_code(ResponseCode::YXDomain),
        Outcome::Delegation => answer.with_authoritative(is_chain),
        Outcome::Alias(target) => {
            let end = router.follow_up(query, target, query.record_type).await;
            follow(answer, end)
        }
    }
}

/// An alias, and what its target leads to.
pub fn follow(mut alias: Answer, end: Answer) -> Answer {
    if end.is_dropped() {
        return end;
    }
    match end.response_code() {
        ResponseCode::NoError | ResponseCode::NXDomain => {
            // What is not there is so for as long as its own zone says.
            if end.is_nx_domain() || end.is_no_data() || end.soa().is_some() {
                alias.authority.clone_from(&end.authority);
            }
            let (code, is_truncated) = (end.response_code(), end.is_truncated());
            alias.answers.extend(end.answers);
            alias.with_response_code(code).with_truncated(is_truncated)
        }
        // No block of this server knows the target: the client has to ask somebody else.
        ResponseCode::Refused if end.source().is_empty() => alias,
        code => Answer::serv_fail(format!("the target of the alias could not be resolved: {code}"))
            .with_authoritative(alias.is_authoritative())
            .with_answers(alias.answers)
            .with_extended_error(22, "target of an alias"),
    }
}
