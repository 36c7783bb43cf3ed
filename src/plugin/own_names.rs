//! Names that this server knows itself: what another server says of them is not believed.
//!
//! An alias of another server may lead to such a name. What that server says of its target goes before anything is
//! remembered ([`cut`]), and each client gets what this server itself says of it ([`follow`]).

use super::Router;
use super::file;
use crate::dns::{Answer, Name, Query, RData, RecordType, ResponseCode};

/// The plugin whose answers are those of other servers.
const FORWARD: &str = "forward";

/// What is left of another server's answer: its aliases up to the first one that leads to a name of this server's own, and all of it
/// if there is none.
pub fn cut(query: &Query, mut answer: Answer, router: &Router) -> Answer {
    let Some((index, target)) = entrance(query, &answer, router) else { return answer };
    query.explain(FORWARD, || format!("an alias leads to {target}, of which no other server is believed"));
    // The alias may have its signature behind it, and its target a DNAME, which has another name, before it.
    let owner = answer.answers.get(index).map(|alias| alias.name.clone());
    let beyond = answer.answers.iter().skip(index).position(|record| Some(&record.name) != owner.as_ref());
    answer.answers.truncate(beyond.map_or(answer.answers.len(), |beyond| index + beyond));
    // A denial was about the target.
    answer.authority.clear();
    match answer.is_nx_domain() {
        true => answer.with_response_code(ResponseCode::NoError),
        false => answer,
    }
}

/// An answer whose aliases lead to a name of this server's own, and what this server says of that; any other as it is.
pub async fn follow(query: &Query, answer: Answer, router: &Router) -> Answer {
    let Some((_, target)) = entrance(query, &answer, router) else { return answer };
    // What was remembered before a reload may go on beyond it.
    let answer = cut(query, answer, router);
    let answer = file::follow(answer, router.follow_up(query, target, query.record_type).await);
    if answer.is_dropped() { answer } else { answer.by(FORWARD) }
}

/// The alias of another server's answer that leads to a name of this server's own, by its place, and that name. An alias that was asked
/// for itself leads nowhere.
fn entrance(query: &Query, answer: &Answer, router: &Router) -> Option<(usize, Name)> {
    if answer.source() != FORWARD || matches!(query.record_type, RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    answer.answers.iter().enumerate().find_map(|(index, record)| match &record.data {
        RData::CNAME(target) if router.knows(&target.0) => Some((index, target.0.clone())),
        _ => None,
    })
}
