//! Questions in flight, and those that have failed just now.
//!
//! Who asks what somebody else is asking at the moment waits for that answer: many equal questions at once would make a
//! forged answer likely (RFC 5452 section 5). What nobody answered is not asked again for a while (RFC 9520 section 3.2).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// A failure that lies in the query or in this server: for nobody else.
    Own,
}

#[derive(Debug, Default)]
struct Shard {
    /// Where those wait who ask the same; None: nobody does.
    flying: HashMap<Question, Option<watch::Sender<Option<Outcome>>>>,
    failed: HashMap<Question, Failure>,
}

/// What an answer depends on.
///
/// Names compare and hash without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    name: Name,
    record_type: RecordType,
    class: Class,
    /// DO, CD and RD.
    flags: [bool; 3],
    /// It decides how other servers are asked, and whether an answer may be truncated.
    transport: Transport,
    upstream_options: Vec<(u16, Vec<u8>)>,
}

#[derive(Debug)]
struct Failure {
    answer: Answer,
    /// In a row.
    count: u32,
    until: Instant,
    /// How often servers had come back by then.
    recoveries: u64,
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
    question: Question,
    is_over: bool,
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
        let question = Question::of(query);
        let mut shard = self.shard(&question);
        if let Some(failure) = shard.failed.get(&question)
            && self.holds(failure)
        {
            return Turn::Failed(failure.answer.clone());
        }
        match shard.flying.entry(question) {
            Entry::Occupied(mut flying) => {
                let outcome = flying.get_mut().get_or_insert_with(|| watch::Sender::new(None)).subscribe();
                Turn::Wait(Waiting { outcome })
            }
            Entry::Vacant(place) => {
                let question = place.key().clone();
                place.insert(None);
                Turn::Ask(Flight { flights: self, question, is_over: false })
            }
        }
    }

    /// How many failures are remembered.
    #[cfg(test)]
    pub fn failures(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).failed.len()).sum()
    }

    fn holds(&self, failure: &Failure) -> bool {
        failure.recoveries == self.recoveries() && Instant::now() < failure.until
    }

    /// How often servers have come back, as far as anybody finds out.
    pub fn recoveries(&self) -> u64 {
        self.recoveries.as_ref().map_or(0, |recoveries| recoveries.load(Ordering::Relaxed))
    }

    fn remember(&self, shard: &mut Shard, question: &Question, outcome: &Outcome) {
        let now = Instant::now();
        if shard.failed.len() >= FAILURES_MAX {
            shard.failed.retain(|_, failure| now < failure.until);
        }
        let before = shard.failed.get(question).filter(|before| now < before.until + IN_A_ROW);
        let count = before.map_or(0, |before| before.count);
        if before.is_none() && shard.failed.len() >= FAILURES_MAX {
            return;
        }
        let longest = if self.recoveries.is_some() { FAILED_MAX } else { FAILED_MIN };
        let until = now + FAILED_MIN.saturating_mul(1 << count.min(16)).min(longest);
        let recoveries = self.recoveries();
        let failure = Failure { answer: remembered(&outcome.answer), count: count + 1, until, recoveries };
        shard.failed.insert(question.clone(), failure);
    }

    fn shard(&self, question: &Question) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hasher.hash_one(question)).unwrap_or_default();
        let [first, ..] = &self.shards;
        self.shards.get(hash % SHARDS).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
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
    fn of(query: &Query) -> Self {
        Self {
            name: query.name.clone(),
            record_type: query.record_type,
            class: query.class,
            flags: [query.dnssec_ok(), query.checking_disabled, query.recursion_desired],
            transport: query.transport,
            upstream_options: query.upstream_options.clone(),
        }
    }
}

impl Flight<'_> {
    /// Gives the outcome to those who wait for it, and remembers it if nobody answered.
    pub fn end(mut self, outcome: &Outcome) {
        if outcome.fate == Fate::Own {
            return;
        }
        self.is_over = true;
        let mut shard = self.flights.shard(&self.question);
        if let Some(Some(waiting)) = shard.flying.remove(&self.question) {
            waiting.send_replace(Some(outcome.clone()));
        }
        match outcome.fate {
            Fate::Remembered => self.flights.remember(&mut shard, &self.question, outcome),
            Fate::Shared | Fate::Own => _ = shard.failed.remove(&self.question),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.flights.shard(&self.question).flying.remove(&self.question);
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
