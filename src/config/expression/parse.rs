//! Words to a checked expression. Operators bind as in expr-lang.

use super::lex::{Token, Word, words};
use super::node::{Count, Node, Pattern};
use super::operator::Operator;
use super::{InvalidExpression, Scope, function};
use crate::config::directive::pattern;

/// How deep an expression may be nested.
const DEPTH_MAX: usize = 40;

/// What a part of an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Kind {
    Truth,
    Number,
    Text,
    List,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Truth => "a truth value",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
        }
    }
}

/// Items of a list times words of the condition that is asked about each, at most.
const ROUNDS_MAX: usize = 10_000;

/// How the prefixes `not` and `-` bind.
const NOT: u8 = 50;
const NEGATIVE: u8 = 90;

/// What was read, what it gives, and what the patterns in it cost.
pub struct Checked {
    pub node: Node,
    pub kind: Kind,
    pub states: usize,
}

/// Reads and checks an expression.
pub fn parse(text: &str, scope: &Scope) -> Result<Checked, InvalidExpression> {
    let mut parser = Parser { words: words(text)?, at: 0, depth: 0, states: 0, scope, item: None };
    let Part { node, kind, .. } = parser.expression(0)?;
    match parser.token() {
        Token::End => Ok(Checked { node, kind, states: parser.states }),
        _ => Err(parser.unexpected("an operator, or the end")),
    }
}

struct Parser<'a> {
    words: Vec<Word>,
    at: usize,
    depth: usize,
    states: usize,
    scope: &'a Scope,
    /// Of which kind `#` is, where it stands for the item of a list.
    item: Option<Kind>,
}

/// A part that was read, and how deep it is.
struct Part {
    node: Node,
    kind: Kind,
    depth: usize,
}

impl Part {
    fn leaf(node: Node, kind: Kind) -> Self {
        Self { node, kind, depth: 1 }
    }
}

