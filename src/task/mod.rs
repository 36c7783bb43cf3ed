//! Named, supervised tasks; gates that say whether the server is ready; the order to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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
#[derive(Clone)]
pub struct Gate {
    name: &'static str,
    is_open: tokio::sync::watch::Receiver<bool>,
    why_closed: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("name", &self.name).field("is_open", &*self.is_open.borrow()).finish()
    }
}

impl Gate {
    /// A gate that is open while the last value sent to the channel is true.
    pub fn new(name: &'static str, is_open: tokio::sync::watch::Receiver<bool>) -> Self {
        Self { name, is_open, why_closed: Arc::new(String::new) }
    }

    /// The same with the reason why it is closed, while it is.
    pub fn because(self, why_closed: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self { why_closed: Arc::new(why_closed), ..self }
    }
}

impl Readiness {
    /// Adds a gate.
    pub fn add(&self, gate: Gate) {
        self.lock().push(gate);
    }

    /// The gates that are closed, sorted, each name once with its reasons: `kubernetes: pods (403 forbidden)`. Empty
    /// means ready.
    pub fn closed(&self) -> Vec<String> {
        let closed: Vec<Gate> = self.lock().iter().filter(|gate| !*gate.is_open.borrow()).cloned().collect();
        let mut reasons: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for gate in closed {
            reasons.entry(gate.name).or_default().extend(Some((gate.why_closed)()).filter(|reason| !reason.is_empty()));
        }
        let named = reasons.into_iter().map(|(name, reasons)| match reasons.is_empty() {
            true => name.to_owned(),
            false => format!("{name}: {}", reasons.into_iter().collect::<Vec<_>>().join("; ")),
        });
        named.collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
