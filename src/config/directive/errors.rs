//! `errors [stdout] { consolidate DURATION REGEXP [LEVEL] [show_first] }`: failures in the log.

use std::time::Duration;

/// How failures are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Errors that are counted instead of logged one by one; the first match applies.
    pub consolidate: Vec<Consolidate>,
}

/// Errors that are logged as one line at the end of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consolidate {
    /// The period.
    pub period: Duration,
    /// A regular expression over the error's text; valid.
    pub pattern: String,
    /// The level of that line.
    pub level: ConsolidateLevel,
    /// Log the first error of a period as it is.
    pub show_first: bool,
}

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConsolidateLevel {
    Debug,
    Info,
    Warning,
    #[default]
    Error,
}
