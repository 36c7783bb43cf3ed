//! `cache`: answers of other servers, remembered.
//!
//! What this server knows itself (the cluster, hosts files, templates) is asked for before the cache and never stored: it is already
//! in memory, and a copy could only be stale. The TTL limits apply to it all the same, as clients of CoreDNS see it.
//!
//! [`Cache::get`] and [`Cache::put`] are functions of their arguments, time included; only [`RefreshQueue`] is a task.

mod counters;
mod entry;
mod lifetime;
mod queue;
mod refresh;
mod shards;
mod shelf;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::error;

pub use refresh::{AskedAgain, RefreshQueue, RefreshSender, Reply, Unanswered, refresh_queue};

use self::counters::Counters;
use self::entry::{Entry, Scope};
use self::lifetime::{Kind, has_type};
use self::shards::{Remembered, Shards};
use self::shelf::Place;
use crate::config::{directive, duration_text};
use crate::dns::{Answer, Class, Name, Query, RecordType, ResponseCode};
use crate::metrics::Metrics;

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

/// When a cache is asked or told something.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time.
    pub time: Instant,
    /// A number that is another one when one of the servers behind the cache has come back: what failed before may have more luck
    /// now. With what is told of an answer it is the number as it was before the question.
    pub epoch: u64,
}

/// A remembered answer that fits a question.
struct Hit {
    entry: Arc<Entry>,
    is_fresh: bool,
}

impl Hit {
    fn of(place: &Place, at: Moment) -> Self {
        Self { entry: place.entry().clone(), is_fresh: place.entry().is_fresh(at) }
    }
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

