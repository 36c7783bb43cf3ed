//! Named, supervised tasks; gates that say whether the server is ready; the order to stop.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// The running tasks of the server, or of one configuration of it. Clones speak of the same tasks.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It gets the token that says when to end; an error or a panic is logged under its name.
    pub fn spawn<F, E>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let running = tokio::spawn(task(self.stop.clone()));
        self.tracker.spawn(async move {
            match running.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => error!(task = name, %error, "a task failed"),
                Err(error) => error!(task = name, %error, "a task panicked"),
            }
        });
    }

    /// Cancelled when the tasks are to end.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells all tasks to end and waits for them, at most `patience`. Returns whether all ended.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

/// What `/ready` asks: a list of named gates, all of which must be open. Clones speak of the same gates.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    gates: Arc<Mutex<Vec<Gate>>>,
}

/// One condition of readiness.
#[derive(Clone, Debug)]
pub struct Gate {
    name: &'static str,
    is_open: tokio::sync::watch::Receiver<bool>,
}

impl Gate {
    /// A gate that is open while the last value sent to the channel is true.
    pub fn new(name: &'static str, is_open: tokio::sync::watch::Receiver<bool>) -> Self {
        Self { name, is_open }
    }
}

impl Readiness {
    /// Adds a gate.
    pub fn add(&self, gate: Gate) {
        self.lock().push(gate);
    }

    /// The names of the gates that are closed, sorted, each once; empty means ready.
    pub fn closed(&self) -> Vec<&'static str> {
        let mut names: Vec<_> =
            self.lock().iter().filter(|gate| !*gate.is_open.borrow()).map(|gate| gate.name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
