//! Operators between two parts of an expression.

use super::lex::Token;
use super::node::{Calculation, Comparison};
use super::parse::Kind;

#[derive(Clone, Copy, Debug)]
pub enum Operator {
    Or,
    And,
    Compare(Comparison),
    In,
    Matches,
    Range,
    Calculate(Calculation),
}

impl Operator {
    /// The operator that a word is, and how strongly it binds.
    pub fn of(token: &Token) -> Option<(Self, u8)> {
        let word = match token {
            Token::Sign(sign) => sign,
            Token::Name(name) => name.as_str(),
            Token::Number(_) | Token::Text(_) | Token::End => return None,
        };
        Some(match word {
            "||" | "or" => (Self::Or, 10),
            "&&" | "and" => (Self::And, 15),
            "==" => (Self::Compare(Comparison::Equal), 20),
            "!=" => (Self::Compare(Comparison::NotEqual), 20),
            "<" => (Self::Compare(Comparison::Less), 20),
            "<=" => (Self::Compare(Comparison::LessOrEqual), 20),
            ">" => (Self::Compare(Comparison::Greater), 20),
            ">=" => (Self::Compare(Comparison::GreaterOrEqual), 20),
            "contains" => (Self::Compare(Comparison::Contains), 20),
            "startsWith" => (Self::Compare(Comparison::StartsWith), 20),
            "endsWith" => (Self::Compare(Comparison::EndsWith), 20),
            "in" => (Self::In, 20),
            "matches" => (Self::Matches, 20),
            ".." => (Self::Range, 25),
            "+" => (Self::Calculate(Calculation::Plus), 30),
            "-" => (Self::Calculate(Calculation::Minus), 30),
            "*" => (Self::Calculate(Calculation::Times), 60),
            "%" => (Self::Calculate(Calculation::Remainder), 60),
            _ => return None,
        })
    }

    /// Whether `not` may stand before it, as in `not in`.
    pub fn may_be_negated(self) -> bool {
        match self {
            Self::In | Self::Matches => true,
            Self::Compare(comparison) => comparison.is_of_texts(),
            Self::Or | Self::And | Self::Range | Self::Calculate(_) => false,
        }
    }

    /// What it gives for two kinds; None: it does not take them.
    pub fn gives(self, left: Kind, right: Kind) -> Option<Kind> {
        use Kind::{List, Number, Text, Truth};
        match (self, left, right) {
            (Self::Or | Self::And, Truth, Truth) | (Self::Matches, Text, Text) => Some(Truth),
            (Self::In, Truth | Number | Text, List) => Some(Truth),
            (Self::Compare(Comparison::Equal | Comparison::NotEqual), ..) => {
                (left == right && left != List).then_some(Truth)
            }
            (Self::Compare(_), Text, Text) => Some(Truth),
            (Self::Compare(comparison), Number, Number) => (!comparison.is_of_texts()).then_some(Truth),
            (Self::Range, Number, Number) => Some(List),
            (Self::Calculate(_), Number, Number) => Some(Number),
            _ => None,
        }
    }
}
