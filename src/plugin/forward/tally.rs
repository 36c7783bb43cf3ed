//! What is counted of a server's answers, looked up once.

use std::sync::OnceLock;
use std::time::Duration;

use crate::dns::{ResponseCode, mnemonic};
use crate::metrics::{Counter, Histogram, Metrics};

/// Response codes that have a place of their own: those of the header.
const CODES: usize = 16;

/// The counters of one server, by response code.
#[derive(Debug, Default)]
pub(super) struct Tally {
    codes: [OnceLock<Counters>; CODES],
}

#[derive(Clone, Debug)]
struct Counters {
    proxy_seconds: Histogram,
    seconds: Histogram,
    requests: Counter,
    responses: Counter,
}

impl Tally {
    /// Counts an answer of the server that metrics call `to`.
    pub fn count(&self, metrics: &Metrics, to: &str, code: ResponseCode, took: Duration) {
        let counters = || Counters::of(metrics, to, code);
        match self.codes.get(usize::from(u16::from(code))) {
            Some(place) => place.get_or_init(counters).count(took),
            None => counters().count(took),
        }
    }
}

impl Counters {
    fn of(metrics: &Metrics, to: &str, code: ResponseCode) -> Self {
        let code = &*mnemonic(code);
        Self {
            proxy_seconds: metrics.proxy_request_duration_seconds.with_label_values(&["forward", to, code]),
            seconds: metrics.forward_request_duration_seconds.with_label_values(&[to, code]),
            requests: metrics.forward_requests.with_label_values(&[to]),
            responses: metrics.forward_responses.with_label_values(&[to, code]),
        }
    }

    fn count(&self, took: Duration) {
        self.proxy_seconds.observe(took.as_secs_f64());
        self.seconds.observe(took.as_secs_f64());
        self.requests.inc();
        self.responses.inc();
    }
}
