//! The functions of expressions.

use ipnet::IpNet;

use super::lex::Token;
use super::node::{Count, Fact, Node};
use super::operator::Operator;
use super::parse::Kind;
use crate::config::corefile::similar;
use crate::config::text::Text;

/// What a function takes.
#[derive(Clone, Copy)]
enum Function {
    /// Nothing: it is a fact of the query.
    Fact(Fact, Kind),
    /// A text.
    OfText(fn(Box<Node>) -> Node, Kind),
    /// A label.
    Metadata,
    /// An address and a prefix.
    Incidr,
    /// The number or the name of a group of the pattern.
    Group,
    /// A text, what is replaced in it, and by what.
    Replace,
    /// A list and a condition; read by the parser.
    Count(Count),
}

const FUNCTIONS: [(&str, Function); 24] = [
    ("all", Function::Count(Count::All)),
    ("any", Function::Count(Count::Any)),
    ("bufsize", Function::Fact(Fact::Bufsize, Kind::Number)),
    ("class", Function::Fact(Fact::Class, Kind::Text)),
    ("client_ip", Function::Fact(Fact::ClientIp, Kind::Text)),
    ("do", Function::Fact(Fact::Do, Kind::Truth)),
    ("group", Function::Group),
    ("id", Function::Fact(Fact::Id, Kind::Number)),
    ("incidr", Function::Incidr),
    ("int", Function::OfText(Node::Int, Kind::Number)),
    ("len", Function::OfText(Node::Length, Kind::Number)),
    ("lower", Function::OfText(Node::Lower, Kind::Text)),
    ("metadata", Function::Metadata),
    ("name", Function::Fact(Fact::Name, Kind::Text)),
    ("none", Function::Count(Count::None)),
    ("opcode", Function::Fact(Fact::Opcode, Kind::Number)),
    ("port", Function::Fact(Fact::Port, Kind::Text)),
    ("proto", Function::Fact(Fact::Proto, Kind::Text)),
    ("replace", Function::Replace),
    ("server_ip", Function::Fact(Fact::ServerIp, Kind::Text)),
    ("server_port", Function::Fact(Fact::ServerPort, Kind::Text)),
    ("size", Function::Fact(Fact::Size, Kind::Number)),
    ("type", Function::Fact(Fact::Type, Kind::Text)),
    ("upper", Function::OfText(Node::Upper, Kind::Text)),
];

impl Count {
    /// The function of that name that takes a list and a condition.
    pub fn of(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find_map(|(known, function)| match function {
            Function::Count(count) if *known == name => Some(*count),
            _ => None,
        })
    }
}

/// Whether a variable may have a name: it is one, and has no other meaning.
pub fn is_free(name: &str) -> bool {
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|character| character == '_' || character.is_ascii_alphanumeric());
    let is_function = FUNCTIONS.iter().any(|(known, _)| *known == name);
    let is_word = ["true", "false", "nil", "not", "let", "if", "else"].contains(&name);
    let is_operator = Operator::of(&Token::Name(name.to_owned())).is_some();
    !name.is_empty() && is_name && !is_function && !is_word && !is_operator
}

/// The node of a function with these arguments, and what it gives; or what is wrong.
pub fn call(name: &str, arguments: Vec<(Node, Kind)>, has_groups: bool) -> Result<(Node, Kind), String> {
    let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
    let (_, function) = function.ok_or_else(|| no_such_name(name))?;
    let has_texts = arguments.iter().all(|(_, kind)| *kind == Kind::Text);
    let has_number = matches!(arguments.as_slice(), [(_, Kind::Number)]);
    let mut texts = arguments.into_iter().map(|(node, _)| node);
    match (function, [texts.next(), texts.next(), texts.next(), texts.next()]) {
        (Function::Fact(fact, kind), [None, ..]) => Ok((Node::Fact(*fact), *kind)),
        (Function::OfText(node, kind), [Some(text), None, ..]) if has_texts => Ok((node(text.into()), *kind)),
        (Function::Metadata, [Some(label), None, ..]) if has_texts => Ok((metadata(label)?, Kind::Text)),
        (Function::Group, _) if !has_groups => Err("group() is known in template only".to_owned()),
        (Function::Group, [Some(group), None, ..]) if has_texts || has_number => {
            Ok((Node::Group(group.into()), Kind::Text))
        }
        (Function::Replace, [Some(text), Some(from), Some(to), None]) if has_texts => {
            Ok((Node::Replace([text, from, to].into()), Kind::Text))
        }
        (Function::Incidr, [Some(address), Some(prefix), None, _]) if has_texts => {
            Ok((incidr(address, prefix)?, Kind::Truth))
        }
        (Function::Fact(..), _) => Err(format!("{name}() takes nothing")),
        (Function::OfText(..) | Function::Metadata, _) => Err(format!("{name}() takes one text")),
        (Function::Group, _) => Err("group() takes the name or the number of a group".to_owned()),
        (Function::Replace, _) => Err("replace() takes three texts".to_owned()),
        (Function::Count(_), _) => Err(format!("{name}() takes a list and a condition")),
        (Function::Incidr, _) => Err(format!("{name}() takes two texts")),
    }
}

fn metadata(label: Node) -> Result<Node, String> {
    match label {
        Node::Text(label) if label.starts_with("geoip/") => {
            Err(format!("there is no {label:?}: Landfall does not know where addresses are (geoip)"))
        }
        label => Ok(Node::Metadata(label.into())),
    }
}

fn incidr(address: Node, prefix: Node) -> Result<Node, String> {
    match prefix {
        Node::Text(text) => match IpNet::read(&text).filter(|_| text.contains('/')) {
            Some(prefix) => Ok(Node::IncidrOf(address.into(), prefix)),
            None => Err(format!("{text:?} is no prefix such as 10.0.0.0/8")),
        },
        prefix => Ok(Node::Incidr(address.into(), prefix.into())),
    }
}

/// What to do about a name that stands for nothing.
pub fn no_such_name(name: &str) -> String {
    let known = FUNCTIONS.map(|(known, _)| known);
    match similar(name, &known) {
        Some(meant) if meant == name => format!("{name} is a function; write {name}()"),
        Some(meant) => format!("unknown name {name:?}; did you mean {meant}()? A text stands in single quotes"),
        None => {
            format!("unknown name {name:?}; a text stands in single quotes, and the functions are {}", known.join(", "))
        }
    }
}
