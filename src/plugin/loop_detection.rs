//! `loop`: notices when the server's own questions come back to it.
//!
//! After the start it asks itself for a name that nobody else can know. Once is how often that comes in; whoever forwards
//! it back makes it come again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::dns::{Answer, Name, Query, RecordType, encode_question};
use crate::upstream::{Attempt, Channel, Exchange, Upstream};

/// The name of the plugin in metrics.
const NAME: &str = "loop";

/// How often the question may come in.
const SEEN_MAX: u32 = 2;

/// How long we try to reach ourselves, and the time between two tries.
const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a try waits for its answer.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long questions may still come back after an answer.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// Notices when the server's own questions come back to it.
#[derive(Debug)]
pub struct LoopDetection {
    zone: Name,
    /// What we ask ourselves for.
    name: Name,
    /// Afterwards the name is a name like any other.
    is_on: AtomicBool,
    seen: Mutex<Seen>,
    too_often: Notify,
}

/// How often the question came in, and from where it did last.
#[derive(Debug, Default)]
struct Seen {
    count: u32,
    source: Option<SocketAddr>,
}

/// The server's own question came back: it forwards to itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Loop ({source_address} -> {listen_address}) detected for zone \"{zone}\", see \
     https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO {name}\""
)]
pub struct LoopDetected {
    /// Who sent the question for the last time.
    pub source_address: SocketAddr,
    /// Where we listen, as CoreDNS writes it: `:53` for all addresses.
    pub listen_address: String,
    /// The zone.
    pub zone: Name,
    /// The name that was asked for.
    pub name: Name,
}

impl LoopDetection {
    /// Detection with a fresh name that nobody can guess, below the first zone of a server block. A zone so long that
    /// there is no room for such a name is not watched.
    pub fn new(zone: &Name) -> Self {
        let name = probe_name(zone);
        Self {
            zone: zone.clone(),
            is_on: AtomicBool::new(name.is_some()),
            name: name.unwrap_or_default(),
            seen: Mutex::default(),
            too_often: Notify::new(),
        }
    }

