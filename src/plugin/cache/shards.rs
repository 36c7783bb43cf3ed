//! The answers of a cache in parts, each under its own lock, so that threads seldom wait for each other.

use std::hash::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Moment;
use super::counters::Counters;
use super::entry::{Entry, Hashes, Scope};
use super::lifetime::Kind;
use super::shelf::{Bounds, Place, Shelf};
use crate::config::directive::{self, CacheSide};
use crate::dns::{Query, RecordType};

/// How many parts there are. Even the smallest capacity, 1024, leaves each part room for dozens of answers.
const SHARDS: usize = 16;

/// Octets for each answer of the capacity, all answers together: two to three times what an address or an NXDOMAIN takes with all that
/// is kept beside it. So the default cache holds 40 MiB at most, and some 15 MiB when it is full of small answers.
const SIZE_BYTES_PER_ENTRY: usize = 2048;

/// All answers of a cache.
#[derive(Debug)]
pub struct Shards {
    /// With a key of its own, so that nobody can choose names that meet in one place.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// The answers to all questions about some names.
#[derive(Debug)]
struct Shard {
    /// Positive answers.
    success: Shelf,
    /// Negative answers and failures.
    denial: Shelf,
}

/// What is remembered of one question. Nobody else sees or changes its part meanwhile.
pub struct Remembered<'a> {
    shard: MutexGuard<'a, Shard>,
    query: &'a Query,
    hashes: Hashes,
}

/// Where the answer to a question may be, in the order in which they count.
#[derive(Clone, Copy)]
enum Spot {
    /// What the question was answered with.
    Success,
    /// That the name does not exist, which any question about it has shown.
    NoName,
    /// That there is nothing of its type, or that the source has failed.
    Denial,
}

impl Spot {
    const ALL: [Self; 3] = [Spot::Success, Spot::NoName, Spot::Denial];
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

    /// What is remembered of a question.
    #[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
    pub fn of<'a>(&'a self, query: &'a Query) -> Remembered<'a> {
        let hashes = Hashes::of(query, &self.hasher);
        let shard = self.shards[hashes.part(SHARDS)].lock().unwrap_or_else(PoisonError::into_inner);
        Remembered { shard, query, hashes }
    }
}

impl Remembered<'_> {
    /// The first place whose answer is wanted.
    pub fn find(&mut self, is_wanted: impl Fn(&Place) -> bool) -> Option<&mut Place> {
        let spot = Spot::ALL.into_iter().find(|spot| {
            let (scope, hash) = self.key(*spot);
            self.shard.shelf(*spot).find(hash, self.query, scope).is_some_and(&is_wanted)
        })?;
        let (_, hash) = self.key(spot);
        self.shard.shelf(spot).at(hash)
    }

    /// What is known and may be given, `stale` after its end if nothing is fresh; no failures.
    pub fn known(&mut self, stale: Duration, at: Moment) -> Option<&mut Place> {
        let is_known = |place: &Place, stale| {
            let entry = place.entry();
            entry.kind() != Kind::Failure && entry.is_servable(stale, at)
        };
        // Asked twice, as a borrow that is returned cannot be given up.
        let is_fresh = self.find(|place| is_known(place, Duration::ZERO)).is_some();
        self.find(|place| is_known(place, if is_fresh { Duration::ZERO } else { stale }))
    }

    /// Remembers the newest answer in place of all that it contradicts. A failure says nothing about the name, and yields to
    /// what is known.
    pub fn insert(&mut self, entry: Entry, size_bytes: usize, stale: Duration, at: Moment) {
        let scope = match entry.scope() {
            Scope::Name if self.has_addresses() => Scope::Type(self.query.record_type),
            scope => scope,
        };
        let spot = match (entry.kind(), scope) {
            (Kind::Positive, _) => {
                self.forget_at([Spot::Denial, Spot::NoName]);
                Spot::Success
            }
            (Kind::Negative, Scope::Type(_)) => {
                self.forget_at([Spot::Success, Spot::NoName]);
                Spot::Denial
            }
            (Kind::Negative, Scope::Name) => {
                self.forget_at([Spot::Success, Spot::Denial]);
                Spot::NoName
            }
            (Kind::Failure | Kind::Other, _) if self.known(stale, at).is_some() => return,
            (Kind::Failure | Kind::Other, _) => Spot::Denial,
        };
        let (scope, hash) = self.key(spot);
        self.shard.shelf(spot).insert(hash, (self.query, scope), entry, size_bytes, at);
    }

    /// Whether the name is known to have addresses, or was so until their end, when it was asked for another type. There are servers
    /// that say NXDOMAIN where they have no AAAA (RFC 4074 section 4.2): that is to hide no A.
    fn has_addresses(&self) -> bool {
        let others = [RecordType::A, RecordType::AAAA].into_iter().filter(|other| *other != self.query.record_type);
        others
            .map(Scope::Type)
            .any(|scope| self.shard.success.find(self.hashes.in_scope(scope), self.query, scope).is_some())
    }

    /// Remembers nothing any more.
    pub fn forget(&mut self) {
        self.forget_at(Spot::ALL);
    }

    fn forget_at<const SPOTS: usize>(&mut self, spots: [Spot; SPOTS]) {
        for spot in spots {
            let (_, hash) = self.key(spot);
            self.shard.shelf(spot).remove(hash);
        }
    }

    fn key(&self, spot: Spot) -> (Scope, u64) {
        let scope = match spot {
            Spot::Denial | Spot::Success => Scope::Type(self.query.record_type),
            Spot::NoName => Scope::Name,
        };
        (scope, self.hashes.in_scope(scope))
    }
}

impl Shard {
    fn shelf(&mut self, spot: Spot) -> &mut Shelf {
        match spot {
            Spot::Success => &mut self.success,
            Spot::Denial | Spot::NoName => &mut self.denial,
        }
    }
}
