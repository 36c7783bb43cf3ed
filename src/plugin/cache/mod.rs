//! `cache`: answers of other servers, remembered.
//!
//! Answers that this server knows itself (the cluster, hosts files, templates) are never stored: they are already in memory,
//! and a copy could only be stale. The TTL limits apply to them all the same, as clients of CoreDNS see it.
//!
//! [`Cache::get`] and [`Cache::put`] are functions of their arguments, time included; only [`RefreshQueue`] is a task.

mod counters;
mod entry;
mod lifetime;
mod refresh;
mod shards;
mod shelf;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use refresh::{RefreshQueue, RefreshSender, refresh_queue};

use self::counters::Counters;
use self::entry::Entry;
use self::lifetime::Kind;
use self::shards::{Shard, Shards};
use crate::config::{directive, duration_text};
use crate::dns::{Answer, Class, Name, Query, RecordType, ResponseCode, footprint_bytes};
use crate::metrics::Metrics;

/// The plugins whose answers are this server's own.
const LOCAL: [&str; 7] = ["kubernetes", "k8s_external", "hosts", "template", "file", "auto", "whoami"];

/// Octets of memory of the largest answer that is stored: about 200 addresses. Others are as good as asked for again, and a
/// few of them would push out all others.
const ENTRY_SIZE_BYTES_MAX: usize = 64 << 10;

/// The name of the plugin in messages.
const NAME: &str = "cache";

/// Remembered answers.
#[derive(Debug)]
pub struct Cache {
    config: directive::Cache,
    shards: Arc<Shards>,
    counters: Counters,
    refresh: RefreshSender,
}

/// What a cache remembers. It outlives the cache if another one takes it over.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shards>);

/// A remembered answer that fits a question.
struct Hit {
    entry: Arc<Entry>,
    is_fresh: bool,
}

impl Cache {
    /// An empty cache. `server` and `view` are the labels of its metrics, as in `dns://:53`; what is to be asked again before or after
    /// its end goes to `refresh`.
    pub fn new(config: &directive::Cache, server: &str, view: &str, metrics: &Metrics, refresh: RefreshSender) -> Self {
        let zones: Vec<String> = config.zones.iter().map(Name::to_ascii).collect();
        let counters = Counters::new(metrics, server, &zones.join(","), view);
        Self { config: config.clone(), shards: Arc::new(Shards::new(config, &counters)), counters, refresh }
    }

    /// The same with what a cache of the same settings and labels remembered.
    pub fn with_memory(mut self, memory: &Memory) -> Self {
        self.shards = memory.0.clone();
        self
    }

    /// What it remembers.
    pub fn memory(&self) -> Memory {
        Memory(self.shards.clone())
    }

    /// The remembered answer to a question, with TTLs as they are at `now`.
    pub fn get(&self, query: &Query, now: Instant) -> Option<Answer> {
        if !self.covers(query) {
            query.explain(NAME, || "not for names, classes or types like this".to_owned());
            return None;
        }
        self.counters.requests.inc();
        let Some(hit) = self.shards.with(query, |shard, hash| self.find(shard, hash, query, now)) else {
            self.counters.misses.inc();
            query.explain(NAME, || "nothing is remembered".to_owned());
            return None;
        };
        query.explain(NAME, || match hit.is_fresh {
            true => "answers from what is remembered".to_owned(),
            false => "answers from what is remembered, although its time is over (`serve_stale`)".to_owned(),
        });
        match hit.entry.kind() {
            Kind::Positive => self.counters.success_hits.inc(),
            Kind::Negative | Kind::Failure | Kind::Other => self.counters.denial_hits.inc(),
        }
        Some(self.give(&hit, query, now))
    }

    /// Remembers an answer if it may be, and returns it as clients see it: with the TTLs that this cache allows. A failure is
    /// replaced by what was known before, with `serve_stale` also after its end (RFC 8767).
    pub fn put(&self, query: &Query, answer: Answer, now: Instant) -> Answer {
        if !self.covers(query) {
            return answer;
        }
        if !self.is_usable(query, &answer, now)
            && query.recursion_desired
            && let Some(hit) = self.known_before(query, now)
        {
            return self.give(&hit, query, now);
        }
        self.store(query, answer, now)
    }

