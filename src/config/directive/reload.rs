//! `reload [INTERVAL [JITTER]]`: read the Corefile again when it changes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// How often the Corefile is looked at.
#[serde_as]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reload {
    /// The time between looks, at least 2 s.
    #[serde_as(as = "AsText")]
    pub interval: Duration,
    /// The spread of that time, at most half of it.
    #[serde_as(as = "AsText")]
    pub jitter: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), jitter: Duration::from_secs(15) }
    }
}

impl Directive for Reload {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "reload",
        syntax: "reload [INTERVAL [JITTER]]",
        summary: "Looks whether the file and its imports have changed, each INTERVAL (30s, at least 2s) give or take half of JITTER (15s, at most half of \
                  INTERVAL). SIGUSR1 does the same at once. A file that cannot be used leaves the old configuration at work, is told once, and is counted in \
                  `coredns_reload_failed_total`.",
        options: &[],
        example: "reload 10s 5s",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        let mut reload = Self::default();
        cursor.advance();
        let arguments = cursor.arguments();
        if arguments.len() > 2 {
            return Err(cursor.error("takes an interval and a jitter"));
        }
        for (place, argument) in arguments.iter().enumerate() {
            let duration = cursor.duration(argument, if place == 0 { "the interval" } else { "the jitter" })?;
            match place {
                0 if duration < Duration::from_secs(2) => {
                    return Err(cursor.error(format!("the interval is at least 2s, not {argument}")));
                }
                0 => reload.interval = duration,
                _ if duration < Duration::from_secs(1) && !duration.is_zero() => {
                    return Err(cursor.error(format!("the jitter is 0 or at least 1s, not {argument}")));
                }
                _ => reload.jitter = duration,
            }
        }
        reload.jitter = reload.jitter.min(reload.interval / 2);
        cursor.leave_out_rest();
        Ok(Some(reload))
    }

    fn write(reload: &Option<Self>, corefile: &mut Writer) {
        if let Some(Self { interval, jitter }) = reload {
            corefile.line(["reload".to_owned(), interval.text(), jitter.text()]);
        }
    }
}
