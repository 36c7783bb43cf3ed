//! `rewrite cname`: aliases of an answer lead to other names.

use super::matching::Matcher;
use super::{NAME, NoName, text};
use crate::dns::{Answer, Query, RData, RecordType, parse_name, rdata};
use crate::plugin::Router;
use crate::plugin::file::follow;

/// The answer whose first alias to such a target leads to another name instead: that is looked up through the server, and what
/// stood behind the alias goes. None: there is no such alias.
pub async fn elsewhere(answer: &Answer, target: &Matcher, to: &str, query: &Query, router: &Router) -> Option<Answer> {
    let found = answer.answers.iter().enumerate().find_map(|(index, record)| match &record.data {
        RData::CNAME(cname) => Some((index, target.replace(&text(&cname.0), to)?)),
        _ => None,
    });
    let (index, name) = found?;
    let Ok(name) = parse_name(&name) else { return Some(NoName(name).answer()) };
    query.explain(NAME, || format!("an alias leads to {name} instead"));
    let mut aliases = answer.answers.clone();
    aliases.truncate(index + 1);
    if let Some(last) = aliases.last_mut() {
        last.data = RData::CNAME(rdata::CNAME(name.clone()));
    }
    // A denial was about the old target.
    let authority = if answer.soa().is_some() { Vec::new() } else { answer.authority.clone() };
    let alias = Answer::positive(aliases)
        .with_authority(authority)
        .with_authoritative(answer.is_authoritative())
        .with_recursion_available(answer.is_recursion_available())
        .by(answer.source());
    // Who asks for aliases gets the alias.
    if matches!(query.record_type, RecordType::CNAME | RecordType::ANY) {
        return Some(alias);
    }
    Some(follow(alias, router.follow_up(query, name, query.record_type).await))
}
