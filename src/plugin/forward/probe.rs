//! Probes of servers that failed: in the background, until they answer.
//!
//! Servers that work are never probed; as in CoreDNS, the queries themselves tell.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use super::server::Server;
use crate::config::directive;
use crate::dns::{Query, RecordType, encode_question};
use crate::metrics::Metrics;
use crate::task::Tasks;
use crate::upstream::{Attempt, Channel, Exchange, UpstreamError};

/// How long a probe waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Probes of a server that wait at a time, at most: the interval is anybody's to choose.
const PROBES_MAX: usize = 4;

/// Starts probes.
#[derive(Debug)]
pub(super) struct Prober {
    probe: Arc<Probe>,
    tasks: Tasks,
}

/// How servers are probed.
#[derive(Debug)]
struct Probe {
    exchange: Arc<dyn Exchange>,
    metrics: Arc<Metrics>,
    message: Vec<u8>,
    plain: Channel,
    interval: Duration,
    max_fails: u32,
    recoveries: Arc<AtomicU64>,
}

impl Prober {
    /// Probes as a directive wants them.
    pub fn new(config: &directive::Forward, exchange: Arc<dyn Exchange>, metrics: Arc<Metrics>, tasks: Tasks) -> Self {
        let health_check = &config.health_check;
        let question = Query {
            recursion_desired: health_check.recursion_desired,
            ..Query::of_our_own(health_check.domain.clone(), RecordType::NS)
        };
        let probe = Probe {
            exchange,
            metrics,
            message: encode_question(&question),
            plain: if config.force_tcp { Channel::Tcp } else { Channel::Udp },
            interval: health_check.interval,
            max_fails: config.max_fails,
            recoveries: Arc::default(),
        };
        Self { probe: Arc::new(probe), tasks }
    }

    /// How often servers have come back; None: nobody finds out.
    pub fn recoveries(&self) -> Option<Arc<AtomicU64>> {
        self.is_on().then(|| self.probe.recoveries.clone())
    }

    fn is_on(&self) -> bool {
        self.probe.max_fails > 0 && !self.probe.interval.is_zero()
    }

    /// A query was answered: the server is well, whatever became of its probes.
    pub fn note_answer(&self, server: &Server) {
        server.note_answer();
        self.probe.note_answer(server);
    }

    /// Probes a server until it answers, if it is not probed already.
    pub fn start(&self, server: &Arc<Server>) {
        if !self.is_on() || !server.begin_probes() {
            return;
        }
        let (probe, server) = (self.probe.clone(), server.clone());
        self.tasks.spawn("forward probe", |stop| async move {
            stop.run_until_cancelled(probe.run(&server)).await;
            server.end_probes();
            Ok::<(), Infallible>(())
        });
    }
}

impl Probe {
    /// Probes begin once an interval, whether or not those before have ended: who waits in silence is slow to see an answer.
    async fn run(&self, server: &Server) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probes = FuturesUnordered::new();
        while !server.is_gone() {
            tokio::select! {
                biased;
                () = server.answered() => return,
                _ = ticks.tick(), if probes.len() < PROBES_MAX => probes.push(self.ask(server)),
                Some(outcome) = probes.next() => match outcome {
                    Ok(_) => return self.note_answer(server),
                    Err(error) if error.is_own() => {}
                    Err(_) => self.note_failure(server),
                },
            }
        }
    }

    fn note_answer(&self, server: &Server) {
        let fails = server.recover();
        if fails > 0 {
            self.recoveries.fetch_add(1, Ordering::Relaxed);
        }
        if fails > self.max_fails && !server.is_gone() {
            info!(upstream = server.label(), "upstream is back");
        }
    }

    fn note_failure(&self, server: &Server) {
        self.metrics.forward_healthcheck_failures.with_label_values(&[server.label()]).inc();
        self.metrics.proxy_healthcheck_failures.with_label_values(&["forward", server.label()]).inc();
        if server.fail() == self.max_fails.saturating_add(1) {
            warn!(upstream = server.label(), "upstream is down");
        }
    }

    /// Any answer will do.
    async fn ask(&self, server: &Server) -> Result<Vec<u8>, UpstreamError> {
        let attempt = Attempt {
            upstream: server.upstream().clone(),
            channel: server.channel(self.plain),
            message: self.message.clone(),
            timeout: TIMEOUT,
            budget: Arc::default(),
        };
        self.exchange.exchange(attempt).await
    }
}
