//! Probes of servers that failed: in the background, until they answer.
//!
//! Servers that work are never probed; as in CoreDNS, the queries themselves tell.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use super::server::Server;
use crate::config::directive;
use crate::dns::{Query, RecordType, encode_question};
use crate::metrics::Metrics;
use crate::task::Tasks;
use crate::upstream::{Attempt, Channel, Exchange};

/// How long a probe waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(1);

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
        };
        Self { probe: Arc::new(probe), tasks }
    }

    /// Probes a server until it answers, if it is not probed already.
    pub fn start(&self, server: &Arc<Server>) {
        if self.probe.interval.is_zero() || !server.begin_probes() {
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
    async fn run(&self, server: &Server) {
        while !server.is_gone() && !self.is_answered(server).await {
            self.metrics.forward_healthcheck_failures.with_label_values(&[server.label()]).inc();
            self.metrics.proxy_healthcheck_failures.with_label_values(&["forward", server.label()]).inc();
            if server.fail() == self.max_fails.saturating_add(1) {
                warn!(upstream = server.label(), "upstream is down");
            }
            sleep(self.interval).await;
        }
        if server.recover() > self.max_fails && !server.is_gone() {
            info!(upstream = server.label(), "upstream is back");
        }
    }

    /// Any answer will do.
    async fn is_answered(&self, server: &Server) -> bool {
        let attempt = Attempt {
            upstream: server.upstream().clone(),
            channel: server.channel(self.plain),
            message: self.message.clone(),
            timeout: TIMEOUT,
            budget: Arc::default(),
        };
        self.exchange.exchange(attempt).await.is_ok()
    }
}
