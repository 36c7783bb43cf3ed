//! What is done with the answer to a question that was rewritten.

use super::matching::Matcher;
use super::text;
use crate::dns::{Answer, Name, Record, ResponseCode, parse_name, with_target};

/// One change of an answer.
#[derive(Clone, Debug)]
pub enum Restoration {
    /// The name that was asked for, and those below it, become the client's again: owners and values.
    Asked { from: Name, to: Name },
    /// Names that match become others.
    Names { names: Names, matcher: Matcher, to: String },
    /// TTLs are kept within bounds.
    Ttl { min: u32, max: u32 },
    /// A response code becomes another.
    Code { from: ResponseCode, to: ResponseCode },
    /// Aliases to such a target lead elsewhere: what [`elsewhere`](super::alias::elsewhere) does.
    Alias { target: Matcher, to: String },
}

/// Which names of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    Owners,
    Values,
    All,
}

impl Restoration {
    /// The answer with its records and its response code changed.
    pub fn apply(&self, mut answer: Answer) -> Answer {
        answer.records_mut().for_each(|record| self.change(record));
        if let Self::Code { from, to } = self
            && answer.response_code() == *from
        {
            return answer.with_response_code(*to);
        }
        answer
    }

    /// Changes a record.
    pub fn change(&self, record: &mut Record) {
        match self {
            Self::Asked { from, to } => change_names(record, Names::All, |name| moved(name, from, to)),
            Self::Names { names, matcher, to } => {
                change_names(record, *names, |name| parse_name(&matcher.replace(&text(name), to)?).ok());
            }
            Self::Ttl { min, max } => record.ttl = record.ttl.clamp(*min, *max),
            Self::Code { .. } | Self::Alias { .. } => {}
        }
    }
}

/// `from` and what is below it, below `to` instead; None: it is neither, or would be too long. Everything is below the root, and
/// stays where it is.
fn moved(name: &Name, from: &Name, to: &Name) -> Option<Name> {
    let labels = from.zone_of(name).then(|| name.iter().count().checked_sub(from.iter().count()))??;
    if from.is_root() && labels > 0 {
        return None;
    }
    let mut moved = Name::from_labels(name.iter().take(labels).chain(to.iter())).ok()?;
    moved.set_fqdn(true);
    Some(moved)
}

/// Changes names of a record; None leaves one as it is.
fn change_names(record: &mut Record, names: Names, change: impl Fn(&Name) -> Option<Name>) {
    if names != Names::Values
        && let Some(name) = change(&record.name)
    {
        record.name = name;
    }
    if names != Names::Owners
        && let Some(data) = with_target(&record.data, &change)
    {
        record.data = data;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_what_is_below_it_move() {
        let check = |name: &str, from: &str, to: &str, expected: Option<&str>| {
            let [name, from, to] = [name, from, to].map(|text| parse_name(text).unwrap());
            let found = moved(&name, &from, &to).map(|name| name.to_ascii());
            assert_eq!(found.as_deref(), expected, "{name} {from} {to}");
        };
        check("a.org.", "a.org.", "b.net.", Some("b.net."));
        check("X.A.org.", "a.org.", "b.net.", Some("X.b.net."));
        check("xa.org.", "a.org.", "b.net.", None);
        check("org.", "a.org.", "b.net.", None);
        check(".", ".", "b.net.", Some("b.net."));
        check("a.org.", ".", "b.net.", None);
        check(&"a.".repeat(120), "a.", &"b".repeat(60), None);
    }
}
