//! `reload [INTERVAL [JITTER]]`: read the Corefile again when it changes.

use crate::config::corefile::{CorefileError, Cursor};

use std::time::Duration;

/// How often the Corefile is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The time between looks, at least 2 s.
    pub interval: Duration,
    /// The spread of that time, at most half of it.
    pub jitter: Duration,
}

impl Reload {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut reload = Self { interval: Duration::from_secs(30), jitter: Duration::from_secs(15) };
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
        Ok(reload)
    }
}
