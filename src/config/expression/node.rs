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
    /// What a group of the pattern matched, by number or name.
    Group(Box<Node>),
    Variable(usize),
    /// The item of a list.
    Item,
    /// How many items of a list a condition is to be true of.
    Count(Count, Vec<Node>, Box<Node>),
    /// A text with all of one part replaced by another.
    Replace(Box<[Node; 3]>),
    /// The number that a text is.
    Int(Box<Node>),
}

#[derive(Clone, Copy, Debug)]
pub enum Count {
    Any,
    All,
    None,
}

/// Octets of a text at most.
const TEXT_MAX: usize = 4096;

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

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "each is the kind of its name")]
pub enum Value<'a> {
    Truth(bool),
    Number(i64),
    Text(Cow<'a, str>),
}

/// What an expression is asked about.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The query.
    pub query: &'a Query,
    /// What the groups of a pattern matched, the whole match first, with the names of those that have one.
    pub groups: &'a [(Option<&'a str>, &'a str)],
    /// The values of the variables of its [`Scope`](super::Scope).
    pub variables: Vec<Value<'a>>,
    /// The item of a list that a condition is asked about.
    pub item: Option<Value<'a>>,
}

impl Node {
    /// What it is worth; None: it cannot be said for this query.
    pub fn value<'a>(&'a self, scene: &Scene<'a>) -> Option<Value<'a>> {
        Some(match self {
            Self::Truth(truth) => Value::Truth(*truth),
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text.into()),
            Self::Fact(fact) => fact.value(scene.query),
            Self::Metadata(label) => {
                Value::Text(scene.query.metadata.get(&label.text(scene)?).unwrap_or_default().into())
            }
            Self::Incidr(address, prefix) => {
                let prefix: IpNet = prefix.text(scene)?.parse().ok()?;
                Value::Truth(prefix.contains(&address.address(scene)?))
            }
            Self::IncidrOf(address, prefix) => Value::Truth(prefix.contains(&address.address(scene)?)),
            Self::Length(text) => Value::Number(i64::try_from(text.text(scene)?.chars().count()).ok()?),
            Self::Lower(text) => Value::Text(text.text(scene)?.to_lowercase().into()),
            Self::Upper(text) => Value::Text(text.text(scene)?.to_uppercase().into()),
            Self::Not(node) => Value::Truth(!node.truth(scene)?),
            Self::Negative(node) => Value::Number(node.number(scene)?.wrapping_neg()),
            Self::All(nodes) => Value::Truth(all(nodes, true, scene)?),
            Self::Any(nodes) => Value::Truth(!all(nodes, false, scene)?),
            Self::Compare(how, left, right) => Value::Truth(how.holds(&left.value(scene)?, &right.value(scene)?)),
            Self::Calculate(how, left, right) => Value::Number(how.result(left.number(scene)?, right.number(scene)?)?),
            Self::In(item, list) => Value::Truth(list.contains(&item.value(scene)?, scene)?),
            Self::Matches(text, pattern) => Value::Truth(pattern.regex()?.is_match(&text.text(scene)?)),
            Self::Choice(parts) => {
                let [condition, consequence, alternative] = parts.as_ref();
                return if condition.truth(scene)? { consequence } else { alternative }.value(scene);
            }
            Self::Group(group) => Value::Text(group_of(scene, &group.value(scene)?).into()),
            Self::Variable(index) => scene.variables.get(*index)?.clone(),
            Self::Item => scene.item.clone()?,
            Self::Count(count, items, condition) => Value::Truth(count.holds(items, condition, scene)?),
            Self::Replace(parts) => {
                let [text, from, to] = parts.as_ref();
                let text = text.text(scene)?.replace(&*from.text(scene)?, &to.text(scene)?);
                return (text.len() <= TEXT_MAX).then(|| Value::Text(text.into()));
            }
            Self::Int(text) => Value::Number(text.text(scene)?.parse().ok()?),
            Self::List(_) | Self::Range(..) => return None,
        })
    }

    fn truth(&self, scene: &Scene<'_>) -> Option<bool> {
        match self.value(scene)? {
            Value::Truth(truth) => Some(truth),
            Value::Number(_) | Value::Text(_) => None,
        }
    }

    fn number(&self, scene: &Scene<'_>) -> Option<i64> {
        match self.value(scene)? {
            Value::Number(number) => Some(number),
            Value::Truth(_) | Value::Text(_) => None,
        }
    }

    fn text<'a>(&'a self, scene: &Scene<'a>) -> Option<Cow<'a, str>> {
        match self.value(scene)? {
            Value::Text(text) => Some(text),
            Value::Truth(_) | Value::Number(_) => None,
        }
    }

    /// An address; those of the query are not written and read again.
    fn address(&self, scene: &Scene<'_>) -> Option<IpAddr> {
        match self {
            Self::Fact(Fact::ClientIp) => Some(scene.query.client.ip().to_canonical()),
            Self::Fact(Fact::ServerIp) => Some(scene.query.local.ip().to_canonical()),
            _ => self.text(scene)?.parse().ok().map(|address: IpAddr| address.to_canonical()),
        }
    }

    fn contains(&self, item: &Value<'_>, scene: &Scene<'_>) -> Option<bool> {
        match (self, item) {
            (Self::List(nodes), _) => {
                for node in nodes {
                    if node.value(scene)? == *item {
                        return Some(true);
                    }
                }
                Some(false)
            }
            (Self::Range(first, last), Value::Number(number)) => {
                Some((first.number(scene)?..=last.number(scene)?).contains(number))
            }
            _ => Some(false),
        }
    }
}

/// Whether all are `wanted`; the first that is not ends the search.
fn all(nodes: &[Node], wanted: bool, scene: &Scene<'_>) -> Option<bool> {
    for node in nodes {
        if node.truth(scene)? != wanted {
            return Some(false);
        }
    }
    Some(true)
}

/// Without such a group it is empty.
fn group_of<'a>(scene: &Scene<'a>, group: &Value<'_>) -> &'a str {
    let found = match group {
        Value::Number(number) => usize::try_from(*number).ok().and_then(|number| scene.groups.get(number)),
        Value::Text(wanted) => scene.groups.iter().find(|(name, _)| *name == Some(&**wanted)),
        Value::Truth(_) => None,
    };
    found.map_or("", |(_, text)| text)
}

impl Count {
    fn holds(self, items: &[Node], condition: &Node, scene: &Scene<'_>) -> Option<bool> {
        let is_wanted = matches!(self, Self::All);
        for item in items {
            let scene = Scene { item: Some(item.value(scene)?), ..scene.clone() };
            if condition.truth(&scene)? != is_wanted {
                return Some(matches!(self, Self::Any));
            }
        }
        Some(!matches!(self, Self::Any))
    }
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
