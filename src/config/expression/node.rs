//! A checked expression, and what it is worth for a query.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use ipnet::IpNet;
use regex::Regex;

use crate::dns::{Query, class_mnemonic, name_text, type_mnemonic};

/// A part of an expression; `parse` puts only kinds together that fit.
#[derive(Clone, Debug)]
pub enum Node {
    Truth(bool),
    Number(i64),
    Text(String),
    /// What `in` looks through.
    List(Vec<Node>),
    /// From one number to another, both included.
    Range(Box<Node>, Box<Node>),
    Fact(Fact),
    Metadata(Box<Node>),
    Incidr(Box<Node>, Box<Node>),
    IncidrOf(Box<Node>, IpNet),
    Length(Box<Node>),
    Lower(Box<Node>),
    Upper(Box<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    All(Vec<Node>),
    Any(Vec<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Calculate(Calculation, Box<Node>, Box<Node>),
    In(Box<Node>, Box<Node>),
    Matches(Box<Node>, Pattern),
    Choice(Box<[Node; 3]>),
}

/// A valid regular expression, compiled when it is first needed: reading a configuration alone costs less.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// What is known of a query.
#[derive(Clone, Copy, Debug)]
pub enum Fact {
    Bufsize,
    Class,
    ClientIp,
    Do,
    Id,
    Name,
    Opcode,
    Port,
    Proto,
    ServerIp,
    ServerPort,
    Size,
    Type,
}

#[derive(Clone, Copy, Debug)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug)]
pub enum Calculation {
    Plus,
    Minus,
    Times,
    Remainder,
}

#[derive(Debug, PartialEq, PartialOrd)]
pub enum Value<'a> {
    Truth(bool),
    Number(i64),
    Text(Cow<'a, str>),
}

impl Node {
    /// What it is worth; None: it cannot be said for this query.
    pub fn value<'a>(&'a self, query: &'a Query) -> Option<Value<'a>> {
        Some(match self {
            Self::Truth(truth) => Value::Truth(*truth),
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text.into()),
            Self::Fact(fact) => fact.value(query),
            Self::Metadata(label) => Value::Text(query.metadata.get(&label.text(query)?).unwrap_or_default().into()),
            Self::Incidr(address, prefix) => {
                let prefix: IpNet = prefix.text(query)?.parse().ok()?;
                Value::Truth(prefix.contains(&address.address(query)?))
            }
            Self::IncidrOf(address, prefix) => Value::Truth(prefix.contains(&address.address(query)?)),
            Self::Length(text) => Value::Number(i64::try_from(text.text(query)?.chars().count()).ok()?),
            Self::Lower(text) => Value::Text(text.text(query)?.to_lowercase().into()),
            Self::Upper(text) => Value::Text(text.text(query)?.to_uppercase().into()),
            Self::Not(node) => Value::Truth(!node.truth(query)?),
            Self::Negative(node) => Value::Number(node.number(query)?.wrapping_neg()),
            Self::All(nodes) => Value::Truth(all(nodes, true, query)?),
            Self::Any(nodes) => Value::Truth(!all(nodes, false, query)?),
            Self::Compare(how, left, right) => Value::Truth(how.holds(&left.value(query)?, &right.value(query)?)),
            Self::Calculate(how, left, right) => Value::Number(how.result(left.number(query)?, right.number(query)?)?),
            Self::In(item, list) => Value::Truth(list.contains(&item.value(query)?, query)?),
            Self::Matches(text, pattern) => Value::Truth(pattern.regex()?.is_match(&text.text(query)?)),
            Self::Choice(parts) => {
                let [condition, consequence, alternative] = parts.as_ref();
                return if condition.truth(query)? { consequence } else { alternative }.value(query);
            }
            Self::List(_) | Self::Range(..) => return None,
        })
    }

    fn truth(&self, query: &Query) -> Option<bool> {
        match self.value(query)? {
            Value::Truth(truth) => Some(truth),
            Value::Number(_) | Value::Text(_) => None,
        }
    }

    fn number(&self, query: &Query) -> Option<i64> {
        match self.value(query)? {
            Value::Number(number) => Some(number),
            Value::Truth(_) | Value::Text(_) => None,
        }
    }

    fn text<'a>(&'a self, query: &'a Query) -> Option<Cow<'a, str>> {
        match self.value(query)? {
            Value::Text(text) => Some(text),
            Value::Truth(_) | Value::Number(_) => None,
        }
    }

    /// An address; those of the query are not written and read again.
    fn address(&self, query: &Query) -> Option<IpAddr> {
        match self {
            Self::Fact(Fact::ClientIp) => Some(query.client.ip().to_canonical()),
            Self::Fact(Fact::ServerIp) => Some(query.local.ip().to_canonical()),
            _ => self.text(query)?.parse().ok().map(|address: IpAddr| address.to_canonical()),
        }
    }

    fn contains(&self, item: &Value<'_>, query: &Query) -> Option<bool> {
        match (self, item) {
            (Self::List(nodes), _) => {
                for node in nodes {
                    if node.value(query)? == *item {
                        return Some(true);
                    }
                }
                Some(false)
            }
            (Self::Range(first, last), Value::Number(number)) => {
                Some((first.number(query)?..=last.number(query)?).contains(number))
            }
            _ => Some(false),
        }
    }
}

/// Whether all are `wanted`; the first that is not ends the search.
fn all(nodes: &[Node], wanted: bool, query: &Query) -> Option<bool> {
    for node in nodes {
        if node.truth(query)? != wanted {
            return Some(false);
        }
    }
    Some(true)
}

impl Pattern {
    pub fn new(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}

impl Fact {
    fn value(self, query: &Query) -> Value<'_> {
        match self {
            Self::Bufsize => Value::Number(query.size_limit().into()),
            Self::Class => Value::Text(class_mnemonic(query.class)),
            Self::ClientIp => Value::Text(query.client.ip().to_canonical().to_string().into()),
            Self::Do => Value::Truth(query.dnssec_ok()),
            Self::Id => Value::Number(query.id.into()),
            Self::Name => Value::Text(name_text(&query.name.to_lowercase()).into()),
            // Others are refused before they come here.
            Self::Opcode => Value::Number(0),
            Self::Port => Value::Text(query.client.port().to_string().into()),
            Self::Proto => Value::Text(query.transport.as_str().into()),
            Self::ServerIp => Value::Text(query.local.ip().to_canonical().to_string().into()),
            Self::ServerPort => Value::Text(query.local.port().to_string().into()),
            Self::Size => Value::Number(i64::try_from(query.size_bytes).unwrap_or(i64::MAX)),
            Self::Type => Value::Text(type_mnemonic(query.record_type)),
        }
    }
}

impl Comparison {
    /// Whether it is one of texts alone.
    pub fn is_of_texts(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        match (self, left, right) {
            (Self::Equal, ..) => left == right,
            (Self::NotEqual, ..) => left != right,
            (Self::Less, ..) => left < right,
            (Self::LessOrEqual, ..) => left <= right,
            (Self::Greater, ..) => left > right,
            (Self::GreaterOrEqual, ..) => left >= right,
            (Self::Contains, Value::Text(left), Value::Text(right)) => left.contains(&**right),
            (Self::StartsWith, Value::Text(left), Value::Text(right)) => left.starts_with(&**right),
            (Self::EndsWith, Value::Text(left), Value::Text(right)) => left.ends_with(&**right),
            (Self::Contains | Self::StartsWith | Self::EndsWith, ..) => false,
        }
    }
}

impl Calculation {
    /// As in Go, a number that is too large begins again at the other end.
    fn result(self, left: i64, right: i64) -> Option<i64> {
        Some(match self {
            Self::Plus => left.wrapping_add(right),
            Self::Minus => left.wrapping_sub(right),
            Self::Times => left.wrapping_mul(right),
            Self::Remainder if right == 0 => return None,
            Self::Remainder => left.wrapping_rem(right),
        })
    }
}
