//! `errors [stdout] { consolidate DURATION REGEXP [LEVEL] [show_first] }`: failures in the log.

use crate::config::corefile::{CorefileError, Cursor};

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

impl Errors {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut errors = Self::default();
        cursor.advance();
        match cursor.arguments().as_slice() {
            [] => {}
            [target] if target == "stdout" => {}
            [target] => return Err(cursor.error(format!("invalid log file: {target:?}; errors go to stdout"))),
            _ => return Err(cursor.error("takes nothing, or stdout")),
        }
        while cursor.next_option() {
            match cursor.word() {
                "consolidate" => errors.consolidate.push(Consolidate::lower(cursor)?),
                "stacktrace" => cursor.warn("stacktrace is left out: failures say what went wrong"),
                _ => return Err(cursor.unknown("consolidate, stacktrace")),
            }
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(errors),
        }
    }
}

impl Consolidate {
    fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut arguments = cursor.arguments();
        let show_first = arguments.last().is_some_and(|last| last == "show_first");
        if show_first {
            arguments.pop();
        }
        let (period, pattern, level) = match arguments.as_slice() {
            [period, pattern] => (period, pattern, "error"),
            [period, pattern, level] => (period, pattern, level.as_str()),
            _ => {
                return Err(cursor
                    .error("consolidate takes a duration, a regular expression, and perhaps a level and show_first"));
            }
        };
        let level = match level {
            "debug" => ConsolidateLevel::Debug,
            "info" => ConsolidateLevel::Info,
            "warning" => ConsolidateLevel::Warning,
            "error" => ConsolidateLevel::Error,
            "}" => return Err(cursor.error("consolidate: put '}' on a line of its own")),
            other => return Err(cursor.error(format!("a level is debug, info, warning or error, not {other:?}"))),
        };
        let pattern = super::pattern::lower_pattern(cursor, pattern)?;
        Ok(Self { period: cursor.duration(period, "the period")?, pattern, level, show_first })
    }
}
