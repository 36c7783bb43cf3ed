//! The whole cluster at one moment.

mod by_name;
mod index;
mod table;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use self::by_name::ByName;
use self::index::{ByAddress, ByOwner, Owner};
use super::{Change, EndpointSlice, Namespace, ObjectKey, Pod, Resource, Service};

/// The whole cluster at one moment. Cloning is cheap: clones share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    namespaces: ByName<Namespace>,
    services: ByName<Service>,
    /// ServiceImports, as if they were Services of their own.
    imports: ByName<Service>,
    slices: ByName<EndpointSlice>,
    pods: ByName<Pod>,
    /// EndpointSlices by Service and ServiceImport. Each may come and go before the other.
    slices_of: ByOwner,
    cluster_ips: ByAddress<Service>,
    /// Services by their addresses outside the cluster.
    external_ips: ByAddress<Service>,
    /// EndpointSlices by the addresses of their ready endpoints.
    endpoint_ips: ByAddress<EndpointSlice>,
    pod_ips: ByAddress<Pod>,
    synced: BTreeSet<Resource>,
    serial: u32,
    is_of_earlier: bool,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is what its name says")]
pub enum Object<'a> {
    Namespace(&'a Namespace),
    Service(&'a Service),
    ServiceImport(&'a Service),
    EndpointSlice(&'a EndpointSlice),
    Pod(&'a Pod),
}

/// A namespace that is there.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceView<'a> {
    /// The Namespace itself.
    pub namespace: &'a Namespace,
    snapshot: &'a Snapshot,
}

/// A Service or ServiceImport that is there, with its EndpointSlices.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    /// The Service itself.
    pub service: &'a Service,
    is_import: bool,
    snapshot: &'a Snapshot,
}

impl<'a> NamespaceView<'a> {
    /// The Service of a name, if it is there.
    pub fn service(self, name: &str) -> Option<ServiceView<'a>> {
        let service = self.snapshot.services.get(&self.namespace.name, name)?;
        Some(ServiceView { service, is_import: false, snapshot: self.snapshot })
    }

    /// The Services that are there, in no order.
    pub fn services(self) -> impl Iterator<Item = &'a Service> {
        let all = self.snapshot.services.iter().map(|service| &**service);
        all.filter(move |service| service.namespace == self.namespace.name)
    }

    /// The ServiceImport of a name, if it is there.
    pub fn import(self, name: &str) -> Option<ServiceView<'a>> {
        let service = self.snapshot.imports.get(&self.namespace.name, name)?;
        Some(ServiceView { service, is_import: true, snapshot: self.snapshot })
    }
}

impl<'a> ServiceView<'a> {
    /// Its EndpointSlices, in the order of their names.
    pub fn slices(self) -> impl Iterator<Item = &'a EndpointSlice> {
        let Service { namespace, name, .. } = self.service;
        let owner = if self.is_import { Owner::Import(name) } else { Owner::Service(name) };
        self.snapshot.slices_of.of(namespace, owner)
    }
}

