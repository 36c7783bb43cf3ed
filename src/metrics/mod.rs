//! Every metric name and label, spelled once.
//!
//! The names, labels and buckets are CoreDNS's, so that dashboards and alerts go on working; names that CoreDNS has
//! dropped but alerts still use are there beside the new ones, and our own begin with `landfall_`.

mod conn_cache;
mod watched;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector, core::Desc, exponential_buckets,
};

/// What a family gives for one set of labels, for those who keep it at hand.
pub use prometheus::{Histogram, IntCounter as Counter, IntGauge as Gauge};

pub use self::conn_cache::ConnCache;
pub use self::watched::Watched;
use self::watched::Watches;

/// All metric families of the process.
#[derive(Debug)]
#[allow(missing_docs, reason = "each field is the family of its name; help texts are where it is made")]
pub struct Metrics {
    families: Families,

    pub build_info: IntGaugeVec,
    pub panics: IntCounter,
    pub plugin_enabled: IntGaugeVec,

    pub dns_requests: IntCounterVec,
    pub dns_request_duration_seconds: HistogramVec,
    pub dns_request_size_bytes: HistogramVec,
    pub dns_response_size_bytes: HistogramVec,
    pub dns_do_requests: IntCounterVec,
    pub dns_responses: IntCounterVec,
    pub dns_https_responses: IntCounterVec,
    pub dns_quic_responses: IntCounterVec,

    pub cache_entries: IntGaugeVec,
    pub cache_hits: IntCounterVec,
    pub cache_evictions: IntCounterVec,
    pub cache_requests: IntCounterVec,
    pub cache_misses: IntCounterVec,
    pub cache_prefetch: IntCounterVec,
    pub cache_drops: IntCounterVec,
    pub cache_served_stale: IntCounterVec,

    pub forward_healthcheck_broken: IntCounter,
    pub forward_max_concurrent_rejects: IntCounter,
    pub forward_requests: IntCounterVec,
    pub forward_responses: IntCounterVec,
    pub forward_request_duration_seconds: HistogramVec,
    pub forward_healthcheck_failures: IntCounterVec,
    pub proxy_request_duration_seconds: HistogramVec,
    pub proxy_healthcheck_failures: IntCounterVec,
    pub proxy_conn_cache_hits: IntCounterVec,
    pub proxy_conn_cache_misses: IntCounterVec,
    pub forward_conn_cache_hits: IntCounterVec,
    pub forward_conn_cache_misses: IntCounterVec,

    pub kubernetes_dns_programming_duration_seconds: HistogramVec,
    pub kubernetes_rest_client_requests: IntCounterVec,
    pub kubernetes_rest_client_request_duration_seconds: HistogramVec,
    pub kubernetes_rest_client_rate_limiter_duration_seconds: HistogramVec,

    pub health_request_duration_seconds: Histogram,
    pub health_request_failures: IntCounter,
    pub hosts_entries: GaugeVec,
    pub hosts_reload_timestamp_seconds: GaugeVec,
    pub local_localhost_requests: IntCounter,
    pub reload_failed: IntCounter,
    pub reload_version_info: IntGaugeVec,
    pub template_matches: IntCounterVec,
    pub template_failures: IntCounterVec,
    pub template_rr_failures: IntCounterVec,
    pub acl_allowed_requests: IntCounterVec,
    pub acl_blocked_requests: IntCounterVec,
    pub acl_dropped_requests: IntCounterVec,
    pub acl_filtered_requests: IntCounterVec,
    pub autopath_success: IntCounterVec,
    pub dns64_requests_translated: IntCounterVec,

    pub landfall_queries_refused: IntCounterVec,
    pub landfall_tcp_connections: IntGauge,
    pub landfall_queries_in_flight: IntGauge,
    pub landfall_certificate_failures: IntCounterVec,
    pub landfall_watch_lists: IntCounterVec,
    pub landfall_watch_failures: IntCounterVec,
    pub landfall_watch_watches: IntCounterVec,
    pub landfall_watch_decode_errors: IntCounterVec,
    pub landfall_watch_mismatches: IntCounterVec,
    watches: Watches,
    pub landfall_kubernetes_stale_clusters: IntGauge,
    pub landfall_kubernetes_warm_start_failures: IntCounter,
    pub landfall_upstream_mismatches: IntCounterVec,
    pub landfall_forward_shared: IntCounter,
    pub landfall_forward_failures_remembered: IntCounter,
}

/// The labels that most server metrics share.
const SERVER: [&str; 3] = ["server", "zone", "view"];
const SERVER_PROTO: [&str; 4] = ["server", "zone", "view", "proto"];
/// The labels of caches; `type` is success or denial.
const CACHE: [&str; 3] = ["server", "zones", "view"];
const CACHE_TYPE: [&str; 4] = ["server", "type", "zones", "view"];
/// The labels of connections to other servers.
const PROXY_PROTO: [&str; 3] = ["proxy_name", "to", "proto"];

