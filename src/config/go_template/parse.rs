//! Words to a checked template.

use std::collections::BTreeMap;

use super::function::Function;
use super::lex::{Token, Word, words};
use super::node::{Command, List, Node, Number, Operand, Pipe, text_of};
use super::{InvalidTemplate, Template};

/// How deep blocks and brackets may be nested.
const DEPTH_MAX: usize = 40;

/// Variables at one place at most.
const VARIABLES_MAX: usize = 100;

type Parsed<T> = Result<T, InvalidTemplate>;

/// Reads and checks a template.
pub fn parse(text: &str) -> Parsed<Template> {
    let mut parser = Parser {
        words: words(text)?,
        at: 0,
        depth: 0,
        ranges: 0,
        variables: vec!["$".to_owned()],
        defined: BTreeMap::new(),
    };
    let (main, end) = parser.list()?;
    match end {
        Ending::Text => Ok(Template { canonical: text_of(&main), main, defined: parser.defined }),
        Ending::Else | Ending::Block => Err(parser.error("there is no block that this belongs to")),
    }
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    depth: usize,
    /// How many `range` there are around this place.
    ranges: usize,
    variables: Vec<String>,
    defined: BTreeMap<String, List>,
}

/// What ends a list.
#[derive(PartialEq)]
enum Ending {
    Text,
    Else,
    Block,
}

impl Parser {
    fn token(&self) -> &Token {
        self.words.get(self.at).map_or(&Token::End, |word| &word.token)
    }

    fn is_apart(&self) -> bool {
        self.words.get(self.at).is_none_or(|word| word.is_apart)
    }

    fn error(&self, what: impl Into<String>) -> InvalidTemplate {
        let at = self.words.get(self.at).or(self.words.last()).map_or(1, |word| word.at);
        InvalidTemplate { what: what.into(), at }
    }

    fn unexpected(&self, expected: &str) -> InvalidTemplate {
        let found = match self.token() {
            Token::Text(text) => format!("{text:?}"),
            Token::Open => "'{{'".to_owned(),
            Token::Close => "'}}'".to_owned(),
            Token::Name(word) | Token::Variable(word) | Token::Number(word) => format!("{word:?}"),
            Token::Quoted(_, written) => written.clone(),
            Token::Field(name) => format!("\".{name}\""),
            Token::Sign(sign) => format!("{sign:?}"),
            Token::End => "the end".to_owned(),
        };
        self.error(format!("{expected} is expected, not {found}"))
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_next = self.token() == token;
        self.at += usize::from(is_next);
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.token(), Token::Name(name) if name == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn close(&mut self) -> Parsed<()> {
        if self.take(&Token::Close) { Ok(()) } else { Err(self.unexpected("'}}'")) }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested more than {DEPTH_MAX} deep")));
        }
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    /// What is up to an `end`, an `else` or the end of the text, which is behind then.
    fn list(&mut self) -> Parsed<(List, Ending)> {
        let mut list = List::new();
        loop {
            let token = self.token().clone();
            self.at += 1;
            match token {
                Token::Text(text) => list.push(Node::Text(text)),
                Token::Open if self.take_word("end") => {
                    self.close()?;
                    return Ok((list, Ending::Block));
                }
                // What follows an `else` on its own is read by the block that it belongs to.
                Token::Open if self.take_word("else") => return Ok((list, Ending::Else)),
                Token::Open => list.extend(self.action()?),
                _ => return Ok((list, Ending::Text)),
            }
        }
    }

    /// A list that only an `end` ends.
    fn body(&mut self) -> Parsed<List> {
        match self.deeper(Self::list)? {
            (list, Ending::Block) => Ok(list),
            (_, Ending::Else | Ending::Text) => Err(self.unexpected("{{end}}")),
        }
    }

    /// An action from behind its braces; None: it does nothing where it stands.
    fn action(&mut self) -> Parsed<Option<Node>> {
        let word = match self.token() {
            Token::Name(word) => word.clone(),
            _ => String::new(),
        };
        self.at += 1;
        Ok(Some(match word.as_str() {
            "if" => self.choice("if")?,
            "with" => self.choice("with")?,
            "range" => self.range()?,
            "template" => self.template()?,
            "block" => self.block()?,
            "define" => {
                self.define()?;
                return Ok(None);
            }
            "break" | "continue" => {
                if self.ranges == 0 {
                    return Err(self.error(format!("{word} stands in a range only")));
                }
                self.close()?;
                if word == "break" { Node::Break } else { Node::Continue }
            }
            _ => {
                self.at -= 1;
                let pipe = self.pipe("a value", 1)?;
                self.close()?;
                Node::Action(pipe)
            }
        }))
    }

    fn choice(&mut self, word: &str) -> Parsed<Node> {
        let outer = self.variables.len();
        let (mut branches, mut otherwise) = (Vec::new(), None);
        loop {
            let pipe = self.pipe("a value", 1)?;
            self.close()?;
            let (list, end) = self.deeper(Self::list)?;
            branches.push((pipe, list));
            match end {
                Ending::Block => break,
                Ending::Else if self.take_word(word) => {}
                Ending::Else => {
                    self.close()?;
                    otherwise = Some(self.body()?);
                    break;
                }
                Ending::Text => return Err(self.unexpected("{{end}}")),
            }
        }
        self.variables.truncate(outer);
        Ok(Node::Choice { is_with: word == "with", branches, otherwise })
    }

    fn range(&mut self) -> Parsed<Node> {
        let outer = self.variables.len();
        let pipe = self.pipe("a value", 2)?;
        self.close()?;
        self.ranges += 1;
        let (list, end) = self.deeper(Self::list)?;
        self.ranges -= 1;
        let otherwise = match end {
            Ending::Block => None,
            Ending::Else => {
                self.close()?;
                Some(self.body()?)
            }
            Ending::Text => return Err(self.unexpected("{{end}}")),
        };
        self.variables.truncate(outer);
        Ok(Node::Range { pipe, list, otherwise })
    }

    fn name(&mut self) -> Parsed<String> {
        match self.token().clone() {
            Token::Quoted(name, _) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("the name of a template in quotes")),
        }
    }

