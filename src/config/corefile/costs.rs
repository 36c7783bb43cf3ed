//! What reading a configuration may cost: a few octets can stand for very much.

use std::cell::Cell;

use super::CorefileError;

/// Zones in all, those that prefixes stand for included.
const ZONES_MAX: usize = 20_000;
/// States of all regular expressions, about.
const PATTERNS_MAX: usize = 300_000;
/// Errors of one directive, which is read again after each.
pub const ERRORS_OF_DIRECTIVE_MAX: usize = 20;
/// Errors, and warnings, that are told; nobody reads more.
const TOLD_MAX: usize = 100;

/// What was spent so far.
#[derive(Debug, Default)]
pub struct Costs {
    zones: Cell<usize>,
    patterns: Cell<usize>,
}

impl Costs {
    /// Counts zones; false if there are too many.
    pub fn spend_zones(&self, count: usize) -> bool {
        self.zones.set(self.zones.get().saturating_add(count));
        self.are_zones_left()
    }

    /// Whether there were not too many zones.
    pub fn are_zones_left(&self) -> bool {
        self.zones.get() <= ZONES_MAX
    }

    /// Counts the states of a regular expression; false if there are too many.
    pub fn spend_pattern(&self, states: usize) -> bool {
        self.patterns.set(self.patterns.get().saturating_add(states));
        self.patterns.get() <= PATTERNS_MAX
    }
}

/// What is wrong if there are too many zones.
pub fn too_many_zones() -> String {
    format!(
        "there are more than {ZONES_MAX} zones in this configuration; a prefix whose length is a multiple of 8 (IPv6: 4) stands for one"
    )
}

/// As many as somebody reads, and how many more there are.
pub fn bounded(mut told: Vec<CorefileError>) -> Vec<CorefileError> {
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if let (Some(last), 1..) = (told.last().cloned(), more) {
        told.push(CorefileError { what: format!("{more} more are not shown"), ..last });
    }
    told
}
