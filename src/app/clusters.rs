//! The clusters of a configuration: one store and one set of watches for each source, whatever asks for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::wanted::{Cluster, Wanted, Watching, clusters};
use crate::cluster::{Resource, Snapshot, Store};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::task::{Gate, Readiness, Tasks};
use crate::watch::manifests::Manifests;
use crate::watch::{self, Settings, Times, Troubles, WatchError};

/// How the clusters of all configurations of a process are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`.
    pub context: Option<String>,
    /// In place of every source: a cluster that is built in, as manifests.
    pub built_in: Option<&'static str>,
}

/// Clusters that are watched. They survive a reload that does not change what they are.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    running: HashMap<Cluster, Running>,
}

/// A store with the tasks that fill it.
#[derive(Clone, Debug)]
struct Running {
    store: Arc<Store>,
    troubles: Troubles,
    watching: Watching,
    tasks: Tasks,
}

impl Clusters {
    /// The clusters of a configuration: those of `self` that it needs unchanged, and new ones for the rest.
    pub async fn for_config(
        &self,
        config: &Config,
        access: &Access,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, WatchError> {
        let mut next = Self::default();
        for (cluster, wanted) in clusters(config) {
            let running = match self.running.get(&cluster) {
                Some(running) if running.has_just(&wanted) => running.clone(),
                before => match start(&cluster, store(&wanted, before), wanted.watching, access, metrics).await {
                    Ok(running) => running,
                    Err(error) => {
                        next.stop_all_but(self);
                        return Err(error);
                    }
                },
            };
            next.running.insert(cluster, running);
        }
        Ok(next)
    }

    /// The stores by their source.
    pub fn stores(&self) -> HashMap<Cluster, Arc<Store>> {
        self.running.iter().map(|(cluster, running)| (cluster.clone(), running.store.clone())).collect()
    }

    /// What must be heard of before the server is ready.
    pub fn readiness(&self) -> Readiness {
        let readiness = Readiness::default();
        for running in self.running.values() {
            let (store, troubles) = (running.store.clone(), running.troubles.clone());
            readiness.add(Gate::new("kubernetes", store.can_serve()).because(move || troubles.unheard(&store)));
        }
        readiness
    }

    /// Whether the configuration needs none.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// The resources of which nothing was listed yet.
    pub fn unheard(&self) -> Vec<&'static str> {
        let snapshots = self.running.values().map(|running| (running.store.wanted(), running.store.load()));
        let unheard = snapshots.flat_map(|(wanted, snapshot)| {
            wanted.iter().copied().filter(move |resource| !snapshot.is_synced(*resource))
        });
        unheard.map(Resource::plural).collect()
    }

    /// Waits until everything was listed once, at most `patience`.
    pub async fn wait(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut reminder = tokio::time::interval(Duration::from_millis(500));
        reminder.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first moment is not worth a line: manifests are read by then.
        reminder.tick().await;
        for running in self.running.values() {
            let mut synced = running.store.synced();
            loop {
                tokio::select! {
                    _ = synced.wait_for(|synced| *synced) => break,
                    () = tokio::time::sleep_until(deadline) => {
                        warn!(target: "plugin/kubernetes", "serving with unsynced Kubernetes API");
                        return;
                    }
                    _ = reminder.tick() => {
                        info!(target: "plugin/kubernetes", "waiting for Kubernetes API");
                    }
                }
            }
        }
    }

    /// Ends the watches that `kept` does not go on with.
    pub fn stop_all_but(&self, kept: &Self) {
        for (cluster, running) in &self.running {
            let is_kept = kept.running.get(cluster).is_some_and(|other| Arc::ptr_eq(&other.store, &running.store));
            if !is_kept {
                running.tasks.stopping().cancel();
            }
        }
    }
}

impl Running {
    fn has_just(&self, wanted: &Wanted) -> bool {
        let has_same_objects = self.store.kept() == wanted.kept && self.store.wanted().iter().eq(&wanted.resources);
        has_same_objects && self.watching == wanted.watching
    }
}

/// A store that starts from what is known already: other resources of the same cluster, or more of the same objects, are no
/// reason to forget these.
fn store(wanted: &Wanted, before: Option<&Running>) -> Arc<Store> {
    let store = wanted.store();
    if let Some(before) = before {
        let mut known = before.store.load().restricted_to(store.wanted());
        if before.store.is_synced() {
            known = known.of_now();
        }
        let is_partial = |resource: &&Resource| !before.store.kept().has_all_of(wanted.kept, **resource);
        wanted.resources.iter().filter(is_partial).for_each(|resource| known.doubt(*resource));
        store.publish(known);
    }
    Arc::new(store)
}

async fn start(
    cluster: &Cluster,
    store: Arc<Store>,
    watching: Watching,
    access: &Access,
    metrics: &Arc<Metrics>,
) -> Result<Running, WatchError> {
    let mut running = Running { store, troubles: Troubles::default(), watching, tasks: Tasks::new() };
    if let Some(manifests) = access.built_in {
        let mut snapshot = Snapshot::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Manifests::parse("built-in", manifests, None).apply(&mut snapshot, u32::try_from(now).unwrap_or(u32::MAX));
        running.store.publish(snapshot);
        return Ok(running);
    }
    let settings = Settings {
        source: cluster.source.clone(),
        kubeconfig: access.kubeconfig.clone(),
        context: access.context.clone(),
        labels: cluster.labels.clone(),
        pace: running.watching.pace,
        compare: running.watching.compare,
        times: Times::default(),
        warm_start: running.watching.warm_start.clone(),
    };
    running.troubles = watch::start(settings, running.store.clone(), metrics.clone(), &running.tasks).await?;
    Ok(running)
}
