//! The zone of a cluster as a whole, Service by Service, in the shape that CoreDNS gives it: not every record that a query
//! gets is in it, and the weights of SRV are others.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::found::{Found, Realm, alias_target, is_ignored};
use super::{Config, Kubernetes, address_record, below};
use crate::cluster::{Endpoint, EndpointSlice, ObjectKey, Port, ServiceKind, ServiceView, Snapshot};
use crate::dns::{Name, Query, RData, Record, RecordType, Transfer, is_reverse, rdata};

/// The weight of a Service, and what the endpoints of a slice share.
const WEIGHT: u16 = 100;

/// What CoreDNS writes for a port of an EndpointSlice that stands for all ports.
const ALL_PORTS: u16 = u16::MAX;

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

    /// All records of a zone, and its serial: SOA, name servers with their addresses, each Service, SOA. None: not everything
    /// was listed yet.
    pub fn transfer(&self, apex: &Name) -> Option<(u32, Transfer)> {
        let snapshot = self.store.load().clone();
        if !self.store.wanted().iter().all(|resource| snapshot.is_synced(*resource)) {
            return None;
        }
        let soa = self.soa(apex, snapshot.serial());
        let of_apex = Query::of_our_own(apex.clone(), RecordType::NS);
        let mut head = vec![soa.clone()];
        if let Found::Records { answers, additional } = self.find_name_servers(&of_apex, apex, &snapshot) {
            // As in CoreDNS, glue has a TTL of its own.
            let glue = additional.into_iter().map(|mut record| {
                record.ttl = 0;
                record
            });
            head.extend(answers.into_iter().chain(glue));
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
    /// The records of a Service, each once.
    fn service(&self, at: usize) -> Vec<Record> {
        let Some(key) = self.services.get(at).filter(|key| self.exposed.contains(&key.namespace)) else {
            return Vec::new();
        };
        let view = self.snapshot.namespace(&key.namespace).and_then(|namespace| namespace.service(&key.name));
        let name = below(&format!("{}.{}.svc", key.name, key.namespace), &self.apex);
        let mut records = match (view, name) {
            (Some(view), Some(name)) => self.of_service(view, &name),
            // A name that is longer than a name may be cannot be asked for.
            (None, _) | (_, None) => Vec::new(),
        };
        let mut seen = HashSet::new();
        records.retain(|record| seen.insert((record.name.clone(), record.data.clone())));
        records
    }

    fn of_service(&self, view: ServiceView<'_>, name: &Name) -> Vec<Record> {
        match &view.service.kind {
            ServiceKind::ClusterIp(_) if is_ignored(&self.config, Realm::Cluster, view, &self.snapshot) => Vec::new(),
            ServiceKind::ClusterIp(addresses) => self.with_cluster_ips(name, addresses, &view.service.ports),
            ServiceKind::Headless if self.config.no_endpoints => Vec::new(),
            ServiceKind::Headless => view.slices().flat_map(|slice| self.of_slice(name, slice)).collect(),
            ServiceKind::ExternalName(target) => {
                let alias = alias_target(target).map(|target| RData::CNAME(rdata::CNAME(target)));
                alias.map(|alias| self.record(name, alias)).into_iter().collect()
            }
        }
    }

    /// Its addresses, and each of its ports by number and by name.
    fn with_cluster_ips(&self, name: &Name, addresses: &[IpAddr], ports: &[Port]) -> Vec<Record> {
        if addresses.is_empty() {
            return Vec::new();
        }
        let mut records: Vec<Record> = addresses.iter().map(|address| self.address(name, *address)).collect();
        for port in ports {
            let srv = || srv(WEIGHT, port, name.clone());
            records.push(self.record(name, srv()));
            records.extend(port_name(port, name).map(|name| self.record(&name, srv())));
        }
        records
    }

    /// The endpoints of a slice of a headless Service, and its ports by name; the weight is shared among the endpoints.
    fn of_slice(&self, service: &Name, slice: &EndpointSlice) -> Vec<Record> {
        let elsewhere = slice.ready().map(|endpoint| endpoint.names().len()).sum::<usize>();
        let count = slice.ready_addresses().count() + elsewhere;
        let weight = u16::try_from(count).map_or(0, |count| WEIGHT / count.max(1));
        let mut records = Vec::new();
        for (endpoint, address) in slice.ready_with_addresses() {
            let Some(target) = self.endpoint_name(service, endpoint, address) else { continue };
            records.push(self.address(service, address));
            records.push(self.address(&target, address));
            records.extend(self.ports(service, slice, weight, &target));
        }
        // As in CoreDNS, an endpoint that is a domain name has ports, but nowhere.
        if elsewhere > 0 {
            records.extend(self.ports(service, slice, weight, &Name::root()));
        }
        records
    }

    fn endpoint_name(&self, service: &Name, endpoint: &Endpoint, address: IpAddr) -> Option<Name> {
        below(&endpoint.label(address, self.config.endpoint_pod_names), service)
    }

    fn ports(&self, service: &Name, slice: &EndpointSlice, weight: u16, target: &Name) -> Vec<Record> {
        let named = slice.ports.iter().filter_map(|port| Some((port, port_name(port, service)?)));
        named.map(|(port, name)| self.record(&name, srv(weight, port, target.clone()))).collect()
    }

    fn address(&self, name: &Name, address: IpAddr) -> Record {
        address_record(name, self.config.ttl, address)
    }

    fn record(&self, name: &Name, data: RData) -> Record {
        Record::from_rdata(name.clone(), self.config.ttl, data)
    }
}

/// `_PORT._PROTOCOL` below a Service; None: it has no name, or none that can be asked for.
fn port_name(port: &Port, service: &Name) -> Option<Name> {
    let labels = format!("_{}._{}", port.name, port.protocol).to_ascii_lowercase();
    (!port.name.is_empty()).then(|| below(&labels, service))?
}

fn srv(weight: u16, port: &Port, target: Name) -> RData {
    RData::SRV(rdata::SRV::new(0, weight, port.number.unwrap_or(ALL_PORTS), target))
}
