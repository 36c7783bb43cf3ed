//! What plugins say of a query beside its answer.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Labels of a query such as `kubernetes/client-namespace`, told by plugins on its way where the directive `metadata` wants them.
/// Clones share them.
#[derive(Clone, Default)]
pub struct Metadata {
    /// None: nobody wants them.
    labels: Option<Arc<Mutex<Labels>>>,
}

type Labels = BTreeMap<Cow<'static, str>, String>;

impl Metadata {
    /// None yet, but wanted.
    pub fn wanted() -> Self {
        Self { labels: Some(Arc::default()) }
    }

    /// Tells a label; its value is made only if it is wanted.
    pub fn tell(&self, label: impl Into<Cow<'static, str>>, value: impl FnOnce() -> String) {
        if let Some(mut labels) = self.labels() {
            labels.insert(label.into(), value());
        }
    }

    /// The value of a label; None: nobody told it.
    pub fn get(&self, label: &str) -> Option<String> {
        self.labels()?.get(label).cloned()
    }

    /// Whether anybody wants labels.
    pub fn is_wanted(&self) -> bool {
        self.labels.is_some()
    }

    fn labels(&self) -> Option<MutexGuard<'_, Labels>> {
        Some(self.labels.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.labels().iter().flat_map(|labels| labels.iter())).finish()
    }
}
