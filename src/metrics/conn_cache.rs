//! Connections to other servers that are used again.

use super::{Counter, Metrics};

/// Connections to one server: those that were there, and those that had to be made. They count under the names of CoreDNS, and under
/// those that it had before 1.11.
#[derive(Debug)]
pub struct ConnCache {
    hits: [Counter; 2],
    misses: [Counter; 2],
}

impl ConnCache {
    /// Those of `forward` to a server (`10.0.0.1:53`) over a protocol (`udp`, `tcp-tls`).
    pub fn new(metrics: &Metrics, to: &str, proto: &str) -> Self {
        let (labels, old_labels) = (["forward", to, proto], [to, proto]);
        Self {
            hits: [
                metrics.proxy_conn_cache_hits.with_label_values(&labels),
                metrics.forward_conn_cache_hits.with_label_values(&old_labels),
            ],
            misses: [
                metrics.proxy_conn_cache_misses.with_label_values(&labels),
                metrics.forward_conn_cache_misses.with_label_values(&old_labels),
            ],
        }
    }

    /// A connection was there.
    pub fn hit(&self) {
        self.hits.iter().for_each(Counter::inc);
    }

    /// One is made.
    pub fn miss(&self) {
        self.misses.iter().for_each(Counter::inc);
    }
}
