//! A configuration as a Corefile: what [`super::lex`] reads as the same words.

/// Lines of a Corefile, indented by the blocks that they are in.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
    depth: usize,
    /// How many lines there are.
    lines: usize,
    /// The lines that server blocks and directives begin on, counted from 1; a server block has no name.
    places: Vec<(usize, &'static str)>,
    /// Words that no Corefile can hold.
    impossible: Vec<String>,
}

impl Writer {
    /// A line of words.
    pub fn line<W: AsRef<str>>(&mut self, words: impl IntoIterator<Item = W>) {
        let words: Vec<String> = words.into_iter().map(|word| self.quoted(word.as_ref())).collect();
        self.text.push_str(&"    ".repeat(self.depth));
        self.lines += 1;
        for word in words {
            self.lines += word.matches('\n').count();
            self.text.push_str(&word);
            self.text.push(' ');
        }
        self.text.pop();
        self.text.push('\n');
    }

    /// What is written next is the directive of this name; without a name, a server block.
    pub fn begin(&mut self, directive: &'static str) {
        self.places.push((self.lines + 1, directive));
    }

    /// A line of words with the lines that `options` writes in braces behind it. If there are none, only a server block has braces: without
    /// them, the next one would be read as its directive.
    pub fn block<W: AsRef<str>>(&mut self, words: impl IntoIterator<Item = W>, options: impl FnOnce(&mut Self)) {
        self.line(words);
        let head = self.text.len();
        self.depth += 1;
        options(self);
        self.depth -= 1;
        if self.depth == 0 || self.text.len() > head {
            self.text.insert_str(head - 1, " {");
            self.line(["}"]);
        }
    }

    /// The Corefile, and where in it everything begins; or the words that no Corefile can hold.
    pub fn finish(self) -> Result<Written, Vec<String>> {
        let Self { text, places, impossible, .. } = self;
        if impossible.is_empty() { Ok(Written { text, places }) } else { Err(impossible) }
    }

    /// A word as it is written: in quotes only where it has to be.
    fn quoted(&mut self, word: &str) -> String {
        let is_bare = !word.is_empty() && !word.starts_with('"') && !word.contains(is_special);
        // In quotes a backslash goes with what follows it: before a quote and at the end there must be an even number of them.
        let runs = word.split('"').map(|part| part.len() - part.trim_end_matches('\\').len());
        let can_be_quoted = runs.into_iter().all(|run| run % 2 == 0) && !word.contains('\r');
        if !is_bare && !can_be_quoted || names_variable(word) {
            self.impossible.push(word.to_owned());
        }
        if is_bare { word.to_owned() } else { format!("\"{}\"", word.replace('"', "\\\"")) }
    }
}

/// A Corefile that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The Corefile.
    pub text: String,
    places: Vec<(usize, &'static str)>,
}

impl Written {
    /// The server block, counted from 0, and the directive that a line is in; the directive is empty outside of all.
    pub fn place(&self, line: usize) -> (usize, &'static str) {
        let before = self.places.iter().take_while(|(begins, _)| *begins <= line);
        let (servers, directive) = before.fold((0usize, ""), |(servers, _), (_, directive)| {
            (servers + usize::from(directive.is_empty()), *directive)
        });
        (servers.saturating_sub(1), directive)
    }
}

/// Whether a reader would put the value of a variable in.
fn names_variable(word: &str) -> bool {
    [("{$", "}"), ("{%", "%}")].into_iter().any(|(open, close)| {
        let behind = word.split_once(open).and_then(|(_, behind)| behind.split_once(close));
        behind.is_some_and(|(name, _)| !name.is_empty())
    })
}

/// What ends a word or begins a comment outside quotes.
fn is_special(character: char) -> bool {
    character.is_whitespace() || character == '#'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lex::lex;
    use super::*;

    #[test]
    fn blocks_are_indented_and_options_have_no_empty_braces() {
        let mut writer = Writer::default();
        writer.block([".:53"], |server| {
            server.block(["cache", "30"], |options| options.line(["keepttl"]));
            server.block(["health"], |_| {});
        });
        writer.block(["a"], |_| {});
        let expected = ".:53 {\n    cache 30 {\n        keepttl\n    }\n    health\n}\na {\n}\n";
        assert_eq!(writer.finish().unwrap().text, expected);
    }

    #[test]
    fn a_line_knows_its_directive() {
        let mut writer = Writer::default();
        for zone in ["a", "b"] {
            writer.begin("");
            writer.block([zone], |server| {
                server.begin("template");
                server.block(["template", "IN", "A"], |options| {
                    options.line(["answer", "{{ .Name }}\n60 IN A 192.0.2.1"])
                });
                server.begin("errors");
                server.line(["errors"]);
            });
        }
        let written = writer.finish().unwrap();
        let places = [1, 2, 3, 4, 5, 6, 8, 9, 13].map(|line| written.place(line));
        let in_first = [(0, ""), (0, "template"), (0, "template"), (0, "template"), (0, "template"), (0, "errors")];
        assert_eq!(places[..6], in_first);
        assert_eq!(places[6..], [(1, ""), (1, "template"), (1, "errors")]);
    }

    #[test]
    fn what_a_reader_would_change_cannot_be_written() {
        for word in ["a \\", "\"\\\"", "{$HOME}", "x{%HOME%}"] {
            let mut writer = Writer::default();
            writer.line([word]);
            assert_eq!(writer.finish(), Err(vec![word.to_owned()]), "{word}");
        }
    }

    proptest! {
        #[test]
        fn words_are_read_as_they_were_written(words in proptest::collection::vec("[a-c{}$%#\"\\\\ \n]{0,6}", 1..6)) {
            let mut writer = Writer::default();
            writer.line(&words);
            if let Ok(written) = writer.finish() {
                let found: Vec<String> = lex(&written.text, "").into_iter().map(|token| token.text).collect();
                prop_assert_eq!(found, words);
            }
        }
    }
}