impl Snapshot {
    /// The namespace of a name, if it is there.
    pub fn namespace(&self, name: &str) -> Option<NamespaceView<'_>> {
        self.namespaces.get("", name).map(|namespace| NamespaceView { namespace, snapshot: self })
    }

    /// The names of the namespaces that are there, in no order.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.iter().map(|namespace| &*namespace.name)
    }

    /// The Services that are there, in no order.
    pub fn services(&self) -> impl Iterator<Item = ObjectKey> {
        self.services
            .iter()
            .map(|service| ObjectKey { namespace: service.namespace.clone(), name: service.name.clone() })
    }

    /// The Services with a cluster IP, in the order of their names.
    pub fn services_at(&self, address: IpAddr) -> impl Iterator<Item = &Service> {
        self.cluster_ips.at(address)
    }

    /// The Services with an address outside the cluster, in the order of their names.
    pub fn services_outside_at(&self, address: IpAddr) -> impl Iterator<Item = &Service> {
        self.external_ips.at(address)
    }

    /// The EndpointSlices with a ready endpoint at an address, in the order of their names.
    pub fn slices_at(&self, address: IpAddr) -> impl Iterator<Item = &EndpointSlice> {
        self.endpoint_ips.at(address)
    }

    /// The same of the namespaces that stand behind this one in the alphabet.
    pub fn slices_at_behind<'a>(
        &'a self,
        address: IpAddr,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a EndpointSlice> {
        self.endpoint_ips.at_behind(address, namespace)
    }

    /// The Pods with an address, in the order of their names.
    pub fn pods_at(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        self.pod_ips.at(address)
    }

    /// The same, as what was known at an earlier time: nothing of it counts as listed.
    pub fn of_earlier(self) -> Self {
        Self { synced: BTreeSet::new(), is_of_earlier: true, ..self }
    }

    /// The same, all of which was listed since.
    pub fn of_now(self) -> Self {
        Self { is_of_earlier: false, ..self }
    }

    /// Whether it began with what was known at an earlier time.
    pub fn is_of_earlier(&self) -> bool {
        self.is_of_earlier
    }

    /// All objects, in no order.
    pub fn objects(&self) -> impl Iterator<Item = Object<'_>> {
        let namespaces = self.namespaces.iter().map(|namespace| Object::Namespace(namespace));
        let services = self.services.iter().map(|service| Object::Service(service));
        let imports = self.imports.iter().map(|import| Object::ServiceImport(import));
        let slices = self.slices.iter().map(|slice| Object::EndpointSlice(slice));
        let pods = self.pods.iter().map(|pod| Object::Pod(pod));
        namespaces.chain(services).chain(imports).chain(slices).chain(pods)
    }

    /// Whether a resource was listed once, so that what is not here is not there.
    pub fn is_synced(&self, resource: Resource) -> bool {
        self.synced.contains(&resource)
    }

    /// The serial of SOA records: the time in seconds of the last change that an answer may show. It never goes back.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many objects of a resource are known.
    pub fn count(&self, resource: Resource) -> usize {
        match resource {
            Resource::Namespaces => self.namespaces.len(),
            Resource::Services => self.services.len(),
            Resource::ServiceImports => self.imports.len(),
            Resource::EndpointSlices => self.slices.len(),
            Resource::Pods => self.pods.len(),
        }
    }

    /// A copy with what is known of these resources only, and without the lists that are under way.
    pub fn restricted_to(&self, wanted: &[Resource]) -> Self {
        let mut restricted = self.clone();
        for resource in Resource::ALL {
            match wanted.contains(&resource) {
                true => restricted.forget_list(resource),
                false => restricted.forget(resource),
            }
        }
        restricted
    }

    /// Makes a resource one that has to be listed again before what is not here is not there.
    pub fn doubt(&mut self, resource: Resource) {
        self.synced.remove(&resource);
    }

    /// Applies a change at `now_unix` seconds; returns whether an answer may be different afterwards.
    pub fn apply(&mut self, change: Change, now_unix: u32) -> bool {
        let changed = match change {
            Change::Namespace(namespace) => self.namespaces.set(namespace).is_some(),
            Change::Service(service) => self.set_service(service),
            Change::ServiceImport(import) => self.set_import(import),
            Change::EndpointSlice(slice) => self.set_slice(slice),
            Change::Pod(pod) => self.set_pod(pod),
            Change::Unfit(resource, key, readable) => {
                let is_known = self.name(resource, &key);
                readable.filter(|_| !is_known).is_some_and(|readable| self.apply(*readable, now_unix))
            }
            Change::Removed(resource, key) => self.remove(resource, &key),
            Change::ListStarted(resource) => {
                self.start_list(resource);
                false
            }
            Change::ListEnded(resource) => self.end_list(resource),
        };
        if changed {
            self.serial = self.serial.max(now_unix);
        }
        changed
    }

    fn start_list(&mut self, resource: Resource) {
        match resource {
            Resource::Namespaces => self.namespaces.start_list(),
            Resource::Services => self.services.start_list(),
            Resource::ServiceImports => self.imports.start_list(),
            Resource::EndpointSlices => self.slices.start_list(),
            Resource::Pods => self.pods.start_list(),
        }
    }

    /// Numbers it after a snapshot that was published before it: two in one second, or while the clock is set back, are
    /// two to a secondary.
    pub fn renumber_after(&mut self, published: u32) {
        self.serial = self.serial.max(published.saturating_add(1));
    }

    /// Notes that a list names an object, of which no more is known than that; returns whether it was there before.
    fn name(&mut self, resource: Resource, key: &ObjectKey) -> bool {
        let (namespace, name) = (&*key.namespace, &*key.name);
        match resource {
            Resource::Namespaces => self.namespaces.name("", name),
            Resource::Services => self.services.name(namespace, name),
            Resource::ServiceImports => self.imports.name(namespace, name),
            Resource::EndpointSlices => self.slices.name(namespace, name),
            Resource::Pods => self.pods.name(namespace, name),
        }
    }

    /// Removes what the list did not name. Until here, everything that was known was served.
    fn end_list(&mut self, resource: Resource) -> bool {
        let gone = match resource {
            Resource::Namespaces => self.namespaces.end_list(),
            Resource::Services => self.services.end_list(),
            Resource::ServiceImports => self.imports.end_list(),
            Resource::EndpointSlices => self.slices.end_list(),
            Resource::Pods => self.pods.end_list(),
        };
        let mut changed = self.synced.insert(resource);
        for key in gone {
            changed |= self.remove(resource, &key);
        }
        changed
    }

    fn forget_list(&mut self, resource: Resource) {
        match resource {
            Resource::Namespaces => self.namespaces.forget_list(),
            Resource::Services => self.services.forget_list(),
            Resource::ServiceImports => self.imports.forget_list(),
            Resource::EndpointSlices => self.slices.forget_list(),
            Resource::Pods => self.pods.forget_list(),
        }
    }

    fn forget(&mut self, resource: Resource) {
        self.synced.remove(&resource);
        match resource {
            Resource::Namespaces => self.namespaces = ByName::default(),
            Resource::Services => {
                self.services = ByName::default();
                self.cluster_ips = ByAddress::default();
                self.external_ips = ByAddress::default();
            }
            Resource::ServiceImports => self.imports = ByName::default(),
            Resource::EndpointSlices => {
                self.slices = ByName::default();
                self.slices_of = ByOwner::default();
                self.endpoint_ips = ByAddress::default();
            }
            Resource::Pods => {
                self.pods = ByName::default();
                self.pod_ips = ByAddress::default();
            }
        }
    }

    /// The text of a namespace's name that its Namespace has, so that the objects of one share it.
    fn shared(&self, namespace: Arc<str>) -> Arc<str> {
        self.namespaces.get("", &namespace).map_or(namespace, |shared| shared.name.clone())
    }

    fn set_service(&mut self, mut service: Service) -> bool {
        service.namespace = self.shared(service.namespace);
        let Some((service, before)) = self.services.set(service) else { return false };
        if let Some(before) = before {
            self.unindex_service(&before);
        }
        self.cluster_ips.add(service.cluster_ips(), &service);
        self.external_ips.add(service.external_addresses.iter().copied(), &service);
        true
    }

    fn unindex_service(&mut self, service: &Service) {
        self.cluster_ips.remove(service.cluster_ips(), service);
        self.external_ips.remove(service.external_addresses.iter().copied(), service);
    }

    /// The addresses of an import have no names (Multi-Cluster Services DNS specification), so none is indexed.
    fn set_import(&mut self, mut import: Service) -> bool {
        import.namespace = self.shared(import.namespace);
        self.imports.set(import).is_some()
    }

    fn set_slice(&mut self, mut slice: EndpointSlice) -> bool {
        slice.namespace = self.shared(slice.namespace);
        let Some((slice, before)) = self.slices.set(slice) else { return false };
        if let Some(before) = before {
            self.unindex_slice(&before);
        }
        self.slices_of.add(&slice);
        self.endpoint_ips.add(slice.ready_addresses(), &slice);
        true
    }

    fn unindex_slice(&mut self, slice: &EndpointSlice) {
        self.slices_of.remove(slice);
        self.endpoint_ips.remove(slice.ready_addresses(), slice);
    }

    fn set_pod(&mut self, mut pod: Pod) -> bool {
        pod.namespace = self.shared(pod.namespace);
        let Some((pod, before)) = self.pods.set(pod) else { return false };
        if let Some(before) = before {
            self.pod_ips.remove(before.addresses.iter().copied(), &before);
        }
        self.pod_ips.add(pod.addresses.iter().copied(), &pod);
        true
    }

    fn remove(&mut self, resource: Resource, key: &ObjectKey) -> bool {
        let (namespace, name) = (&*key.namespace, &*key.name);
        match resource {
            Resource::Namespaces => self.namespaces.remove("", name).is_some(),
            Resource::ServiceImports => self.imports.remove(namespace, name).is_some(),
            Resource::Services => {
                let gone = self.services.remove(namespace, name);
                gone.inspect(|service| self.unindex_service(service)).is_some()
            }
            Resource::EndpointSlices => {
                let gone = self.slices.remove(namespace, name);
                gone.inspect(|slice| self.unindex_slice(slice)).is_some()
            }
            Resource::Pods => {
                let gone = self.pods.remove(namespace, name);
                gone.inspect(|pod| self.pod_ips.remove(pod.addresses.iter().copied(), pod)).is_some()
            }
        }
    }
}

#[cfg(test)]
mod tests;