    fn template(&mut self) -> Parsed<Node> {
        let name = self.name()?;
        let pipe = if *self.token() == Token::Close { None } else { Some(self.pipe("a value", 1)?) };
        self.close()?;
        Ok(Node::Template { name, pipe })
    }

    /// `block "name" PIPE` is a template that is defined where it is used.
    fn block(&mut self) -> Parsed<Node> {
        let name = self.name()?;
        let pipe = self.pipe("a value", 1)?;
        self.close()?;
        self.definition(name.clone())?;
        Ok(Node::Template { name, pipe: Some(pipe) })
    }

    fn define(&mut self) -> Parsed<()> {
        if self.depth > 0 {
            return Err(self.error("define stands in no other block"));
        }
        let name = self.name()?;
        self.close()?;
        self.definition(name)
    }

    /// The body of a template, which knows no variables and no range of those around it.
    fn definition(&mut self, name: String) -> Parsed<()> {
        let variables = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let list = self.body()?;
        (self.variables, self.ranges) = (variables, ranges);
        let is_empty = |list: &List| list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        if self.defined.get(&name).is_none_or(is_empty) {
            self.defined.insert(name, list);
        } else if !is_empty(&list) {
            return Err(self.error(format!("there are two templates {name:?}")));
        }
        Ok(())
    }

    /// Commands up to a closing sign, which stays; so many variables at most may get their value.
    fn pipe(&mut self, expected: &str, variables_max: usize) -> Parsed<Pipe> {
        let mut pipe = Pipe { variables: Vec::new(), is_assignment: false, commands: Vec::new() };
        while let Some((name, sign)) = self.given() {
            self.at += 2;
            if self.variables.len() > VARIABLES_MAX {
                return Err(self.error(format!("there are more than {VARIABLES_MAX} variables")));
            }
            self.variables.push(name.clone());
            pipe.variables.push(name);
            if pipe.variables.len() > variables_max || (sign == "," && pipe.variables.len() == variables_max) {
                return Err(self.error("there are too many variables before the sign"));
            }
            if sign != "," {
                pipe.is_assignment = sign == "=";
                break;
            }
            if self.given().is_none() {
                return Err(self.unexpected("a variable and ':='"));
            }
        }
        loop {
            if matches!(self.token(), Token::Close | Token::Sign(")")) {
                break;
            }
            let command = self.command()?;
            let is_value = matches!(
                command.first(),
                Some(Operand::Truth(_) | Operand::Dot | Operand::Nil | Operand::Number(..) | Operand::Text(..))
            );
            if is_value && !pipe.commands.is_empty() {
                return Err(self.error("what stands behind '|' takes a value; this cannot"));
            }
            pipe.commands.push(command);
        }
        if pipe.commands.is_empty() { Err(self.unexpected(expected)) } else { Ok(pipe) }
    }

