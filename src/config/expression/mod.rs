//! Conditions on a query, in the language of expr-lang as far as CoreDNS documents it: what `view` asks before its block answers,
//! and what `template` computes.
//!
//! An expression is checked as a whole when it is read: names, kinds of values, patterns and prefixes. What is left to fail
//! for a query (`incidr` of a text that is no address, a remainder by zero) makes the condition false. There are no loops but over
//! lists that are written out, and texts are bounded, so the time for a query is bounded by the length of the expression.

mod function;
mod lex;
mod node;
mod operator;
mod parse;

use self::node::Node;
pub use self::node::{Scene, Value};
use self::parse::Checked;
pub use self::parse::Kind;
use crate::dns::Query;

/// Octets of an expression at most.
const LENGTH_MAX: usize = 16 << 10;

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    kind: Kind,
    /// States of the patterns in it, about.
    pub states: usize,
}

/// What an expression knows beside the query.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Whether there is a pattern whose groups `group` tells.
    pub has_groups: bool,
    /// Variables and their kinds.
    pub variables: Vec<(String, Kind)>,
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct InvalidExpression {
    /// What is wrong, and what would be right.
    pub what: String,
    /// Where, counted from 1.
    pub at: usize,
}

impl Scope {
    /// Whether a variable may have a name: it is one, has no other meaning, and is not taken.
    pub fn takes(&self, name: &str) -> bool {
        function::is_free(name) && self.variables.iter().all(|(known, _)| known != name)
    }
}

impl Expression {
    /// Reads and checks an expression.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        Self::parse_in(text, &Scope::default())
    }

    /// Reads and checks an expression that knows more than the query.
    pub fn parse_in(text: &str, scope: &Scope) -> Result<Self, InvalidExpression> {
        if text.len() > LENGTH_MAX {
            let what = format!("the expression has {} octets, at most {LENGTH_MAX} are read", text.len());
            return Err(InvalidExpression { what, at: 1 });
        }
        let Checked { node: root, kind, states } = parse::parse(text, scope)?;
        Ok(Self { root, kind, states })
    }

    /// Whether it is true or false at all; what is neither counts as false, as in CoreDNS.
    pub fn is_condition(&self) -> bool {
        self.kind == Kind::Truth
    }

    /// What it is worth.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is true of a query.
    pub fn holds(&self, query: &Query) -> bool {
        let scene = Scene { query, groups: &[], variables: Vec::new(), item: None };
        matches!(self.value(&scene), Some(Value::Truth(true)))
    }

    /// What it is worth in a scene of its scope; None: that cannot be said.
    pub fn value<'a>(&'a self, scene: &Scene<'a>) -> Option<Value<'a>> {
        self.root.value(scene)
    }
}

#[cfg(test)]
mod tests;
