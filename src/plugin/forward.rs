//! `forward`: asks other servers.

use std::sync::Arc;

use crate::config::directive;
use crate::dns::{Answer, Name, Query};
use crate::metrics::Metrics;
use crate::task::Tasks;
use crate::upstream::Exchange;

/// Other servers, and how they are asked.
#[derive(Debug)]
pub struct Forward {}

impl Forward {
    /// The servers of a directive, asked through `exchange`; probes of servers that failed run in `tasks`.
    pub fn new(config: &directive::Forward, exchange: Arc<dyn Exchange>, metrics: Arc<Metrics>, tasks: Tasks) -> Self {
        let _ = (config, exchange, metrics, tasks);
        Self {}
    }

    /// Whether names like this are forwarded.
    pub fn covers(&self, name: &Name) -> bool {
        let _ = name;
        false
    }

    /// Asks, and returns what of the answer is believed; SERVFAIL if nobody answered.
    pub async fn answer(&self, query: &Query) -> Answer {
        let _ = query;
        Answer::serv_fail("not built yet")
    }
}
