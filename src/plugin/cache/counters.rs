//! What a cache counts, with the families looked up once.

use super::shelf::ShelfCounters;
use crate::metrics::{Counter, Metrics};

/// The counters of one cache.
#[derive(Debug)]
pub struct Counters {
    /// Questions.
    pub requests: Counter,
    /// Questions that it could not answer.
    pub misses: Counter,
    /// Positive answers from the cache, stale ones too.
    pub success_hits: Counter,
    /// Negative answers and failures from the cache.
    pub denial_hits: Counter,
    /// Questions asked again before their answer ended.
    pub prefetch: Counter,
    /// Answers given after their end.
    pub served_stale: Counter,
    /// Answers that were too large to be remembered.
    pub drops: Counter,
    /// Questions that ended in a panic when they were asked again.
    pub panics: Counter,
    /// Of the positive answers.
    pub success: ShelfCounters,
    /// Of the negative answers and failures.
    pub denial: ShelfCounters,
}

impl Counters {
    /// The counters of the cache over these zones, as in `.,cluster.local.`.
    pub fn new(metrics: &Metrics, server: &str, zones: &str, view: &str) -> Self {
        let labels = [server, zones, view];
        let with_type = |side| [server, side, zones, view];
        let shelf = |side| ShelfCounters {
            entries: metrics.cache_entries.with_label_values(&with_type(side)),
            evictions: metrics.cache_evictions.with_label_values(&with_type(side)),
        };
        Self {
            requests: metrics.cache_requests.with_label_values(&labels),
            misses: metrics.cache_misses.with_label_values(&labels),
            success_hits: metrics.cache_hits.with_label_values(&with_type("success")),
            denial_hits: metrics.cache_hits.with_label_values(&with_type("denial")),
            prefetch: metrics.cache_prefetch.with_label_values(&labels),
            served_stale: metrics.cache_served_stale.with_label_values(&labels),
            drops: metrics.cache_drops.with_label_values(&labels),
            panics: metrics.panics.clone(),
            success: shelf("success"),
            denial: shelf("denial"),
        }
    }
}
