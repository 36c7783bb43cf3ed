//! The zone of a cluster as a whole: what queries for its names answer, Service by Service.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::found::{Finder, Found, Realm};
use super::{Config, Kubernetes, below};
use crate::cluster::{ObjectKey, Service, ServiceKind, ServiceView, Snapshot};
use crate::dns::{Name, Query, RData, Record, RecordType, Transfer, is_reverse, rdata};

/// A cluster as it was when a transfer began.
struct Listing {
    config: Config,
    apex: Name,
    snapshot: Arc<Snapshot>,
    exposed: HashSet<Arc<str>>,
    services: Vec<ObjectKey>,
}

impl Kubernetes {
    /// Whether a name is that of a zone that can be transferred. Unlike in CoreDNS, a reverse zone cannot: what it holds is
    /// found by address only; nor can a cluster set, where CoreDNS lists the Services of this cluster.
    pub fn is_apex(&self, name: &Name) -> bool {
        self.config.zones.contains(name) && !is_reverse(name) && !self.is_cluster_set(name)
    }

    /// All records of a zone, and its serial: SOA, name servers with their addresses, and for each Service its addresses, ports
    /// and endpoints. None: not everything was listed yet.
    pub fn transfer(&self, apex: &Name) -> Option<(u32, Transfer)> {
        let snapshot = self.store.load().clone();
        if !self.store.wanted().iter().all(|resource| snapshot.is_synced(*resource)) {
            return None;
        }
        let soa = self.soa(apex, snapshot.serial());
        let of_apex = Query::of_our_own(apex.clone(), RecordType::NS);
        let mut head = vec![soa.clone()];
        if let Found::Records { answers, additional } = self.find_name_servers(&of_apex, apex, &snapshot) {
            head.extend(answers.into_iter().chain(additional));
        }
        let mut services: Vec<ObjectKey> = snapshot.services().collect();
        services.sort();
        let namespaces: HashSet<Arc<str>> = services.iter().map(|service| service.namespace.clone()).collect();
        let exposed = namespaces.into_iter().filter(|namespace| self.is_exposed(namespace, &snapshot)).collect();
        let serial = snapshot.serial();
        let listing =
            Arc::new(Listing { config: self.config.clone(), apex: apex.clone(), snapshot, exposed, services });
        let records = move || {
            let (listing, last) = (listing.clone(), soa.clone());
            let services = (0..listing.services.len()).flat_map(move |at| listing.service(at));
            Box::new(head.clone().into_iter().chain(services).chain([last])) as Box<_>
        };
        Some((serial, Transfer::new(records)))
    }
}

impl Listing {
    /// The records of a Service.
    fn service(&self, at: usize) -> Vec<Record> {
        let Some(key) = self.services.get(at).filter(|key| self.exposed.contains(&key.namespace)) else {
            return Vec::new();
        };
        let view = self.snapshot.namespace(&key.namespace).and_then(|namespace| namespace.service(&key.name));
        let Some((view, service)) = view.map(|view| (view, view.service)) else { return Vec::new() };
        let (namespace, name) = (&*key.namespace, &*key.name);
        let base = format!("{name}.{namespace}.svc");
        let mut records = self.all(&base, &ADDRESSES_AND_PORTS, |finder| finder.service(namespace, name));
        for (port, protocol) in self.ports(view, service) {
            let labels = format!("_{port}._{protocol}.{base}");
            records
                .extend(self.all(&labels, &[RecordType::SRV], |finder| finder.port(namespace, name, &port, &protocol)));
        }
        for label in self.endpoints(view, service) {
            let labels = format!("{label}.{base}");
            records.extend(self.all(&labels, &ADDRESSES, |finder| finder.endpoint(namespace, name, &label)));
        }
        records
    }

    /// The records of a name that are of these types, or that it is an alias.
    fn all(&self, labels: &str, record_types: &[RecordType], find: impl Fn(Finder<'_>) -> Found) -> Vec<Record> {
        let mut records = Vec::new();
        // A name that is longer than a name may be cannot be asked for.
        let Some(name) = below(labels, &self.apex) else { return records };
        for record_type in record_types {
            let finder = Finder {
                query: &Query::of_our_own(name.clone(), *record_type),
                apex: &self.apex,
                realm: Realm::Cluster,
                ttl: self.config.ttl,
                snapshot: &self.snapshot,
                config: &self.config,
                is_exposed: &|namespace| self.exposed.contains(namespace),
            };
            match find(finder) {
                Found::Records { answers, .. } => records.extend(answers),
                Found::Alias(target) => {
                    let alias = RData::CNAME(rdata::CNAME(target));
                    return vec![Record::from_rdata(name, self.config.ttl, alias)];
                }
                Found::NoData | Found::Nothing => {}
            }
        }
        records
    }

    /// The names of the ports, each with its protocol.
    fn ports(&self, view: ServiceView<'_>, service: &Service) -> BTreeSet<(String, String)> {
        let slices = view.slices().filter(|_| !self.config.no_endpoints);
        let ports: Vec<_> = match &service.kind {
            ServiceKind::ClusterIp(_) => service.ports.iter().collect(),
            ServiceKind::Headless => slices.flat_map(|slice| &slice.ports).collect(),
            ServiceKind::ExternalName(_) => Vec::new(),
        };
        let named = ports.into_iter().filter(|port| !port.name.is_empty());
        named.map(|port| (port.name.to_ascii_lowercase(), port.protocol.to_ascii_lowercase())).collect()
    }

    /// The labels of the endpoints of a headless Service.
    fn endpoints(&self, view: ServiceView<'_>, service: &Service) -> BTreeSet<String> {
        let is_listed = matches!(service.kind, ServiceKind::Headless) && !self.config.no_endpoints;
        let endpoints = view.slices().filter(|_| is_listed).flat_map(|slice| slice.ready_with_addresses());
        endpoints.map(|(endpoint, address)| endpoint.label(address, self.config.endpoint_pod_names)).collect()
    }
}

const ADDRESSES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];
const ADDRESSES_AND_PORTS: [RecordType; 3] = [RecordType::A, RecordType::AAAA, RecordType::SRV];
