//! What `k8s_external` asks of the cluster: Services as they are reached from outside.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Kubernetes;
use super::found::{Finder, Found, Realm};
use super::reverse::{ADDRESSES_OF_NAMESPACE_MAX, NAMES_MAX, NAMES_OF_NAMESPACE_MAX, slices_by_namespace};
use crate::cluster::{ServiceKind, Snapshot};
use crate::dns::{Name, Query};

/// A question from outside.
pub struct FromOutside<'a> {
    /// The question.
    pub query: &'a Query,
    /// The zone in the client's letter case.
    pub apex: &'a Name,
    /// TTL of the records.
    pub ttl: u32,
    /// Whether endpoints count (`headless`).
    pub has_endpoints: bool,
}

impl Kubernetes {
    /// The serial of the zones of the cluster at this moment.
    pub fn serial(&self) -> u32 {
        self.store.load().serial()
    }

    /// What the labels of a name below a zone stand for: `NAMESPACE`, `SERVICE.NAMESPACE`, and an endpoint or a port before it.
    pub fn find_outside(&self, asked: &FromOutside<'_>, labels: &[&str], snapshot: &Snapshot) -> Found {
        let FromOutside { query, apex, ttl, has_endpoints } = *asked;
        let finder = Finder {
            query,
            apex,
            realm: Realm::Outside { has_endpoints },
            ttl,
            snapshot,
            config: &self.config,
            is_exposed: &|namespace| self.is_exposed(namespace, snapshot),
        };
        let without_underscore = |label: &'_ str| label.strip_prefix('_').unwrap_or(label).to_owned();
        match *labels {
            [namespace] if self.is_exposed(namespace, snapshot) => Found::NoData,
            [service, namespace] => finder.service(namespace, service),
            [endpoint, service, namespace] => finder.endpoint(namespace, service, endpoint),
            [port, protocol, service, namespace] => {
                finder.port(namespace, service, &without_underscore(port), &without_underscore(protocol))
            }
            _ => Found::Nothing,
        }
    }

    /// What stands behind a name outside, in words.
    pub fn described_outside(&self, labels: &[&str], snapshot: &Snapshot) -> String {
        let [.., service, namespace] = labels else { return "a namespace".to_owned() };
        let found = snapshot.namespace(namespace).and_then(|view| Some(view.service(service)?.service));
        let addresses = found.map_or(&[][..], |service| &service.external_addresses);
        let names = found.map_or(&[][..], |service| &service.external_names);
        let outside = addresses.iter().map(ToString::to_string).chain(names.iter().cloned()).collect::<Vec<_>>();
        let outside = if outside.is_empty() { "nothing".to_owned() } else { outside.join(" ") };
        format!("{}; outside: {outside}", self.service(namespace, service, snapshot))
    }

    /// The Services with an address outside the cluster: their labels, in the order of their names. Unlike CoreDNS: with an upper bound,
    /// of which each namespace has its part; whoever may write Services may write any address into them.
    pub fn names_outside(&self, address: IpAddr, snapshot: &Snapshot) -> Vec<String> {
        let (mut names, mut namespace, mut of_namespace) = (Vec::new(), "", 0);
        for service in snapshot.services_outside_at(address).filter(|key| self.is_exposed(&key.namespace, snapshot)) {
            of_namespace = if *service.namespace == *namespace { of_namespace + 1 } else { 1 };
            namespace = &service.namespace;
            if of_namespace <= NAMES_OF_NAMESPACE_MAX && names.len() < NAMES_MAX {
                names.push(format!("{}.{}", service.name, service.namespace));
            }
        }
        names
    }

    /// The addresses of this server outside the cluster: those of the Services that it is an endpoint of; its own if it is certain
    /// that there are no such Services.
    pub fn own_addresses_outside(&self, has_endpoints: bool, snapshot: &Snapshot) -> BTreeSet<IpAddr> {
        let (mut addresses, mut is_endpoint) = (BTreeSet::new(), false);
        for slices in self.local_addresses.iter().flat_map(|address| slices_by_namespace(*address, snapshot)) {
            let services = slices.filter_map(|slice| {
                let namespace = snapshot.namespace(&slice.namespace)?;
                Some((slice, namespace.service(slice.service.as_ref()?)?.service))
            });
            let outside = services.inspect(|_| is_endpoint = true).flat_map(|(slice, service)| match service.kind {
                ServiceKind::Headless if has_endpoints => slice.ready_addresses().collect(),
                _ => service.external_addresses.clone(),
            });
            addresses.extend(outside.take(ADDRESSES_OF_NAMESPACE_MAX));
        }
        match !is_endpoint && self.is_certain_outside(true, snapshot) {
            true => self.local_addresses.iter().copied().collect(),
            false => addresses,
        }
    }
}
