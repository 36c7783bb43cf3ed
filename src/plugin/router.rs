//! Which server block answers a name.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::prometheus::Prometheus;
use crate::dns::{Answer, Name, Query, RecordType, label_count};

/// The zones of one listener.
#[derive(Debug, Default)]
pub struct Router {
    /// Zones with most labels first.
    zones: Vec<Zone>,
    /// Counts what is in no zone (zone label `dropped`).
    dropped: Option<Prometheus>,
}

/// A zone and the server block that serves it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The apex, in lower case.
    pub apex: Name,
    /// What is done with its queries.
    pub pipeline: Arc<Pipeline>,
    /// Counts the queries of this zone, if the block has `prometheus`.
    pub prometheus: Option<Arc<Prometheus>>,
}

impl Router {
    /// A router over the zones of a listener; `dropped` counts what is in none of them.
    pub fn new(mut zones: Vec<Zone>, dropped: Option<Prometheus>) -> Self {
        zones.sort_by_key(|zone| std::cmp::Reverse(label_count(&zone.apex)));
        Self { zones, dropped }
    }

    /// The zones, those with most labels first.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// The zone with most labels that the name is in. DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1).
    pub fn route(&self, name: &Name, record_type: RecordType) -> Option<&Zone> {
        let mut served = self.zones.iter().filter(|zone| zone.apex.zone_of(name));
        let longest = served.next()?;
        if record_type == RecordType::DS && longest.apex == *name {
            return served.next().or(Some(longest));
        }
        Some(longest)
    }

    /// Answers a query through the block of its name, REFUSED where there is none.
    pub async fn answer(&self, query: &Query) -> Answer {
        match self.route(&query.name, query.record_type) {
            Some(zone) => zone.pipeline.answer(query, self).await,
            None => Answer::refused(),
        }
    }

    /// Asks a question again for the cache of the block of its name, which keeps the answer.
    pub async fn refresh(&self, query: &Query) {
        if let Some(zone) = self.route(&query.name, query.record_type) {
            zone.pipeline.refresh(query, self).await;
        }
    }

    /// The query as the block of its name takes it.
    pub fn admit(&self, query: Query) -> Query {
        match self.route(&query.name, query.record_type) {
            Some(zone) => zone.pipeline.admit(query),
            None => query,
        }
    }

    /// Tells those who watch what was answered, and in which octets: metrics, the error log, the query log.
    pub fn observe(&self, query: &Query, answer: &Answer, reply: &[u8], took: Duration) {
        let zone = self.route(&query.name, query.record_type);
        let prometheus = zone.map_or(self.dropped.as_ref(), |zone| zone.prometheus.as_deref());
        if let Some(prometheus) = prometheus {
            prometheus.observe(query, answer, reply.len(), took);
        }
        if let Some(zone) = zone {
            zone.pipeline.observe(query, answer, reply, took);
        }
    }

    /// Asks another name or type on behalf of a query: the target of an alias, the A side of DNS64. It goes through the
    /// block of its own name, with the client's address, size and DO; SERVFAIL if there were too many in a row.
    pub fn follow_up<'a>(
        &'a self,
        query: &Query,
        name: Name,
        record_type: RecordType,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        let follow_up = query.follow_up(name, record_type);
        Box::pin(async move {
            match follow_up {
                Some(query) => self.answer(&query).await,
                None => Answer::serv_fail("too many aliases in a row"),
            }
        })
    }
}
