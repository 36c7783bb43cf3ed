//! `rewrite`: other questions in place of those that clients ask, and answers to match.
//!
//! A rule that applies makes another query of the client's, and may leave a [`Restoration`] for the answer. The client's own
//! query stays what the server replies to: the question, the letter case and OPT of a reply are always the client's.

mod alias;
mod matching;
mod option;
mod restore;

use std::sync::Arc;

use alias::elsewhere;
use matching::Matcher;
use option::OptionChange;
use restore::{Names, Restoration};

use super::Router;
use crate::config::directive::{AnswerRule, Matching, NameRule, Rewrite as Config, RewriteRule, Then};
use crate::dns::{Answer, Class, Name, Query, RecordType, ResponseCode, Transfer, name_text, parse_name};

/// The name of the plugin in messages.
const NAME: &str = "rewrite";

/// Rules in the order of the file.
#[derive(Debug)]
pub struct Rewrite {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// As it is written, for explanations.
    text: String,
    then: Then,
    change: Change,
}

#[derive(Debug)]
enum Change {
    Name { name: Matcher, to: String, auto: bool, answers: Vec<Restoration> },
    Class { from: Class, to: Class },
    Type { from: RecordType, to: RecordType },
    Ttl { name: Matcher, min: u32, max: u32 },
    Code { name: Matcher, from: ResponseCode, to: ResponseCode },
    Alias { target: Matcher, to: String },
    Option(OptionChange),
}

/// A query as the rules made it.
#[derive(Debug)]
pub struct Rewritten {
    /// What is asked in place of the client's question.
    pub query: Query,
    restorations: Vec<Restoration>,
}

/// A rule made what is no name.
#[derive(Debug, thiserror::Error)]
#[error("invalid name after rewrite: {0}")]
pub struct NoName(String);

impl NoName {
    /// SERVFAIL: the rule is wrong, the question is not.
    pub fn answer(&self) -> Answer {
        Answer::serv_fail(self.to_string()).by(NAME)
    }
}

impl Rewrite {
    /// Patterns that cannot be read match nothing; the configuration refuses them before.
    pub fn new(config: &[Config]) -> Self {
        let rule = |rule: &Config| Rule { text: rule.to_string(), then: rule.then, change: Change::new(&rule.rule) };
        Self { rules: config.iter().map(rule).collect() }
    }

    /// The query as the rules make it; None: none applies.
    pub fn rewrite(&self, query: &Query) -> Result<Option<Rewritten>, NoName> {
        let mut rewritten: Option<Rewritten> = None;
        let mut name = text(&query.name);
        for rule in &self.rules {
            let before = rewritten.as_ref().map_or(query, |rewritten| &rewritten.query);
            let Some((changed, more)) = rule.change.apply(before, &name)? else { continue };
            query.explain(NAME, || format!("`{}` applies: now {} {}", rule.text, changed.name, changed.record_type));
            if changed.name != before.name {
                name = text(&changed.name);
            }
            let mut restorations = rewritten.map_or_else(Vec::new, |rewritten| rewritten.restorations);
            restorations.extend(more);
            rewritten = Some(Rewritten { query: changed, restorations });
            if rule.then == Then::Stop {
                break;
            }
        }
        if rewritten.is_none() {
            query.explain(NAME, || "no rule applies".to_owned());
        }
        Ok(rewritten)
    }
}

impl Rewritten {
    /// The answer as the client is to see it: what the rules did last is undone first.
    pub async fn restore(self, mut answer: Answer, router: &Router) -> Answer {
        if let Some(transfer) = answer.as_transfer() {
            return Answer::transfer(self.restored(transfer.clone())).by(answer.source());
        }
        // The rules have been applied to where an alias leads already, when that was looked up.
        let mut is_elsewhere = false;
        for restoration in self.restorations.iter().rev() {
            match restoration {
                Restoration::Alias { .. } if is_elsewhere => {}
                Restoration::Alias { target, to } => {
                    if let Some(other) = elsewhere(&answer, target, to, &self.query, router).await {
                        (answer, is_elsewhere) = (other, true);
                    }
                }
                Restoration::Asked { .. }
                | Restoration::Names { .. }
                | Restoration::Ttl { .. }
                | Restoration::Code { .. } => answer = restoration.apply(answer),
            }
        }
        answer
    }

