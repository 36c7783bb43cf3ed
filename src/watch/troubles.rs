//! Why nothing is learned of a resource at present, for those who ask whether the server is ready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster::{Resource, Store};

/// The last failure of each resource. Clones speak of the same.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    failures: Arc<Mutex<BTreeMap<Resource, String>>>,
}

impl Troubles {
    /// A request failed.
    pub fn add(&self, resource: Resource, failure: String) {
        self.lock().insert(resource, failure);
    }

    /// A list is complete.
    pub fn remove(&self, resource: Resource) {
        self.lock().remove(&resource);
    }

    /// The resources that were not listed yet, and why: `endpointslices (403 forbidden), pods (not listed yet)`.
    pub fn unheard(&self, store: &Store) -> String {
        let (failures, snapshot) = (self.lock(), store.load());
        let unheard = store.wanted().iter().filter(|resource| !snapshot.is_synced(**resource));
        let named = unheard.map(|resource| {
            let why = failures.get(resource).map_or("not listed yet", String::as_str);
            format!("{} ({why})", resource.plural())
        });
        named.collect::<Vec<_>>().join(", ")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Resource, String>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_listed_is_named_with_the_reason() {
        let (store, troubles) = (Store::new(vec![Resource::Services, Resource::Pods]), Troubles::default());
        troubles.add(Resource::Pods, "403 forbidden".to_owned());
        assert_eq!(troubles.unheard(&store), "services (not listed yet), pods (403 forbidden)");
        troubles.remove(Resource::Pods);
        assert_eq!(troubles.unheard(&store), "services (not listed yet), pods (not listed yet)");
    }
}
