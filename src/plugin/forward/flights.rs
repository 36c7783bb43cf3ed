//! Questions in flight, and those that have failed just now.
//!
//! Who asks what somebody else is asking at the moment waits for that answer: many equal questions at once would make a
//! forged answer likely (RFC 5452 section 5). What nobody answered is not asked again for a while (RFC 9520 section 3.2).

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
use tokio::sync::watch;
use tokio::time::Instant;

use super::NAME;
use super::server::Server;
use crate::dns::{Answer, Class, Name, Query, RecordType, Transport};

const SHARDS: usize = 16;

/// The extended DNS error "Cached Error" (RFC 8914 section 4.14).
const CACHED_ERROR: u16 = 13;

/// Failures that a shard remembers at most; others are asked again.
const FAILURES_MAX: usize = 256;

/// How long a failure is remembered: twice as long after each one in a row, up to the second.
const FAILED_MIN: Duration = Duration::from_secs(1);
const FAILED_MAX: Duration = Duration::from_secs(30);

/// How long after its end a failure counts as one in a row with the next.
const IN_A_ROW: Duration = Duration::from_secs(30);

/// The questions of one `forward`.
#[derive(Debug)]
pub(super) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    /// How often servers have come back: what failed before that is asked again. None: nobody finds out, so no failure is
    /// remembered for longer than the shortest time.
    recoveries: Option<Arc<AtomicU64>>,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub answer: Answer,
    /// Who answered, or was asked last.
    pub server: Option<Arc<Server>>,
    pub fate: Fate,
}

/// Whom an outcome is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// For all who wait.
    Shared,
    /// Nobody answered: for those, too, who ask soon.
    Remembered,
    /// A failure that lies in the query and what it may cost: for nobody else.
    Own,
}

#[derive(Debug, Default)]
struct Shard {
    flying: HashTable<Flying>,
    failed: HashTable<Failure>,
    /// Of the flight that began last.
    serial: u64,
}

/// A question that is being asked.
#[derive(Debug)]
struct Flying {
    question: Question,
    serial: u64,
    /// Where those wait who ask the same; None: nobody does.
    waiting: Option<watch::Sender<Option<Outcome>>>,
}

/// A question that nobody answered.
#[derive(Debug)]
struct Failure {
    question: Question,
    answer: Answer,
    /// In a row.
    count: u32,
    until: Instant,
    /// How often servers had come back by then.
    recoveries: u64,
}

/// What an answer depends on. Names compare and hash without regard to case.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    hash: u64,
    name: Name,
    record_type: RecordType,
    class: Class,
    /// DO, CD and RD.
    flags: [bool; 3],
    /// It decides how other servers are asked, and whether an answer may be truncated.
    transport: Transport,
    upstream_options: Vec<(u16, Vec<u8>)>,
}

/// What is to be done with a question.
pub(super) enum Turn<'a> {
    /// To be asked.
    Ask(Flight<'a>),
    /// Somebody else asks.
    Wait(Waiting),
    /// It has failed just now.
    Failed(Answer),
}

/// A question that the caller asks. If that is given up, the next one who waits may ask.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    hash: u64,
    serial: u64,
}

