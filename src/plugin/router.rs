//! Which server block answers a name.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::prometheus::Prometheus;
use crate::dns::{Answer, Class, Name, Query, RecordType, label_count};

/// The zones of one listener.
#[derive(Debug, Default)]
pub struct Router {
    /// Zones with most labels first.
    zones: Vec<Zone>,
    /// Counts what no block answers (zone label `dropped`).
    dropped: Option<Prometheus>,
    /// Whether blocks are asked about other classes than IN at all.
    knows_other_classes: bool,
}

/// A zone and the server block that serves it.
#[derive(Clone, Debug)]
pub struct Zone {
    /// The apex, in lower case.
    pub apex: Name,
    /// Which server block it is of, counted from 0.
    pub block: usize,
    /// What is done with its queries.
    pub pipeline: Arc<Pipeline>,
    /// Counts the queries of this zone, if the block has `prometheus`.
    pub prometheus: Option<Arc<Prometheus>>,
}

impl Router {
    /// A router over the zones of a listener, those of one name in the order of their blocks; `dropped` counts what no block
    /// answers.
    pub fn new(mut zones: Vec<Zone>, dropped: Option<Prometheus>) -> Self {
        zones.sort_by_key(|zone| std::cmp::Reverse(label_count(&zone.apex)));
        let knows_other_classes = zones.iter().any(|zone| zone.pipeline.knows_other_classes());
        Self { zones, dropped, knows_other_classes }
    }

    /// The zones, those with most labels first.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.iter()
    }

    /// The block that answers a query, and the query as that block takes it.
    pub fn route(&self, mut query: Query) -> Routed<'_> {
        let zone = self.zone(&mut query);
        query.explain("server", || match zone {
            Some(zone) => {
                format!("server block {} answers: {} is the longest zone of the name", zone.block + 1, zone.apex)
            }
            None => "no server block has a zone for the name: REFUSED".to_owned(),
        });
        if let Some(zone) = zone {
            zone.pipeline.admit(&mut query);
        }
        Routed { query, zone, router: self }
    }

    /// The zone with most labels that the name is in, and in it the first block whose view takes the query; None if there is
    /// none, or it has no plugins.
    fn zone(&self, query: &mut Query) -> Option<&Zone> {
        if query.class != Class::IN && !self.knows_other_classes {
            return None;
        }
        // DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1). The root is no such parent: it is most often
        // forwarded, and the Internet denies the names of a cluster.
        let is_of_parent = query.record_type == RecordType::DS && self.zones.iter().any(|zone| zone.apex == query.name);
        let parent = |zone: &Zone, query: &Query| zone.apex != query.name && !zone.apex.is_root();
        let found = if is_of_parent { self.first(query, parent) } else { None };
        let found = found.or_else(|| self.first(query, |_, _| true));
        found.filter(|zone| zone.prometheus.is_some() || !zone.pipeline.is_empty())
    }

    fn first(&self, query: &mut Query, is_wanted: impl Fn(&Zone, &Query) -> bool) -> Option<&Zone> {
        self.zones
            .iter()
            .find(|zone| zone.apex.zone_of(&query.name) && is_wanted(zone, query) && zone.pipeline.takes(query))
    }

    /// Whether a block answers a name from what this server knows itself. Of several blocks for one zone, any: which of them
    /// answers depends on who asks.
    pub fn knows(&self, name: &Name) -> bool {
        let apex = self.zones.iter().map(|zone| &zone.apex).find(|apex| apex.zone_of(name));
        self.zones.iter().any(|zone| Some(&zone.apex) == apex && zone.pipeline.knows(name))
    }

    /// Whether the block of a query's name is another one than that of these plugins.
    pub fn is_of_other_block(&self, query: &Query, pipeline: &Pipeline) -> bool {
        self.zone(&mut query.clone()).is_some_and(|zone| !std::ptr::eq(&*zone.pipeline, pipeline))
    }

    /// Counts what was answered in place of every block: there is none, or it broke.
    pub fn observe_dropped(&self, query: &Query, answer: &Answer, reply: Option<&[u8]>, took: Duration) {
        if let Some(dropped) = &self.dropped {
            dropped.observe(query, answer, reply.map(<[u8]>::len), took);
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
                Some(query) => self.route(query).answer().await,
                None => Answer::serv_fail("too many aliases in a row"),
            }
        })
    }
}

/// A query on its way to the block that answers it, and the same block hears of the answer.
#[derive(Debug)]
pub struct Routed<'a> {
    query: Query,
    zone: Option<&'a Zone>,
    router: &'a Router,
}

impl Routed<'_> {
    /// The query as the block takes it.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The answer of the block, REFUSED where there is none.
    pub async fn answer(&self) -> Answer {
        match self.zone {
            Some(zone) => zone.pipeline.answer(&self.query, self.router).await,
            None => Answer::refused(),
        }
    }

    /// Tells those who watch what was answered, and in which octets: metrics, the error log, the query log.
    pub fn observe(&self, answer: &Answer, reply: Option<&[u8]>, took: Duration) {
        let Self { query, zone, router } = self;
        let Some(zone) = zone else { return router.observe_dropped(query, answer, reply, took) };
        if let Some(prometheus) = &zone.prometheus {
            prometheus.observe(query, answer, reply.map(<[u8]>::len), took);
        }
        zone.pipeline.observe(query, answer, reply, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;
    use crate::plugin::whoami::Whoami;

    fn zone(apex: &str, pipeline: Pipeline) -> Zone {
        Zone { apex: parse_name(apex).unwrap(), block: 0, pipeline: Arc::new(pipeline), prometheus: None }
    }

    fn check(zones: &[&str], name: &str, record_type: RecordType, expected: Option<&str>) {
        let whoami = || Pipeline { whoami: Some(Whoami), ..Pipeline::default() };
        let mut zones: Vec<Zone> = zones.iter().map(|apex| zone(apex, whoami())).collect();
        zones.push(zone("empty.", Pipeline::default()));
        let router = Router::new(zones, None);
        let query = Query::of_our_own(parse_name(name).unwrap(), record_type);
        let found = router.route(query.clone()).zone.map(|zone| zone.apex.to_ascii());
        assert_eq!(found.as_deref(), expected, "{name} {record_type}");
        assert!(router.route(Query { class: Class::CH, ..query }).zone.is_none(), "nobody knows other classes");
    }

    #[test]
    fn the_zone_with_most_labels_answers() {
        let zones = ["org.", "b.example.org.", "example.org.", "*.example.org."];
        check(&zones, "a.B.Example.org.", RecordType::A, Some("b.example.org."));
        check(&zones, "ab.example.org.", RecordType::A, Some("example.org."));
        check(&zones, "a.*.example.org.", RecordType::A, Some("*.example.org."));
        check(&zones, "example.net.", RecordType::A, None);
        check(&zones, ".", RecordType::A, None);
        check(&["."], "example.net.", RecordType::A, Some("."));
    }

    #[test]
    fn ds_is_asked_of_the_parent_unless_that_is_the_root() {
        check(&["b.example.org.", "example.org."], "b.example.org.", RecordType::DS, Some("example.org."));
        check(&["b.example.org.", "example.org."], "a.b.example.org.", RecordType::DS, Some("b.example.org."));
        check(&[".", "cluster.local."], "cluster.local.", RecordType::DS, Some("cluster.local."));
        check(&["."], ".", RecordType::DS, Some("."));
    }

    #[test]
    fn a_block_without_plugins_answers_nothing() {
        check(&["."], "a.empty.", RecordType::A, None);
    }
}