impl Parser<'_> {
    fn token(&self) -> &Token {
        self.words.get(self.at).map_or(&Token::End, |word| &word.token)
    }

    fn place(&self) -> usize {
        self.words.get(self.at).or(self.words.last()).map_or(1, |word| word.at)
    }

    fn error_at(at: usize, what: impl Into<String>) -> InvalidExpression {
        InvalidExpression { what: what.into(), at }
    }

    fn unexpected(&self, expected: &str) -> InvalidExpression {
        let found = match self.token() {
            Token::Name(name) => format!("{name:?}"),
            Token::Number(number) => number.to_string(),
            Token::Text(text) => format!("'{text}'"),
            Token::Sign(sign) => format!("\"{sign}\""),
            Token::End => "the end".to_owned(),
        };
        Self::error_at(self.place(), format!("{expected} is expected, not {found}"))
    }

    /// Goes on if a sign is next.
    fn take(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.token(), Token::Sign(next) if *next == sign);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<(), InvalidExpression> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("\"{sign}\""))),
        }
    }

    /// An expression whose operators bind at least so much.
    fn expression(&mut self, least: u8) -> Result<Part, InvalidExpression> {
        self.depth += 1;
        self.check_depth(self.depth)?;
        let mut left = self.operand()?;
        while let Some((operator, binds, is_negated)) = self.operator().filter(|(_, binds, _)| *binds >= least) {
            let at = self.place();
            self.at += 1 + usize::from(is_negated);
            let right = self.expression(binds + 1)?;
            left = self.join(operator, left, right, at)?;
            if is_negated {
                left.node = Node::Not(left.node.into());
            }
        }
        if least == 0 && self.take("?") {
            left = self.choice(left)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn check_depth(&self, depth: usize) -> Result<(), InvalidExpression> {
        match depth > DEPTH_MAX {
            true => Err(Self::error_at(self.place(), format!("nested more than {DEPTH_MAX} deep"))),
            false => Ok(()),
        }
    }

    /// The operator that is next, how strongly it binds, and whether there is a `not` before it.
    fn operator(&self) -> Option<(Operator, u8, bool)> {
        let is_negated = matches!(self.token(), Token::Name(name) if name == "not");
        let (operator, binds) = Operator::of(&self.words.get(self.at + usize::from(is_negated))?.token)?;
        (!is_negated || operator.may_be_negated()).then_some((operator, binds, is_negated))
    }

    /// CONDITION ? PART : PART, from behind the question mark.
    fn choice(&mut self, condition: Part) -> Result<Part, InvalidExpression> {
        let at = self.place();
        let consequence = self.expression(0)?;
        self.expect(":")?;
        let alternative = self.expression(0)?;
        let kind = consequence.kind;
        if condition.kind != Kind::Truth || alternative.kind != kind || kind == Kind::List {
            let [condition, kind, other] = [condition.kind, kind, alternative.kind].map(Kind::as_str);
            let what = format!("? takes a truth value and two of one kind, not {condition}, {kind} and {other}");
            return Err(Self::error_at(at, what));
        }
        let depth = 1 + condition.depth.max(consequence.depth).max(alternative.depth);
        self.check_depth(depth)?;
        let node = Node::Choice([condition.node, consequence.node, alternative.node].into());
        Ok(Part { node, kind, depth })
    }

    fn operand(&mut self) -> Result<Part, InvalidExpression> {
        let at = self.place();
        let token = self.token().clone();
        self.at += 1;
        match token {
            Token::Number(number) => Ok(Part::leaf(Node::Number(number), Kind::Number)),
            Token::Text(text) => Ok(Part::leaf(Node::Text(text), Kind::Text)),
            Token::Sign("(") => {
                let part = self.expression(0)?;
                self.expect(")")?;
                Ok(part)
            }
            Token::Sign("[") => self.list(),
            Token::Sign("#") => match self.item {
                Some(kind) => Ok(Part::leaf(Node::Item, kind)),
                None => Err(Self::error_at(at, "# is an item of the list in any(), all() or none()")),
            },
            Token::Sign("!") => self.prefixed(NOT, Kind::Truth, "!", at, |node| Node::Not(node.into())),
            Token::Sign("-") => self.prefixed(NEGATIVE, Kind::Number, "-", at, |node| Node::Negative(node.into())),
            Token::Sign("+") => self.prefixed(NEGATIVE, Kind::Number, "+", at, |node| node),
            Token::Name(name) => match name.as_str() {
                "not" => self.prefixed(NOT, Kind::Truth, "not", at, |node| Node::Not(node.into())),
                "true" => Ok(Part::leaf(Node::Truth(true), Kind::Truth)),
                "false" => Ok(Part::leaf(Node::Truth(false), Kind::Truth)),
                _ if self.take("(") => match Count::of(&name) {
                    Some(count) => self.count(count, &name),
                    None => self.call(&name, at),
                },
                _ => self.variable(&name).ok_or_else(|| Self::error_at(at, function::no_such_name(&name))),
            },
            Token::Sign(_) | Token::End => {
                self.at -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn prefixed(
        &mut self,
        binds: u8,
        kind: Kind,
        sign: &str,
        at: usize,
        node: impl Fn(Node) -> Node,
    ) -> Result<Part, InvalidExpression> {
        let part = self.expression(binds)?;
        if part.kind != kind {
            let what = format!("{sign} takes {}, not {}", kind.as_str(), part.kind.as_str());
            return Err(Self::error_at(at, what));
        }
        Ok(Part { node: node(part.node), kind, depth: part.depth + 1 })
    }

    /// Parts separated by commas, up to a closing sign; a comma may stand behind the last one.
    fn parts(&mut self, end: &str) -> Result<Vec<Part>, InvalidExpression> {
        let mut parts = Vec::new();
        while !self.take(end) {
            parts.push(self.expression(0)?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(parts)
    }

    fn list(&mut self) -> Result<Part, InvalidExpression> {
        let at = self.place();
        let parts = self.parts("]")?;
        if parts.iter().any(|part| part.kind == Kind::List) {
            return Err(Self::error_at(at, "a list holds texts, numbers and truth values, no lists"));
        }
        let depth = 1 + parts.iter().map(|part| part.depth).max().unwrap_or_default();
        Ok(Part { node: Node::List(parts.into_iter().map(|part| part.node).collect()), kind: Kind::List, depth })
    }

    fn variable(&self, name: &str) -> Option<Part> {
        let index = self.scope.variables.iter().position(|(known, _)| known == name)?;
        let (_, kind) = self.scope.variables.get(index)?;
        Some(Part::leaf(Node::Variable(index), *kind))
    }

    /// `any(LIST, CONDITION)` and the like, from behind the opening bracket.
    fn count(&mut self, count: Count, name: &str) -> Result<Part, InvalidExpression> {
        let at = self.place();
        if self.item.is_some() {
            return Err(Self::error_at(at, format!("{name}() cannot stand in a condition of another list")));
        }
        let list = self.expression(0)?;
        let (kind, items) = match list.node {
            Node::List(items) if items.iter().all(|item| matches!(item, Node::Text(_))) => (Kind::Text, items),
            Node::List(items) if items.iter().all(|item| matches!(item, Node::Number(_))) => (Kind::Number, items),
            _ => {
                return Err(Self::error_at(
                    at,
                    format!("{name}() takes a list of texts or of numbers, and a condition"),
                ));
            }
        };
        self.expect(",")?;
        let start = self.at;
        self.item = Some(kind);
        let condition = self.expression(0)?;
        self.item = None;
        if condition.kind != Kind::Truth || items.len() * (self.at - start) > ROUNDS_MAX {
            let what = format!("the condition of {name}() is true or false, and list and condition are not too long");
            return Err(Self::error_at(at, what));
        }
        self.expect(")")?;
        let depth = 1 + condition.depth.max(list.depth);
        self.check_depth(depth)?;
        Ok(Part { node: Node::Count(count, items, condition.node.into()), kind: Kind::Truth, depth })
    }

    /// A function, from behind the opening bracket.
    fn call(&mut self, name: &str, at: usize) -> Result<Part, InvalidExpression> {
        let arguments = self.parts(")")?;
        let depth = 1 + arguments.iter().map(|argument| argument.depth).max().unwrap_or_default();
        let arguments = arguments.into_iter().map(|argument| (argument.node, argument.kind)).collect();
        let (node, kind) =
            function::call(name, arguments, self.scope.has_groups).map_err(|what| Self::error_at(at, what))?;
        Ok(Part { node, kind, depth })
    }

    /// Puts two parts together, if they fit.
    fn join(&mut self, operator: Operator, left: Part, right: Part, at: usize) -> Result<Part, InvalidExpression> {
        let Some(kind) = operator.gives(left.kind, right.kind) else {
            let what = format!("this operator cannot take {} and {}", left.kind.as_str(), right.kind.as_str());
            return Err(Self::error_at(at, what));
        };
        let is_chain = matches!((operator, &left.node), (Operator::Or, Node::Any(_)) | (Operator::And, Node::All(_)));
        let depth = (left.depth + usize::from(!is_chain)).max(right.depth + 1);
        self.check_depth(depth)?;
        let node = match (operator, left.node, right.node) {
            (Operator::Or, Node::Any(parts), right) => Node::Any(with(parts, right)),
            (Operator::Or, left, right) => Node::Any(vec![left, right]),
            (Operator::And, Node::All(parts), right) => Node::All(with(parts, right)),
            (Operator::And, left, right) => Node::All(vec![left, right]),
            (Operator::Compare(comparison), left, right) => Node::Compare(comparison, left.into(), right.into()),
            (Operator::In, left, right) => Node::In(left.into(), right.into()),
            (Operator::Range, left, right) => Node::Range(left.into(), right.into()),
            (Operator::Calculate(how), left, right) => Node::Calculate(how, left.into(), right.into()),
            (Operator::Matches, left, Node::Text(text)) => Node::Matches(left.into(), self.pattern(&text, at)?),
            (Operator::Matches, ..) => return Err(Self::error_at(at, "matches takes a pattern in quotes")),
        };
        Ok(Part { node, kind, depth })
    }

    fn pattern(&mut self, text: &str, at: usize) -> Result<Pattern, InvalidExpression> {
        let checked = pattern::check(text).map_err(|what| Self::error_at(at, what))?;
        self.states = self.states.saturating_add(checked.states);
        Ok(Pattern::new(checked.text))
    }
}

fn with(mut parts: Vec<Node>, part: Node) -> Vec<Node> {
    parts.push(part);
    parts
}
