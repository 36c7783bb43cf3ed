//! Questions, answers and configurations for the tests of this folder.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use super::{Cache, Moment, RefreshQueue, refresh_queue};
use crate::config::corefile::Source;
use crate::config::{ServerBlock, directive};
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, ResponseCode, mnemonic, parse_name, rdata};
use crate::metrics::Metrics;

pub const WWW: &str = "www.example.";

impl Moment {
    /// Some time, when no server has come back yet.
    pub fn first() -> Self {
        Self { time: Instant::now(), epoch: 0 }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self { time: self.time + duration, ..self }
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self { time: self.time - duration, ..self }
    }
}

/// A cache with a clock.
pub struct Bench {
    pub cache: Cache,
    pub metrics: Metrics,
    /// Keeps the queue open.
    queue: RefreshQueue,
    pub now: Moment,
}

impl Bench {
    pub fn new(directive: &str) -> Self {
        Self::of(&config(directive))
    }

    pub fn of(config: &directive::Cache) -> Self {
        let metrics = Metrics::new();
        let (sender, queue) = refresh_queue();
        let cache = Cache::new(config, "dns://:53", "", &metrics, sender);
        Self { cache, metrics, queue, now: Moment::first() }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    pub fn put(&self, owner: &str, answer: Answer) -> Answer {
        self.cache.put(&query(owner, RecordType::A), answer, self.now)
    }

    pub fn renew(&self, answer: Answer) {
        self.cache.renew(&query(WWW, RecordType::A), answer, self.now);
    }

    pub fn get(&self, owner: &str) -> Option<Answer> {
        self.cache.get(&query(owner, RecordType::A), self.now)
    }

    /// What is remembered of www.example. in short.
    pub fn www(&self) -> String {
        self.get(WWW).map_or_else(|| "-".to_owned(), |answer| told(&answer))
    }

    /// How many questions wait to be asked again.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    pub fn metric(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|shown| shown == line)
    }
}

/// An answer in short: code, TTLs of all records, and the extended error.
pub fn told(answer: &Answer) -> String {
    let records = answer.answers.iter().chain(&answer.authority).chain(&answer.additional);
    let mut words = vec![mnemonic(answer.response_code()).into_owned()];
    words.extend(records.map(|record| record.ttl.to_string()));
    words.extend(answer.extended_error().map(|error| format!("error {}", error.code)));
    words.join(" ")
}

/// What another server says.
pub fn relayed(answers: Vec<Record>) -> Answer {
    let mut answer = Answer::relayed(ResponseCode::NoError, false, true).by("forward");
    answer.answers = answers;
    answer
}

pub fn www(ttl: u32) -> Answer {
    relayed(vec![a(WWW, ttl, 1)])
}

pub fn code(code: ResponseCode) -> Answer {
    Answer::relayed(code, false, true).by("forward")
}

pub fn name(text: &str) -> Name {
    parse_name(text).expect("a name")
}

/// A server block with these directives.
pub fn server(directives: &str) -> ServerBlock {
    let text = format!(".:53 {{\n{directives}\nwhoami\n}}\n");
    let source = Source::Text { name: "Corefile".to_owned(), text };
    source.load(53).expect("a Corefile").config.servers.remove(0)
}

/// The directive in a Corefile.
pub fn config(directive: &str) -> directive::Cache {
    server(directive).cache.expect("cache")
}

pub fn query(text: &str, record_type: RecordType) -> Query {
    Query::of_our_own(name(text), record_type)
}

pub fn a(owner: &str, ttl: u32, host: u8) -> Record {
    Record::from_rdata(name(owner), ttl, RData::A(rdata::A::new(192, 0, 2, host)))
}

pub fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    Record::from_rdata(name(owner), ttl, RData::CNAME(rdata::CNAME(name(target))))
}

pub fn soa(ttl: u32, minimum: u32) -> Record {
    let soa = rdata::SOA::new(name("ns.example."), name("ops.example."), 1, 7200, 3600, 86400, minimum);
    Record::from_rdata(name("example."), ttl, RData::SOA(soa))
}

pub fn nx(soa: Record) -> Answer {
    Answer::relayed(ResponseCode::NXDomain, false, true).with_authority(vec![soa])
}

pub fn nodata(soa: Record) -> Answer {
    Answer::relayed(ResponseCode::NoError, false, true).with_authority(vec![soa])
}