    /// Remembers what came of asking again; what was known before stays if that was a failure.
    pub fn renew(&self, query: &Query, answer: Answer, now: Instant) {
        if !self.covers(query) || (!self.is_usable(query, &answer, now) && self.known_before(query, now).is_some()) {
            return;
        }
        if is_local(&answer) {
            // The name has become this server's own.
            self.forget(query);
        }
        self.store(query, answer, now);
    }

    /// How long the source may take before an expired answer serves (`serve_stale verify TIMEOUT`); None: as long as it takes.
    pub fn patience(&self, query: &Query, now: Instant) -> Option<Duration> {
        let timeout = self.config.serve_stale?.timeout.filter(|_| self.covers(query))?;
        self.shards.with(query, |shard, hash| shard.known(hash, query, self.stale(), now).map(|_| timeout))
    }

    /// The expired answer to a question whose source takes too long, which is asked in the background; None: it is gone.
    pub fn give_up_waiting(&self, query: &Query, now: Instant) -> Option<Answer> {
        let hit = self.shards.with(query, |shard, hash| {
            let place = shard.known(hash, query, self.stale(), now)?;
            if place.may_be_asked_again(now) && self.refresh.try_send(query) {
                place.note_asked_again(now);
            }
            Some(Hit { entry: place.entry().clone(), is_fresh: place.entry().is_fresh(now) })
        })?;
        query.explain(NAME, || "the source takes too long: answers from what is remembered".to_owned());
        Some(self.give(&hit, query, now))
    }

    /// Whether an answer takes the place of what is known.
    fn is_usable(&self, query: &Query, answer: &Answer, now: Instant) -> bool {
        let is_less = || {
            let is_known = |kind: Kind| kind == Kind::Positive;
            let known = self.shards.with(query, |shard, hash| {
                shard.known(hash, query, self.stale(), now).is_some_and(|place| is_known(place.entry().kind()))
            });
            known && Kind::of(answer) == Kind::Negative && !is_local(answer)
        };
        is_an_answer(answer) && !(self.config.prefer_positive && is_less())
    }

    /// Whether the directive is about such questions. Of other classes nothing is remembered, nor are zone transfers.
    fn covers(&self, query: &Query) -> bool {
        let is_transfer = matches!(query.record_type, RecordType::AXFR | RecordType::IXFR);
        let zones = &self.config.zones;
        query.class == Class::IN && !is_transfer && (zones.is_empty() || is_in(&query.name, zones))
    }

    /// What is there and fresh; after its end if `serve_stale` says so: at once, or when the source has failed just now.
    fn find(&self, shard: &mut Shard, hash: u64, query: &Query, now: Instant) -> Option<Hit> {
        for kind in [Kind::Negative, Kind::Positive] {
            let Some(place) = shard.shelf(kind).find(hash, query) else { continue };
            let entry = place.entry().clone();
            let is_fresh = entry.is_fresh(now);
            let may_be_stale = place.has_failed(now) || self.config.serve_stale.is_some_and(|stale| !stale.verify);
            let is_stale = !is_fresh && may_be_stale && entry.is_servable(self.stale(), now);
            if !is_fresh && !is_stale {
                continue;
            }
            let use_count = place.note_use(self.config.prefetch_gap, now);
            let is_due = is_stale || self.is_popular_and_ends(&entry, use_count, now);
            if is_due && place.may_be_asked_again(now) && self.refresh.try_send(query) {
                place.note_asked_again(now);
                self.counters.prefetch.inc();
            }
            return Some(Hit { entry, is_fresh });
        }
        None
    }

    /// Whether the answer is one that `prefetch` wants anew before its end.
    fn is_popular_and_ends(&self, entry: &Entry, use_count: u32, now: Instant) -> bool {
        self.config.prefetch > 0
            && use_count >= self.config.prefetch
            && entry.kind() != Kind::Failure
            && entry.is_near_its_end(self.config.prefetch_percent, now)
    }

    /// What is known of a question whose source has failed. It counts as failing for as long as `servfail` says: meanwhile it is
    /// not asked again (RFC 8767 section 5 calls that the failure recheck timer).
    fn known_before(&self, query: &Query, now: Instant) -> Option<Hit> {
        self.shards.with(query, |shard, hash| {
            let place = shard.known(hash, query, self.stale(), now)?;
            place.note_failure(now.checked_add(self.recheck()));
            let entry = place.entry().clone();
            Some(Hit { is_fresh: entry.is_fresh(now), entry })
        })
    }

