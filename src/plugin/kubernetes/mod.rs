//! `kubernetes`: the names of a cluster.
//!
//! Every answer but that of an alias is a function of one snapshot and the name. What is not there is NXDOMAIN only if
//! everything that could show it has been listed (`certainty`); before that it is SERVFAIL, also where `fallthrough`
//! would pass it on.

mod candidates;
mod certainty;
mod explain;
pub(super) mod found;
#[cfg(test)]
mod hostile;
mod labels;
pub(super) mod outcome;
mod outside;
mod reverse;
mod transfer;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

pub(super) use self::candidates::{address_record, below};
pub use self::certainty::stands;
use self::found::{Finder, Found, Realm};
use self::outcome::Outcome;
pub use self::outside::FromOutside;
use self::reverse::{ADDRESSES_OF_NAMESPACE_MAX, NAMES_MAX, NAMES_OF_NAMESPACE_MAX, slices_by_namespace};
use super::Router;
use crate::cluster::{ClusterName, EndpointSlice, Pod, Schema, Selector, Service, ServiceKind, Snapshot, Store};
use crate::config::directive::{Kubernetes as Config, PodMode};
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, is_reverse, label_count, rdata};

/// The name of the plugin in metrics.
pub const NAME: &str = "kubernetes";

/// TTL of the version of the schema, as in the specification's example.
const VERSION_TTL: u32 = 28800;

/// The longest TTL of an SOA, and so of a negative answer.
const SOA_TTL_MAX: u32 = 300;

/// The names of a cluster.
#[derive(Debug)]
pub struct Kubernetes {
    config: Config,
    namespace_selector: Option<Selector>,
    store: Arc<Store>,
    local_addresses: Vec<IpAddr>,
    starts_until: Instant,
}

impl Kubernetes {
    /// The cluster of a store. `local_addresses` are this server's, for NS and `ns.dns`. Until `startup_timeout`
    /// from now is over, names wait for the first sync.
    ///
    /// A selector that cannot be read selects nothing; the configuration refuses it before.
    pub fn new(config: Config, store: Arc<Store>, local_addresses: Vec<IpAddr>) -> Self {
        let namespace_selector = config.namespace_labels.as_deref().map(|text| {
            let nothing = Selector::parse("!kubernetes.io/metadata.name,kubernetes.io/metadata.name");
            Selector::parse(text).or(nothing)
        });
        let namespace_selector = namespace_selector.and_then(Result::ok);
        let starts_until = Instant::now() + config.startup_timeout;
        Self { config, namespace_selector, store, local_addresses, starts_until }
    }

    /// Whether a name is in one of the zones.
    pub fn serves(&self, name: &Name) -> bool {
        self.zone_of(name).is_some()
    }

    /// The answer of the cluster; None: ask the next plugin.
    pub async fn lookup(&self, query: &Query, router: &Router) -> Option<Answer> {
        let zone = self.zone_of(&query.name)?;
        // The zone as the client wrote it: targets and SOA carry its letter case.
        let apex = query.name.trim_to(label_count(zone));
        let (snapshot, found) = self.find_in_time(|snapshot| self.find(query, &apex, snapshot)).await;
        let is_certain = stands(&found, &snapshot) || self.is_certain(query, &apex, &snapshot);
        if is_certain {
            query.explain(NAME, || self.describe(query, &apex, &snapshot, &found));
        }
        let outcome = Outcome {
            plugin: NAME,
            query,
            router,
            ttl: self.config.ttl,
            is_certain,
            falls_through: self.config.fallthrough.covers(&query.name),
            soa: || self.soa(&apex, snapshot.serial()),
        };
        outcome.of(found).await
    }

    /// That a name of the zones does not exist, for a query that fell through and found nobody who could answer.
    pub fn denial(&self, query: &Query) -> Option<Answer> {
        let apex = query.name.trim_to(label_count(self.zone_of(&query.name)?));
        let soa = self.soa(&apex, self.store.load().serial());
        Some(Answer::nx_domain(Some(soa)).by(NAME))
    }

    /// The search list of the Pod that asks, as far as the cluster makes it: for a name in one of its domains, and where it is
    /// certain which namespace the address stands for. None: it is not.
    pub fn search_domains(&self, query: &Query) -> Option<[Name; 3]> {
        let zone = self.zone_of(&query.name).filter(|zone| !is_reverse(zone) && !self.is_cluster_set(zone))?;
        let snapshot = self.store.load();
        // All Pods of the host network have the address of their node, and so have processes that are no Pods.
        let mut pods = snapshot.pods_at(query.client.ip().to_canonical());
        let first = pods.next().filter(|_| self.config.pods == PodMode::Verified)?;
        let is_same = |pod: &Pod| pod.namespace == first.namespace && !pod.is_on_host_network;
        let is_certain = is_same(first) && pods.all(is_same);
        is_certain
            .then(|| Some([below(&format!("{}.svc", first.namespace), zone)?, below("svc", zone)?, zone.clone()]))?
    }

