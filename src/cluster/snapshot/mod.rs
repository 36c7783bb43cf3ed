//! The whole cluster at one moment.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::{HashMap as SharedMap, HashSet as SharedSet, OrdMap, OrdSet};

use super::{Change, EndpointSlice, Namespace, ObjectKey, Pod, Resource, Service};

/// The whole cluster at one moment. Cloning is cheap: clones share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    namespaces: SharedMap<Arc<str>, NamespaceView>,
    slices: SharedMap<ObjectKey, Arc<EndpointSlice>>,
    pods: SharedMap<ObjectKey, Arc<Pod>>,
    /// Services by cluster IP.
    cluster_ips: Index,
    /// EndpointSlices by the addresses of their ready endpoints.
    endpoint_ips: Index,
    /// Pods by address.
    pod_ips: Index,
    synced: BTreeSet<Resource>,
    /// What lists that are under way have named so far.
    listed: SharedMap<Resource, SharedSet<ObjectKey>>,
    serial: u32,
}

/// What is known of a namespace.
#[derive(Clone, Debug, Default)]
pub struct NamespaceView {
    /// The Namespace itself; None: there are objects in it, but it is not there.
    pub namespace: Option<Arc<Namespace>>,
    services: SharedMap<Arc<str>, ServiceView>,
}

/// A Service and its EndpointSlices. Each may come and go before the other.
#[derive(Clone, Debug, Default)]
pub struct ServiceView {
    /// The Service itself; None: slices name it, but it is not there.
    pub service: Option<Arc<Service>>,
    slices: OrdMap<Arc<str>, Arc<EndpointSlice>>,
}

impl ServiceView {
    /// Its EndpointSlices, in the order of their names.
    pub fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.slices.values().map(|slice| &**slice)
    }

    fn is_empty(&self) -> bool {
        self.service.is_none() && self.slices.is_empty()
    }
}

impl NamespaceView {
    /// The Service of a name, if it is there.
    pub fn service(&self, name: &str) -> Option<&ServiceView> {
        self.services.get(name).filter(|view| view.service.is_some())
    }

    /// The Services that are there, in no order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter_map(|view| view.service.as_deref())
    }
}

impl Snapshot {
    /// The namespace of a name, if it is there.
    pub fn namespace(&self, name: &str) -> Option<&NamespaceView> {
        self.namespaces.get(name).filter(|view| view.namespace.is_some())
    }

