//! The words of a master file, entry by entry (RFC 1035 section 5.1).

/// A word, escapes kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// What is written, without the quotes around it.
    pub text: &'a [u8],
    /// Whether it stands in quotes.
    pub is_quoted: bool,
}

/// A row of words: a record or a directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The line that it begins on, counted from 1.
    pub line: usize,
    /// Whether it begins with a blank: its owner is the one before.
    pub is_indented: bool,
    /// The words.
    pub words: Vec<Word<'a>>,
}

/// The entries of a text. After an error there are no more.
#[derive(Debug)]
pub struct Entries<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Entries<'a> {
    /// The entries of a text.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn advance(&mut self) {
        self.line += usize::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }

    /// Goes on over octets as long as they are wanted; a backslash takes the next octet along. Returns what it went over.
    fn take_while(&mut self, mut is_wanted: impl FnMut(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        while let Some(octet) = self.peek().filter(|octet| is_wanted(*octet)) {
            self.advance();
            if octet == b'\\' && self.peek().is_some() {
                self.advance();
            }
        }
        self.text.get(start..self.at.min(self.text.len())).unwrap_or_default()
    }

    /// Reads the rest of an entry.
    fn read(&mut self, entry: &mut Entry<'a>) -> Result<(), &'static str> {
        let mut depth = 0usize;
        while let Some(octet) = self.peek() {
            match octet {
                b'\n' if depth == 0 => {
                    self.advance();
                    return Ok(());
                }
                b' ' | b'\t' | b'\r' | b'\n' => self.advance(),
                b';' => drop(self.take_comment()),
                b'(' => {
                    depth += 1;
                    self.advance();
                }
                b')' => {
                    depth = depth.checked_sub(1).ok_or("there is no '(' for this ')'")?;
                    self.advance();
                }
                b'"' => {
                    self.advance();
                    let text = self.take_while(|octet| octet != b'"');
                    self.peek().ok_or("the quote is not closed")?;
                    self.advance();
                    entry.words.push(Word { text, is_quoted: true });
                }
                _ => entry.words.push(Word { text: self.take_bare(), is_quoted: false }),
            }
        }
        if depth == 0 { Ok(()) } else { Err("the '(' is not closed") }
    }

    fn take_comment(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// A word without quotes around it; a quote begins another one, as in `alpn="h2,h3"`.
    fn take_bare(&mut self) -> &'a [u8] {
        self.take_while(|octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"'))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, (usize, &'static str)>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.peek().is_some() {
            let is_indented = matches!(self.peek(), Some(b' ' | b'\t'));
            let mut entry = Entry { line: self.line, is_indented, words: Vec::new() };
            if let Err(what) = self.read(&mut entry) {
                self.at = self.text.len();
                return Some(Err((entry.line, what)));
            }
            if !entry.words.is_empty() {
                return Some(Ok(entry));
            }
        }
        None
    }
}

/// The octets that a text with escapes stands for; None: an escape is none.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(octet) = rest.next() {
        octets.push(if octet == b'\\' { crate::dns::name::parse_escape(&mut rest)? } else { octet });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry as `LINE: WORD|WORD`, `_` in front if it is indented, or the error.
    fn check(text: &str, expected: &[&str]) {
        let shown = |entry: Result<Entry<'_>, (usize, &str)>| match entry {
            Ok(entry) => {
                let words: Vec<_> = entry.words.iter().map(|word| String::from_utf8_lossy(word.text)).collect();
                format!("{}:{}{}", entry.line, if entry.is_indented { "_" } else { "" }, words.join("|"))
            }
            Err((line, what)) => format!("{line}!{what}"),
        };
        assert_eq!(Entries::new(text.as_bytes()).map(shown).collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn an_entry_is_a_line_or_what_is_in_parentheses() {
        check("a b ; c\n\n ; d\n\te (f ; g\n h)i\r\nj", &["1:a|b", "4:_e|f|h|i", "6:j"]);
        check("a ( b", &["1!the '(' is not closed"]);
        check("a\nb ) c\nd", &["1:a", "2!there is no '(' for this ')'"]);
    }

    #[test]
    fn quotes_and_backslashes_hold_words_together() {
        check(r#"a "b ;c" d\;\ e"#, &[r"1:a|b ;c|d\;\ e"]);
        check(r#"a "b\"c""d""#, &[r#"1:a|b\"c|d"#]);
        check(r#"a alpn="h2, h3" b\""#, &[r#"1:a|alpn=|h2, h3|b\""#]);
        check(r#"a b"c"#, &["1!the quote is not closed"]);
        check("a \"b\nc\nd", &["1!the quote is not closed"]);
        check("a \\", &["1:a|\\"]);
    }

    #[test]
    fn an_escape_is_an_octet() {
        assert_eq!(unescape(br"a\.\065\\").as_deref(), Some(&br"a.A\"[..]));
        assert_eq!(unescape(br"a\2"), None);
        assert_eq!(unescape(br"\256"), None);
    }
}