    /// Counts a probe that came back; None for all else. The first ones go on to the next plugin, which may lead them back
    /// here; what came too often ends here.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        if query.record_type != RecordType::HINFO || !self.is_on.load(Ordering::Acquire) || query.name != self.name {
            return None;
        }
        {
            let mut seen = self.lock();
            seen.count += 1;
            seen.source = Some(query.client);
            if seen.count <= SEEN_MAX {
                return None;
            }
        }
        query.explain(NAME, || "this is the server's own question, which came back too often".to_owned());
        self.too_often.notify_one();
        Some(Answer::serv_fail("the server forwards to itself").by(NAME))
    }

    /// Asks ourselves on the block's first listen address once the listeners are up, and waits whether the question comes
    /// back: at most 30 s, then detection is off.
    pub async fn run(
        &self,
        listen: SocketAddr,
        exchange: &dyn Exchange,
        stop: CancellationToken,
    ) -> Result<(), LoopDetected> {
        if !self.is_on.load(Ordering::Acquire) {
            return Ok(());
        }
        let detection = async {
            tokio::select! {
                () = self.too_often.notified() => true,
                () = self.probe(listen, exchange) => false,
            }
        };
        let is_loop = stop.run_until_cancelled(detection).await.unwrap_or(false);
        self.is_on.store(false, Ordering::Release);
        match self.lock().source {
            Some(source_address) if is_loop => Err(self.detected(source_address, listen)),
            _ => Ok(()),
        }
    }

    /// Ends when no question can come back any more.
    async fn probe(&self, listen: SocketAddr, exchange: &dyn Exchange) {
        let question = encode_question(&Query::of_our_own(self.name.clone(), RecordType::HINFO));
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let attempt = Attempt {
                upstream: Upstream::plain(reachable(listen)),
                channel: Channel::Udp,
                message: question.clone(),
                timeout: TRY_TIMEOUT,
                budget: Arc::default(),
            };
            if exchange.exchange(attempt).await.is_ok() {
                return sleep(AFTERWARDS).await;
            }
            sleep(INTERVAL).await;
            // Each try is seen once without any loop.
            *self.lock() = Seen::default();
        }
    }

    fn detected(&self, source_address: SocketAddr, listen: SocketAddr) -> LoopDetected {
        let listen_address = match listen.ip().is_unspecified() {
            true => format!(":{}", listen.port()),
            false => listen.to_string(),
        };
        LoopDetected { source_address, listen_address, zone: self.zone.clone(), name: self.name.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two labels of 64 random bits each before the zone, or one if there is no room for two.
fn probe_name(zone: &Name) -> Option<Name> {
    let label = || rand::random::<u64>().to_string();
    let short = zone.prepend_label(label()).ok()?;
    short.prepend_label(label()).ok().or(Some(short))
}

/// An address that leads to a listener.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => return listen,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;
    use crate::upstream::{Exchanging, UpstreamError};

    const LISTEN: &str = "0.0.0.0:53";
    const CLIENT: &str = "10.0.0.7:4000";

    /// The server itself: each question that comes in is seen, and comes in again as often as it is forwarded back.
    #[derive(Debug)]
    struct Ourselves<'a> {
        detection: &'a LoopDetection,
        comes_back: usize,
        answers: bool,
        tries: Mutex<Vec<(Duration, SocketAddr)>>,
        start: Instant,
    }

    impl Exchange for Ourselves<'_> {
        fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
            self.tries.lock().unwrap().push((self.start.elapsed(), attempt.upstream.address));
            let answers: Vec<_> =
                (0..=self.comes_back).map(|_| self.detection.lookup(&self.detection.asked())).collect();
            assert_eq!(answers.iter().filter(|answer| answer.is_some()).count(), self.comes_back.saturating_sub(1));
            Box::pin(async move {
                match self.answers {
                    true => Ok(Vec::new()),
                    false => Err(UpstreamError::Timeout { server: attempt.upstream.address, timeout: attempt.timeout }),
                }
            })
        }
    }

    impl LoopDetection {
        fn asked(&self) -> Query {
            let client = CLIENT.parse().unwrap();
            Query { client, ..Query::of_our_own(self.name.clone(), RecordType::HINFO) }
        }
    }

    /// Returns the result, when it was there, and the tries.
    async fn run(
        detection: &LoopDetection,
        comes_back: usize,
        answers: bool,
    ) -> (Result<(), LoopDetected>, Duration, Vec<(Duration, SocketAddr)>) {
        let start = Instant::now();
        let ourselves = Ourselves { detection, comes_back, answers, tries: Mutex::default(), start };
        let result = detection.run(LISTEN.parse().unwrap(), &ourselves, CancellationToken::new()).await;
        let tries = ourselves.tries.lock().unwrap().clone();
        (result, start.elapsed(), tries)
    }

    fn detection() -> LoopDetection {
        LoopDetection::new(&parse_name("example.org.").unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_comes_back_twice_is_a_loop() {
        let detection = detection();
        let (result, took, _) = run(&detection, 2, false).await;
        let found = LoopDetected {
            source_address: CLIENT.parse().unwrap(),
            listen_address: ":53".to_owned(),
            zone: parse_name("example.org.").unwrap(),
            name: detection.name.clone(),
        };
        assert_eq!((result, took), (Err(found), Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_it_shortly_after() {
        let detection = detection();
        let (result, took, tries) = run(&detection, 1, true).await;
        assert_eq!((result, took), (Ok(()), AFTERWARDS));
        assert_eq!(tries, [(Duration::ZERO, "127.0.0.1:53".parse().unwrap())]);
        (0..9).for_each(|_| assert!(detection.lookup(&detection.asked()).is_none(), "it is off"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_it_tries_for_half_a_minute_and_counts_each_try_anew() {
        let (result, took, tries) = run(&detection(), 0, false).await;
        assert_eq!((result, took), (Ok(()), PATIENCE));
        assert_eq!(tries.len(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_is_told_to() {
        let (detection, stop) = (detection(), CancellationToken::new());
        let ourselves = Ourselves {
            detection: &detection,
            comes_back: 0,
            answers: false,
            tries: Mutex::default(),
            start: Instant::now(),
        };
        stop.cancel();
        assert_eq!(detection.run(LISTEN.parse().unwrap(), &ourselves, stop).await, Ok(()));
    }

    #[test]
    fn only_its_own_question_counts() {
        let detection = detection();
        let others = [
            Query::of_our_own(detection.name.clone(), RecordType::A),
            Query::of_our_own(parse_name("1.2.example.org.").unwrap(), RecordType::HINFO),
            Query::of_our_own(parse_name("example.org.").unwrap(), RecordType::HINFO),
        ];
        for query in others.iter().cycle().take(30) {
            assert!(detection.lookup(query).is_none());
        }
        let shouted = Query { name: detection.name.clone(), ..detection.asked() };
        let answers: Vec<_> = (0..4).map(|_| detection.lookup(&shouted).is_some()).collect();
        assert_eq!(answers, [false, false, true, true]);
    }

    #[test]
    fn the_name_is_random_and_below_the_zone_if_there_is_room() {
        let check = |zone: &str, expected: Option<usize>| {
            let zone = parse_name(zone).unwrap();
            let name = probe_name(&zone);
            assert!(name.iter().all(|name| zone.zone_of(name) && Some(name) != probe_name(&zone).as_ref()));
            let labels = |name: &Name| name.iter().count() - zone.iter().count();
            assert_eq!(name.as_ref().map(labels), expected, "{zone}");
        };
        let long = |count: usize| vec!["x".repeat(50); count].join(".");
        check(".", Some(2));
        check("example.org.", Some(2));
        check(&format!("{}.{}", "y".repeat(15), long(4)), Some(1));
        check(&format!("{}.{}", "y".repeat(49), long(4)), None);
    }
}
