//! What a snapshot has under the name of a Service, an endpoint, a port or a Pod.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::cluster::{Endpoint, EndpointSlice, Port, Resource, Service, ServiceKind, ServiceView, Snapshot};
use crate::config::directive::{Kubernetes as Config, PodMode};
use crate::dns::{Name, Query, RData, Record, RecordType, parse_name, rdata};

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
}

/// One question to one snapshot.
pub struct Finder<'a> {
    /// The question.
    pub query: &'a Query,
    /// The zone in the client's letter case.
    pub apex: &'a Name,
    /// The cluster.
    pub snapshot: &'a Snapshot,
    /// The options.
    pub config: &'a Config,
    /// Whether a namespace is served.
    pub is_exposed: &'a dyn Fn(&str) -> bool,
}

/// An address and port that a name leads to. CoreDNS makes one for each address and port before it removes duplicates,
/// and weights are made of their number.
struct Candidate<'a> {
    /// The name of the target below the zone; empty stands for the Service itself.
    endpoint: Option<String>,
    address: IpAddr,
    /// None: there is no port.
    port: Option<&'a Port>,
}

impl<'a> Finder<'a> {
    /// `SERVICE.NAMESPACE.svc`
    pub fn service(&self, namespace: &str, service: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        match &service.kind {
            ServiceKind::ExternalName(target) => match alias_target(target) {
                Some(target) => Found::Alias(target),
                None => Found::Nothing,
            },
            ServiceKind::ClusterIp(_) if is_ignored(self.config, view, self.snapshot) => Found::Nothing,
            ServiceKind::ClusterIp(_) => self.answer(&cluster_ip_candidates(service, |_| true), service),
            ServiceKind::Headless => self.endpoints(view, service, |_| true),
        }
    }

    /// `ENDPOINT.SERVICE.NAMESPACE.svc`: endpoints of Services with a cluster IP have names, too.
    pub fn endpoint(&self, namespace: &str, service: &str, endpoint: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        if matches!(service.kind, ServiceKind::ExternalName(_)) || is_ignored(self.config, view, self.snapshot) {
            return Found::Nothing;
        }
        let is_it = |of: &Endpoint, address: Option<IpAddr>| match address {
            Some(address) => of.label(address, self.config.endpoint_pod_names) == endpoint,
            None => of.hostname.as_ref().is_some_and(|hostname| hostname.eq_ignore_ascii_case(endpoint)),
        };
        let names: Vec<String> = self
            .slices(view)
            .flat_map(EndpointSlice::ready)
            .filter(|of| is_it(of, None))
            .flat_map(|of| of.names.clone())
            .collect();
        let found = match names.is_empty() {
            true => self.answer(&self.endpoint_candidates(view, is_it, |_| true), service),
            false => self.domain_names(view, names, is_it, service),
        };
        match found {
            Found::Nothing if self.has_port_names(view, service, endpoint) => Found::NoData,
            found => found,
        }
    }

    /// Whether `_PORT._PROTOCOL` stands below the Service, so that `_PROTOCOL` is there, too (RFC 8020): unlike CoreDNS,
    /// which denies it, and so every port below it.
    fn has_port_names(&self, view: &'a ServiceView, service: &'a Service, label: &str) -> bool {
        let Some(protocol) = label.strip_prefix('_') else { return false };
        let is_it = |port: &Port| !port.name.is_empty() && port.protocol.eq_ignore_ascii_case(protocol);
        match &service.kind {
            ServiceKind::ClusterIp(_) => service.ports.iter().any(is_it),
            ServiceKind::Headless => {
                self.slices(view).any(|slice| slice.ready().next().is_some() && slice.ports.iter().any(is_it))
            }
            ServiceKind::ExternalName(_) => false,
        }
    }

