//! Texts that are made for a query, in the language of Go's text/template: what `template` answers with.
//!
//! A template is checked when it is read, as far as Go checks it then: what is nested how, which functions and variables there
//! are. The rest is found when a query comes, and is an error then: no text is half made. Work, depth and length are bounded, so
//! that no template can hold up the server or end it.

mod execute;
mod format;
mod function;
mod lex;
mod node;
mod parse;
mod value;

use std::collections::BTreeMap;

use self::execute::Machine;
use self::node::List;
pub use self::value::Value;
use crate::dns::Query;

/// Octets of a template at most, and of the text that it makes.
const LENGTH_MAX: usize = 64 << 10;

/// A checked template.
#[derive(Clone, Debug)]
pub struct Template {
    /// It as Go writes it: the value of a metric's label.
    pub canonical: String,
    main: List,
    defined: BTreeMap<String, List>,
}

/// What templates are told of a query.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The query.
    pub query: &'a Query,
    /// The zone that it is in.
    pub zone: &'a str,
    /// Its name in lower case.
    pub name: &'a str,
    /// Its class and type.
    pub class: &'a str,
    /// Its type.
    pub record_type: &'a str,
    /// The pattern that it matched.
    pub regex: &'a str,
    /// What the groups of the pattern matched, the whole match first; those of them that have names.
    pub groups: &'a [(Option<&'a str>, &'a str)],
    /// What the configuration computed of it.
    pub variables: &'a [(&'a str, Value<'a>)],
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct InvalidTemplate {
    /// What is wrong, and what would be right.
    pub what: String,
    /// Where, counted from 1.
    pub at: usize,
}

/// Why a template makes no text for a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}, in {{{{{action}}}}}")]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// The part of the template where it is.
    pub action: String,
}

impl Template {
    /// Reads and checks a template.
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        if text.len() > LENGTH_MAX {
            let what = format!("the template has {} octets, at most {LENGTH_MAX} are read", text.len());
            return Err(InvalidTemplate { what, at: 1 });
        }
        parse::parse(text)
    }

    /// The text for a query.
    pub fn text(&self, facts: &Facts<'_>) -> Result<String, Failure> {
        Machine::new(self, facts).run()
    }
}

#[cfg(test)]
mod tests;