impl Metrics {
    /// Makes and registers all families, with the process's own (`process_*`).
    pub fn new() -> Self {
        let families = Families::default();
        #[cfg(target_os = "linux")]
        must(families.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())));
        let r = &families;
        let seconds = || buckets(0.00025, 2.0, 16);
        let sizes = || [0., 100., 200., 300., 400., 511., 1023., 2047., 4095., 8291., 16e3, 32e3, 48e3, 64e3].to_vec();
        Self {
            build_info: gauges(
                r,
                "coredns_build_info",
                "Version of the server.",
                &["version", "revision", "goversion"],
            ),
            panics: counter(r, "coredns_panics_total", "Queries that ended in a panic."),
            plugin_enabled: gauges(r, "coredns_plugin_enabled", "Plugins in use.", &["server", "zone", "view", "name"]),

            dns_requests: counters(
                r,
                "coredns_dns_requests_total",
                "Queries.",
                &["server", "zone", "view", "proto", "family", "type"],
            ),
            dns_request_duration_seconds: histograms(
                r,
                "coredns_dns_request_duration_seconds",
                "Time to answer.",
                &SERVER,
                seconds(),
            ),
            dns_request_size_bytes: histograms(
                r,
                "coredns_dns_request_size_bytes",
                "Size of queries.",
                &SERVER_PROTO,
                sizes(),
            ),
            dns_response_size_bytes: histograms(
                r,
                "coredns_dns_response_size_bytes",
                "Size of answers.",
                &SERVER_PROTO,
                sizes(),
            ),
            dns_do_requests: counters(r, "coredns_dns_do_requests_total", "Queries with DO.", &SERVER),
            dns_responses: counters(
                r,
                "coredns_dns_responses_total",
                "Answers.",
                &["server", "zone", "view", "rcode", "plugin"],
            ),
            dns_https_responses: counters(
                r,
                "coredns_dns_https_responses_total",
                "Replies over HTTPS by their HTTP status.",
                &["server", "status"],
            ),
            dns_quic_responses: counters(
                r,
                "coredns_dns_quic_responses_total",
                "Ends of streams over QUIC by their code (RFC 9250 section 8.4).",
                &["server", "status"],
            ),

            cache_entries: gauges(r, "coredns_cache_entries", "Answers in the cache.", &CACHE_TYPE),
            cache_hits: counters(r, "coredns_cache_hits_total", "Answers from the cache.", &CACHE_TYPE),
            cache_evictions: counters(
                r,
                "coredns_cache_evictions_total",
                "Answers that made room for others.",
                &CACHE_TYPE,
            ),
            cache_requests: counters(r, "coredns_cache_requests_total", "Questions to the cache.", &CACHE),
            cache_misses: counters(
                r,
                "coredns_cache_misses_total",
                "Questions that the cache could not answer.",
                &CACHE,
            ),
            cache_prefetch: counters(r, "coredns_cache_prefetch_total", "Answers refreshed early.", &CACHE),
            cache_drops: counters(r, "coredns_cache_drops_total", "Answers that do not fit their question.", &CACHE),
            cache_served_stale: counters(r, "coredns_cache_served_stale_total", "Expired answers served.", &CACHE),

            forward_healthcheck_broken: counter(
                r,
                "coredns_forward_healthcheck_broken_total",
                "Queries while every upstream was down.",
            ),
            forward_max_concurrent_rejects: counter(
                r,
                "coredns_forward_max_concurrent_rejects_total",
                "Queries over max_concurrent.",
            ),
            forward_requests: counters(r, "coredns_forward_requests_total", "Queries to upstreams.", &["to"]),
            forward_responses: counters(
                r,
                "coredns_forward_responses_total",
                "Answers of upstreams.",
                &["to", "rcode"],
            ),
            forward_request_duration_seconds: histograms(
                r,
                "coredns_forward_request_duration_seconds",
                "Time of upstreams.",
                &["to", "rcode"],
                seconds(),
            ),
            forward_healthcheck_failures: counters(
                r,
                "coredns_forward_healthcheck_failures_total",
                "Failed probes.",
                &["to"],
            ),
            proxy_request_duration_seconds: histograms(
                r,
                "coredns_proxy_request_duration_seconds",
                "Time of upstreams.",
                &["proxy_name", "to", "rcode"],
                seconds(),
            ),
            proxy_healthcheck_failures: counters(
                r,
                "coredns_proxy_healthcheck_failures_total",
                "Failed probes.",
                &["proxy_name", "to"],
            ),
            proxy_conn_cache_hits: counters(
                r,
                "coredns_proxy_conn_cache_hits_total",
                "Connections used again.",
                &PROXY_PROTO,
            ),
            proxy_conn_cache_misses: counters(
                r,
                "coredns_proxy_conn_cache_misses_total",
                "Connections made.",
                &PROXY_PROTO,
            ),
            forward_conn_cache_hits: counters(
                r,
                "coredns_forward_conn_cache_hits_total",
                "Connections used again.",
                &["to", "proto"],
            ),
            forward_conn_cache_misses: counters(
                r,
                "coredns_forward_conn_cache_misses_total",
                "Connections made.",
                &["to", "proto"],
            ),

            kubernetes_dns_programming_duration_seconds: histograms(
                r,
                "coredns_kubernetes_dns_programming_duration_seconds",
                "From the change of an endpoint to its answer.",
                &["service_kind"],
                buckets(0.001, 2.0, 20),
            ),
            kubernetes_rest_client_requests: counters(
                r,
                "coredns_kubernetes_rest_client_requests_total",
                "Requests to the API server.",
                &["code", "method", "host"],
            ),
            kubernetes_rest_client_request_duration_seconds: histograms(
                r,
                "coredns_kubernetes_rest_client_request_duration_seconds",
                "Time of the API server.",
                &["verb", "host"],
                prometheus::DEFAULT_BUCKETS.to_vec(),
            ),
            kubernetes_rest_client_rate_limiter_duration_seconds: histograms(
                r,
                "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
                "Time that requests waited for `apiserver_qps` and `apiserver_max_inflight`.",
                &["verb", "host"],
                prometheus::DEFAULT_BUCKETS.to_vec(),
            ),

            health_request_duration_seconds: {
                let opts = HistogramOpts::new(
                    "coredns_health_request_duration_seconds",
                    "Time of the server's own requests to /health.",
                );
                register(r, must(Histogram::with_opts(opts.buckets(buckets(0.00025, 10.0, 5)))))
            },
            health_request_failures: counter(
                r,
                "coredns_health_request_failures_total",
                "Failed own requests to /health.",
            ),
            hosts_entries: register(
                r,
                must(GaugeVec::new(
                    Opts::new("coredns_hosts_entries", "Names and addresses of hosts files."),
                    &["hostsfile"],
                )),
            ),
            hosts_reload_timestamp_seconds: register(
                r,
                must(GaugeVec::new(
                    Opts::new("coredns_hosts_reload_timestamp_seconds", "When a hosts file was read."),
                    &[],
                )),
            ),
            local_localhost_requests: counter(
                r,
                "coredns_local_localhost_requests_total",
                "Queries for names below localhost, or that begin with it.",
            ),
            reload_failed: counter(r, "coredns_reload_failed_total", "Reloads that failed."),
            reload_version_info: gauges(
                r,
                "coredns_reload_version_info",
                "Hash of the running configuration.",
                &["hash", "value"],
            ),
            template_matches: counters(
                r,
                "coredns_template_matches_total",
                "Queries that a template matched.",
                &["server", "zone", "view", "class", "type"],
            ),
            template_failures: counters(
                r,
                "coredns_template_template_failures_total",
                "Templates that made no text.",
                &["server", "zone", "view", "class", "type", "section", "template"],
            ),
            template_rr_failures: counters(
                r,
                "coredns_template_rr_failures_total",
                "Texts of templates that are no record.",
                &["server", "zone", "view", "class", "type", "section", "template"],
            ),
            acl_allowed_requests: counters(
                r,
                "coredns_acl_allowed_requests_total",
                "Queries that acl allowed.",
                &["server", "view"],
            ),
            acl_blocked_requests: counters(
                r,
                "coredns_acl_blocked_requests_total",
                "Queries that acl refused.",
                &SERVER,
            ),
            acl_dropped_requests: counters(
                r,
                "coredns_acl_dropped_requests_total",
                "Queries that acl left without a reply.",
                &SERVER,
            ),
            acl_filtered_requests: counters(
                r,
                "coredns_acl_filtered_requests_total",
                "Queries that acl answered without records.",
                &SERVER,
            ),
            autopath_success: counters(
                r,
                "coredns_autopath_success_total",
                "Queries answered with a name of the client's search list.",
                &["server"],
            ),
            dns64_requests_translated: counters(
                r,
                "coredns_dns64_requests_translated_total",
                "Queries answered with synthesized addresses.",
                &["server"],
            ),

            landfall_queries_refused: counters(
                r,
                "landfall_queries_refused_total",
                "Queries and connections over a bound.",
                &["bound"],
            ),
            landfall_tcp_connections: register(
                r,
                must(IntGauge::new("landfall_tcp_connections", "Open connections over TCP, TLS, HTTPS and QUIC.")),
            ),
            landfall_queries_in_flight: register(
                r,
                must(IntGauge::new("landfall_queries_in_flight", "Queries that wait for something.")),
            ),
            landfall_certificate_failures: counters(
                r,
                "landfall_certificate_failures_total",
                "Changed files of `tls` that could not be used; the certificate before them stays.",
                &["server"],
            ),
            landfall_watch_lists: counters(
                r,
                "landfall_watch_lists_total",
                "Lists of a resource begun.",
                &["resource", "reason"],
            ),
            landfall_watch_failures: counters(
                r,
                "landfall_watch_failures_total",
                "Lists and watches that failed.",
                &["resource", "reason"],
            ),
            landfall_watch_watches: counters(r, "landfall_watch_watches_total", "Watches begun.", &["resource"]),
            landfall_watch_decode_errors: counters(
                r,
                "landfall_watch_decode_errors_total",
                "Objects that could not be understood, each time that they came, and addresses and ports that are none.",
                &["resource"],
            ),
            landfall_watch_mismatches: counters(
                r,
                "landfall_watch_mismatches_total",
                "Objects that differed from what the watch had told of them (`compare`).",
                &["resource"],
            ),
            watches: register(r, Watches::new()),
            landfall_kubernetes_stale_clusters: register(
                r,
                must(IntGauge::new(
                    "landfall_kubernetes_stale_clusters",
                    "Clusters that are answered from the file of `warm_start`, because not everything was listed since.",
                )),
            ),
            landfall_kubernetes_warm_start_failures: counter(
                r,
                "landfall_kubernetes_warm_start_failures_total",
                "Snapshots that could not be written to the file of `warm_start`.",
            ),
            landfall_upstream_mismatches: counters(
                r,
                "landfall_upstream_mismatches_total",
                "Messages from upstreams that answer no question.",
                &["to", "reason"],
            ),
            landfall_forward_shared: counter(
                r,
                "landfall_forward_shared_total",
                "Queries that got the answer to an equal one that was being asked already.",
            ),
            landfall_forward_failures_remembered: counter(
                r,
                "landfall_forward_failures_remembered_total",
                "Queries that nobody had answered just before, and that were not asked again.",
            ),
            families,
        }
    }

    /// Name, labels and meaning of each family, in the order in which they were made.
    pub fn families(&self) -> Vec<(String, Vec<String>, String)> {
        let described = self.families.described.lock().unwrap_or_else(PoisonError::into_inner);
        described.iter().map(|desc| (desc.fq_name.clone(), desc.variable_labels.clone(), desc.help.clone())).collect()
    }

    /// A resource of a cluster, as long as it is held.
    pub fn watch(&self, resource: &'static str) -> Arc<Watched> {
        self.watches.add(resource)
    }

    /// All families in Prometheus's text format.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        // Writing to memory fails only for families without samples, which are left out.
        let _ = TextEncoder::new().encode(&self.families.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The families that were made.
#[derive(Debug, Default)]
struct Families {
    registry: Registry,
    described: Mutex<Vec<Desc>>,
}

fn counter(families: &Families, name: &str, help: &str) -> IntCounter {
    register(families, must(IntCounter::new(name, help)))
}

fn counters(families: &Families, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(families, must(IntCounterVec::new(Opts::new(name, help), labels)))
}

fn gauges(families: &Families, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(families, must(IntGaugeVec::new(Opts::new(name, help), labels)))
}

fn histograms(families: &Families, name: &str, help: &str, labels: &[&str], buckets: Vec<f64>) -> HistogramVec {
    register(families, must(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)))
}

fn buckets(start: f64, factor: f64, count: usize) -> Vec<f64> {
    must(exponential_buckets(start, factor, count))
}

fn register<C: Collector + Clone + 'static>(families: &Families, collector: C) -> C {
    let mut described = families.described.lock().unwrap_or_else(PoisonError::into_inner);
    described.extend(collector.desc().into_iter().cloned());
    must(families.registry.register(Box::new(collector.clone())));
    collector
}

#[expect(clippy::expect_used, reason = "names, labels and buckets are constants of this file; a test makes them all")]
fn must<T>(made: prometheus::Result<T>) -> T {
    made.expect("metric families are well-formed and have different names")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_families_can_be_made_and_rendered() {
        let metrics = Metrics::new();
        metrics.dns_requests.with_label_values(&["dns://:53", ".", "", "udp", "1", "A"]).inc();
        assert!(
            metrics.render().contains("coredns_dns_requests_total{family=\"1\",proto=\"udp\",server=\"dns://:53\"")
        );
    }
}
