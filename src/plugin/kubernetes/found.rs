//! What a snapshot has under the name of a Service, an endpoint, a port or a Pod.

use std::net::IpAddr;

use super::candidates::{Candidate, Target, address_record, ports_or_none};
use crate::cluster::{
    AskedLabel, Endpoint, EndpointSlice, Port, Resource, Service, ServiceKind, ServiceView, Snapshot,
};
use crate::config::directive::{Kubernetes as Config, PodMode};
use crate::dns::{Name, Query, Record, parse_name};

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// No such name.
    Nothing,
    /// The name, but nothing of this type.
    NoData,
    /// Records.
    Records {
        /// For the answer section.
        answers: Vec<Record>,
        /// For the additional section.
        additional: Vec<Record>,
    },
    /// An alias for a name that has to be looked up.
    Alias(Name),
}

impl Found {
    /// Records of the answer section only.
    pub fn records(answers: Vec<Record>) -> Self {
        Self::Records { answers, additional: Vec::new() }
    }

    /// What it is, in words.
    pub fn described(&self) -> &'static str {
        match self {
            Self::Nothing => "there is no such name",
            Self::NoData => "the name exists, but has no record of this type",
            Self::Records { .. } => "it answers",
            Self::Alias(_) => "an alias, whose target is looked up",
        }
    }

    /// Whether there is no record to be told.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::Nothing | Self::NoData)
    }
}

/// Whose names are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// Services, and their endpoints.
    Cluster,
    /// ServiceImports, and their endpoints in all clusters (`multicluster`).
    ClusterSet,
    /// Services as they are reached from outside (`k8s_external`).
    Outside {
        /// Endpoints count where a Service has no address outside.
        has_endpoints: bool,
    },
}

