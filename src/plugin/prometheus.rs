//! `prometheus`: counts queries and answers.

use std::array;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::dns::{Answer, Query, RecordType, ResponseCode, Transport, mnemonic};
use crate::metrics::{Counter, Histogram, Metrics};

/// The types that CoreDNS counts by name, all others being `other`; names of clients' choice never become labels.
const TYPES: [(RecordType, &str); 19] = [
    (RecordType::A, "A"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::SRV, "SRV"),
    (RecordType::PTR, "PTR"),
    (RecordType::HTTPS, "HTTPS"),
    (RecordType::TXT, "TXT"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::MX, "MX"),
    (RecordType::NS, "NS"),
    (RecordType::SOA, "SOA"),
    (RecordType::SVCB, "SVCB"),
    (RecordType::ANY, "ANY"),
    (RecordType::AXFR, "AXFR"),
    (RecordType::IXFR, "IXFR"),
    (RecordType::DNSKEY, "DNSKEY"),
    (RecordType::DS, "DS"),
    (RecordType::NSEC, "NSEC"),
    (RecordType::NSEC3, "NSEC3"),
    (RecordType::RRSIG, "RRSIG"),
];

/// Two transports, two families, and the types with `other`.
const KINDS: usize = 2 * 2 * (TYPES.len() + 1);

/// Counts queries and answers of one zone. What a set of labels counts in is looked up when it is first needed, and kept.
#[derive(Debug)]
pub struct Prometheus {
    metrics: Arc<Metrics>,
    server: String,
    zone: String,
    view: String,
    requests: [OnceLock<Counter>; KINDS],
    sizes: [OnceLock<Sizes>; 2],
    durations: OnceLock<Histogram>,
    with_dnssec_ok: OnceLock<Counter>,
    responses: RwLock<Vec<Responses>>,
}

/// Sizes over one transport.
#[derive(Debug)]
struct Sizes {
    of_requests: Histogram,
    of_responses: Histogram,
}

/// Answers of one code by one plugin: few of the combinations ever happen.
#[derive(Debug)]
struct Responses {
    code: ResponseCode,
    plugin: &'static str,
    count: Counter,
}

impl Prometheus {
    /// Counts for a listener such as `dns://:53`, a zone and the view of its block, if it has one; `dropped` is the zone of what
    /// no block serves.
    pub fn new(metrics: Arc<Metrics>, server: String, zone: String, view: String) -> Self {
        Self {
            metrics,
            server,
            zone,
            view,
            requests: array::from_fn(|_| OnceLock::new()),
            sizes: Default::default(),
            durations: OnceLock::new(),
            with_dnssec_ok: OnceLock::new(),
            responses: RwLock::default(),
        }
    }

    /// Counts a query and its answer. Where no reply was sent, there is none to count, unlike in CoreDNS.
    pub fn observe(&self, query: &Query, answer: &Answer, size_bytes: Option<usize>, took: Duration) {
        let labels = [self.server.as_str(), self.zone.as_str(), self.view.as_str()];
        self.count_request(query);
        if let Some(sizes) = self.sizes.get(transport_index(query.transport)) {
            let sizes = sizes.get_or_init(|| self.sizes_over(query.transport));
            sizes.of_requests.observe(query.size_bytes as f64);
            size_bytes.iter().for_each(|size_bytes| sizes.of_responses.observe(*size_bytes as f64));
        }
        let durations = || self.metrics.dns_request_duration_seconds.with_label_values(&labels);
        self.durations.get_or_init(durations).observe(took.as_secs_f64());
        if query.dnssec_ok() {
            self.with_dnssec_ok.get_or_init(|| self.metrics.dns_do_requests.with_label_values(&labels)).inc();
        }
        if size_bytes.is_some() {
            self.count_response(answer.response_code(), answer.source());
        }
    }

    fn count_request(&self, query: &Query) {
        let of_type = TYPES.iter().position(|(record_type, _)| *record_type == query.record_type);
        let word = of_type.and_then(|index| TYPES.get(index)).map_or("other", |(_, word)| word);
        let family = if query.family() == 1 { 0 } else { 1 };
        let index = (of_type.unwrap_or(TYPES.len()) * 2 + family) * 2 + transport_index(query.transport);
        let count = || {
            let family = ["1", "2"].get(family).copied().unwrap_or_default();
            let labels = [&self.server, &self.zone, &self.view, query.transport.as_str(), family, word];
            self.metrics.dns_requests.with_label_values(&labels)
        };
        if let Some(counter) = self.requests.get(index) {
            counter.get_or_init(count).inc();
        }
    }

    fn sizes_over(&self, transport: Transport) -> Sizes {
        let labels = [&self.server, &self.zone, &self.view, transport.as_str()];
        Sizes {
            of_requests: self.metrics.dns_request_size_bytes.with_label_values(&labels),
            of_responses: self.metrics.dns_response_size_bytes.with_label_values(&labels),
        }
    }

    fn count_response(&self, code: ResponseCode, plugin: &'static str) {
        let known = self.responses.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(responses) = known.iter().find(|known| known.code == code && known.plugin == plugin) {
            return responses.count.inc();
        }
        drop(known);
        let labels = [&self.server, &self.zone, &self.view, &*mnemonic(code), plugin];
        let count = self.metrics.dns_responses.with_label_values(&labels);
        count.inc();
        // Two threads may add the same: the first is found, and both count in the same.
        self.responses.write().unwrap_or_else(PoisonError::into_inner).push(Responses { code, plugin, count });
    }
}

fn transport_index(transport: Transport) -> usize {
    match transport {
        Transport::Udp => 0,
        Transport::Tcp => 1,
    }
}
