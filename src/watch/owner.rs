//! The one task that edits: it applies changes to its own snapshot and publishes copies. It also reads the clock that
//! the snapshot needs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Change, Resource, Snapshot, Store};
use crate::metrics::Metrics;

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
    /// The change that it is the result of.
    pub cause: Option<Cause>,
}

/// What an EndpointSlice says about why it changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// When the Pod or the Service changed.
    pub at: SystemTime,
    /// The label of the metric.
    pub service_kind: &'static str,
}

/// The owner of a store's contents.
pub struct Owner {
    store: Arc<Store>,
    metrics: Arc<Metrics>,
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
    pub fn new(store: Arc<Store>, metrics: Arc<Metrics>, updates: mpsc::Receiver<Update>) -> Self {
        let next = Snapshot::clone(&store.load());
        Self { store, metrics, updates, next, listing: BTreeSet::new() }
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
        for Update { change, cause } in received.drain(..) {
            let resource = change.resource();
            match &change {
                Change::ListStarted(_) => self.listing.insert(resource),
                Change::ListEnded(_) => self.listing.remove(&resource),
                _ => false,
            };
            pending.touched.insert(resource);
            pending.causes.extend(cause);
            pending.changed |= self.next.apply(change.restricted_to(self.store.kept()), now_unix);
        }
    }

    fn publish(&self, pending: &Pending) {
        if pending.changed {
            self.store.publish(self.next.clone());
        }
        for resource in &pending.touched {
            let count = i64::try_from(self.next.count(*resource)).unwrap_or(i64::MAX);
            self.metrics.landfall_watch_objects.with_label_values(&[resource.plural()]).set(count);
        }
        for cause in &pending.causes {
            // A clock that was set back makes a duration that is none.
            if let Ok(duration) = cause.at.elapsed() {
                let histogram = &self.metrics.kubernetes_dns_programming_duration_seconds;
                histogram.with_label_values(&[cause.service_kind]).observe(duration.as_secs_f64());
            }
        }
    }
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
        let (sender, updates) = mpsc::channel(QUEUE_LENGTH);
        let stop = CancellationToken::new();
        let running = tokio::spawn(Owner::new(store.clone(), metrics.clone(), updates).run(stop.clone()));
        let namespace = Change::Namespace(Namespace { name: "shop".into(), labels: Default::default() });
        let list = [Change::ListStarted(Resource::Namespaces), namespace, Change::ListEnded(Resource::Namespaces)];
        for change in list {
            sender.send(Update { change, cause: None }).await.expect("an owner");
        }
        store.synced().wait_for(|synced| *synced).await.expect("a store");
        assert!(store.load().namespace("shop").is_some());
        assert_eq!(metrics.landfall_watch_objects.with_label_values(&["namespaces"]).get(), 1);
        stop.cancel();
        assert!(running.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_in_the_future_is_not_measured() {
        let store = Arc::new(Store::new(vec![Resource::EndpointSlices]));
        let metrics = Arc::new(Metrics::new());
        let (sender, updates) = mpsc::channel(QUEUE_LENGTH);
        let running = tokio::spawn(Owner::new(store, metrics.clone(), updates).run(CancellationToken::new()));
        let hour = Duration::from_secs(3600);
        for at in [SystemTime::now() - hour, SystemTime::now() + hour] {
            let change = Change::ListStarted(Resource::EndpointSlices);
            sender
                .send(Update { change, cause: Some(Cause { at, service_kind: "cluster_ip" }) })
                .await
                .expect("an owner");
        }
        drop(sender);
        assert!(running.await.is_ok());
        let histogram = metrics.kubernetes_dns_programming_duration_seconds.with_label_values(&["cluster_ip"]);
        assert_eq!(histogram.get_sample_count(), 1);
    }
}