    /// A transfer with the names that the client knows.
    fn restored(self, transfer: Transfer) -> Transfer {
        let restorations: Arc<[Restoration]> = self.restorations.into();
        Transfer::new(move || {
            let restorations = restorations.clone();
            Box::new(transfer.records().map(move |mut record| {
                restorations.iter().rev().for_each(|restoration| restoration.change(&mut record));
                record
            }))
        })
    }
}

impl Change {
    fn new(rule: &RewriteRule) -> Self {
        match rule {
            RewriteRule::Name(rule) => Self::of_name(rule),
            RewriteRule::Class { from, to } => Self::Class { from: *from, to: *to },
            RewriteRule::Type { from, to } => Self::Type { from: *from, to: *to },
            RewriteRule::Ttl { name, min, max } => Self::Ttl { name: Matcher::new(name), min: *min, max: *max },
            RewriteRule::Rcode { name, from, to } => Self::Code { name: Matcher::new(name), from: *from, to: *to },
            RewriteRule::Cname { target, to } => Self::Alias { target: Matcher::new(target), to: to.clone() },
            RewriteRule::Edns0 { action, option } => Self::Option(OptionChange::new(*action, option)),
        }
    }

    fn of_name(rule: &NameRule) -> Self {
        let name = Matcher::new(&rule.name);
        let mut answers = Vec::new();
        // What a suffix did is undone for every name that ends in the new one, not only for the one that was asked for.
        if let (Matching::Suffix(from), true) = (&rule.name, rule.auto) {
            let back = Matcher::new(&Matching::Suffix(rule.to.clone()));
            answers.push(Restoration::Names { names: Names::All, matcher: back, to: from.clone() });
        }
        let auto = rule.auto && !matches!(rule.name, Matching::Suffix(_));
        for answer in &rule.answers {
            let (names, from, to) = match answer {
                AnswerRule::Name { from, to } => (Names::Owners, from, to),
                AnswerRule::Value { from, to } => (Names::Values, from, to),
            };
            let matcher = Matcher::new(&Matching::Regex(from.clone()));
            answers.push(Restoration::Names { names, matcher, to: to.clone() });
        }
        Self::Name { name, to: rule.to.clone(), auto, answers }
    }

    /// The query as the rule makes it, and what is to be done with the answer; None: the rule does not apply. `asked` is the name of
    /// the query as rules compare it.
    fn apply(&self, query: &Query, asked: &str) -> Result<Option<(Query, Vec<Restoration>)>, NoName> {
        let unchanged = |restoration: Restoration| Some((query.clone(), vec![restoration]));
        Ok(match self {
            Self::Name { name, to, auto, answers } => {
                let Some(changed) = name.replace(asked, to) else { return Ok(None) };
                let changed = parse_name(&changed).map_err(|_| NoName(changed))?;
                let back =
                    auto.then(|| Restoration::Asked { from: changed.to_lowercase(), to: query.name.to_lowercase() });
                let restorations = back.into_iter().chain(answers.iter().cloned()).collect();
                Some((Query { name: changed, ..query.clone() }, restorations))
            }
            Self::Class { from, to } if *from == query.class => {
                Some((Query { class: *to, ..query.clone() }, Vec::new()))
            }
            Self::Type { from, to } if *from == query.record_type => {
                Some((Query { record_type: *to, ..query.clone() }, Vec::new()))
            }
            Self::Ttl { name, min, max } if name.matches(asked) => unchanged(Restoration::Ttl { min: *min, max: *max }),
            Self::Code { name, from, to } if name.matches(asked) => {
                unchanged(Restoration::Code { from: *from, to: *to })
            }
            Self::Alias { target, to } => unchanged(Restoration::Alias { target: target.clone(), to: to.clone() }),
            Self::Option(change) => change.apply(query).map(|changed| (changed, Vec::new())),
            Self::Class { .. } | Self::Type { .. } | Self::Ttl { .. } | Self::Code { .. } => None,
        })
    }
}

/// A name as rules compare it.
fn text(name: &Name) -> String {
    name_text(&name.to_lowercase())
}