    /// The names of the namespaces that are there, in no order.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().filter(|(_, view)| view.namespace.is_some()).map(|(name, _)| &**name)
    }

    /// The Services with a cluster IP, in the order of their names.
    pub fn services_at(&self, address: IpAddr) -> impl Iterator<Item = &ObjectKey> {
        self.cluster_ips.get(&address).into_iter().flatten()
    }

    /// The EndpointSlices with a ready endpoint at an address, in the order of their names.
    pub fn slices_at(&self, address: IpAddr) -> impl Iterator<Item = &EndpointSlice> {
        let keys = self.endpoint_ips.get(&address).into_iter().flatten();
        keys.filter_map(|key| self.slices.get(key)).map(|slice| &**slice)
    }

    /// The Pods with an address, in the order of their names.
    pub fn pods_at(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        let keys = self.pod_ips.get(&address).into_iter().flatten();
        keys.filter_map(|key| self.pods.get(key)).map(|pod| &**pod)
    }

    /// Whether a resource was listed once, so that what is not here is not there.
    pub fn is_synced(&self, resource: Resource) -> bool {
        self.synced.contains(&resource)
    }

    /// The serial of SOA records: the time in seconds of the last change that an answer may show. It never goes back.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// A copy with what is known of these resources only.
    pub fn restricted_to(&self, wanted: &[Resource]) -> Self {
        let mut restricted = self.clone();
        restricted.listed.clear();
        let all = [Resource::Namespaces, Resource::Services, Resource::EndpointSlices, Resource::Pods];
        for resource in all.into_iter().filter(|resource| !wanted.contains(resource)) {
            restricted.synced.remove(&resource);
            for key in restricted.keys(resource) {
                restricted.remove(resource, &key);
            }
        }
        restricted
    }

    /// How many objects of a resource are known.
    pub fn count(&self, resource: Resource) -> usize {
        match resource {
            Resource::Namespaces => self.namespaces.values().filter(|view| view.namespace.is_some()).count(),
            Resource::Services => {
                let services = self.namespaces.values().flat_map(|view| view.services.values());
                services.filter(|view| view.service.is_some()).count()
            }
            Resource::EndpointSlices => self.slices.len(),
            Resource::Pods => self.pods.len(),
        }
    }

    /// Applies a change at `now_unix` seconds; returns whether an answer may be different afterwards.
    pub fn apply(&mut self, change: Change, now_unix: u32) -> bool {
        let changed = match change {
            Change::Namespace(namespace) => self.set_namespace(namespace),
            Change::Service(service) => self.set_service(service),
            Change::EndpointSlice(slice) => self.set_slice(slice),
            Change::Pod(pod) => self.set_pod(pod),
            Change::Removed(resource, key) => self.remove(resource, &key),
            Change::ListStarted(resource) => {
                self.listed.insert(resource, SharedSet::new());
                false
            }
            Change::ListEnded(resource) => self.end_list(resource),
        };
        if changed {
            self.serial = self.serial.max(now_unix);
        }
        changed
    }

    /// Removes what the list did not name. Until here, everything that was known was served.
    fn end_list(&mut self, resource: Resource) -> bool {
        let listed = self.listed.remove(&resource).unwrap_or_default();
        let gone: Vec<ObjectKey> = self.keys(resource).into_iter().filter(|key| !listed.contains(key)).collect();
        let mut changed = self.synced.insert(resource);
        for key in gone {
            changed |= self.remove(resource, &key);
        }
        changed
    }

    /// The Services that are there.
    pub fn services(&self) -> impl Iterator<Item = ObjectKey> {
        self.keys(Resource::Services).into_iter()
    }

    fn keys(&self, resource: Resource) -> Vec<ObjectKey> {
        match resource {
            Resource::Namespaces => {
                let there = self.namespaces.iter().filter(|(_, view)| view.namespace.is_some());
                there.map(|(name, _)| ObjectKey { namespace: "".into(), name: name.clone() }).collect()
            }
            Resource::Services => {
                let views = self.namespaces.iter().flat_map(|(namespace, view)| {
                    view.services.iter().map(move |(name, service)| (namespace, name, service))
                });
                views
                    .filter(|(.., view)| view.service.is_some())
                    .map(|(namespace, name, _)| ObjectKey { namespace: namespace.clone(), name: name.clone() })
                    .collect()
            }
            Resource::EndpointSlices => self.slices.keys().cloned().collect(),
            Resource::Pods => self.pods.keys().cloned().collect(),
        }
    }

    fn note(&mut self, resource: Resource, key: &ObjectKey) {
        if let Some(listed) = self.listed.get_mut(&resource) {
            listed.insert(key.clone());
        }
    }

    fn set_namespace(&mut self, namespace: Namespace) -> bool {
        let key = ObjectKey { namespace: "".into(), name: namespace.name.clone() };
        self.note(Resource::Namespaces, &key);
        let view = self.namespaces.entry(key.name).or_default();
        let changed = view.namespace.as_deref() != Some(&namespace);
        view.namespace = Some(Arc::new(namespace));
        changed
    }

    fn set_service(&mut self, service: Service) -> bool {
        let key = ObjectKey { namespace: service.namespace.clone(), name: service.name.clone() };
        self.note(Resource::Services, &key);
        let view =
            self.namespaces.entry(key.namespace.clone()).or_default().services.entry(key.name.clone()).or_default();
        if view.service.as_deref() == Some(&service) {
            return false;
        }
        let before = view.service.replace(Arc::new(service.clone()));
        unindex(&mut self.cluster_ips, before.iter().flat_map(|before| before.cluster_ips()), &key);
        index(&mut self.cluster_ips, service.cluster_ips(), &key);
        true
    }

    fn set_slice(&mut self, slice: EndpointSlice) -> bool {
        let key = ObjectKey { namespace: slice.namespace.clone(), name: slice.name.clone() };
        self.note(Resource::EndpointSlices, &key);
        if self.slices.get(&key).is_some_and(|before| **before == slice) {
            return false;
        }
        self.remove_slice(&key);
        index(&mut self.endpoint_ips, slice.ready_addresses(), &key);
        let slice = Arc::new(slice);
        if let Some(service) = slice.service.clone() {
            let services = &mut self.namespaces.entry(key.namespace.clone()).or_default().services;
            services.entry(service).or_default().slices.insert(key.name.clone(), slice.clone());
        }
        self.slices.insert(key, slice);
        true
    }

    fn set_pod(&mut self, pod: Pod) -> bool {
        let key = ObjectKey { namespace: pod.namespace.clone(), name: pod.name.clone() };
        self.note(Resource::Pods, &key);
        if self.pods.get(&key).is_some_and(|before| **before == pod) {
            return false;
        }
        self.remove_pod(&key);
        index(&mut self.pod_ips, pod.addresses.iter().copied(), &key);
        self.pods.insert(key, Arc::new(pod));
        true
    }

    fn remove(&mut self, resource: Resource, key: &ObjectKey) -> bool {
        match resource {
            Resource::Namespaces => self.remove_namespace(&key.name),
            Resource::Services => self.remove_service(key),
            Resource::EndpointSlices => self.remove_slice(key),
            Resource::Pods => self.remove_pod(key),
        }
    }

    fn remove_namespace(&mut self, name: &Arc<str>) -> bool {
        let Some(view) = self.namespaces.get_mut(name) else { return false };
        let changed = view.namespace.take().is_some();
        self.tidy_namespace(name);
        changed
    }

    fn remove_service(&mut self, key: &ObjectKey) -> bool {
        let Some(view) = self.namespaces.get_mut(&key.namespace) else { return false };
        let Some(service) = view.services.get_mut(&key.name).and_then(|view| view.service.take()) else { return false };
        unindex(&mut self.cluster_ips, service.cluster_ips(), key);
        self.tidy_service(&key.namespace, &key.name);
        true
    }

    fn remove_slice(&mut self, key: &ObjectKey) -> bool {
        let Some(slice) = self.slices.remove(key) else { return false };
        unindex(&mut self.endpoint_ips, slice.ready_addresses(), key);
        if let Some(service) = &slice.service {
            if let Some(view) = self.namespaces.get_mut(&key.namespace).and_then(|view| view.services.get_mut(service))
            {
                view.slices.remove(&key.name);
            }
            self.tidy_service(&key.namespace, service);
        }
        true
    }

    fn remove_pod(&mut self, key: &ObjectKey) -> bool {
        let Some(pod) = self.pods.remove(key) else { return false };
        unindex(&mut self.pod_ips, pod.addresses.iter().copied(), key);
        true
    }

    fn tidy_service(&mut self, namespace: &Arc<str>, name: &Arc<str>) {
        if let Some(view) = self.namespaces.get_mut(namespace)
            && view.services.get(name).is_some_and(ServiceView::is_empty)
        {
            view.services.remove(name);
        }
        self.tidy_namespace(namespace);
    }

    fn tidy_namespace(&mut self, name: &Arc<str>) {
        let is_empty = |view: &NamespaceView| view.namespace.is_none() && view.services.is_empty();
        if self.namespaces.get(name).is_some_and(is_empty) {
            self.namespaces.remove(name);
        }
    }
}

/// Objects by address.
type Index = SharedMap<IpAddr, OrdSet<ObjectKey>>;

fn index(index: &mut Index, addresses: impl IntoIterator<Item = IpAddr>, key: &ObjectKey) {
    for address in addresses {
        index.entry(address).or_default().insert(key.clone());
    }
}

fn unindex(index: &mut Index, addresses: impl IntoIterator<Item = IpAddr>, key: &ObjectKey) {
    for address in addresses {
        let Some(keys) = index.get_mut(&address) else { continue };
        keys.remove(key);
        if keys.is_empty() {
            index.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests;
