//! `autopath`: the walk along a search list that a client would make in several queries, made here in one.
//!
//! It knows nothing of its own: each name of the walk is asked of what stands behind it, `acl` and `cache` first, or of the
//! server block that it belongs to.

use std::sync::Arc;

use super::kubernetes::Kubernetes;
use super::{Pipeline, Router};
use crate::config::directive::{Autopath as Config, Search};
use crate::dns::{Answer, Class, Name, Query, RData, Record, label_count, rdata};
use crate::metrics::Metrics;

/// The name of the plugin in explanations.
const NAME: &str = "autopath";

/// How many look-ups in a row may lead here: DNS64 and aliases ask in the client's name, but blocks that send each other along
/// their lists would ask without end.
const WALKED_DEPTH_MAX: u8 = 1;

/// The walk along a search list.
#[derive(Debug)]
pub struct Autopath {
    config: Config,
    server: String,
    metrics: Arc<Metrics>,
}

impl Autopath {
    /// `server` is the label of the listener in metrics.
    pub fn new(config: Config, server: String, metrics: Arc<Metrics>) -> Self {
        Self { config, server, metrics }
    }

    /// The answer for the first name of the walk that exists, with an alias that leads to it.
    pub async fn answer(&self, query: &Query, pipeline: &Pipeline, router: &Router) -> Answer {
        let names = self.names(query, pipeline.kubernetes.as_ref());
        if names.is_empty() {
            query.explain(NAME, || {
                "no search list of this client begins with the domain of the name: asked as it is".to_owned()
            });
            return pipeline.answer_if_allowed(query, router).await;
        }
        let first = pipeline.answer_if_allowed(query, router).await;
        if !first.is_nx_domain() {
            query.explain(NAME, || "the first name of the search list is not denied: that answer counts".to_owned());
            return self.counted(first);
        }
        for name in names {
            query.explain(NAME, || format!("the name before does not exist; the next of the search list is {name}"));
            let next = Query { name, ..query.clone() };
            let answer = match router.is_of_other_block(&next, pipeline) {
                true => router.follow_up(query, next.name, query.record_type).await,
                false => pipeline.answer_if_allowed(&next, router).await,
            };
            if !answer.is_nx_domain() {
                return self.counted(with_alias(answer, &query.name));
            }
        }
        query.explain(NAME, || "none of them exists: the first answer counts".to_owned());
        // The client goes on by itself, and finds nothing either.
        first
    }

    /// The names of the walk behind the first, which is the one that was asked for; none if no search list begins with it.
    fn names(&self, query: &Query, kubernetes: Option<&Kubernetes>) -> Vec<Name> {
        if query.class != Class::IN
            || query.depth > WALKED_DEPTH_MAX
            || !self.config.zones.iter().any(|zone| zone.zone_of(&query.name))
        {
            return Vec::new();
        }
        let cluster = match self.config.search {
            Search::File(_) => Vec::new(),
            Search::Kubernetes => match kubernetes.and_then(|kubernetes| kubernetes.search_domains(query)) {
                Some(domains) => domains.into(),
                None => return Vec::new(),
            },
        };
        let root = Name::root();
        let mut domains = cluster.iter().chain(&self.config.domains).chain([&root]);
        let Some(first) = domains.next().filter(|first| first.zone_of(&query.name)) else { return Vec::new() };
        let depth = label_count(&query.name) - label_count(first);
        let names = domains.filter_map(|domain| {
            let mut name = Name::from_labels(query.name.iter().take(depth).chain(domain.iter())).ok()?;
            name.set_fqdn(true);
            Some(name)
        });
        // The domain itself is no name that a client has put its search list behind.
        if depth == 0 { Vec::new() } else { names.collect() }
    }

    fn counted(&self, answer: Answer) -> Answer {
        self.metrics.autopath_success.with_label_values(&[&self.server]).inc();
        answer
    }
}

/// The answer with an alias from another name to its first record in front.
fn with_alias(mut answer: Answer, name: &Name) -> Answer {
    if let Some(first) = answer.answers.first() {
        let alias = RData::CNAME(rdata::CNAME(first.name.clone()));
        answer.answers.insert(0, Record::from_rdata(name.clone(), first.ttl, alias));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{RecordType, parse_name};

    /// The names of the walk for a question, with the search list of a file.
    fn check(search: &[&str], name: &str, expected: &[&str]) {
        let parse = |name: &&str| parse_name(name).unwrap();
        let config = Config {
            zones: vec![parse(&"example.")],
            search: Search::File("resolv.conf".into()),
            domains: search.iter().map(parse).collect(),
        };
        let autopath = Autopath::new(config, "dns://:53".to_owned(), Arc::new(Metrics::new()));
        let names = autopath.names(&Query::of_our_own(parse(&name), RecordType::A), None);
        assert_eq!(names.iter().map(Name::to_ascii).collect::<Vec<_>>(), expected, "{name}");
    }

    #[test]
    fn a_walk_goes_through_the_list_and_ends_at_the_name_alone() {
        let search = ["a.example.", "example.", "other.test."];
        check(&search, "x.A.example.", &["x.example.", "x.other.test.", "x."]);
        check(&search, "x.y.a.example.", &["x.y.example.", "x.y.other.test.", "x.y."]);
    }

    #[test]
    fn only_names_in_the_first_domain_are_walked() {
        let search = ["a.example.", "example."];
        check(&search, "x.example.", &[]);
        check(&search, "a.example.", &[]);
        check(&search, "xa.example.", &[]);
        check(&["other.test."], "x.other.test.", &[]);
        check(&[], "x.example.", &[]);
    }

    #[test]
    fn a_name_that_would_be_too_long_is_left_out() {
        let label = "x".repeat(60);
        let long = format!("{label}.{label}.{label}.");
        let domain = format!("{label}.{label}.test.");
        check(&["example.", &domain], &format!("{long}example."), &[&long]);
    }

    #[test]
    fn the_alias_leads_to_the_first_record_and_lives_as_long() {
        let name = parse_name("x.example.").unwrap();
        let first = Record::from_rdata(name.clone(), 7, RData::A(rdata::A([192, 0, 2, 1].into())));
        let answer = with_alias(Answer::positive(vec![first]), &parse_name("x.a.example.").unwrap());
        let shown: Vec<String> = answer.answers.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["x.a.example. 7 IN CNAME x.example.", "x.example. 7 IN A 192.0.2.1"]);
        assert!(with_alias(Answer::no_data(None), &name).answers.is_empty());
    }
}
