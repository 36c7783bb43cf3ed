//! Regular expressions as Go writes them (RE2), which several directives take.

use regex_syntax::hir::{Class, Hir, HirKind};

use crate::config::corefile::{CorefileError, Cursor};

/// CoreDNS's limit.
const LENGTH_MAX: usize = 10_000;
/// Go's limit.
const REPEATS_MAX: u32 = 1000;
/// States of one pattern, far below what [`regex::Regex`] refuses.
const STATES_MAX: usize = 50_000;

/// A regular expression that is valid, and what it costs.
#[derive(Debug)]
pub struct Pattern {
    /// Means to [`regex`] what the text means to Go.
    pub text: String,
    /// States, about.
    pub states: usize,
}

/// Reads a regular expression in Go's syntax; what comes back means the same to [`regex`], and is valid.
pub fn lower_pattern(cursor: &Cursor<'_>, text: &str) -> Result<String, CorefileError> {
    let pattern = check(text).map_err(|what| cursor.error(what))?;
    match cursor.costs.spend_pattern(pattern.states) {
        true => Ok(pattern.text),
        false => Err(cursor.error(too_large(text))),
    }
}

/// Reads a regular expression in Go's syntax; or what is wrong with it.
pub fn check(text: &str) -> Result<Pattern, String> {
    if text.len() > LENGTH_MAX {
        return Err(format!("regex pattern too long: {} octets, at most {LENGTH_MAX}", text.len()));
    }
    let translated = translate(text);
    let parsed = regex_syntax::parse(&translated).map_err(|error| {
        // The crate draws the pattern on several lines; the last one says what is wrong.
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("could not parse regex {text:?}: {reason}")
    })?;
    if !repeats_at_most(&parsed, REPEATS_MAX) {
        return Err(format!("could not parse regex {text:?}: it repeats something more than {REPEATS_MAX} times"));
    }
    match states(&parsed) {
        states if states > STATES_MAX => Err(too_large(text)),
        states => Ok(Pattern { text: translated, states }),
    }
}

fn too_large(text: &str) -> String {
    format!("regex {text:?} is too large: it repeats too much, or there are too many like it")
}

/// How many groups a pattern has that was read by [`lower_pattern`].
pub fn groups(pattern: &str) -> usize {
    regex_syntax::parse(pattern).map_or(0, |pattern| pattern.properties().explicit_captures_len())
}

/// Go's rule for repetitions, and for what repetitions in repetitions come to.
fn repeats_at_most(pattern: &Hir, most: u32) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => true,
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min);
            times <= most && repeats_at_most(&repetition.sub, most / times.max(1))
        }
        HirKind::Capture(capture) => repeats_at_most(&capture.sub, most),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().all(|part| repeats_at_most(part, most)),
    }
}

/// How many states a regular expression has, about: what it costs to compile.
fn states(pattern: &Hir) -> usize {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(class) => match class {
            Class::Unicode(class) => class.ranges().len() * 2,
            Class::Bytes(class) => class.ranges().len(),
        },
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            states(&repetition.sub).saturating_add(1).saturating_mul(times as usize)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().map(states).fold(1, usize::saturating_add),
    }
}

/// Both syntaxes come from RE2. Only in Go there is `\Q…\E`, octal numbers are escapes, a brace that counts nothing is
/// a brace, and brackets and `&&` within brackets are characters.
fn translate(text: &str) -> String {
    let (mut pattern, mut rest) = (String::with_capacity(text.len()), text);
    let mut is_in_class = false;
    while let Some(character) = rest.chars().next() {
        let (piece, length) = match character {
            '\\' if !is_in_class && rest.starts_with(r"\Q") => quoted(rest),
            '\\' => escape(rest),
            '[' if !is_in_class => {
                is_in_class = true;
                class_start(rest)
            }
            '[' => match rest.find(":]").filter(|_| rest.starts_with("[:")) {
                Some(end) => (rest.get(..end + 2).unwrap_or_default().to_owned(), end + 2),
                None => (r"\[".to_owned(), 1),
            },
            ']' => {
                is_in_class = false;
                ("]".to_owned(), 1)
            }
            '&' | '~' if is_in_class => (format!(r"\{character}"), 1),
            '-' if is_in_class && rest.starts_with("--") => (r"-\-".to_owned(), 2),
            '{' if !is_in_class && !is_repetition(rest) => (r"\{".to_owned(), 1),
            _ => (character.to_string(), character.len_utf8()),
        };
        pattern.push_str(&piece);
        rest = rest.get(length..).unwrap_or_default();
    }
    pattern
}

