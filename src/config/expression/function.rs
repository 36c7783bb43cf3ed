//! The functions of expressions.

use ipnet::IpNet;

use super::node::{Fact, Node};
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
}

const FUNCTIONS: [(&str, Function); 18] = [
    ("bufsize", Function::Fact(Fact::Bufsize, Kind::Number)),
    ("class", Function::Fact(Fact::Class, Kind::Text)),
    ("client_ip", Function::Fact(Fact::ClientIp, Kind::Text)),
    ("do", Function::Fact(Fact::Do, Kind::Truth)),
    ("id", Function::Fact(Fact::Id, Kind::Number)),
    ("incidr", Function::Incidr),
    ("len", Function::OfText(Node::Length, Kind::Number)),
    ("lower", Function::OfText(Node::Lower, Kind::Text)),
    ("metadata", Function::Metadata),
    ("name", Function::Fact(Fact::Name, Kind::Text)),
    ("opcode", Function::Fact(Fact::Opcode, Kind::Number)),
    ("port", Function::Fact(Fact::Port, Kind::Text)),
    ("proto", Function::Fact(Fact::Proto, Kind::Text)),
    ("server_ip", Function::Fact(Fact::ServerIp, Kind::Text)),
    ("server_port", Function::Fact(Fact::ServerPort, Kind::Text)),
    ("size", Function::Fact(Fact::Size, Kind::Number)),
    ("type", Function::Fact(Fact::Type, Kind::Text)),
    ("upper", Function::OfText(Node::Upper, Kind::Text)),
];

/// The node of a function with these arguments, and what it gives; or what is wrong.
pub fn call(name: &str, arguments: Vec<(Node, Kind)>) -> Result<(Node, Kind), String> {
    let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
    let (_, function) = function.ok_or_else(|| no_such_name(name))?;
    let has_texts = arguments.iter().all(|(_, kind)| *kind == Kind::Text);
    let mut texts = arguments.into_iter().map(|(node, _)| node);
    match (function, [texts.next(), texts.next(), texts.next()]) {
        (Function::Fact(fact, kind), [None, ..]) => Ok((Node::Fact(*fact), *kind)),
        (Function::OfText(node, kind), [Some(text), None, _]) if has_texts => Ok((node(text.into()), *kind)),
        (Function::Metadata, [Some(label), None, _]) if has_texts => Ok((metadata(label)?, Kind::Text)),
        (Function::Incidr, [Some(address), Some(prefix), None]) if has_texts => {
            Ok((incidr(address, prefix)?, Kind::Truth))
        }
        (Function::Fact(..), _) => Err(format!("{name}() takes nothing")),
        (Function::OfText(..) | Function::Metadata, _) => Err(format!("{name}() takes one text")),
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
