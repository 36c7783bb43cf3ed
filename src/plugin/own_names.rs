//! Names that this server knows itself: what another server says of them is not believed.
//!
//! An alias of another server may lead to such a name. What that server says of its target goes before anything is
//! remembered ([`cut`]), and each client gets what this server itself says of it ([`follow`]).

use super::Router;
use super::file;
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, ResponseCode};

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
    let answer = match answer.is_nx_domain() {
        true => answer.with_response_code(ResponseCode::NoError),
        false => answer,
    };
    answer.leading_on()
}

/// An answer whose aliases lead to a name of this server's own, or did so when it was remembered, and what this server says of that name;
/// any other as it is.
pub async fn follow(query: &Query, answer: Answer, router: &Router) -> Answer {
    let target = entrance(query, &answer, router).map(|(_, target)| target).or_else(|| end(&answer));
    let Some(target) = target else { return answer };
    // What was remembered before a reload may go on beyond it.
    let answer = cut(query, answer, router);
    let answer = file::follow(answer, router.follow_up(query, target, query.record_type).await);
    if answer.is_dropped() { answer } else { answer.by(FORWARD) }
}

/// Where the aliases of an answer lead that was cut.
fn end(answer: &Answer) -> Option<Name> {
    let mut aliases = answer.answers.iter().rev().filter(|_| answer.is_leading_on());
    aliases.find_map(|record| target_of(record).cloned())
}

/// The alias of another server's answer that leads to a name of this server's own, by its place, and that name. An alias that was asked
/// for itself leads nowhere.
fn entrance(query: &Query, answer: &Answer, router: &Router) -> Option<(usize, Name)> {
    if answer.source() != FORWARD || matches!(query.record_type, RecordType::CNAME | RecordType::ANY) {
        return None;
    }
    let mut aliases = answer.answers.iter().enumerate();
    aliases.find_map(|(index, record)| Some((index, target_of(record).filter(|target| router.knows(target))?.clone())))
}

fn target_of(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::corefile::Source;
    use crate::dns::{parse_name, parse_record};
    use crate::metrics::Metrics;
    use crate::plugin::template::Template;
    use crate::plugin::{Pipeline, Router, Zone};

    /// A server that makes up an address for each name, and knows none.
    fn router() -> Router {
        let text = ". {\n template IN A {\n answer \"{{ .Name }} 60 IN A 192.0.2.9\"\n }\n}\n";
        let source = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() };
        let template = source.load(53).expect("a Corefile").config.servers.remove(0).template.remove(0);
        let template = Template::new(template, String::new(), String::new(), Arc::new(Metrics::new()));
        let pipeline = Arc::new(Pipeline { template: vec![template], ..Pipeline::default() });
        Router::new(vec![Zone { apex: Name::root(), block: 0, pipeline, prometheus: None }], None)
    }

    /// A reload, or a new hosts file, may have come between.
    #[tokio::test]
    async fn what_was_cut_is_followed_also_when_its_end_is_no_longer_known() {
        let query = Query::of_our_own(parse_name("a.test.").expect("a name"), RecordType::A);
        let alias =
            Answer::positive(vec![parse_record("a.test. 60 IN CNAME b.test.", 1).expect("a record")]).by(FORWARD);
        let router = router();
        assert_eq!(follow(&query, alias.clone(), &router).await.answers.len(), 1, "another server's end is its own");
        let answer = follow(&query, alias.leading_on(), &router).await;
        assert_eq!(answer.answers.len(), 2, "{answer:?}");
    }
}
