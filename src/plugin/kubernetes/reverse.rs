//! Reverse names: the Service of a cluster IP, the endpoints of any other address.

use std::net::IpAddr;

use super::Kubernetes;
use super::below;
use super::found::{Found, Realm, is_ignored};
use crate::cluster::{EndpointSlice, Service, ServiceKind, Snapshot};
use crate::dns::{Name, Query, RData, Record, RecordType, address_of_reverse_name, rdata};

/// The most names of one address.
pub(super) const NAMES_MAX: usize = 64;
/// Those of them that may be of one namespace.
pub(super) const NAMES_OF_NAMESPACE_MAX: usize = 32;
/// The addresses of this server that may be of one namespace.
pub(super) const ADDRESSES_OF_NAMESPACE_MAX: usize = 256;
/// The slices of a namespace that are looked at for one address.
const SLICES_OF_NAMESPACE_MAX: usize = 256;

/// The slices with an endpoint at an address, namespace by namespace, and not all of a namespace that has very many: whoever may
/// write EndpointSlices may write any address into them.
pub(super) fn slices_by_namespace(
    address: IpAddr,
    snapshot: &Snapshot,
) -> impl Iterator<Item = impl Iterator<Item = &EndpointSlice>> {
    let mut namespace = "";
    std::iter::from_fn(move || {
        let mut slices = snapshot.slices_at_behind(address, namespace).peekable();
        let this = &*slices.peek()?.namespace;
        namespace = this;
        Some(slices.take_while(move |slice| &*slice.namespace == this).take(SLICES_OF_NAMESPACE_MAX))
    })
}

impl Kubernetes {
    /// A cluster IP has exactly one name (Kubernetes DNS specification 2.3.3); other addresses have those of their
    /// endpoints. Only names that resolve are given: unlike CoreDNS, which names Services that are not there.
    pub(super) fn find_reverse(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        if query.name == *apex {
            return self.find_apex(query, apex, snapshot);
        }
        let (Some(zone), Some(address)) = (self.primary_zone(), address_of_reverse_name(&query.name)) else {
            return Found::Nothing;
        };
        let targets = self.names_of(address, snapshot).into_iter().filter_map(|labels| below(&labels, zone));
        let pointer = |target| Record::from_rdata(query.name.clone(), self.config.ttl, RData::PTR(rdata::PTR(target)));
        let pointers: Vec<Record> = targets.map(pointer).collect();
        match query.record_type {
            _ if pointers.is_empty() => Found::Nothing,
            RecordType::PTR => Found::records(pointers),
            // SOA is asked to find the zone of a name; other types are denied, as in CoreDNS.
            RecordType::SOA => Found::NoData,
            _ => Found::Nothing,
        }
    }

    /// The names of an address below the zone.
    fn names_of(&self, address: IpAddr, snapshot: &Snapshot) -> Vec<String> {
        match self.service_name(address, snapshot) {
            Some(name) => vec![name],
            None => self.endpoint_names(address, snapshot),
        }
    }

    fn service_name(&self, address: IpAddr, snapshot: &Snapshot) -> Option<String> {
        let is_served = |service: &&Service| {
            let view = snapshot.namespace(&service.namespace).and_then(|view| view.service(&service.name));
            self.is_exposed(&service.namespace, snapshot)
                && view.is_some_and(|view| !is_ignored(&self.config, Realm::Cluster, view, snapshot))
        };
        let service = snapshot.services_at(address).find(is_served)?;
        Some(format!("{}.{}.svc", service.name, service.namespace))
    }

    /// Unlike CoreDNS: with an upper bound, of which each namespace has its part.
    fn endpoint_names(&self, address: IpAddr, snapshot: &Snapshot) -> Vec<String> {
        let mut names = Vec::new();
        for slices in slices_by_namespace(address, snapshot) {
            if names.len() >= NAMES_MAX {
                break;
            }
            names.extend(self.endpoint_names_of(slices, address, snapshot));
        }
        names.truncate(NAMES_MAX);
        names
    }

    /// The names that slices of one namespace give to an address.
    fn endpoint_names_of<'a>(
        &self,
        slices: impl Iterator<Item = &'a EndpointSlice>,
        address: IpAddr,
        snapshot: &Snapshot,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for slice in slices.filter(|slice| self.resolves(slice, snapshot)) {
            let Some(service) = &slice.service else { continue };
            for endpoint in slice.ready().filter(|endpoint| endpoint.addresses.contains(&address)) {
                if names.len() == NAMES_OF_NAMESPACE_MAX {
                    return names;
                }
                let label = endpoint.label(address, self.config.endpoint_pod_names);
                let name = format!("{label}.{service}.{}.svc", slice.namespace);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Whether the names of a slice's endpoints are answered.
    fn resolves(&self, slice: &EndpointSlice, snapshot: &Snapshot) -> bool {
        let view = slice.service.as_ref().and_then(|service| snapshot.namespace(&slice.namespace)?.service(service));
        let service = view.map(|view| view.service);
        !self.config.no_endpoints
            && self.is_exposed(&slice.namespace, snapshot)
            && service.is_some_and(|service| !matches!(service.kind, ServiceKind::ExternalName(_)))
    }
}
