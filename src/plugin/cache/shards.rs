//! The answers of a cache in parts, each under its own lock, so that threads seldom wait for each other.

use std::hash::RandomState;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::entry::Key;
use super::lifetime::Kind;
use super::shelf::{Bounds, Place, Shelf};
use crate::config::directive::{self, CacheSide};
use crate::dns::Query;

/// How many parts there are. Even the smallest capacity, 1024, leaves each part room for dozens of answers.
const SHARDS: usize = 16;

/// Octets of records for each answer of the capacity, all answers together: four times what an address or an NXDOMAIN takes.
/// So the default cache holds 40 MiB of records at most, and some 10 MiB when it is full of small answers.
const SIZE_BYTES_PER_ENTRY: usize = 2048;

/// All answers of a cache.
#[derive(Debug)]
pub struct Shards {
    /// With a key of its own, so that nobody can choose names that meet in one place.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// The answers of some keys.
#[derive(Debug)]
pub struct Shard {
    /// Positive answers.
    pub success: Shelf,
    /// Negative answers and failures.
    pub denial: Shelf,
}

impl Shards {
    /// No answers yet.
    pub fn new(config: &directive::Cache, counters: &Counters) -> Self {
        let stale = config.serve_stale.map_or(Duration::ZERO, |stale| stale.duration);
        let bounds = |side: &CacheSide| {
            let entries = (side.capacity / SHARDS).max(1);
            Bounds { entries, size_bytes: entries.saturating_mul(SIZE_BYTES_PER_ENTRY), stale }
        };
        let shard = || Shard {
            success: Shelf::new(bounds(&config.success), counters.success.clone()),
            denial: Shelf::new(bounds(&config.denial), counters.denial.clone()),
        };
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| Mutex::new(shard())) }
    }

    /// Does something with the part of a question; it gets the hash of its key, too.
    #[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
    pub fn with<T>(&self, query: &Query, act: impl FnOnce(&mut Shard, u64) -> T) -> T {
        let hash = Key::hash_of(query, &self.hasher);
        let shard = &self.shards[hash as usize % SHARDS];
        act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner), hash)
    }
}

impl Shard {
    /// What is known of a question and may be given, `stale` after its end; no failures.
    pub fn known(&mut self, hash: u64, query: &Query, stale: Duration, now: Instant) -> Option<&mut Place> {
        let places = [self.success.find(hash, query), self.denial.find(hash, query)];
        places.into_iter().flatten().find(|place| {
            let entry = place.entry();
            entry.kind() != Kind::Failure && entry.is_servable(stale, now)
        })
    }

    /// Where answers of a kind are.
    pub fn shelf(&mut self, kind: Kind) -> &mut Shelf {
        match kind {
            Kind::Positive => &mut self.success,
            Kind::Negative | Kind::Failure | Kind::Other => &mut self.denial,
        }
    }
}