/// A question that somebody else asks.
pub(super) struct Waiting {
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Flights {
    /// None yet; where servers are probed, `recoveries` is raised whenever one comes back.
    pub fn new(recoveries: Option<Arc<AtomicU64>>) -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), recoveries }
    }

    /// What is to be done with a question.
    pub fn begin(&self, query: &Query) -> Turn<'_> {
        let hash = Question::hash_of(query, &self.hasher);
        let mut shard = self.shard(hash);
        if let Some(failure) = shard.failed.find(hash, |failure| failure.question.is_of(query))
            && self.holds(failure)
        {
            return Turn::Failed(failure.answer.clone());
        }
        if let Some(flying) = shard.flying.find_mut(hash, |flying| flying.question.is_of(query)) {
            let waiting = flying.waiting.get_or_insert_with(|| watch::Sender::new(None));
            return Turn::Wait(Waiting { outcome: waiting.subscribe() });
        }
        shard.serial += 1;
        let serial = shard.serial;
        let flying = Flying { question: Question::of(query, hash), serial, waiting: None };
        shard.flying.insert_unique(hash, flying, |flying| flying.question.hash);
        Turn::Ask(Flight { flights: self, hash, serial })
    }

    /// How often servers have come back, as far as anybody finds out.
    pub fn recoveries(&self) -> u64 {
        self.recoveries.as_ref().map_or(0, |recoveries| recoveries.load(Ordering::Relaxed))
    }

    /// How many failures are remembered.
    #[cfg(test)]
    pub fn failures(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).failed.len()).sum()
    }

    fn holds(&self, failure: &Failure) -> bool {
        failure.recoveries == self.recoveries() && Instant::now() < failure.until
    }

    fn remember(&self, shard: &mut Shard, question: Question, failure: &Answer) {
        let now = Instant::now();
        let before = shard.take_failure(&question).filter(|before| now < before.until + IN_A_ROW);
        if shard.failed.len() >= FAILURES_MAX {
            shard.failed.retain(|failure| now < failure.until);
        }
        if shard.failed.len() >= FAILURES_MAX {
            return;
        }
        let count = before.map_or(0, |before| before.count);
        let longest = if self.recoveries.is_some() { FAILED_MAX } else { FAILED_MIN };
        let until = now + FAILED_MIN.saturating_mul(1 << count.min(16)).min(longest);
        let (hash, recoveries) = (question.hash, self.recoveries());
        let failure = Failure { question, answer: remembered(failure), count: count + 1, until, recoveries };
        shard.failed.insert_unique(hash, failure, |failure| failure.question.hash);
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let number = usize::try_from(hash >> 32).unwrap_or_default() % SHARDS;
        self.shards.get(number).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn take_flight(&mut self, hash: u64, serial: u64) -> Option<Flying> {
        let entry = self.flying.find_entry(hash, |flying| flying.serial == serial).ok()?;
        Some(entry.remove().0)
    }

    fn take_failure(&mut self, question: &Question) -> Option<Failure> {
        let entry = self.failed.find_entry(question.hash, |failure| failure.question == *question).ok()?;
        Some(entry.remove().0)
    }
}

impl Outcome {
    /// A server's answer, or what is said in its place because nothing of it is believed.
    pub fn answered(answer: Answer, server: &Arc<Server>) -> Self {
        let fate = if answer.failure().is_some() { Fate::Remembered } else { Fate::Shared };
        Self { answer: answer.by(NAME), server: Some(server.clone()), fate }
    }
}

impl Question {
    fn of(query: &Query, hash: u64) -> Self {
        Self {
            hash,
            name: query.name.clone(),
            record_type: query.record_type,
            class: query.class,
            flags: flags(query),
            transport: query.transport,
            upstream_options: query.upstream_options.clone(),
        }
    }

    fn is_of(&self, query: &Query) -> bool {
        self.record_type == query.record_type
            && self.class == query.class
            && self.flags == flags(query)
            && self.transport == query.transport
            && self.name == query.name
            && self.upstream_options == query.upstream_options
    }

    /// The hash of a query's question, without making one.
    fn hash_of(query: &Query, hasher: &RandomState) -> u64 {
        let Query { name, record_type, class, transport, upstream_options, .. } = query;
        hasher.hash_one((name, record_type, class, flags(query), transport, upstream_options))
    }
}

fn flags(query: &Query) -> [bool; 3] {
    [query.dnssec_ok(), query.checking_disabled, query.recursion_desired]
}

impl Flight<'_> {
    /// Gives the outcome to those who wait for it, and remembers it if nobody answered.
    pub fn end(self, outcome: &Outcome) {
        if outcome.fate == Fate::Own {
            return;
        }
        let mut shard = self.flights.shard(self.hash);
        let Some(Flying { question, waiting, .. }) = shard.take_flight(self.hash, self.serial) else { return };
        if let Some(waiting) = waiting {
            waiting.send_replace(Some(outcome.clone()));
        }
        match outcome.fate {
            Fate::Remembered => self.flights.remember(&mut shard, question, &outcome.answer),
            Fate::Shared | Fate::Own => _ = shard.take_failure(&question),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.shard(self.hash).take_flight(self.hash, self.serial);
    }
}

impl Waiting {
    /// The outcome; None: it was given up.
    pub async fn outcome(mut self) -> Option<Outcome> {
        let outcome = self.outcome.wait_for(Option::is_some).await.ok()?;
        outcome.clone()
    }
}

/// A failure as those get it who ask soon after it.
fn remembered(failure: &Answer) -> Answer {
    let reason = failure.extended_error().map(|error| error.text.clone()).unwrap_or_default();
    failure.clone().with_extended_error(CACHED_ERROR, reason)
}
