//! A checked template.

use std::fmt::{self, Display, Formatter};

use super::function::Function;
use super::lex::unescape;

/// What is done one after the other.
pub type List = Vec<Node>;

#[derive(Clone, Debug)]
pub enum Node {
    /// What stands outside of actions.
    Text(String),
    /// Writes its value, unless it is given to variables.
    Action(Pipe),
    /// The first branch whose value counts as true; `with` makes the value the dot.
    Choice {
        is_with: bool,
        branches: Vec<(Pipe, List)>,
        otherwise: Option<List>,
    },
    Range {
        pipe: Pipe,
        list: List,
        otherwise: Option<List>,
    },
    Template {
        name: String,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// Commands, each of which gets the value of the one before.
#[derive(Clone, Debug)]
pub struct Pipe {
    /// Variables that get the value.
    pub variables: Vec<String>,
    /// Whether they are there already.
    pub is_assignment: bool,
    pub commands: Vec<Command>,
}

/// A value, or a function and its arguments. Never empty.
pub type Command = Vec<Operand>;

#[derive(Clone, Debug)]
pub enum Operand {
    Dot,
    Nil,
    Truth(bool),
    Number(Number, String),
    /// The text, and as it is written.
    Text(String, String),
    /// Fields of the dot, one of the other.
    Field(Vec<String>),
    /// A variable, and fields of it.
    Variable(String, Vec<String>),
    Function(Function),
    Pipe(Box<Pipe>),
    /// Fields of a value.
    Chain(Box<Operand>, Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    /// A whole number that is too large for an int.
    TooLarge,
    Float(f64),
}

impl Number {
    /// The number that is written; None: none, or one that only Go has: fractions in hexadecimal, imaginary ones.
    pub fn read(written: &str) -> Option<Self> {
        if let Some(character) = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            let escaped =
                if character.starts_with('\\') { unescape(character, '\'')?.0 } else { character.chars().next()? };
            return Some(Self::Int(i64::from(u32::from(escaped))));
        }
        let digits = written.trim_start_matches(['+', '-']);
        let (digits, radix) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => (digits.get(2..)?, 16),
            Some("0o") => (digits.get(2..)?, 8),
            Some("0b") => (digits.get(2..)?, 2),
            Some(_) if digits.starts_with('0') && !digits.contains(['.', 'e', 'E']) => (digits.get(1..)?, 8),
            _ => (digits, 10),
        };
        let digits = digits.replace('_', "");
        if !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix)) {
            let sign = if written.starts_with('-') { "-" } else { "" };
            return Some(i64::from_str_radix(&format!("{sign}{digits}"), radix).map_or(Self::TooLarge, Self::Int));
        }
        let is_fraction = radix == 10 && digits.contains(['.', 'e', 'E']);
        let is_plain = digits.chars().all(|character| character.is_ascii_digit() || ".eE+-".contains(character));
        let float = (is_fraction && is_plain).then(|| written.replace('_', "").parse::<f64>())?.ok()?;
        float.is_finite().then_some(Self::Float(float))
    }
}

/// A list as Go writes it.
pub fn text_of(list: &[Node]) -> String {
    list.iter().map(Node::to_string).collect()
}

/// A command as Go writes it.
pub fn words_of(command: &[Operand]) -> String {
    command.iter().map(Operand::to_string).collect::<Vec<_>>().join(" ")
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            Self::Choice { is_with, branches, otherwise } => {
                let word = if *is_with { "with" } else { "if" };
                for (index, (pipe, list)) in branches.iter().enumerate() {
                    let else_word = if index > 0 { "{{else}}" } else { "" };
                    write!(f, "{else_word}{{{{{word} {pipe}}}}}{}", text_of(list))?;
                }
                if let Some(list) = otherwise {
                    write!(f, "{{{{else}}}}{}", text_of(list))?;
                }
                f.write_str(&"{{end}}".repeat(branches.len()))
            }
            Self::Range { pipe, list, otherwise } => {
                write!(f, "{{{{range {pipe}}}}}{}", text_of(list))?;
                if let Some(list) = otherwise {
                    write!(f, "{{{{else}}}}{}", text_of(list))?;
                }
                f.write_str("{{end}}")
            }
            Self::Template { name, pipe: Some(pipe) } => write!(f, "{{{{template {name:?} {pipe}}}}}"),
            Self::Template { name, pipe: None } => write!(f, "{{{{template {name:?}}}}}"),
            Self::Break => f.write_str("{{break}}"),
            Self::Continue => f.write_str("{{continue}}"),
        }
    }
}

impl Display for Pipe {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.is_assignment { "=" } else { ":=" })?;
        }
        f.write_str(&self.commands.iter().map(|command| words_of(command)).collect::<Vec<_>>().join(" | "))
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let fields = |names: &[String]| names.iter().map(|name| format!(".{name}")).collect::<String>();
        match self {
            Self::Dot => f.write_str("."),
            Self::Nil => f.write_str("nil"),
            Self::Truth(truth) => truth.fmt(f),
            Self::Number(_, written) | Self::Text(_, written) => f.write_str(written),
            Self::Field(names) => f.write_str(&fields(names)),
            Self::Variable(name, names) => write!(f, "{name}{}", fields(names)),
            Self::Function(function) => f.write_str(function.name()),
            Self::Pipe(pipe) => write!(f, "({pipe})"),
            Self::Chain(operand, names) => write!(f, "{operand}{}", fields(names)),
        }
    }
}
