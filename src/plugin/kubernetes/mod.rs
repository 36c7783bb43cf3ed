//! `kubernetes`: the names of a cluster.
//!
//! Every answer but that of an alias is a function of one snapshot and the name. What is not there is NXDOMAIN only if
//! everything that could show it has been listed (`certainty`); before that it is SERVFAIL, also where `fallthrough`
//! would pass it on.

mod certainty;
mod explain;
mod found;
mod labels;
mod reverse;
mod transfer;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use self::found::{Finder, Found};
use super::Router;
use crate::cluster::{ClusterName, Selector, ServiceKind, Snapshot, Store};
use crate::config::directive::{Kubernetes as Config, PodMode};
use crate::dns::{Answer, Name, Query, RData, Record, RecordType, ResponseCode, is_reverse, label_count, rdata};

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
        self.wait_for_sync().await;
        let snapshot = self.store.load().clone();
        let found = self.find(query, &apex, &snapshot);
        query.explain(NAME, || self.describe(query, &apex, &snapshot, &found));
        let is_negative = matches!(found, Found::Nothing | Found::NoData);
        if is_negative && !self.is_certain(query, &apex, &snapshot) {
            query.explain(NAME, || {
                "not everything that it depends on was listed yet: SERVFAIL, not NXDOMAIN".to_owned()
            });
            let answer =
                Answer::serv_fail("the Kubernetes API was not heard yet").with_extended_error(14, "not synced");
            return Some(answer.by(NAME));
        }
        if matches!(found, Found::Nothing) && self.config.fallthrough.covers(&query.name) {
            query.explain(NAME, || "falls through to the next plugin (`fallthrough`)".to_owned());
            return None;
        }
        let soa = || self.soa(&apex, snapshot.serial());
        let answer = match found {
            Found::Nothing => Answer::nx_domain(Some(soa())),
            Found::NoData => Answer::no_data(Some(soa())),
            Found::Records { answers, additional } => Answer::positive(answers).with_additional(additional),
            Found::Alias(target) => self.follow(query, target, router, soa).await,
        };
        Some(answer.by(NAME))
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

    /// The first zone that is not a reverse zone: the names in PTR records are below it.
    fn primary_zone(&self) -> Option<&Name> {
        self.config.zones.iter().find(|zone| !is_reverse(zone))
    }

    fn find(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        if is_reverse(apex) {
            return self.find_reverse(query, apex, snapshot);
        }
        let Some(name) = ClusterName::parse(&query.name, apex) else { return Found::Nothing };
        let finder = Finder {
            query,
            apex,
            snapshot,
            config: &self.config,
            is_exposed: &|namespace| self.is_exposed(namespace, snapshot),
        };
        match name {
            ClusterName::Apex => self.find_apex(query, apex, snapshot),
            ClusterName::Version => self.find_version(query),
            ClusterName::NameServer => self.find_name_server(query, apex, snapshot),
            ClusterName::EmptyNonTerminal => Found::NoData,
            ClusterName::Namespace(namespace) => no_data_if(self.is_exposed(&namespace, snapshot)),
            ClusterName::NamespaceOfPods(namespace) => {
                no_data_if(self.config.pods != PodMode::Disabled && self.is_exposed(&namespace, snapshot))
            }
            ClusterName::Pod { namespace, address } => finder.pod(&namespace, address),
            ClusterName::Service { namespace, service } => finder.service(&namespace, &service),
            ClusterName::Endpoint { namespace, service, endpoint } => finder.endpoint(&namespace, &service, &endpoint),
            ClusterName::Port { namespace, service, port, protocol } => {
                finder.port(&namespace, &service, &port, &protocol)
            }
        }
    }

    /// Whether a namespace is there and one of those that are served.
    fn is_exposed(&self, name: &str, snapshot: &Snapshot) -> bool {
        let is_listed = self.config.namespaces.is_empty() || self.config.namespaces.iter().any(|listed| listed == name);
        let namespace = snapshot.namespace(name).and_then(|view| view.namespace.as_deref());
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

    fn find_version(&self, query: &Query) -> Found {
        if query.record_type != RecordType::TXT {
            return Found::NoData;
        }
        let version = RData::TXT(rdata::TXT::new(vec!["1.1.0".to_owned()]));
        Found::records(vec![Record::from_rdata(query.name.clone(), VERSION_TTL, version)])
    }

    /// The names of this server below a zone, with their addresses: of the Services that it is an endpoint of, or of their
    /// endpoints where they are headless; `ns.dns` with its own addresses if there are none.
    fn own_names(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Vec<(String, Vec<IpAddr>)> {
        let mut names: Vec<(String, Vec<IpAddr>)> = Vec::new();
        let mut add = |name: String, address: IpAddr| match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, addresses)) if addresses.contains(&address) => {}
            Some((_, addresses)) => addresses.push(address),
            None => names.push((name, vec![address])),
        };
        let slices = self.local_addresses.iter().flat_map(|address| snapshot.slices_at(*address));
        for slice in slices.filter(|_| !self.config.no_endpoints) {
            let view =
                slice.service.as_ref().and_then(|service| snapshot.namespace(&slice.namespace)?.service(service));
            let Some(service) = view.and_then(|view| view.service.as_deref()) else { continue };
            let name = format!("{}.{}.svc", service.name, service.namespace);
            service.cluster_ips().for_each(|address| add(name.clone(), address));
            if service.kind != ServiceKind::Headless {
                continue;
            }
            for (endpoint, address) in slice.ready_with_addresses() {
                let label = endpoint.label(address, self.config.endpoint_pod_names);
                add(format!("{label}.{name}"), address);
            }
        }
        // As long as not all Services were heard of, one of them may have a better name.
        if names.is_empty() && !self.local_addresses.is_empty() && self.is_certain(query, apex, snapshot) {
            names.push(("ns.dns".to_owned(), self.local_addresses.clone()));
        }
        names
    }

    fn find_name_servers(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        let base = if is_reverse(apex) { self.primary_zone().unwrap_or(apex) } else { apex };
        let (mut answers, mut additional) = (Vec::new(), Vec::new());
        for (name, addresses) in self.own_names(query, apex, snapshot) {
            let Some(name) = found::below(&name, base) else { continue };
            answers.push(Record::from_rdata(query.name.clone(), self.config.ttl, RData::NS(rdata::NS(name.clone()))));
            additional
                .extend(addresses.into_iter().map(|address| found::address_record(&name, self.config.ttl, address)));
        }
        match answers.is_empty() {
            true => Found::NoData,
            false => Found::Records { answers, additional },
        }
    }

    /// `ns.dns`: the addresses under which clients reach this server.
    fn find_name_server(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> Found {
        let names = self.own_names(query, apex, snapshot);
        let addresses: BTreeSet<IpAddr> = names.into_iter().flat_map(|(_, addresses)| addresses).collect();
        let records: Vec<Record> = addresses
            .into_iter()
            .map(|address| found::address_record(&query.name, self.config.ttl, address))
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
        let below_apex = |labels: &str| found::below(labels, apex).unwrap_or_else(|| apex.clone());
        let soa =
            rdata::SOA::new(below_apex("ns.dns"), below_apex("hostmaster"), serial, 7200, 1800, 86400, self.config.ttl);
        Record::from_rdata(apex.clone(), self.config.ttl.min(SOA_TTL_MAX), RData::SOA(soa))
    }

    /// An alias, and what its target leads to.
    async fn follow(&self, query: &Query, target: Name, router: &Router, soa: impl Fn() -> Record) -> Answer {
        let alias = Record::from_rdata(query.name.clone(), self.config.ttl, RData::CNAME(rdata::CNAME(target.clone())));
        match query.record_type {
            RecordType::CNAME => return Answer::positive(vec![alias]),
            RecordType::A | RecordType::AAAA => {}
            _ => return Answer::no_data(Some(soa())),
        }
        let end = router.follow_up(query, target, query.record_type).await;
        if end.is_dropped() {
            return end;
        }
        match end.response_code() {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let mut answers = vec![alias];
                let authority = if end.is_no_data() || end.is_nx_domain() || end.answers.iter().all(is_alias) {
                    end.authority.clone()
                } else {
                    Vec::new()
                };
                // RFC 6604 section 3: the response code is that of the last name of the chain.
                let code = end.response_code();
                let is_truncated = end.is_truncated();
                answers.extend(end.answers);
                Answer::positive(answers)
                    .with_authority(authority)
                    .with_response_code(code)
                    .with_truncated(is_truncated)
            }
            // No block of this server knows the target: the client has to ask somebody else.
            ResponseCode::Refused if end.source().is_empty() => Answer::positive(vec![alias]),
            code => Answer::serv_fail(format!("the target of the alias could not be resolved: {code}"))
                .with_extended_error(22, "target of an alias"),
        }
    }
}

fn no_data_if(exists: bool) -> Found {
    if exists { Found::NoData } else { Found::Nothing }
}

fn is_alias(record: &Record) -> bool {
    record.record_type() == RecordType::CNAME
}
