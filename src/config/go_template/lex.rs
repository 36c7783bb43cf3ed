//! A template to its words.

use super::InvalidTemplate;

/// A word, where it begins, and what is before it.
#[derive(Clone, Debug)]
pub struct Word {
    pub token: Token,
    /// The character, counted from 1.
    pub at: usize,
    /// Whether there is a blank before it.
    pub is_apart: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// What stands outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A keyword or the name of a function.
    Name(String),
    /// `.x`; empty: the dot alone.
    Field(String),
    /// `$x`
    Variable(String),
    /// As it is written; quotes around a character are part of it.
    Number(String),
    /// The text, and as it is written.
    Quoted(String, String),
    /// `(`, `)`, `|`, `,`, `=` or `:=`
    Sign(&'static str),
    End,
}

const SIGNS: [&str; 6] = ["(", ")", "|", ",", "=", ":="];
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The words of a template; the last one is [`Token::End`].
pub fn words(text: &str) -> Result<Vec<Word>, InvalidTemplate> {
    let mut lexer = Lexer { rest: text, at: 1, words: Vec::new() };
    let mut trims = false;
    while let Some(start) = lexer.rest.find("{{") {
        let outside = lexer.take(start);
        let at = lexer.at;
        lexer.take(2);
        let trims_before =
            lexer.rest.starts_with('-') && lexer.rest.get(1..).is_some_and(|rest| rest.starts_with(BLANKS));
        lexer.outside(outside, trims, trims_before);
        if trims_before {
            lexer.take(2);
        }
        trims = match lexer.rest.starts_with("/*") {
            true => lexer.comment()?,
            false => lexer.action(at)?,
        };
    }
    let outside = lexer.rest;
    lexer.outside(outside, trims, false);
    lexer.take(outside.len());
    lexer.push(Token::End, lexer.at, false);
    Ok(lexer.words)
}

struct Lexer<'a> {
    rest: &'a str,
    at: usize,
    words: Vec<Word>,
}

