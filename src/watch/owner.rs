//! The one task that edits: it applies changes to its own snapshot and publishes copies. It also reads the clock that
//! the snapshot needs.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Change, EndpointSlice, Resource, ServiceKind, Snapshot, Store};
use crate::metrics::{Metrics, Watched};

/// How many updates may wait for the owner; more wait in the API server's connections.
pub const QUEUE_LENGTH: usize = 1024;

/// Changes come in bursts, and a reader gains nothing from every state in between.
const BURST: Duration = Duration::from_millis(5);

/// A list is a long burst.
const BURST_OF_LIST: Duration = Duration::from_millis(50);

/// A change on its way to the owner.
#[derive(Debug)]
pub struct Update {
    /// The change.
    pub change: Change,
    /// When the Pod or the Service changed that an EndpointSlice changes with.
    pub caused_at: Option<SystemTime>,
}

/// A change of an EndpointSlice whose way to its answer is measured.
struct Cause {
    at: SystemTime,
    namespace: Arc<str>,
    service: Arc<str>,
}

/// The owner of a store's contents.
pub struct Owner {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    watched: BTreeMap<Resource, Arc<Watched>>,
    updates: mpsc::Receiver<Update>,
    next: Snapshot,
    /// Resources of which a list is on its way.
    listing: BTreeSet<Resource>,
}

/// What has happened since the last publication.
#[derive(Default)]
struct Pending {
    changed: bool,
    touched: BTreeSet<Resource>,
    causes: Vec<Cause>,
}

impl Owner {
    /// An owner who starts from what the store holds.
    pub fn new(
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        watched: BTreeMap<Resource, Arc<Watched>>,
        updates: mpsc::Receiver<Update>,
    ) -> Self {
        let next = Snapshot::clone(&store.load());
        Self { store, metrics, watched, updates, next, listing: BTreeSet::new() }
    }

    /// Applies and publishes until it is told to stop, or nobody is left who sends.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut received = Vec::with_capacity(QUEUE_LENGTH);
        while let Some(1..) = stop.run_until_cancelled(self.updates.recv_many(&mut received, QUEUE_LENGTH)).await {
            let mut pending = Pending::default();
            self.apply(&mut received, &mut pending);
            let deadline = Instant::now() + if self.listing.is_empty() { BURST } else { BURST_OF_LIST };
            while let Ok(1..) = timeout_at(deadline, self.updates.recv_many(&mut received, QUEUE_LENGTH)).await {
                self.apply(&mut received, &mut pending);
            }
            self.publish(&pending);
        }
        Ok(())
    }

    fn apply(&mut self, received: &mut Vec<Update>, pending: &mut Pending) {
        let now_unix = now_unix();
        for Update { change, caused_at } in received.drain(..) {
            let resource = change.resource();
            match &change {
                Change::ListStarted(_) => self.listing.insert(resource),
                Change::ListEnded(_) => self.listing.remove(&resource),
                _ => false,
            };
            pending.touched.insert(resource);
            pending.causes.extend(caused_at.and_then(|at| cause(&change, at)));
            pending.changed |= self.next.apply(change.restricted_to(self.store.kept()), now_unix);
        }
    }

    fn publish(&mut self, pending: &Pending) {
        if pending.changed {
            self.next.renumber_after(self.store.load().serial());
            self.store.publish(self.next.clone());
        }
        for resource in &pending.touched {
            if let Some(watched) = self.watched.get(resource) {
                watched.holds(self.next.count(*resource));
            }
        }
        for cause in &pending.causes {
            // A clock that was set back makes a duration that is none.
            if let (Ok(duration), Some(kind)) = (cause.at.elapsed(), self.service_kind(cause)) {
                let histogram = &self.metrics.kubernetes_dns_programming_duration_seconds;
                histogram.with_label_values(&[kind]).observe(duration.as_secs_f64());
            }
        }
    }

    /// The label of the metric. A slice whose Service is not there, or is an alias, is in no answer.
    fn service_kind(&self, cause: &Cause) -> Option<&'static str> {
        let service = self.next.namespace(&cause.namespace)?.service(&cause.service)?.service;
        match &service.kind {
            ServiceKind::ClusterIp(_) => Some("cluster_ip"),
            ServiceKind::Headless if service.has_selector => Some("headless_with_selector"),
            ServiceKind::Headless => Some("headless_without_selector"),
            ServiceKind::ExternalName(_) => None,
        }
    }
}

fn cause(change: &Change, at: SystemTime) -> Option<Cause> {
    let Change::EndpointSlice(EndpointSlice { namespace, service, .. }) = change else { return None };
    Some(Cause { at, namespace: namespace.clone(), service: service.clone()? })
}

