//! Conditions on a query, in the language of expr-lang as far as CoreDNS documents it: what `view` asks before its block answers.
//!
//! An expression is checked as a whole when it is read: names, kinds of values, patterns and prefixes. What is left to fail
//! for a query (`incidr` of a text that is no address, a remainder by zero) makes the condition false. There are no loops and
//! no texts that grow, so the time for a query is bounded by the length of the expression.

mod function;
mod lex;
mod node;
mod operator;
mod parse;

use self::node::{Node, Value};
use self::parse::{Checked, Kind};
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

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {at})")]
pub struct InvalidExpression {
    /// What is wrong, and what would be right.
    pub what: String,
    /// Where, counted from 1.
    pub at: usize,
}

impl Expression {
    /// Reads and checks an expression.
    pub fn parse(text: &str) -> Result<Self, InvalidExpression> {
        if text.len() > LENGTH_MAX {
            let what = format!("the expression has {} octets, at most {LENGTH_MAX} are read", text.len());
            return Err(InvalidExpression { what, at: 1 });
        }
        let Checked { node: root, kind, states } = parse::parse(text)?;
        Ok(Self { root, kind, states })
    }

    /// Whether it is true or false at all; what is neither counts as false, as in CoreDNS.
    pub fn is_condition(&self) -> bool {
        self.kind == Kind::Truth
    }

    /// Whether it is true of a query.
    pub fn holds(&self, query: &Query) -> bool {
        matches!(self.root.value(query), Some(Value::Truth(true)))
    }
}

#[cfg(test)]
mod tests;
