//! Octets to tokens: words between blanks, quoted texts, no comments.

use std::sync::Arc;

/// A word of a Corefile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The file that it is from.
    pub file: Arc<str>,
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// The word, without its quotes.
    pub text: String,
}

/// The tokens of a text.
///
/// As Caddy has it: a quote counts only at the beginning of a word, and its only escape is `\"`; `#` begins a comment
/// also within a word, and such a comment ends at the next blank; a byte order mark and `\r` do not count.
pub fn lex(text: &str, file: &str) -> Vec<Token> {
    let mut lexer =
        Lexer { chars: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1, file: file.into() };
    std::iter::from_fn(|| lexer.next_token()).collect()
}

struct Lexer<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    file: Arc<str>,
}

impl Lexer<'_> {
    fn next_token(&mut self) -> Option<Token> {
        let mut word = String::new();
        let mut line = self.line;
        let mut in_comment = false;
        while let Some(c) = self.chars.next() {
            if c == '\n' {
                self.line += 1;
                in_comment = false;
            }
            if c == '\r' {
                continue;
            }
            if c.is_whitespace() {
                if word.is_empty() {
                    continue;
                }
                return Some(self.token(word, line));
            }
            in_comment |= c == '#';
            if in_comment {
                continue;
            }
            if word.is_empty() {
                line = self.line;
                if c == '"' {
                    let word = self.quoted();
                    return Some(self.token(word, line));
                }
            }
            word.push(c);
        }
        (!word.is_empty()).then(|| self.token(word, line))
    }

    /// The rest of a quoted text, up to its quote or the end of the file.
    fn quoted(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                '"' => break,
                '\\' => match self.chars.next() {
                    Some('"') => word.push('"'),
                    Some(other) => {
                        self.line += usize::from(other == '\n');
                        word.extend(['\\', other]);
                    }
                    None => word.push('\\'),
                },
                _ => {
                    self.line += usize::from(c == '\n');
                    word.push(c);
                }
            }
        }
        word
    }

    fn token(&self, text: String, line: usize) -> Token {
        Token { file: self.file.clone(), line, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(usize, &str)]) {
        let tokens = lex(text, "Corefile");
        let found: Vec<_> = tokens.iter().map(|token| (token.line, token.text.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn blanks_separate_words_and_lines_count() {
        check("a b\n\n  c\r\nd", &[(1, "a"), (1, "b"), (3, "c"), (4, "d")]);
        check("\u{feff}a\u{a0}b", &[(1, "a"), (1, "b")]);
        check("", &[]);
    }

    #[test]
    fn a_quote_counts_at_the_beginning_of_a_word_only() {
        check(r#""a b" c"d e" "\"x\" \.""#, &[(1, "a b"), (1, "c\"d"), (1, "e\""), (1, r#""x" \."#)]);
        check("\"a\nb\" c", &[(1, "a\nb"), (2, "c")]);
        check(r#"".*"x"#, &[(1, ".*"), (1, "x")]);
        check("\"\"", &[(1, "")]);
        check("\"open", &[(1, "open")]);
    }

    #[test]
    fn a_comment_goes_to_the_end_of_the_line_unless_it_is_glued_to_a_word() {
        check("a # b c\nd", &[(1, "a"), (2, "d")]);
        check("#a b\nc", &[(2, "c")]);
        check("foo#bar baz\nd", &[(1, "foo"), (1, "baz"), (2, "d")]);
    }
}