/// Seconds since 1970, for the serial of SOA records, which has 32 bits.
fn now_unix() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Namespace;

    #[tokio::test(start_paused = true)]
    async fn a_list_is_published_with_its_end_and_makes_the_store_synced() {
        let store = Arc::new(Store::new(vec![Resource::Namespaces]));
        let metrics = Arc::new(Metrics::new());
        let watched = BTreeMap::from([(Resource::Namespaces, metrics.watch("namespaces"))]);
        let (sender, updates) = mpsc::channel(QUEUE_LENGTH);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Owner::new(store.clone(), metrics.clone(), watched, updates).run(stop.clone()));
        let namespace = Change::Namespace(Namespace { name: "shop".into(), labels: Default::default() });
        let list = [Change::ListStarted(Resource::Namespaces), namespace, Change::ListEnded(Resource::Namespaces)];
        for change in list {
            sender.send(Update { change, caused_at: None }).await.expect("an owner");
        }
        store.synced().wait_for(|synced| *synced).await.expect("a store");
        assert!(store.load().namespace("shop").is_some());
        assert!(metrics.render().contains("landfall_watch_objects{resource=\"namespaces\"} 1"));
        stop.cancel();
        assert!(running.await.is_ok());
    }

    /// What the metric counts for each kind of Service after updates of a cluster.
    async fn measured(updates: impl IntoIterator<Item = (Change, Option<SystemTime>)>) -> [u64; 3] {
        let (store, metrics) = (Arc::new(Store::new(Resource::ALL.to_vec())), Arc::new(Metrics::new()));
        let (sender, received) = mpsc::channel(QUEUE_LENGTH);
        let owner = Owner::new(store, metrics.clone(), BTreeMap::new(), received);
        let running = tokio::spawn(owner.run(CancellationToken::new()));
        for (change, caused_at) in updates {
            sender.send(Update { change, caused_at }).await.expect("an owner");
        }
        drop(sender);
        assert!(running.await.is_ok());
        ["cluster_ip", "headless_with_selector", "headless_without_selector"].map(|kind| {
            metrics.kubernetes_dns_programming_duration_seconds.with_label_values(&[kind]).get_sample_count()
        })
    }

    fn changes(manifests: &str) -> Vec<Change> {
        crate::watch::manifests::Manifests::parse("test", manifests, None).changes
    }

    const SERVICES: &str = "
{kind: Namespace, metadata: {name: shop}}
---
{kind: Service, metadata: {name: vip, namespace: shop}, spec: {clusterIP: 10.96.0.1}}
---
{kind: Service, metadata: {name: peers, namespace: shop}, spec: {clusterIP: None, selector: {app: peers}}}
---
{kind: Service, metadata: {name: hand-made, namespace: shop}, spec: {clusterIP: None}}
---
{kind: Service, metadata: {name: alias, namespace: shop}, spec: {type: ExternalName, externalName: example.org}}
";

    fn slice_of(service: &str) -> Change {
        let manifest = format!(
            "{{kind: EndpointSlice, metadata: {{name: s, namespace: shop, labels: {{kubernetes.io/service-name: {service}}}}}}}"
        );
        changes(&manifest).into_iter().find(|change| matches!(change, Change::EndpointSlice(_))).expect("a slice")
    }

    #[tokio::test(start_paused = true)]
    async fn the_service_that_a_slice_names_says_which_kind_is_measured() {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let check = async |service: &str, expected: [u64; 3]| {
            let services = changes(SERVICES).into_iter().map(|change| (change, None));
            let counts = measured(services.chain([(slice_of(service), Some(hour_ago))])).await;
            assert_eq!(counts, expected, "{service}");
        };
        check("vip", [1, 0, 0]).await;
        check("peers", [0, 1, 0]).await;
        check("hand-made", [0, 0, 1]).await;
        check("alias", [0, 0, 0]).await;
        check("absent", [0, 0, 0]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_in_the_future_is_not_measured() {
        let services = changes(SERVICES).into_iter().map(|change| (change, None));
        let later = SystemTime::now() + Duration::from_secs(3600);
        assert_eq!(measured(services.chain([(slice_of("vip"), Some(later))])).await, [0, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_publication_has_a_serial_of_its_own() {
        let store = Arc::new(Store::new(vec![Resource::Namespaces]));
        let (sender, updates) = mpsc::channel(QUEUE_LENGTH);
        let owner = Owner::new(store.clone(), Arc::new(Metrics::new()), BTreeMap::new(), updates);
        let running = tokio::spawn(owner.run(CancellationToken::new()));
        let mut serials = Vec::new();
        for name in ["a", "b", "c"] {
            let change = Change::Namespace(Namespace { name: name.into(), labels: Default::default() });
            sender.send(Update { change, caused_at: None }).await.expect("an owner");
            tokio::time::sleep(BURST * 2).await;
            serials.push(store.load().serial());
        }
        assert!(serials.is_sorted_by(|before, after| before < after), "{serials:?}");
        drop(sender);
        assert!(running.await.is_ok());
    }
}
