//! Which names a rule means, and what it makes of them. Names are texts in lower case with their final dot.

use regex::{Captures, Regex};

use crate::config::directive::Matching;

/// Names of one kind.
#[derive(Clone, Debug)]
pub enum Matcher {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Substring(String),
    Regex(Regex),
    Nothing,
}

impl Matcher {
    pub fn new(matching: &Matching) -> Self {
        match matching {
            Matching::Exact(text) => Self::Exact(text.clone()),
            Matching::Prefix(text) => Self::Prefix(text.clone()),
            Matching::Suffix(text) => Self::Suffix(text.clone()),
            Matching::Substring(text) => Self::Substring(text.clone()),
            Matching::Regex(text) => Regex::new(text).map_or(Self::Nothing, Self::Regex),
        }
    }

    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(text) => name == text,
            Self::Prefix(text) => name.starts_with(text.as_str()),
            Self::Suffix(text) => name.ends_with(text.as_str()),
            Self::Substring(text) => name.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(name),
            Self::Nothing => false,
        }
    }

    /// The name with `to` in place of the part that matches, or for a pattern in place of all of it; None: no match.
    pub fn replace(&self, name: &str, to: &str) -> Option<String> {
        match self {
            Self::Exact(text) => (name == text).then(|| to.to_owned()),
            Self::Prefix(text) => name.strip_prefix(text.as_str()).map(|rest| format!("{to}{rest}")),
            Self::Suffix(text) => name.strip_suffix(text.as_str()).map(|rest| format!("{rest}{to}")),
            Self::Substring(text) => name.contains(text.as_str()).then(|| name.replace(text.as_str(), to)),
            Self::Regex(regex) => regex.captures(name).map(|groups| with_groups(to, &groups)),
            Self::Nothing => None,
        }
    }
}

/// A text with groups in the places of `{0}`, `{1}` and so on, filled in once: what a client writes into a name is no place.
fn with_groups(text: &str, groups: &Captures<'_>) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let place = behind.split_once('}').and_then(|(number, behind)| {
            let index = (0..groups.len()).find(|index| index.to_string() == number)?;
            Some((groups.get(index).map_or("", |group| group.as_str()), behind))
        });
        let (group, behind) = place.unwrap_or(("{", behind));
        filled.push_str(group);
        rest = behind;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(matching: Matching, name: &str, to: &str, expected: Option<&str>) {
        let matcher = Matcher::new(&matching);
        assert_eq!(matcher.replace(name, to).as_deref(), expected, "{matching:?} {name}");
        assert_eq!(matcher.matches(name), expected.is_some(), "{matching:?} {name}");
    }

    #[test]
    fn the_part_that_matches_is_replaced() {
        check(Matching::Exact("a.org.".into()), "a.org.", "b.org.", Some("b.org."));
        check(Matching::Exact("a.org.".into()), "x.a.org.", "b.org.", None);
        check(Matching::Prefix("a.".into()), "a.org.", "b.", Some("b.org."));
        check(Matching::Suffix(".org.".into()), "a.org.", ".net.", Some("a.net."));
        check(Matching::Suffix(".org.".into()), "org.", ".net.", None);
        check(Matching::Substring("a.".into()), "a.a.org.", "b.", Some("b.b.org."));
    }

    #[test]
    fn a_pattern_replaces_all_and_knows_groups() {
        let pattern = Matching::Regex(r"(.*)-(us|eu)\.example\.org".into());
        check(pattern.clone(), "ftp-us.example.org.", "{1}.service.{2}.consul.", Some("ftp.service.us.consul."));
        check(pattern.clone(), "ftp-us.example.org.", "{0}.x.", Some("ftp-us.example.org.x."));
        check(pattern.clone(), "ftp-us.example.org.", "{3}{a}{.{02}", Some("{3}{a}{.{02}"));
        check(pattern, "ftp-as.example.org.", "{1}.", None);
        let optional = Matching::Regex(r"^a(b)?\.".into());
        check(optional, "a.", "x{1}.", Some("x."));
    }

    #[test]
    fn a_client_writes_no_groups() {
        let pattern = Matching::Regex(r"^(.*)\.(.*)\.x\.$".into());
        check(pattern, "{2}{2}.{1}{1}.x.", "{1}.{2}.", Some("{2}{2}.{1}{1}."));
    }
}
