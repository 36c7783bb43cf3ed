//! `cache [TTL] [ZONES...] { ... }`: remember answers of other servers.

use std::time::Duration;

use crate::dns::Name;

/// How answers are remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// The zones whose names are remembered; empty means those of the server block.
    pub zones: Vec<Name>,
    /// Positive answers.
    pub success: CacheSide,
    /// Negative answers.
    pub denial: CacheSide,
    /// Names below these zones are never remembered with a positive answer.
    pub disable_success: Vec<Name>,
    /// Names below these zones are never remembered with a negative answer.
    pub disable_denial: Vec<Name>,
    /// An entry with this many hits within `prefetch_gap` of each other is refreshed early; 0: never.
    pub prefetch: u32,
    /// See `prefetch`.
    pub prefetch_gap: Duration,
    /// How much of its life an entry has left, in percent, when it is refreshed early.
    pub prefetch_percent: u8,
    /// Serve expired answers.
    pub serve_stale: Option<ServeStale>,
    /// How long SERVFAIL is remembered, at most 5 minutes.
    pub servfail: Duration,
    /// Answer with the TTL as it was stored, without counting it down.
    pub keep_ttl: bool,
}

/// Size and lifetimes of one side of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSide {
    /// How many answers are kept.
    pub capacity: usize,
    /// The longest time an answer is kept.
    pub ttl_max: Duration,
    /// The shortest time an answer is kept.
    pub ttl_min: Duration,
}

/// How long and when expired answers are served (RFC 8767).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServeStale {
    /// How long after its end an answer is served.
    pub duration: Duration,
    /// Ask the source first, and serve the expired answer only if it does not answer.
    pub verify: bool,
}

impl Default for Cache {
    fn default() -> Self {
        let side = |ttl_max| CacheSide {
            capacity: 9984,
            ttl_max: Duration::from_secs(ttl_max),
            ttl_min: Duration::from_secs(5),
        };
        Self {
            zones: Vec::new(),
            success: side(3600),
            denial: side(1800),
            disable_success: Vec::new(),
            disable_denial: Vec::new(),
            prefetch: 0,
            prefetch_gap: Duration::from_secs(60),
            prefetch_percent: 10,
            serve_stale: None,
            servfail: Duration::from_secs(5),
            keep_ttl: false,
        }
    }
}