    /// A variable that is to get a value, and the sign behind it.
    fn given(&self) -> Option<(String, &'static str)> {
        match (self.token(), self.words.get(self.at + 1).map(|word| &word.token)) {
            (Token::Variable(name), Some(Token::Sign(sign @ ("=" | ":=" | ",")))) => Some((name.clone(), sign)),
            _ => None,
        }
    }

    /// Operands up to a closing sign, which stays, or `|`, which is behind then.
    fn command(&mut self) -> Parsed<Command> {
        let mut command = vec![self.operand()?];
        loop {
            match self.token() {
                Token::Close | Token::Sign(")") => return Ok(command),
                Token::Sign("|") => {
                    self.at += 1;
                    return Ok(command);
                }
                _ if self.is_apart() => command.push(self.operand()?),
                _ => return Err(self.unexpected("a blank")),
            }
        }
    }

    /// A value, and fields of it.
    fn operand(&mut self) -> Parsed<Operand> {
        let term = self.term()?;
        let mut names = Vec::new();
        while let (Token::Field(name), false) = (self.token(), self.is_apart()) {
            if name.is_empty() {
                return Err(self.unexpected("a field"));
            }
            names.push(name.clone());
            self.at += 1;
        }
        if names.is_empty() {
            return Ok(term);
        }
        Ok(match term {
            Operand::Field(first) => Operand::Field([first, names].concat()),
            Operand::Variable(name, _) => Operand::Variable(name, names),
            Operand::Function(_) | Operand::Pipe(_) | Operand::Chain(..) => Operand::Chain(term.into(), names),
            Operand::Dot | Operand::Nil | Operand::Truth(_) | Operand::Number(..) | Operand::Text(..) => {
                return Err(self.error(format!("{term} has no fields")));
            }
        })
    }

    fn term(&mut self) -> Parsed<Operand> {
        let token = self.token().clone();
        let operand = match token {
            Token::Field(name) if name.is_empty() => Operand::Dot,
            Token::Field(name) => Operand::Field(vec![name]),
            Token::Variable(name) if self.variables.contains(&name) => Operand::Variable(name, Vec::new()),
            Token::Variable(name) => return Err(self.error(format!("undefined variable {name:?}"))),
            Token::Quoted(text, written) => Operand::Text(text, written),
            Token::Number(written) => {
                let number = Number::read(&written).ok_or_else(|| self.error(format!("no number: {written}")))?;
                Operand::Number(number, written)
            }
            Token::Name(name) => match name.as_str() {
                "nil" => Operand::Nil,
                "true" | "false" => Operand::Truth(name == "true"),
                "if" | "else" | "end" | "with" | "range" | "template" | "block" | "define" | "break" | "continue" => {
                    return Err(self.unexpected("a value"));
                }
                _ => Operand::Function(Function::of(&name).map_err(|what| self.error(what))?),
            },
            Token::Sign("(") => {
                self.at += 1;
                let pipe = self.deeper(|parser| parser.pipe("a value", 1))?;
                match self.token() {
                    Token::Sign(")") => Operand::Pipe(pipe.into()),
                    _ => return Err(self.unexpected("\")\"")),
                }
            }
            Token::Text(_) | Token::Open | Token::Close | Token::Sign(_) | Token::End => {
                return Err(self.unexpected("a value"));
            }
        };
        self.at += 1;
        Ok(operand)
    }
}