    /// `_PORT._PROTOCOL.SERVICE.NAMESPACE.svc`
    pub fn port(&self, namespace: &str, service: &str, port: &str, protocol: &str) -> Found {
        let Some((view, service)) = self.view(namespace, service) else { return Found::Nothing };
        let is_it = |of: &Port| of.name.eq_ignore_ascii_case(port) && of.protocol.eq_ignore_ascii_case(protocol);
        match &service.kind {
            ServiceKind::ExternalName(_) => Found::Nothing,
            ServiceKind::ClusterIp(_) if is_ignored(self.config, view, self.snapshot) => Found::Nothing,
            ServiceKind::ClusterIp(_) => self.answer(&cluster_ip_candidates(service, is_it), service),
            ServiceKind::Headless => self.endpoints(view, service, is_it),
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
        let record = address_record(&self.query.name, self.config.ttl, address);
        match record.record_type() == self.query.record_type {
            true => Found::records(vec![record]),
            false => Found::NoData,
        }
    }

    fn view(&self, namespace: &str, service: &str) -> Option<(&'a ServiceView, &'a Service)> {
        let view = self.snapshot.namespace(namespace).filter(|_| (self.is_exposed)(namespace))?.service(service)?;
        Some((view, view.service.as_deref()?))
    }

    /// The slices of a Service, none if endpoints are switched off.
    fn slices(&self, view: &'a ServiceView) -> impl Iterator<Item = &'a EndpointSlice> {
        let is_on = !self.config.no_endpoints;
        view.slices().filter(move |_| is_on)
    }

    fn endpoint_candidates(
        &self,
        view: &'a ServiceView,
        is_wanted: impl Fn(&Endpoint, Option<IpAddr>) -> bool,
        is_port: impl Fn(&Port) -> bool,
    ) -> Vec<Candidate<'a>> {
        let mut candidates = Vec::new();
        for slice in self.slices(view) {
            let ports = ports_or_none(&slice.ports, &is_port);
            for (endpoint, address) in slice.ready_with_addresses() {
                if !is_wanted(endpoint, Some(address)) {
                    continue;
                }
                let label = endpoint.label(address, self.config.endpoint_pod_names);
                candidates.extend(ports.iter().map(|port| Candidate {
                    endpoint: Some(label.clone()),
                    address,
                    port: *port,
                }));
            }
        }
        candidates
    }

    /// All endpoints of a headless Service with these ports.
    fn endpoints(&self, view: &'a ServiceView, service: &Service, is_port: impl Fn(&Port) -> bool) -> Found {
        let slices = self.slices(view).filter(|slice| !ports_or_none(&slice.ports, &is_port).is_empty());
        let names: Vec<String> = slices.flat_map(EndpointSlice::ready).flat_map(|of| of.names.clone()).collect();
        match names.is_empty() {
            true => self.answer(&self.endpoint_candidates(view, |_, _| true, is_port), service),
            false => self.domain_names(view, names, |_, _| true, service),
        }
    }

    /// One domain name and nothing else is an alias; there cannot be two at one name, nor one beside addresses (RFC 2181
    /// section 10.1), so then only the addresses count.
    fn domain_names(
        &self,
        view: &'a ServiceView,
        mut names: Vec<String>,
        is_wanted: impl Fn(&Endpoint, Option<IpAddr>) -> bool,
        service: &Service,
    ) -> Found {
        let candidates = self.endpoint_candidates(view, is_wanted, |_| true);
        names.dedup();
        match (candidates.is_empty(), names.as_slice()) {
            (false, _) => self.answer(&candidates, service),
            (true, [name]) => alias_target(name).map_or(Found::NoData, Found::Alias),
            (true, _) => Found::NoData,
        }
    }

    fn answer(&self, candidates: &[Candidate<'_>], service: &Service) -> Found {
        if candidates.is_empty() {
            return Found::Nothing;
        }
        let found = match self.query.record_type {
            RecordType::A | RecordType::AAAA => Found::records(self.addresses(candidates)),
            RecordType::SRV => self.services(candidates, service),
            _ => Found::NoData,
        };
        match found {
            Found::Records { answers, .. } if answers.is_empty() => Found::NoData,
            found => found,
        }
    }

    fn addresses(&self, candidates: &[Candidate<'_>]) -> Vec<Record> {
        let mut seen = HashSet::new();
        let addresses = candidates.iter().map(|candidate| candidate.address).filter(|address| seen.insert(*address));
        addresses
            .map(|address| address_record(&self.query.name, self.config.ttl, address))
            .filter(|record| record.record_type() == self.query.record_type)
            .collect()
    }

    /// SRV records with the addresses of their targets. The weight is a hundred shared among all candidates.
    fn services(&self, candidates: &[Candidate<'_>], service: &Service) -> Found {
        let weight = u16::try_from(100 / candidates.len()).unwrap_or(100).max(1);
        let (mut targets, mut addresses) = (HashSet::new(), HashSet::new());
        let (mut answers, mut additional) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let Some(number) = candidate.port.and_then(|port| port.number) else { continue };
            let prefix = candidate.endpoint.as_ref().map(|label| format!("{label}.")).unwrap_or_default();
            let labels = format!("{prefix}{}.{}.svc", service.name, service.namespace);
            // A target that is longer than a name may be has no record.
            let Some(target) = below(&labels, self.apex) else { continue };
            if targets.insert((labels.clone(), number)) {
                let srv = RData::SRV(rdata::SRV::new(0, weight, number, target.clone()));
                answers.push(Record::from_rdata(self.query.name.clone(), self.config.ttl, srv));
            }
            if addresses.insert((labels, candidate.address)) {
                additional.push(address_record(&target, self.config.ttl, candidate.address));
            }
        }
        Found::Records { answers, additional }
    }
}

/// `ignore empty_service`: without a ready endpoint a Service with a cluster IP is not there.
pub fn is_ignored(config: &Config, view: &ServiceView, snapshot: &Snapshot) -> bool {
    // Before the slices are heard of, nothing is known to be empty.
    let is_known = config.no_endpoints || snapshot.is_synced(Resource::EndpointSlices);
    let has_cluster_ip = view.service.as_ref().is_some_and(|service| service.cluster_ips().next().is_some());
    let is_empty = || config.no_endpoints || view.slices().all(|slice| slice.ready().next().is_none());
    config.ignore_empty_service && is_known && has_cluster_ip && is_empty()
}

fn cluster_ip_candidates(service: &Service, is_port: impl Fn(&Port) -> bool) -> Vec<Candidate<'_>> {
    let ports = ports_or_none(&service.ports, &is_port);
    let addresses = service.cluster_ips();
    addresses
        .flat_map(|address| ports.iter().map(move |port| Candidate { endpoint: None, address, port: *port }))
        .collect()
}

/// The ports that are wanted. Where there are no ports at all, no port: it has addresses, but no SRV and no name.
fn ports_or_none<'p>(ports: &'p [Port], is_wanted: &impl Fn(&Port) -> bool) -> Vec<Option<&'p Port>> {
    const NO_PORT: Port = Port { name: String::new(), protocol: String::new(), number: None };
    match ports {
        [] if is_wanted(&NO_PORT) => vec![None],
        ports => ports.iter().filter(|port| is_wanted(port)).map(Some).collect(),
    }
}

/// The name that an alias is for; None: an address, or no name.
fn alias_target(text: &str) -> Option<Name> {
    let is_address = text.parse::<IpAddr>().is_ok();
    (!is_address).then(|| parse_name(text).ok())?
}

/// A name of labels below a zone, letter case kept; None: it would be too long, or a label is none.
pub fn below(labels: &str, zone: &Name) -> Option<Name> {
    let relative: Vec<&[u8]> = labels.split('.').map(str::as_bytes).collect();
    let is_legal = relative.iter().all(|label| (1..=63).contains(&label.len()));
    let mut name = is_legal.then(|| Name::from_labels(relative.into_iter().chain(zone.iter())).ok())??;
    name.set_fqdn(true);
    Some(name)
}

/// An A or AAAA record.
pub fn address_record(name: &Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(rdata::A(address)),
        IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
    };
    Record::from_rdata(name.clone(), ttl, data)
}
