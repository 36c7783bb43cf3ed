//! `prometheus`: counts queries and answers.

use std::sync::Arc;
use std::time::Duration;

use crate::dns::{Answer, Query, RecordType, mnemonic};
use crate::metrics::Metrics;

/// Counts queries and answers of one zone.
#[derive(Debug)]
pub struct Prometheus {
    metrics: Arc<Metrics>,
    server: String,
    zone: String,
}

impl Prometheus {
    /// Counts for a listener such as `dns://:53`, and a zone; `dropped` is the zone of what no block serves.
    pub fn new(metrics: Arc<Metrics>, server: String, zone: String) -> Self {
        Self { metrics, server, zone }
    }

    /// Counts a query and its answer.
    pub fn observe(&self, query: &Query, answer: &Answer, size_bytes: usize, took: Duration) {
        let (server, zone) = (self.server.as_str(), self.zone.as_str());
        let (proto, family) = (query.transport.as_str(), if query.family() == 1 { "1" } else { "2" });
        let metrics = &self.metrics;
        metrics.dns_requests.with_label_values(&[server, zone, "", proto, family, type_label(query.record_type)]).inc();
        metrics.dns_request_duration_seconds.with_label_values(&[server, zone, ""]).observe(took.as_secs_f64());
        metrics.dns_request_size_bytes.with_label_values(&[server, zone, "", proto]).observe(query.size_bytes as f64);
        metrics.dns_response_size_bytes.with_label_values(&[server, zone, "", proto]).observe(size_bytes as f64);
        if query.dnssec_ok() {
            metrics.dns_do_requests.with_label_values(&[server, zone, ""]).inc();
        }
        let code = mnemonic(answer.response_code());
        metrics.dns_responses.with_label_values(&[server, zone, "", &code, answer.source()]).inc();
    }
}

/// The types that CoreDNS counts by name; names of clients' choice never become labels.
fn type_label(record_type: RecordType) -> &'static str {
    match record_type {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::ANY => "ANY",
        RecordType::AXFR => "AXFR",
        RecordType::CNAME => "CNAME",
        RecordType::DNSKEY => "DNSKEY",
        RecordType::DS => "DS",
        RecordType::HTTPS => "HTTPS",
        RecordType::IXFR => "IXFR",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::NSEC => "NSEC",
        RecordType::NSEC3 => "NSEC3",
        RecordType::PTR => "PTR",
        RecordType::RRSIG => "RRSIG",
        RecordType::SOA => "SOA",
        RecordType::SRV => "SRV",
        RecordType::SVCB => "SVCB",
        RecordType::TXT => "TXT",
        _ => "other",
    }
}
