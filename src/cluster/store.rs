//! The newest snapshot, for all who read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Resource, Snapshot};

/// Holds the newest [`Snapshot`]. One owner publishes, everybody reads, and no reader waits.
#[derive(Debug)]
pub struct Store {
    snapshot: ArcSwap<Snapshot>,
    synced: watch::Sender<bool>,
}

/// Which resources have been listed at least once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// Resources that have not.
    pub missing: Vec<Resource>,
}

impl Default for Store {
    fn default() -> Self {
        Self { snapshot: ArcSwap::default(), synced: watch::Sender::new(false) }
    }
}

impl Store {
    /// The newest snapshot. A query loads it once.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Makes a snapshot the newest. Only the owner task calls this.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Whether everything that is watched was listed once. It never becomes false again: what was learned is served.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// The same as a channel, for those who wait for it.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// Says that everything that is watched was listed once.
    pub fn set_synced(&self) {
        self.synced.send_replace(true);
    }
}
