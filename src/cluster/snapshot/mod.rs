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
    /// Services by their addresses outside the cluster.
    external_ips: Index,
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
    /// ServiceImports, as if they were Services of their own.
    imports: SharedMap<Arc<str>, ServiceView>,
}

/// What an EndpointSlice may belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Services,
    Imports,
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

    /// The ServiceImport of a name, if it is there.
    pub fn import(&self, name: &str) -> Option<&ServiceView> {
        self.imports.get(name).filter(|view| view.service.is_some())
    }

    fn table(&self, table: Table) -> &SharedMap<Arc<str>, ServiceView> {
        match table {
            Table::Services => &self.services,
            Table::Imports => &self.imports,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut SharedMap<Arc<str>, ServiceView> {
        match table {
            Table::Services => &mut self.services,
            Table::Imports => &mut self.imports,
        }
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

    /// The Services with an address outside the cluster, in the order of their names.
    pub fn services_outside_at(&self, address: IpAddr) -> impl Iterator<Item = &ObjectKey> {
        self.external_ips.get(&address).into_iter().flatten()
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
        for resource in Resource::ALL.into_iter().filter(|resource| !wanted.contains(resource)) {
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
            Resource::Services => self.named(Table::Services).count(),
            Resource::ServiceImports => self.named(Table::Imports).count(),
            Resource::EndpointSlices => self.slices.len(),
            Resource::Pods => self.pods.len(),
        }
    }

    /// Applies a change at `now_unix` seconds; returns whether an answer may be different afterwards.
    pub fn apply(&mut self, change: Change, now_unix: u32) -> bool {
        let changed = match change {
            Change::Namespace(namespace) => self.set_namespace(namespace),
            Change::Service(service) => self.set_service(service),
            Change::ServiceImport(import) => self.set_import(import),
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
            Resource::Services => self.keys_of(Table::Services),
            Resource::ServiceImports => self.keys_of(Table::Imports),
            Resource::EndpointSlices => self.slices.keys().cloned().collect(),
            Resource::Pods => self.pods.keys().cloned().collect(),
        }
    }

    fn keys_of(&self, table: Table) -> Vec<ObjectKey> {
        let names = self.named(table);
        names.map(|(namespace, name)| ObjectKey { namespace: namespace.clone(), name: name.clone() }).collect()
    }

    /// Namespace and name of what is there.
    fn named(&self, table: Table) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.namespaces.iter().flat_map(move |(namespace, view)| {
            let there = view.table(table).iter().filter(|(_, view)| view.service.is_some());
            there.map(move |(name, _)| (namespace, name))
        })
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
        let view = self.view_mut(Table::Services, &key.namespace, &key.name);
        if view.service.as_deref() == Some(&service) {
            return false;
        }
        if let Some(before) = view.service.replace(Arc::new(service.clone())) {
            self.unindex_service(&before, &key);
        }
        index(&mut self.cluster_ips, service.cluster_ips(), &key);
        index(&mut self.external_ips, service.external_addresses.iter().copied(), &key);
        true
    }

    fn unindex_service(&mut self, service: &Service, key: &ObjectKey) {
        unindex(&mut self.cluster_ips, service.cluster_ips(), key);
        unindex(&mut self.external_ips, service.external_addresses.iter().copied(), key);
    }

    /// The addresses of an import have no names (Multi-Cluster Services DNS specification), so none is indexed.
    fn set_import(&mut self, import: Service) -> bool {
        let key = ObjectKey { namespace: import.namespace.clone(), name: import.name.clone() };
        self.note(Resource::ServiceImports, &key);
        let view = self.view_mut(Table::Imports, &key.namespace, &key.name);
        let changed = view.service.as_deref() != Some(&import);
        view.service = Some(Arc::new(import));
        changed
    }

    fn view_mut(&mut self, table: Table, namespace: &Arc<str>, name: &Arc<str>) -> &mut ServiceView {
        let namespace = self.namespaces.entry(namespace.clone()).or_default();
        namespace.table_mut(table).entry(name.clone()).or_default()
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
        for (table, owner) in owners(&slice) {
            self.view_mut(table, &key.namespace, &owner).slices.insert(key.name.clone(), slice.clone());
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
            Resource::ServiceImports => self.take_service(Table::Imports, key).is_some(),
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
        let Some(service) = self.take_service(Table::Services, key) else { return false };
        self.unindex_service(&service, key);
        true
    }

    fn take_service(&mut self, table: Table, key: &ObjectKey) -> Option<Arc<Service>> {
        let view = self.namespaces.get_mut(&key.namespace)?.table_mut(table).get_mut(&key.name)?;
        let service = view.service.take()?;
        self.tidy_service(table, &key.namespace, &key.name);
        Some(service)
    }

    fn remove_slice(&mut self, key: &ObjectKey) -> bool {
        let Some(slice) = self.slices.remove(key) else { return false };
        unindex(&mut self.endpoint_ips, slice.ready_addresses(), key);
        for (table, owner) in owners(&slice) {
            self.view_mut(table, &key.namespace, &owner).slices.remove(&key.name);
            self.tidy_service(table, &key.namespace, &owner);
        }
        true
    }

    fn remove_pod(&mut self, key: &ObjectKey) -> bool {
        let Some(pod) = self.pods.remove(key) else { return false };
        unindex(&mut self.pod_ips, pod.addresses.iter().copied(), key);
        true
    }

    fn tidy_service(&mut self, table: Table, namespace: &Arc<str>, name: &Arc<str>) {
        if let Some(services) = self.namespaces.get_mut(namespace).map(|view| view.table_mut(table))
            && services.get(name).is_some_and(ServiceView::is_empty)
        {
            services.remove(name);
        }
        self.tidy_namespace(namespace);
    }

    fn tidy_namespace(&mut self, name: &Arc<str>) {
        let is_empty =
            |view: &NamespaceView| view.namespace.is_none() && view.services.is_empty() && view.imports.is_empty();
        if self.namespaces.get(name).is_some_and(is_empty) {
            self.namespaces.remove(name);
        }
    }
}

/// The Service and the ServiceImport that a slice belongs to.
fn owners(slice: &EndpointSlice) -> impl Iterator<Item = (Table, Arc<str>)> + use<> {
    let service = slice.service.clone().map(|service| (Table::Services, service));
    let import = slice.import.as_ref().map(|import| (Table::Imports, import.service.clone()));
    service.into_iter().chain(import)
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
