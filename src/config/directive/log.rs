//! `log [NAMES...] [FORMAT] { class CLASS... }`: a line for each query.

use crate::dns::Name;

/// Which queries are logged, and how. The first rule whose names fit applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRule {
    /// Names at or below these zones.
    pub zones: Vec<Name>,
    /// The line with its placeholders.
    pub format: String,
    /// Which answers.
    pub classes: Vec<LogClass>,
}

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogClass {
    /// All of them.
    All,
    /// NOERROR with data, and delegations.
    Success,
    /// NXDOMAIN and NODATA.
    Denial,
    /// Everything else.
    Error,
}