    /// The remembered answer to a question, with the TTLs that it has now.
    pub fn get(&self, query: &Query, at: Moment) -> Option<Answer> {
        if !self.covers(query) {
            query.explain(NAME, || "not for names, classes or types like this".to_owned());
            return None;
        }
        self.counters.requests.inc();
        let Some(hit) = self.find(self.shards.of(query), query, at) else {
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
        Some(self.give(&hit, query, at))
    }

    /// An answer of this server itself as clients see it: with the TTLs that this cache allows.
    pub fn limit(&self, query: &Query, mut answer: Answer) -> Answer {
        if self.covers(query) {
            self.limit_ttls(query, &mut answer);
        }
        answer
    }

    /// Remembers another server's answer if it may be, and returns it as clients see it: with the TTLs that this cache allows. A
    /// failure is replaced by what was known before, with `serve_stale` also after its end (RFC 8767).
    pub fn put(&self, query: &Query, answer: Answer, at: Moment) -> Answer {
        if !self.covers(query) {
            return answer;
        }
        if !self.is_usable(query, &answer, at)
            && query.recursion_desired
            && let Some(hit) = self.known_before(query, at)
        {
            return self.give(&hit, query, at);
        }
        self.store(query, answer, at)
    }

    /// Remembers what came of asking again; what was known before stays if that was a failure.
    pub fn renew(&self, query: &Query, answer: Answer, at: Moment) {
        if self.covers(query) && (self.is_usable(query, &answer, at) || self.known_before(query, at).is_none()) {
            self.store(query, answer, at);
        }
    }

    /// How long the source may take before an expired answer serves (`serve_stale verify`); None: as long as it takes.
    pub fn patience(&self, query: &Query, at: Moment) -> Option<Duration> {
        let timeout = self.config.serve_stale.filter(|stale| stale.verify && !stale.timeout.is_zero())?.timeout;
        let is_known = self.covers(query) && self.shards.of(query).known(self.stale(), at).is_some();
        is_known.then_some(timeout)
    }

    /// Has a question asked in the background, where it goes on when the one who asks does not wait any longer. None: it is
    /// asked already, or there is no room, or the client may not wait, or its question is not for all.
    pub fn ask_aside(&self, query: &Query, at: Moment) -> Option<Reply> {
        if !query.recursion_desired || !query.may_wait {
            return None;
        }
        let mut remembered = self.shards.of(query);
        let place = remembered.known(self.stale(), at).filter(|place| place.may_be_asked_again(at))?;
        let reply = self.refresh.ask(query)?;
        place.note_asked_again(at);
        Some(reply)
    }

    /// Tells that asking again for a name ended in a panic.
    fn note_panic(&self, name: &Name) {
        self.counters.panics.inc();
        error!(%name, "a query ended in a panic");
    }

    /// The expired answer to a question whose source takes too long, or whose client may not wait; None: it is gone. Who asks next
    /// does not wait (RFC 8767 section 5), unless the source has answered until then.
    pub fn give_up_waiting(&self, query: &Query, at: Moment) -> Option<Answer> {
        let hit = {
            let mut remembered = self.shards.of(query);
            let place = remembered.known(self.stale(), at)?;
            if place.may_be_asked_again(at) && self.refresh.try_send(query) {
                place.note_asked_again(at);
            }
            // Who may not wait has not found out how long it takes.
            if query.may_wait {
                place.note_slowness(self.recheck(), at);
            }
            Hit::of(place, at)
        };
        query.explain(NAME, || "the source takes too long: answers from what is remembered".to_owned());
        Some(self.give(&hit, query, at))
    }

    /// Whether an answer takes the place of what is known.
    fn is_usable(&self, query: &Query, answer: &Answer, at: Moment) -> bool {
        let is_less = || {
            let has_more = |place: &mut Place| place.entry().has_type(query);
            !has_type(query, answer) && self.shards.of(query).known(self.stale(), at).is_some_and(has_more)
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
    fn find(&self, mut remembered: Remembered<'_>, query: &Query, at: Moment) -> Option<Hit> {
        let is_immediate = self.config.serve_stale.is_some_and(|stale| !stale.verify);
        let is_fresh = remembered.find(|place| place.entry().is_fresh(at)).is_some();
        let place = remembered.find(|place| match is_fresh {
            true => place.entry().is_fresh(at),
            false => (is_immediate || place.has_failed(at)) && place.entry().is_servable(self.stale(), at),
        })?;
        let use_count = place.note_use(self.config.prefetch_gap, at);
        let is_due = !is_fresh || self.is_popular_and_ends(place.entry(), use_count, at);
        if is_due && place.may_be_asked_again(at) && self.refresh.try_send(query) {
            place.note_asked_again(at);
            self.counters.prefetch.inc();
        }
        Some(Hit::of(place, at))
    }

    /// Whether the answer is one that `prefetch` wants anew before its end.
    fn is_popular_and_ends(&self, entry: &Entry, use_count: u32, at: Moment) -> bool {
        self.config.prefetch > 0
            && use_count >= self.config.prefetch
            && entry.kind() != Kind::Failure
            && entry.is_near_its_end(self.config.prefetch_percent, at)
    }

    /// What is known of a question whose source has failed. It counts as failing for as long as `servfail` says: meanwhile it is
    /// not asked again (RFC 8767 section 5 calls that the failure recheck timer).
    fn known_before(&self, query: &Query, at: Moment) -> Option<Hit> {
        let mut remembered = self.shards.of(query);
        let place = remembered.known(self.stale(), at)?;
        place.note_failure(self.recheck(), at);
        Some(Hit::of(place, at))
    }

    /// The answer of a hit for this client.
    fn give(&self, hit: &Hit, query: &Query, at: Moment) -> Answer {
        if hit.is_fresh {
            return hit.entry.answer(query, self.config.keep_ttl, at);
        }
        self.counters.served_stale.inc();
        hit.entry.stale_answer(query, self.config.serve_stale.map_or(Duration::ZERO, |stale| stale.ttl))
    }

    /// Gives all records of an answer the TTL for which it may be remembered, and returns that. None: that is disabled, and the TTLs
    /// stay as they are, unlike in CoreDNS.
    fn limit_ttls(&self, query: &Query, answer: &mut Answer) -> Option<Duration> {
        let disabled = match Kind::of(answer) {
            Kind::Positive => &self.config.disable_success,
            Kind::Negative | Kind::Failure | Kind::Other => &self.config.disable_denial,
        };
        if is_in(&query.name, disabled) {
            return None;
        }
        let lifetime = lifetime::lifetime(query, answer, &self.config);
        let ttl = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        answer.records_mut().for_each(|record| record.ttl = ttl);
        Some(lifetime)
    }

    /// Limits the TTLs of an answer, and remembers it if it may be.
    ///
    /// Unlike CoreDNS: without RD a resolver may say no more than what it has at hand, such as the servers of the root zone.
    /// Others would take it for an answer, so it is not remembered; and it ends nothing that is.
    fn store(&self, query: &Query, mut answer: Answer, at: Moment) -> Answer {
        let lifetime = self.limit_ttls(query, &mut answer);
        if !query.recursion_desired {
            return answer;
        }
        let is_wanted = |lifetime: &Duration| !lifetime.is_zero() && lifetime::is_remembered(query, &answer);
        let kept = lifetime.filter(is_wanted).filter(|lifetime| self.insert(query, &answer, *lifetime, at));
        query.explain(NAME, || match (kept, lifetime) {
            (Some(lifetime), _) => format!("remembers the answer for {}", duration_text(lifetime)),
            (None, None) => "does not remember the answer (`disable`)".to_owned(),
            (None, Some(_)) => "does not remember the answer".to_owned(),
        });
        if kept.is_none() && is_an_answer(&answer) && !answer.is_truncated() {
            // What was known before is no longer so.
            self.shards.of(query).forget();
        }
        answer
    }

    /// Puts an answer where it belongs, and returns whether it is small enough for that.
    fn insert(&self, query: &Query, answer: &Answer, lifetime: Duration, at: Moment) -> bool {
        let scope = match answer.is_nx_domain() && answer.answers.is_empty() && !self.config.prefer_positive {
            true => Scope::Name,
            // The name is an alias, or its addresses are worth more than its denials.
            false => Scope::Type(query.record_type),
        };
        let entry = Entry::new(answer.clone(), scope, lifetime, at);
        let size_bytes = entry.size_bytes();
        if size_bytes > ENTRY_SIZE_BYTES_MAX {
            self.counters.drops.inc();
            return false;
        }
        self.shards.of(query).insert(entry, size_bytes, self.stale(), at);
        true
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

fn is_in(name: &Name, zones: &[Name]) -> bool {
    zones.iter().any(|zone| zone.zone_of(name))
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