fn is_letter(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

impl<'a> Lexer<'a> {
    fn push(&mut self, token: Token, at: usize, is_apart: bool) {
        self.words.push(Word { token, at, is_apart });
    }

    fn error(&self, what: impl Into<String>) -> InvalidTemplate {
        InvalidTemplate { what: what.into(), at: self.at }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        self.take(self.rest.find(|character| !is_wanted(character)).unwrap_or(self.rest.len()))
    }

    /// What stands between two actions, of which each may take the blanks on its side away.
    fn outside(&mut self, text: &str, trims_start: bool, trims_end: bool) {
        let text = if trims_start { text.trim_start_matches(BLANKS) } else { text };
        let text = if trims_end { text.trim_end_matches(BLANKS) } else { text };
        if !text.is_empty() {
            self.push(Token::Text(text.to_owned()), self.at, false);
        }
    }

    /// From behind the opening braces; returns whether blanks behind are taken away.
    fn comment(&mut self) -> Result<bool, InvalidTemplate> {
        let end = self.rest.find("*/").ok_or_else(|| self.error("the comment that begins here does not end"))?;
        self.take(end + 2);
        let trims = self.closes_trimming();
        self.take(if trims { 2 } else { 0 });
        match self.rest.starts_with("}}") {
            true => self.take(2),
            false => return Err(self.error("'}}' is expected behind a comment")),
        };
        Ok(trims)
    }

    /// Whether ` -}}` is next.
    fn closes_trimming(&self) -> bool {
        self.rest.strip_prefix(BLANKS).is_some_and(|rest| rest.starts_with("-}}"))
    }

    /// From behind the opening braces; returns whether blanks behind are taken away.
    fn action(&mut self, start: usize) -> Result<bool, InvalidTemplate> {
        self.push(Token::Open, start, false);
        loop {
            let before = self.at;
            while !self.closes_trimming() && self.rest.starts_with(BLANKS) {
                self.take(1);
            }
            let trims = self.closes_trimming();
            if trims || self.rest.starts_with("}}") {
                let at = self.at;
                self.take(if trims { 4 } else { 2 });
                self.push(Token::Close, at, true);
                return Ok(trims);
            }
            if self.rest.is_empty() {
                return Err(InvalidTemplate { what: "'{{' is not closed".to_owned(), at: start });
            }
            let (at, is_apart) = (self.at, self.at > before);
            let token = self.token()?;
            self.push(token, at, is_apart);
        }
    }

    fn token(&mut self) -> Result<Token, InvalidTemplate> {
        let next = |index| self.rest.chars().nth(index).unwrap_or_default();
        match next(0) {
            '"' | '`' => self.quoted(),
            '\'' => self.character(),
            '.' if !next(1).is_ascii_digit() => Ok(Token::Field(self.name(1)?)),
            '$' => Ok(Token::Variable(format!("${}", self.name(1)?))),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            letter if is_letter(letter) => Ok(Token::Name(self.name(0)?)),
            other => match SIGNS.into_iter().find(|sign| self.rest.starts_with(sign)) {
                Some(sign) => {
                    self.take(sign.len());
                    Ok(Token::Sign(sign))
                }
                None => Err(self.error(format!("{other:?} has no meaning in a template"))),
            },
        }
    }

    /// A name behind so many characters; what follows must not be a part of it.
    fn name(&mut self, before: usize) -> Result<String, InvalidTemplate> {
        self.take(before);
        let name = self.take_while(is_letter).to_owned();
        let follows = self.rest.chars().next();
        let ends = follows.is_none_or(|next| BLANKS.contains(&next) || ".,|:)(".contains(next));
        match ends || self.rest.starts_with("}}") {
            true => Ok(name),
            false => Err(self.error(format!("{:?} cannot stand behind a name", follows.unwrap_or_default()))),
        }
    }

    fn number(&mut self) -> Result<Token, InvalidTemplate> {
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let mut is_exponent = false;
        let mut is_hexadecimal = false;
        let mut length = sign;
        for (index, character) in self.rest.get(sign..).unwrap_or_default().char_indices() {
            let is_part = is_letter(character) || character == '.' || (is_exponent && "+-".contains(character));
            if !is_part {
                break;
            }
            is_hexadecimal |= index == 1 && matches!(character, 'x' | 'X');
            is_exponent = !is_hexadecimal && matches!(character, 'e' | 'E');
            length = sign + index + character.len_utf8();
        }
        Ok(Token::Number(self.take(length).to_owned()))
    }

    /// A text in double quotes with Go's escapes, or in back quotes without any.
    fn quoted(&mut self) -> Result<Token, InvalidTemplate> {
        let (start, error) = (self.rest, self.error("the text that begins here does not end"));
        let mut text = String::new();
        let is_raw = self.take(1) == "`";
        loop {
            let part =
                self.take_while(|character| if is_raw { character != '`' } else { !"\"\\\n".contains(character) });
            text.push_str(part);
            match self.rest.chars().next() {
                Some('\\') => text.push(self.escape('"')?),
                Some('"' | '`') => break,
                _ => return Err(error),
            }
        }
        self.take(1);
        if is_raw {
            text.retain(|character| character != '\r');
        }
        let written = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        Ok(Token::Quoted(text, written.to_owned()))
    }

    /// A character in single quotes is its number.
    fn character(&mut self) -> Result<Token, InvalidTemplate> {
        let (start, error) = (self.rest, self.error("one character stands in single quotes; a text in double quotes"));
        self.take(1);
        match self.rest.chars().next() {
            Some('\\') => drop(self.escape('\'')?),
            Some(character) if !"'\n".contains(character) => drop(self.take(character.len_utf8())),
            _ => return Err(error),
        }
        if self.take(1) != "'" {
            return Err(error);
        }
        let written = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        Ok(Token::Number(written.to_owned()))
    }

    fn escape(&mut self, quote: char) -> Result<char, InvalidTemplate> {
        let error = self.error(r"no such escape; a backslash is written twice, as in \\.");
        let (character, length) = unescape(self.rest, quote).ok_or(error)?;
        self.take(length);
        Ok(character)
    }
}

/// The character that an escape at the beginning stands for, and how many octets it takes.
pub fn unescape(text: &str, quote: char) -> Option<(char, usize)> {
    let number = |from: usize, digits: usize, radix| {
        let digits =
            text.get(from..from + digits).filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)))?;
        let character = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
        Some((character, from + digits.len()))
    };
    match text.chars().nth(1)? {
        'a' => Some(('\u{7}', 2)),
        'b' => Some(('\u{8}', 2)),
        'f' => Some(('\u{c}', 2)),
        'n' => Some(('\n', 2)),
        'r' => Some(('\r', 2)),
        't' => Some(('\t', 2)),
        'v' => Some(('\u{b}', 2)),
        '\\' => Some(('\\', 2)),
        // As octets these are parts of characters in Go.
        'x' => number(2, 2, 16).filter(|(character, _)| character.is_ascii()),
        '0'..='7' => number(1, 3, 8).filter(|(character, _)| character.is_ascii()),
        'u' => number(2, 4, 16),
        'U' => number(2, 8, 16),
        other => (other == quote).then_some((quote, 2)),
    }
}
