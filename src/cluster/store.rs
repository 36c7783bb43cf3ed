//! The newest snapshot, for all who read.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{Kept, Resource, Snapshot};

/// Holds the newest [`Snapshot`]. One owner publishes, everybody reads, and no reader waits.
#[derive(Debug)]
pub struct Store {
    snapshot: ArcSwap<Snapshot>,
    wanted: Vec<Resource>,
    kept: Kept,
    synced: watch::Sender<bool>,
    can_serve: watch::Sender<bool>,
}

impl Store {
    /// A store of a cluster that nothing is known of yet; `wanted` are the resources that will be listed.
    pub fn new(wanted: Vec<Resource>) -> Self {
        Self::keeping(wanted, Kept::ALL)
    }

    /// The same, where not all of the objects is kept.
    pub fn keeping(wanted: Vec<Resource>, kept: Kept) -> Self {
        let [synced, can_serve] = [(); 2].map(|()| watch::Sender::new(false));
        Self { snapshot: ArcSwap::default(), wanted, kept, synced, can_serve }
    }

    /// The resources that are listed and watched.
    pub fn wanted(&self) -> &[Resource] {
        &self.wanted
    }

    /// What is kept of the objects.
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// The newest snapshot. A query loads it once.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Makes a snapshot the newest. Only the owner task calls this.
    pub fn publish(&self, snapshot: Snapshot) {
        let is_synced = self.wanted.iter().all(|resource| snapshot.is_synced(*resource));
        let can_serve = is_synced || snapshot.is_of_earlier();
        self.snapshot.store(Arc::new(snapshot));
        // In this order: whoever sees that everything was listed finds that it can be served.
        self.can_serve.send_if_modified(|before| std::mem::replace(before, can_serve) != can_serve);
        self.synced.send_if_modified(|synced| std::mem::replace(synced, is_synced) != is_synced);
    }

    /// Whether what is known is of an earlier time, and not everything was listed since.
    pub fn is_of_earlier(&self) -> bool {
        self.load().is_of_earlier() && !self.is_synced()
    }

    /// Whether everything that is wanted was listed once.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// The same, to wait for; what was learned then is served for ever.
    pub fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// Whether there is something to serve: everything was listed once, or is known of an earlier time.
    pub fn can_serve(&self) -> watch::Receiver<bool> {
        self.can_serve.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_can_be_served() {
        for _ in 0..2_000 {
            let store = Store::new(Vec::new());
            std::thread::scope(|scope| {
                let owner = scope.spawn(|| store.publish(Snapshot::default()));
                while !store.is_synced() {
                    std::hint::spin_loop();
                }
                assert!(*store.can_serve.borrow());
                owner.join().expect("no panic");
            });
        }
    }
}
