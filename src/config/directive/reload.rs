//! `reload [INTERVAL [JITTER]]`: read the Corefile again when it changes.

use std::time::Duration;

/// How often the Corefile is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The time between looks, at least 2 s.
    pub interval: Duration,
    /// The spread of that time, at most half of it.
    pub jitter: Duration,
}
