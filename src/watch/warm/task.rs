//! When the file is read and written.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Unusable, WarmFile};
use crate::cluster::{Snapshot, Store};
use crate::metrics::{Metrics, Watched};

/// How often a snapshot that has changed is written.
const PERIOD: Duration = Duration::from_secs(60);

/// How often one is written that has not, so that its age is that of what is known.
const RENEWAL: Duration = Duration::from_secs(3600);

/// Begins with what the file holds, unless something is known already.
pub async fn warm(file: &WarmFile, store: &Store) {
    if store.load().objects().next().is_some() {
        return;
    }
    let (reader, wanted, kept) = (file.clone(), store.wanted().to_vec(), store.kept());
    match tokio::task::spawn_blocking(move || reader.read(&wanted, kept, SystemTime::now())).await {
        Ok(Ok((snapshot, saved))) => {
            let age = SystemTime::now().duration_since(saved).unwrap_or_default().as_secs();
            info!(target: "plugin/kubernetes", "warm start: names of {}, {age}s old, are answered until everything was listed", file.name());
            store.publish(snapshot);
        }
        Ok(Err(Unusable::Io(error))) if error.kind() == ErrorKind::NotFound => {
            info!(target: "plugin/kubernetes", "warm start: there is no {} yet", file.name());
        }
        Ok(Err(reason)) => warn!(target: "plugin/kubernetes", "warm start: {} is of no use: {reason}", file.name()),
        Err(panic) => warn!(target: "plugin/kubernetes", "warm start: {} is of no use: {panic}", file.name()),
    }
}

/// Writes what was listed, and again when it has changed, until it is told to stop.
pub async fn keep(
    file: WarmFile,
    store: Arc<Store>,
    watched: Vec<Arc<Watched>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let mut synced = store.synced();
    let stale = i64::from(store.is_of_earlier());
    metrics.landfall_kubernetes_stale_clusters.add(stale);
    let is_synced =
        stop.run_until_cancelled(synced.wait_for(|synced| *synced)).await.is_some_and(|synced| synced.is_ok());
    metrics.landfall_kubernetes_stale_clusters.sub(stale);
    if !is_synced {
        return Ok(());
    }
    let (mut written, mut written_at) = (Weak::new(), Instant::now());
    let mut is_failing = false;
    loop {
        let snapshot = store.load().clone();
        let has_changed = !std::ptr::eq(Weak::as_ptr(&written), Arc::as_ptr(&snapshot));
        let is_current = || written_at.elapsed() > RENEWAL && watched.iter().all(|watched| !watched.is_stale());
        if has_changed || is_current() {
            // Weak: the memory of what changes in the meantime is not held.
            let newest = Arc::downgrade(&snapshot);
            match write(&file, snapshot).await {
                Ok(()) => (written, written_at, is_failing) = (newest, Instant::now(), false),
                Err(error) => {
                    metrics.landfall_kubernetes_warm_start_failures.inc();
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(target: "plugin/kubernetes", "warm start: {} cannot be written: {error}", file.name());
                    }
                }
            }
        }
        if stop.run_until_cancelled(sleep(PERIOD)).await.is_none() {
            return Ok(());
        }
    }
}

async fn write(file: &WarmFile, snapshot: Arc<Snapshot>) -> io::Result<()> {
    let file = file.clone();
    tokio::task::spawn_blocking(move || file.write(&snapshot, SystemTime::now())).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Change, Resource};
    use crate::config::directive::WarmStart;

    #[tokio::test(start_paused = true)]
    async fn the_file_is_renewed_while_what_is_known_is_current() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cluster.json");
        let file = WarmFile::new(&WarmStart { file: path.clone(), max_age: RENEWAL }, "a", &[], "");
        let (store, metrics) = (Arc::new(Store::new(vec![Resource::Services])), Arc::new(Metrics::new()));
        let watched = metrics.watch("services");
        let stop = CancellationToken::new();
        let keeping = keep(file, store.clone(), vec![watched.clone()], metrics, stop.clone());
        let running = tokio::spawn(keeping);
        let becomes_there = async |within: Duration| {
            for _ in 0..within.as_secs() {
                sleep(Duration::from_secs(1)).await;
                if path.exists() {
                    return std::fs::remove_file(&path).is_ok();
                }
            }
            false
        };
        assert!(!becomes_there(2 * RENEWAL).await, "nothing was listed yet");
        let mut snapshot = Snapshot::default();
        snapshot.apply(Change::ListEnded(Resource::Services), 1);
        store.publish(snapshot);
        assert!(becomes_there(2 * PERIOD).await);
        assert!(!becomes_there(RENEWAL / 2).await, "nothing has changed");
        assert!(becomes_there(RENEWAL).await);
        watched.is_stale_since(SystemTime::now());
        assert!(!becomes_there(2 * RENEWAL).await, "nobody says that it is current");
        stop.cancel();
        assert!(running.await.is_ok());
    }
}