    /// What is found, and in which snapshot. A name that is known of an earlier time need not wait for the first sync.
    pub async fn find_in_time(&self, find: impl Fn(&Snapshot) -> Found) -> (Arc<Snapshot>, Found) {
        if self.store.is_of_earlier() {
            let snapshot = self.store.load().clone();
            let found = find(&snapshot);
            if stands(&found, &snapshot) {
                return (snapshot, found);
            }
        }
        self.wait_for_sync().await;
        let snapshot = self.store.load().clone();
        let found = find(&snapshot);
        (snapshot, found)
    }

    /// Waits for the first sync, as long as the server starts: until then an answer may be a part of what it is to be.
    async fn wait_for_sync(&self) {
        if !self.store.is_synced() {
            // Whether it came in time shows in what is there then.
            let _ = timeout_at(self.starts_until, self.store.synced().wait_for(|synced| *synced)).await;
        }
    }

    /// The zone with most labels that a name is in.
    fn zone_of(&self, name: &Name) -> Option<&Name> {
        self.config.zones.iter().filter(|zone| zone.zone_of(name)).max_by_key(|zone| label_count(zone))
    }

    /// The first cluster domain: the names in PTR records are below it.
    fn primary_zone(&self) -> Option<&Name> {
        self.config.zones.iter().find(|zone| !is_reverse(zone) && !self.is_cluster_set(zone))
    }

    /// Whether the names of a zone are those of a cluster set.
    fn is_cluster_set(&self, apex: &Name) -> bool {
        self.config.multicluster.iter().any(|zone| zone.zone_of(apex))
    }

    fn schema(&self, apex: &Name) -> Schema {
        match self.is_cluster_set(apex) {
            true => Schema::ClusterSet,
            false if self.config.zonal => Schema::ZonalCluster,
            false => Schema::Cluster,
        }
    }

    fn find(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        if is_reverse(apex) {
            return self.find_reverse(query, apex, snapshot);
        }
        let schema = self.schema(apex);
        let Some(name) = ClusterName::parse(&query.name, apex, schema) else { return Found::Nothing };
        let finder = Finder {
            query,
            apex,
            realm: if schema == Schema::ClusterSet { Realm::ClusterSet } else { Realm::Cluster },
            ttl: self.config.ttl,
            snapshot,
            config: &self.config,
            is_exposed: &|namespace| self.is_exposed(namespace, snapshot),
        };
        match name {
            ClusterName::Apex => self.find_apex(query, apex, snapshot),
            ClusterName::Version => find_version(query, schema),
            ClusterName::NameServer => self.find_name_server(query, apex, snapshot),
            ClusterName::EmptyNonTerminal => Found::NoData,
            ClusterName::Namespace(namespace) => no_data_if(self.is_exposed(&namespace, snapshot)),
            ClusterName::NamespaceOfPods(namespace) => {
                no_data_if(self.config.pods != PodMode::Disabled && self.is_exposed(&namespace, snapshot))
            }
            ClusterName::Pod { namespace, address } => finder.pod(&namespace, address),
            ClusterName::Service { namespace, service } => finder.service(&namespace, &service),
            ClusterName::Endpoint { namespace, service, endpoint } => finder.endpoint(&namespace, &service, &endpoint),
            ClusterName::EndpointOfCluster { namespace, service, cluster, endpoint } => {
                finder.endpoint(&namespace, &service, &format!("{endpoint}.{cluster}"))
            }
            ClusterName::Zone { namespace, service, zone, is_preference } => {
                finder.zone(&namespace, &service, zone.as_deref(), is_preference)
            }
            ClusterName::Port { namespace, service, port, protocol } => {
                finder.port(&namespace, &service, &port, &protocol)
            }
        }
    }

    /// Whether a namespace is there and one of those that are served.
    fn is_exposed(&self, name: &str, snapshot: &Snapshot) -> bool {
        let is_listed = self.config.namespaces.is_empty() || self.config.namespaces.iter().any(|listed| listed == name);
        let namespace = snapshot.namespace(name).map(|view| view.namespace);
        is_listed
            && namespace.is_some_and(|namespace| {
                self.namespace_selector.as_ref().is_none_or(|selector| selector.matches(&namespace.labels))
            })
    }

    fn find_apex(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        match query.record_type {
            RecordType::SOA => Found::records(vec![self.soa(apex, snapshot.serial())]),
            RecordType::NS => self.find_name_servers(query, apex, snapshot),
            _ => Found::NoData,
        }
    }