/// One question to one snapshot.
pub struct Finder<'a> {
    /// The question.
    pub query: &'a Query,
    /// The zone in the client's letter case.
    pub apex: &'a Name,
    /// Whose names the zone has.
    pub realm: Realm,
    /// TTL of the records.
    pub ttl: u32,
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The options.
    pub config: &'a Config,
    /// Whether a namespace is served.
    pub is_exposed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Finder<'a> {
    /// `SERVICE.NAMESPACE.svc`
    pub fn service(&self, namespace: &str, service: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        match &service.kind {
            ServiceKind::ExternalName(target) if self.realm == Realm::Cluster => match alias_target(target) {
                Some(target) => Found::Alias(target),
                None => Found::Nothing,
            },
            _ => self.with_ports(view, service, |_| true),
        }
    }

    /// `_PORT._PROTOCOL.SERVICE.NAMESPACE.svc`
    pub fn port(&self, namespace: &str, service: &str, port: &str, protocol: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        let is_it = |of: &Port| of.name.eq_ignore_ascii_case(port) && of.protocol.eq_ignore_ascii_case(protocol);
        self.with_ports(view, service, is_it)
    }

    /// The Service at these of its ports.
    fn with_ports(&self, view: ServiceView<'a>, service: &'a Service, is_port: impl Fn(&Port) -> bool) -> Found {
        match (self.realm, &service.kind) {
            (Realm::Outside { .. }, _) if is_outside(service) => self.answer(&outside(service, is_port), service),
            (Realm::Outside { has_endpoints: false }, _) => Found::Nothing,
            (Realm::Outside { .. }, ServiceKind::ClusterIp(_)) | (_, ServiceKind::ExternalName(_)) => Found::Nothing,
            (_, ServiceKind::ClusterIp(_)) if self.is_ignored(view) => Found::Nothing,
            (_, ServiceKind::ClusterIp(addresses)) => {
                let ports = ports_or_none(&service.ports, &is_port);
                match self.answer(&candidates(addresses, &ports), service) {
                    // An import is there before it has an address.
                    Found::Nothing if self.realm == Realm::ClusterSet && !ports.is_empty() => Found::NoData,
                    found => found,
                }
            }
            (_, ServiceKind::Headless) => self.endpoints(view, service, is_port),
        }
    }

    /// `ENDPOINT.SERVICE.NAMESPACE.svc`: endpoints of Services with a cluster IP have names, too. Those of a cluster set have the
    /// id of their cluster behind them.
    pub fn endpoint(&self, namespace: &str, service: &str, endpoint: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        let has_endpoints = match self.realm {
            Realm::Cluster | Realm::ClusterSet => !self.is_ignored(view),
            Realm::Outside { has_endpoints } => has_endpoints && !is_outside(service),
        };
        let is_alias = matches!(service.kind, ServiceKind::ExternalName(_));
        let (label, cluster) = match endpoint.split_once('.') {
            Some((label, cluster)) => (label, Some(cluster)),
            None => (endpoint, None),
        };
        let label = AskedLabel::new(label);
        let is_it = |slice: &EndpointSlice, of: &Endpoint, address: Option<IpAddr>| match address {
            Some(address) => {
                self.cluster(slice) == cluster && of.has_label(&label, address, self.config.endpoint_pod_names)
            }
            None => of.hostname().is_some_and(|hostname| hostname.eq_ignore_ascii_case(endpoint)),
        };
        let found = match has_endpoints && !is_alias {
            true => self.endpoints_that(view, service, is_it, |_| true),
            false => Found::Nothing,
        };
        match found {
            Found::Nothing if self.has_port_names(view, service, endpoint) => Found::NoData,
            found => found,
        }
    }

    /// Whether `_PORT._PROTOCOL` stands below the Service, so that `_PROTOCOL` is there, too (RFC 8020): unlike CoreDNS,
    /// which denies it, and so every port below it.
    fn has_port_names(&self, view: ServiceView<'a>, service: &'a Service, label: &str) -> bool {
        let Some(protocol) = label.strip_prefix('_') else { return false };
        let is_it = |port: &Port| !port.name.is_empty() && port.protocol.eq_ignore_ascii_case(protocol);
        !matches!(self.with_ports(view, service, is_it), Found::Nothing)
    }

    /// `ZONE.pin._zone.SERVICE.NAMESPACE.svc`: the ready endpoints of a headless Service in a topology zone. The name is there
    /// whether they are or not.
    pub fn zone(&self, namespace: &str, service: &str, zone: Option<&str>, is_preference: bool) -> Found {
        let headless = |service: &Service| service.kind == ServiceKind::Headless;
        let view = self.view(namespace, service).filter(|(_, service)| headless(service));
        let Some((view, service)) = view else { return Found::Nothing };
        let Some(zone) = zone else { return Found::NoData };
        let is_in = |of: &Endpoint| of.zone().is_some_and(|of| of.eq_ignore_ascii_case(zone));
        let mut candidates = self.endpoint_candidates(view, |_, of, _| is_in(of), |_| true);
        if candidates.is_empty() && is_preference {
            candidates = self.endpoint_candidates(view, |_, _, _| true, |_| true);
        }
        match self.answer(&candidates, service) {
            Found::Nothing => Found::NoData,
            found => found,
        }
    }

    /// `ADDRESS.NAMESPACE.pod`
    pub fn pod(&self, namespace: &str, address: Option<IpAddr>) -> Found {
        let Some(address) = address.filter(|_| (self.is_exposed)(namespace)) else { return Found::Nothing };
        let is_there = match self.config.pods {
            PodMode::Disabled => false,
            PodMode::Insecure => true,
            PodMode::Verified => self.snapshot.pods_at(address).any(|pod| &*pod.namespace == namespace),
        };
        if !is_there {
            return Found::Nothing;
        }
        let record = address_record(&self.query.name, self.ttl, address);
        match record.record_type() == self.query.record_type {
            true => Found::records(vec![record]),
            false => Found::NoData,
        }
    }

    fn view(&self, namespace: &str, service: &str) -> Option<(ServiceView<'a>, &'a Service)> {
        let namespace = self.snapshot.namespace(namespace).filter(|_| (self.is_exposed)(namespace))?;
        let view = match self.realm {
            Realm::Cluster | Realm::Outside { .. } => namespace.service(service)?,
            Realm::ClusterSet => namespace.import(service)?,
        };
        Some((view, view.service))
    }

    fn is_ignored(&self, view: ServiceView<'_>) -> bool {
        is_ignored(self.config, self.realm, view, self.snapshot)
    }

    /// The slices of a Service, none if endpoints are switched off.
    fn slices(&self, view: ServiceView<'a>) -> impl Iterator<Item = &'a EndpointSlice> {
        let is_on = has_endpoints(self.config, self.realm);
        view.slices().filter(move |_| is_on)
    }

    /// The labels of an endpoint in front of those of its Service.
    pub(super) fn label(&self, slice: &EndpointSlice, endpoint: &Endpoint, address: IpAddr) -> String {
        let label = endpoint.label(address, self.config.endpoint_pod_names);
        match self.cluster(slice) {
            Some(cluster) => format!("{label}.{cluster}"),
            None => label,
        }
    }

    /// The id of the cluster that stands in the names of a slice's endpoints.
    fn cluster<'s>(&self, slice: &'s EndpointSlice) -> Option<&'s str> {
        let import = slice.import.as_ref().filter(|_| self.realm == Realm::ClusterSet)?;
        Some(&import.cluster)
    }

    pub(super) fn endpoint_candidates(
        &self,
        view: ServiceView<'a>,
        is_wanted: impl Fn(&EndpointSlice, &Endpoint, Option<IpAddr>) -> bool,
        is_port: impl Fn(&Port) -> bool,
    ) -> Vec<Candidate<'a>> {
        let mut candidates = Vec::new();
        for slice in self.slices(view) {
            let ports = ports_or_none(&slice.ports, &is_port);
            for (endpoint, address) in slice.ready_with_addresses() {
                if !is_wanted(slice, endpoint, Some(address)) {
                    continue;
                }
                let target = Target::Endpoint(slice, endpoint, address);
                candidates.extend(ports.iter().map(|port| Candidate { target: target.clone(), port: *port }));
            }
        }
        candidates
    }

    /// All endpoints of a headless Service with these ports.
    fn endpoints(&self, view: ServiceView<'a>, service: &Service, is_port: impl Fn(&Port) -> bool) -> Found {
        self.endpoints_that(view, service, |_, _, _| true, is_port)
    }

    /// The endpoints that are wanted. One domain name and nothing else is an alias; there cannot be two at one name, nor one
    /// beside addresses (RFC 2181 section 10.1), so then only the addresses count.
    fn endpoints_that(
        &self,
        view: ServiceView<'a>,
        service: &Service,
        is_wanted: impl Fn(&EndpointSlice, &Endpoint, Option<IpAddr>) -> bool,
        is_port: impl Fn(&Port) -> bool,
    ) -> Found {
        let slices = self.slices(view).filter(|slice| !ports_or_none(&slice.ports, &is_port).is_empty());
        let endpoints = slices.flat_map(|slice| slice.ready().map(move |endpoint| (slice, endpoint)));
        let wanted = endpoints.filter(|(slice, endpoint)| is_wanted(slice, endpoint, None));
        let mut names: Vec<&String> = wanted.flat_map(|(_, endpoint)| endpoint.names()).collect();
        names.dedup();
        let candidates = self.endpoint_candidates(view, &is_wanted, &is_port);
        match (candidates.is_empty(), names.as_slice()) {
            (false, _) | (true, []) => self.answer(&candidates, service),
            (true, [name]) => alias_target(name).map_or(Found::NoData, Found::Alias),
            (true, _) => Found::NoData,
        }
    }
}

