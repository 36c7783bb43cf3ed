//! `template CLASS TYPE [ZONES...] { match REGEXP...; rcode CODE; fallthrough }`: fixed answers by pattern.

use super::Fallthrough;
use crate::dns::{Class, Name, RecordType, ResponseCode};

/// A fixed answer for the names that a pattern matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Of which class.
    pub class: TemplateClass,
    /// Of which type.
    pub record_type: TemplateType,
    /// Names at or below these zones.
    pub zones: Vec<Name>,
    /// Regular expressions over the name in lower case with its final dot; valid; one must match.
    pub patterns: Vec<String>,
    /// The answer.
    pub response_code: ResponseCode,
    /// Where names go that no pattern matches.
    pub fallthrough: Fallthrough,
}

/// A class, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateClass {
    Any,
    One(Class),
}

/// A type, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TemplateType {
    Any,
    One(RecordType),
}
