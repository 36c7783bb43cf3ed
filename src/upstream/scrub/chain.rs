//! The chain of aliases that an answer leads through.

use super::{Unusable, type_and_role};
use crate::dns::{Name, Query, RData, Record, RecordType, dname_target, label_count};

/// The names that an answer leads through.
pub struct Chain<'a> {
    query: &'a Query,
    /// The name asked for, then the target of each alias; never empty.
    names: Vec<Name>,
    /// Where an alias leads that was itself asked for.
    beyond: Option<Name>,
}

/// Where a record stands in an answer: at which name of the chain, there by the labels of its owner, so that a DNAME is before the alias
/// that it made, and then by its type.
pub type Place = (usize, usize, u16);

impl<'a> Chain<'a> {
    /// Aliases in a row at most. Resolvers follow 8 to 16.
    pub const ALIASES_MAX: usize = 16;

    /// Follows the aliases of an answer to their end.
    pub fn follow(query: &'a Query, answers: &[Record]) -> Result<Self, Unusable> {
        let mut names = vec![query.name.clone()];
        loop {
            let name = names.last().unwrap_or(&query.name);
            let target = match at(query, name, answers) {
                At::Alias(target) => target,
                At::End(beyond) => return Ok(Self { query, beyond: beyond.cloned(), names }),
            };
            if names.contains(target) {
                return Err(Unusable::Circle);
            }
            if names.len() > Self::ALIASES_MAX {
                return Err(Unusable::TooLong);
            }
            names.push(target.clone());
        }
    }

    /// The name at the end, of which an answer is in the end.
    pub fn last(&self) -> &Name {
        self.names.last().unwrap_or(&self.query.name)
    }

    /// Where a record has its place in the answer, and whether it is a signature there; None: nowhere. Aliases come before what
    /// they lead to, whatever the order was: many clients read an answer only once.
    pub fn place(&self, record: &Record) -> Option<(Place, bool)> {
        let asked = self.query.record_type;
        let (record_type, is_signature) = match record.record_type() {
            RecordType::RRSIG if matches!(asked, RecordType::RRSIG | RecordType::ANY) => (RecordType::RRSIG, false),
            _ => type_and_role(self.query, record)?,
        };
        let at = |name: usize| ((name, label_count(&record.name), u16::from(record_type)), is_signature);
        if record_type == RecordType::DNAME
            && let Some(renamed) = self.renamed_by(record, is_signature)
        {
            return Some(at(renamed));
        }
        // The largest part of an answer is at its end.
        let place = self.names.iter().rposition(|name| *name == record.name)?;
        let belongs = match self.names.get(place + 1) {
            None => record_type == asked || asked == RecordType::ANY,
            // A second alias of the same name leads nowhere.
            Some(next) => record_type == RecordType::CNAME && alias_target(record).is_none_or(|target| target == next),
        };
        belongs.then(|| at(place))
    }

    /// The name of the chain whose alias a DNAME has made (RFC 6672 section 2.2); of its signature, whose alias it may have made.
    fn renamed_by(&self, record: &Record, is_signature: bool) -> Option<usize> {
        let target = if is_signature { None } else { Some(dname_target(&record.data)?) };
        let owner = &record.name;
        let is_renamed = |name: &Name, next: &Name| {
            let is_below = owner.zone_of(name) && owner != name;
            is_below && target.as_ref().is_none_or(|target| is_substituted(name, owner, target, next))
        };
        let next = self.names.iter().skip(1).chain(&self.beyond);
        self.names.iter().zip(next).position(|(name, next)| is_renamed(name, next))
    }

    /// Whether a record of the answer is more than an alias on the way.
    pub fn is_data(&self, record: &Record) -> bool {
        match self.query.record_type {
            RecordType::ANY => record.record_type() != RecordType::CNAME,
            record_type => record.record_type() == record_type,
        }
    }

    /// Whether any name of the chain is in a zone.
    pub fn is_in(&self, apex: &Name) -> bool {
        self.names.iter().any(|name| apex.zone_of(name))
    }
}

/// What an answer has at a name.
enum At<'a> {
    /// An alias to follow.
    Alias(&'a Name),
    /// What was asked for, or nothing; and where it leads if that is an alias.
    End(Option<&'a Name>),
}

fn at<'a>(query: &Query, name: &Name, answers: &'a [Record]) -> At<'a> {
    let mut target = None;
    for record in answers.iter().filter(|record| record.name == *name) {
        if record.record_type() == query.record_type && record.record_type() != RecordType::CNAME {
            return At::End(None);
        }
        target = target.or_else(|| alias_target(record));
    }
    match target {
        Some(target) if !matches!(query.record_type, RecordType::ANY | RecordType::CNAME) => At::Alias(target),
        beyond => At::End(beyond),
    }
}

fn alias_target(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// Whether `next` is `name` with `target` in place of the `owner` at its end.
fn is_substituted(name: &Name, owner: &Name, target: &Name, next: &Name) -> bool {
    let kept = label_count(name) - label_count(owner);
    let has_same_front = || name.iter().zip(next.iter()).take(kept).all(|(one, other)| one.eq_ignore_ascii_case(other));
    label_count(next) == kept + label_count(target) && target.zone_of(next) && has_same_front()
}