/// Whether slices count: `noendpoints` says nothing of other clusters.
fn has_endpoints(config: &Config, realm: Realm) -> bool {
    !config.no_endpoints || realm == Realm::ClusterSet
}

/// `ignore empty_service`: without a ready endpoint a Service with a cluster IP is not there.
pub fn is_ignored(config: &Config, realm: Realm, view: ServiceView<'_>, snapshot: &Snapshot) -> bool {
    let has_endpoints = has_endpoints(config, realm);
    // Before the slices are heard of, nothing is known to be empty.
    let is_known = !has_endpoints || snapshot.is_synced(Resource::EndpointSlices);
    let has_cluster_ip = view.service.cluster_ips().next().is_some();
    let is_empty = || !has_endpoints || view.slices().all(|slice| slice.ready().next().is_none());
    config.ignore_empty_service && is_known && has_cluster_ip && is_empty()
}

fn is_outside(service: &Service) -> bool {
    !service.external_addresses.is_empty() || !service.external_names.is_empty()
}

fn candidates<'p>(addresses: &[IpAddr], ports: &[Option<&'p Port>]) -> Vec<Candidate<'p>> {
    let targets = addresses.iter().flat_map(|address| ports.iter().map(|port| (Target::Service(*address), *port)));
    targets.map(|(target, port)| Candidate { target, port }).collect()
}

/// The addresses and names of a Service outside the cluster.
fn outside(service: &Service, is_port: impl Fn(&Port) -> bool) -> Vec<Candidate<'_>> {
    let ports = ports_or_none(&service.ports, &is_port);
    let names = service.external_names.iter().filter_map(|name| alias_target(name));
    let elsewhere = names.flat_map(|name| {
        ports.iter().map(move |port| Candidate { target: Target::Elsewhere(name.clone()), port: *port })
    });
    let mut candidates = candidates(&service.external_addresses, &ports);
    candidates.extend(elsewhere);
    candidates
}

/// The name that an alias is for; None: an address, or no name.
pub(super) fn alias_target(text: &str) -> Option<Name> {
    let is_address = text.parse::<IpAddr>().is_ok();
    (!is_address).then(|| parse_name(text).ok())?
}
