//! A rule to its words.

use std::fmt;

use super::{AnswerRule, Matching, OptionAction, OptionRule, Rewrite, RewriteRule, Then};
use crate::config::text::Text;

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words(self).join(" "))
    }
}

/// The words of a line.
pub fn words(rewrite: &Rewrite) -> Vec<String> {
    let then = match rewrite.then {
        Then::Stop => "stop",
        Then::Continue => "continue",
    };
    let mut words = vec!["rewrite".to_owned(), then.to_owned()];
    let mut add = |texts: &[&str]| words.extend(texts.iter().map(|text| (*text).to_owned()));
    match &rewrite.rule {
        RewriteRule::Name(rule) => {
            let (kind, from) = parts(&rule.name);
            add(&["name", kind, from, &rule.to]);
            if rule.auto && !matches!(rule.name, Matching::Exact(_)) {
                add(&["answer", "auto"]);
            }
            for answer in &rule.answers {
                match answer {
                    AnswerRule::Name { from, to } => add(&["answer", "name", from, to]),
                    AnswerRule::Value { from, to } => add(&["answer", "value", from, to]),
                }
            }
        }
        RewriteRule::Class { from, to } => add(&["class", &from.text(), &to.text()]),
        RewriteRule::Type { from, to } => add(&["type", &from.text(), &to.text()]),
        RewriteRule::Ttl { name, min, max } => {
            let (kind, name) = parts(name);
            add(&["ttl", kind, name, &format!("{min}-{max}")]);
        }
        RewriteRule::Rcode { name, from, to } => {
            let (kind, name) = parts(name);
            add(&["rcode", kind, name, &from.text(), &to.text()]);
        }
        RewriteRule::Cname { target, to } => {
            let (kind, target) = parts(target);
            add(&["cname", kind, target, to]);
        }
        RewriteRule::Edns0 { action, option } => words.extend(option_words(*action, option)),
    }
    words
}

fn parts(matching: &Matching) -> (&'static str, &str) {
    match matching {
        Matching::Exact(text) => ("exact", text),
        Matching::Prefix(text) => ("prefix", text),
        Matching::Suffix(text) => ("suffix", text),
        Matching::Substring(text) => ("substring", text),
        Matching::Regex(text) => ("regex", text),
    }
}

fn option_words(action: OptionAction, option: &OptionRule) -> Vec<String> {
    let verb = match action {
        OptionAction::Set => "set",
        OptionAction::Append => "append",
        OptionAction::Replace => "replace",
        OptionAction::Unset => "unset",
    };
    let (kind, values) = match option {
        OptionRule::Local { code, data } => ("local", vec![format!("{code:#x}"), data.clone()]),
        OptionRule::Nsid => ("nsid", Vec::new()),
        OptionRule::Subnet { v4_bits, v6_bits } => ("subnet", vec![v4_bits.to_string(), v6_bits.to_string()]),
    };
    // What is taken away is named by its code alone.
    let count = if action == OptionAction::Unset { usize::from(kind == "local") } else { values.len() };
    let values = values.into_iter().take(count);
    let mut words: Vec<String> = ["edns0", kind, verb].map(str::to_owned).into_iter().chain(values).collect();
    // As data it is followed by the word that it is taken for.
    if words.last().is_some_and(|last| last == "revert") {
        words.push("revert".to_owned());
    }
    words
}