    /// The answer of a hit for this client.
    fn give(&self, hit: &Hit, query: &Query, now: Instant) -> Answer {
        if hit.is_fresh {
            return hit.entry.answer(query, self.config.keep_ttl, now);
        }
        self.counters.served_stale.inc();
        hit.entry.stale_answer(query, self.config.serve_stale.map_or(Duration::ZERO, |stale| stale.ttl))
    }

    /// Limits the TTLs of an answer, and remembers it if it may be. Where this is disabled, the TTLs stay as they are, unlike
    /// in CoreDNS.
    ///
    /// Unlike CoreDNS: without RD a resolver may say no more than what it has at hand, such as the servers of the root zone.
    /// Others would take it for an answer, so it is not remembered; and it ends nothing that is.
    fn store(&self, query: &Query, mut answer: Answer, now: Instant) -> Answer {
        let disabled = match Kind::of(&answer) {
            Kind::Positive => &self.config.disable_success,
            Kind::Negative | Kind::Failure | Kind::Other => &self.config.disable_denial,
        };
        let is_disabled = is_in(&query.name, disabled);
        let lifetime = lifetime::lifetime(query, &answer, &self.config);
        if !is_disabled {
            let ttl = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            answer.records_mut().for_each(|record| record.ttl = ttl);
        }
        if is_local(&answer) || answer.is_dropped() || !query.recursion_desired {
            return answer;
        }
        let may_be_kept = !is_disabled && !lifetime.is_zero() && lifetime::is_remembered(query, &answer);
        let is_kept = may_be_kept && self.insert(query, &answer, lifetime, now);
        query.explain(NAME, || match (is_kept, is_disabled) {
            (true, _) => format!("remembers the answer for {}", duration_text(lifetime)),
            (false, true) => "does not remember the answer (`disable`)".to_owned(),
            (false, false) => "does not remember the answer".to_owned(),
        });
        if !is_kept && is_an_answer(&answer) && !answer.is_truncated() {
            // What was known before is no longer so.
            self.forget(query);
        }
        answer
    }

    /// Puts an answer where it belongs, and returns whether it is small enough for that.
    fn insert(&self, query: &Query, answer: &Answer, lifetime: Duration, now: Instant) -> bool {
        let options_bytes: usize = query.upstream_options.iter().map(|(_, octets)| octets.len()).sum();
        let size_bytes = footprint_bytes(answer) + options_bytes;
        if size_bytes > ENTRY_SIZE_BYTES_MAX {
            self.counters.drops.inc();
            return false;
        }
        let entry = Entry::new(answer.clone(), lifetime, now);
        self.shards.with(query, |shard, hash| {
            // The newest answer is the only one; a failure says nothing about the name and yields to what is known.
            match entry.kind() {
                Kind::Positive => _ = shard.denial.remove(hash),
                Kind::Negative => _ = shard.success.remove(hash),
                Kind::Failure | Kind::Other if shard.known(hash, query, self.stale(), now).is_some() => return,
                Kind::Failure | Kind::Other => {}
            }
            shard.shelf(entry.kind()).insert(hash, query, entry, size_bytes, now);
        });
        true
    }

    fn forget(&self, query: &Query) {
        self.shards.with(query, |shard, hash| (shard.success.remove(hash), shard.denial.remove(hash)));
    }

    /// How long a source that failed is not asked again.
    fn recheck(&self) -> Duration {
        self.config.serve_stale.and_then(|stale| stale.recheck).unwrap_or(self.config.servfail)
    }

    /// How long after their end answers are of use.
    fn stale(&self) -> Duration {
        self.config.serve_stale.map_or(Duration::ZERO, |stale| stale.duration)
    }
}

/// Whether an answer says what there is or is not; all else is a failure to say it (RFC 8767 section 5).
fn is_an_answer(answer: &Answer) -> bool {
    matches!(answer.response_code(), ResponseCode::NoError | ResponseCode::NXDomain)
}

fn is_local(answer: &Answer) -> bool {
    LOCAL.contains(&answer.source())
}

fn is_in(name: &Name, zones: &[Name]) -> bool {
    zones.iter().any(|zone| zone.zone_of(name))
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