/// `\Q…\E`: everything in it stands for itself. The piece, and how many octets it took.
fn quoted(rest: &str) -> (String, usize) {
    let text = rest.get(2..).unwrap_or_default();
    match text.find(r"\E") {
        Some(end) => (regex::escape(text.get(..end).unwrap_or_default()), end + 4),
        None => (regex::escape(text), rest.len()),
    }
}

/// A backslash and what belongs to it.
fn escape(rest: &str) -> (String, usize) {
    let octal = rest.bytes().skip(1).take(3).take_while(|octet| (b'0'..=b'7').contains(octet)).count();
    let is_octal = octal > 1 || rest.starts_with(r"\0");
    if let Some(number) = rest.get(1..=octal).filter(|_| is_octal).and_then(|text| u32::from_str_radix(text, 8).ok()) {
        return (format!("\\x{{{number:x}}}"), 1 + octal);
    }
    if let Some(braces) = [r"\p{", r"\P{", r"\x{"].into_iter().find(|braces| rest.starts_with(braces))
        && let Some(end) = rest.find('}')
    {
        let name = rest.get(braces.len()..end).unwrap_or_default();
        return (format!("{braces}{name}}}"), end + 1);
    }
    match rest.chars().nth(1) {
        // These are borders of words in Rust, and themselves in Go.
        Some(bracket @ ('<' | '>')) => (bracket.to_string(), 2),
        Some(character) => (format!("\\{character}"), 1 + character.len_utf8()),
        None => ("\\".to_owned(), 1),
    }
}

/// `[`, `[^`, `[]` or `[^]`: a bracket in the first place does not close.
fn class_start(rest: &str) -> (String, usize) {
    match ["[^]", "[]", "[^"].into_iter().find(|start| rest.starts_with(start)) {
        Some(start) => (start.replace(']', r"\]"), start.len()),
        None => ("[".to_owned(), 1),
    }
}

/// `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some((count, _)) = rest.trim_start_matches('{').split_once('}') else { return false };
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let is_number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn check(pattern: &str, matching: &str, other: &str) {
        let regex = Regex::new(&translate(pattern)).expect(pattern);
        assert!(regex.is_match(matching), "{pattern} {matching}");
        assert!(!regex.is_match(other), "{pattern} {other}");
    }

    #[test]
    fn what_both_syntaxes_share_stays() {
        for pattern in [
            r"^(?:[^.]+\.){4,}internal\.cloudapp\.net\.$",
            r"(?P<x>a)(?<y>b)(?i)c(?s-m:.)",
            r"\pL\p{Greek}\d\W\s\b\Bx\x41\x{10FFFF}\.\-\_",
            "[[:alpha:]_-]{2}[^a-z]{2,}(a|b){2,3}?",
        ] {
            assert_eq!(translate(pattern), pattern);
            Regex::new(pattern).expect(pattern);
        }
    }

    #[test]
    fn what_only_go_has_is_put_in_other_words() {
        check(r"^\Qa.b[\E$", "a.b[", "axb[");
        check(r"^\Qa.b", "a.bc", "axb");
        check(r"^a{$", "a{", "a");
        check(r"^a{,5}$", "a{,5}", "aaa");
        check(r"^\101\x42$", "AB", "101B");
        check(r"^[[a]$", "[", "b");
        check(r"^[]a]$", "]", "b");
        check(r"^[^]a]$", "b", "]");
        check(r"^[a&&b]$", "&", "c");
        check(r"^[+--]$", ",", "a");
        check(r"^\<a\>$", "<a>", "a");
    }
}
