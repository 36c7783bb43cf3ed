//! `errors [stdout] { consolidate DURATION REGEXP [LEVEL] [show_first] }`: failures in the log.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// How failures are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Errors that are counted instead of logged one by one; the first match applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consolidate: Vec<Consolidate>,
    /// The way to a panic is logged, too.
    #[serde(skip_serializing_if = "is_default")]
    pub stacktrace: bool,
}

/// Errors that are logged as one line at the end of a period.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consolidate {
    /// The period.
    #[serde_as(as = "AsText")]
    pub period: Duration,
    /// A regular expression over the error's text; valid.
    pub pattern: String,
    /// The level of that line.
    #[serde(default)]
    pub level: ConsolidateLevel,
    /// Log the first error of a period as it is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub show_first: bool,
}

/// A level of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ConsolidateLevel {
    Debug,
    Info,
    Warning,
    #[default]
    Error,
}

impl Directive for Errors {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "errors",
        syntax: "errors [stdout] { ... }",
        summary: "What kept the server from knowing, one line each, or counted.",
        options: &[
            Opt {
                syntax: "consolidate DURATION REGEXP [debug|info|warning|error] [show_first]",
                meaning: "failures that match are counted, and told in one line at the end of each period; the first as it is with `show_first`",
                default: "",
            },
            Opt {
                syntax: "stacktrace",
                meaning: "the functions that led to a panic are logged, one line each, of the whole process as long as any block wants it",
                default: "",
            },
        ],
        example: "errors {\n    consolidate 5m \".* i/o timeout$\" warning show_first\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
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
                "stacktrace" => {
                    cursor.no_argument()?;
                    errors.stacktrace = true;
                }
                _ => return Err(cursor.unknown::<Self>()),
            }
        }
        match cursor.advance() {
            true => Err(cursor.once()),
            false => Ok(Some(errors)),
        }
    }

    fn write(errors: &Option<Self>, corefile: &mut Writer) {
        let Some(Self { consolidate, stacktrace }) = errors else { return };
        corefile.block(["errors"], |options| {
            for Consolidate { period, pattern, level, show_first } in consolidate {
                let words = ["consolidate", &period.text(), pattern, level.as_str()];
                options.line(words.into_iter().chain(show_first.then_some("show_first")));
            }
            if *stacktrace {
                options.line(["stacktrace"]);
            }
        });
    }
}

impl ConsolidateLevel {
    const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
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
        let level = match ConsolidateLevel::ALL.into_iter().find(|known| known.as_str() == level) {
            Some(level) => level,
            None if level == "}" => return Err(cursor.error("consolidate: put '}' on a line of its own")),
            None => return Err(cursor.error(format!("a level is debug, info, warning or error, not {level:?}"))),
        };
        let pattern = super::pattern::lower_pattern(cursor, pattern)?;
        Ok(Self { period: cursor.duration(period, "the period")?, pattern, level, show_first })
    }
}