    /// The names of this server below a zone, with their addresses: of the Services that it is an endpoint of, or of their
    /// endpoints where they are headless; `ns.dns` with its own addresses if there are none.
    fn own_names(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Vec<(String, Vec<IpAddr>)> {
        let mut names: Vec<(String, Vec<IpAddr>)> = Vec::new();
        let own = self.local_addresses.iter().filter(|_| !self.config.no_endpoints);
        for slices in own.flat_map(|address| slices_by_namespace(*address, snapshot)) {
            let most = (names.len() + NAMES_OF_NAMESPACE_MAX).min(NAMES_MAX);
            let own = slices.flat_map(|slice| self.own_names_of(slice, snapshot)).take(ADDRESSES_OF_NAMESPACE_MAX);
            for (name, address) in own {
                let is_full = names.len() == most;
                match names.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, addresses)) if addresses.contains(&address) => {}
                    Some((_, addresses)) => addresses.push(address),
                    None if is_full => break,
                    None => names.push((name, vec![address])),
                }
            }
        }
        // As long as not all Services were heard of, one of them may have a better name.
        if names.is_empty() && !self.local_addresses.is_empty() && self.is_certain(query, apex, snapshot) {
            names.push(("ns.dns".to_owned(), self.local_addresses.clone()));
        }
        names
    }

    /// The names that a slice makes of this server: that of its Service for each of its addresses, or those of its endpoints.
    fn own_names_of(&self, slice: &EndpointSlice, snapshot: &Snapshot) -> impl Iterator<Item = (String, IpAddr)> {
        let view = slice.service.as_ref().and_then(|service| snapshot.namespace(&slice.namespace)?.service(service));
        let service = view.map(|view| view.service);
        let is_headless = service.is_some_and(|service| service.kind == ServiceKind::Headless);
        let name = service.map(|service| format!("{}.{}.svc", service.name, service.namespace)).unwrap_or_default();
        let addresses = service.into_iter().flat_map(Service::cluster_ips);
        let own = addresses.map({
            let name = name.clone();
            move |address| (name.clone(), address)
        });
        let endpoints = slice.ready_with_addresses().filter(move |_| is_headless);
        let uses_pod_names = self.config.endpoint_pod_names;
        own.chain(
            endpoints.map(move |(endpoint, address)| {
                (format!("{}.{name}", endpoint.label(address, uses_pod_names)), address)
            }),
        )
    }

    fn find_name_servers(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        let is_of_cluster = !is_reverse(apex) && !self.is_cluster_set(apex);
        let base = self.primary_zone().filter(|_| !is_of_cluster).unwrap_or(apex);
        let (mut answers, mut additional) = (Vec::new(), Vec::new());
        let mut names = self.own_names(query, apex, snapshot);
        if names.is_empty() && !self.is_certain(query, apex, snapshot) {
            return Found::Nothing;
        }
        if self.is_cluster_set(base) {
            // Where there is nothing but a cluster set, Services of this cluster have no names; what `ns.dns` has, see below.
            let addresses: BTreeSet<IpAddr> = names.drain(..).flat_map(|(_, addresses)| addresses).collect();
            names.push(("ns.dns".to_owned(), addresses.into_iter().collect()));
            names.retain(|(_, addresses)| !addresses.is_empty());
        }
        for (name, addresses) in names {
            let Some(name) = below(&name, base) else { continue };
            answers.push(Record::from_rdata(query.name.clone(), self.config.ttl, RData::NS(rdata::NS(name.clone()))));
            additional.extend(addresses.into_iter().map(|address| address_record(&name, self.config.ttl, address)));
        }
        match answers.is_empty() {
            true => Found::NoData,
            false => Found::Records { answers, additional },
        }
    }

    /// `ns.dns`: the addresses under which clients reach this server.
    fn find_name_server(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        let names = self.own_names(query, apex, snapshot);
        if names.is_empty() && !self.is_certain(query, apex, snapshot) {
            return Found::Nothing;
        }
        let addresses: BTreeSet<IpAddr> = names.into_iter().flat_map(|(_, addresses)| addresses).collect();
        let records: Vec<Record> = addresses
            .into_iter()
            .map(|address| address_record(&query.name, self.config.ttl, address))
            .filter(|record| record.record_type() == query.record_type)
            .collect();
        match records.is_empty() {
            true => Found::NoData,
            false => Found::records(records),
        }
    }

    /// The SOA. Its MINIMUM is the `ttl` of the directive, and so is its TTL (RFC 2308 section 3), but for at most five
    /// minutes, as in CoreDNS.
    fn soa(&self, apex: &Name, serial: u32) -> Record {
        let below_apex = |labels: &str| below(labels, apex).unwrap_or_else(|| apex.clone());
        let soa =
            rdata::SOA::new(below_apex("ns.dns"), below_apex("hostmaster"), serial, 7200, 1800, 86400, self.config.ttl);
        Record::from_rdata(apex.clone(), self.config.ttl.min(SOA_TTL_MAX), RData::SOA(soa))
    }
}

/// The version of the specification that the names follow: that of clusters, or that of cluster sets, for which CoreDNS says 1.1.0, too.
fn find_version(query: &Query, schema: Schema) -> Found {
    if query.record_type != RecordType::TXT {
        return Found::NoData;
    }
    let text = if schema == Schema::ClusterSet { "1.0.0" } else { "1.1.0" };
    let version = RData::TXT(rdata::TXT::new(vec![text.to_owned()]));
    Found::records(vec![Record::from_rdata(query.name.clone(), VERSION_TTL, version)])
}

fn no_data_if(exists: bool) -> Found {
    if exists { Found::NoData } else { Found::Nothing }
}
