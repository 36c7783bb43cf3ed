//! Label selectors, as `kubectl -l` writes them.

use std::collections::BTreeMap;

/// A row of requirements, all of which must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// A text that is no label selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a label selector")]
pub struct InvalidSelector {
    /// The text.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    /// None: the key is enough.
    values: Option<Vec<String>>,
    is_negated: bool,
}

impl Selector {
    /// Reads `key`, `!key`, `key=value`, `key==value`, `key!=value`, `key in (a,b)` and `key notin (a,b)`, separated by commas.
    pub fn parse(text: &str) -> Result<Self, InvalidSelector> {
        let invalid = || InvalidSelector { text: text.to_owned() };
        let requirements: Option<Vec<_>> =
            split_outside_parentheses(text).into_iter().map(Requirement::parse).collect();
        Ok(Self { requirements: requirements.ok_or_else(invalid)? })
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut depth = 0i32;
    text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
    .collect()
}

impl Requirement {
    fn parse(text: &str) -> Option<Self> {
        let new = |key: &str, values: Option<Vec<&str>>, is_negated| {
            let key = key.trim();
            let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
            let values = values.map(|values| values.into_iter().map(|value| value.trim().to_owned()).collect());
            is_key.then(|| Self { key: key.to_owned(), values, is_negated })
        };
        if let Some(key) = text.strip_prefix('!') {
            return new(key, None, true);
        }
        if let Some((head, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
            let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
            let is_negated = match operator {
                "in" => false,
                "notin" => true,
                _ => return None,
            };
            return new(key, Some(values.split(',').collect()), is_negated);
        }
        if let Some((key, value)) = text.split_once("!=") {
            return new(key, Some(vec![value]), true);
        }
        match text.split_once("==").or_else(|| text.split_once('=')) {
            Some((key, value)) => new(key, Some(vec![value]), false),
            None => new(text, None, false),
        }
    }

    /// A missing label satisfies `!=` and `notin`, as in Kubernetes.
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let holds = match &self.values {
            None => value.is_some(),
            Some(values) => value.is_some_and(|value| values.contains(value)),
        };
        holds != self.is_negated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, expected: bool) {
        let labels = [("tier", "front"), ("env", "prod")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(Selector::parse(selector).unwrap().matches(&labels.into()), expected, "{selector}");
    }

    #[test]
    fn all_requirements_must_hold() {
        check("tier=front", true);
        check("tier==front,env=prod", true);
        check("tier=front,env=test", false);
        check("tier in (front, back)", true);
        check("tier in (back)", false);
        check("tier notin (back),env", true);
        check("tier!=front", false);
        check("other!=x", true);
        check("other", false);
        check("!other", true);
        check("", true);
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["a b", "=x", "a like (b)", "a in b)"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
