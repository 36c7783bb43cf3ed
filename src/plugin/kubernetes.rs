//! `kubernetes`: the names of a cluster.

use super::Router;
use crate::dns::{Answer, Name, Query};

/// The names of a cluster.
#[derive(Debug)]
pub struct Kubernetes {}

impl Kubernetes {
    /// Whether a name is in one of the zones.
    pub fn serves(&self, name: &Name) -> bool {
        let _ = name;
        false
    }

    /// The answer of the cluster; None: ask the next plugin.
    pub async fn lookup(&self, query: &Query, router: &Router) -> Option<Answer> {
        let _ = (query, router);
        None
    }
}
