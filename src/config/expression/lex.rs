//! An expression to its words.

use super::InvalidExpression;

/// A word, and the character that it begins at, counted from 1.
#[derive(Clone, Debug)]
pub struct Word {
    pub token: Token,
    pub at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or an operator of letters.
    Name(String),
    Number(i64),
    /// What stood in quotes.
    Text(String),
    Sign(&'static str),
    End,
}

/// Longer ones first.
const SIGNS: [&str; 21] =
    ["#", "..", "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", ",", "?", ":", "<", ">", "!", "+", "-", "*"];

/// The words of an expression; the last one is [`Token::End`].
pub fn words(text: &str) -> Result<Vec<Word>, InvalidExpression> {
    let mut lexer = Lexer { rest: text, at: 1 };
    let mut words = Vec::new();
    loop {
        let word = lexer.next()?;
        let is_end = word.token == Token::End;
        words.push(word);
        if is_end {
            return Ok(words);
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Word, InvalidExpression> {
        self.take_while(char::is_whitespace);
        let at = self.at;
        let token = match self.rest.chars().next() {
            None => Token::End,
            Some('\'' | '"') => self.quoted()?,
            Some('`') => self.raw()?,
            Some('0'..='9') => self.number()?,
            Some(letter) if letter.is_alphabetic() || letter == '_' => {
                Token::Name(self.take_while(|c| c.is_alphanumeric() || c == '_').to_owned())
            }
            Some('%') => self.sign("%"),
            Some(other) => match SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
                Some(sign) => self.sign(sign),
                None => return Err(self.error(format!("{other:?} has no meaning in an expression here"))),
            },
        };
        Ok(Word { token, at })
    }

    fn error(&self, what: impl Into<String>) -> InvalidExpression {
        InvalidExpression { what: what.into(), at: self.at }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len()))
    }

    fn next_char(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.take(next.len_utf8());
        Some(next)
    }

    fn sign(&mut self, sign: &'static str) -> Token {
        self.take(sign.len());
        Token::Sign(sign)
    }

    fn number(&mut self) -> Result<Token, InvalidExpression> {
        let error = self.error("a number is a whole one that fits 64 bits, such as 512 or 0x200");
        let digits = self.take_while(|c| c.is_alphanumeric() || c == '_').replace('_', "");
        let number = match digits.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(digits.get(2..).unwrap_or_default(), 16),
            _ => digits.parse(),
        };
        // `1..5` is a range, `1.5` is no whole number.
        let is_fraction = self.rest.starts_with('.') && !self.rest.starts_with("..");
        number.ok().filter(|_| !is_fraction).map(Token::Number).ok_or(error)
    }

    /// A text in back quotes, with no escapes.
    fn raw(&mut self) -> Result<Token, InvalidExpression> {
        let error = self.error("the text that begins here does not end");
        self.take(1);
        let text = self.take(self.rest.find('`').ok_or(error)?).to_owned();
        self.take(1);
        Ok(Token::Text(text))
    }

    fn quoted(&mut self) -> Result<Token, InvalidExpression> {
        let error = self.error("the text that begins here does not end");
        let quote = self.next_char();
        let mut text = String::new();
        loop {
            match self.next_char() {
                None => return Err(error),
                end if end == quote => return Ok(Token::Text(text)),
                Some('\\') => text.push(self.escaped(quote)?),
                Some(other) => text.push(other),
            }
        }
    }

    /// What a backslash in a text and what follows it stand for.
    fn escaped(&mut self, quote: Option<char>) -> Result<char, InvalidExpression> {
        let error = self.error(r"no such escape; a backslash in a text is written twice, as in '\\.'");
        let (before, escape) = (self.rest, self.next_char());
        let number = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
        let character = match escape {
            Some('a') => Some('\u{7}'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some('n') => Some('\n'),
            Some('r') => Some('\r'),
            Some('t') => Some('\t'),
            Some('v') => Some('\u{b}'),
            Some('\\') => escape,
            Some('x') => number(self.take(2), 16),
            Some('u') => number(self.take(4), 16),
            Some('U') => number(self.take(8), 16),
            Some('0'..='3') => {
                self.take(2);
                number(before.get(..3).unwrap_or_default(), 8)
            }
            _ => escape.filter(|_| escape == quote),
        };
        character.ok_or(error)
    }
}
