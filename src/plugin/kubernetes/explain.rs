//! What the cluster knows about a name, in words: for `landfall explain`.

use super::Kubernetes;
use super::found::Found;
use crate::cluster::{
    ClusterName, EndpointSlice, NamespaceView, ResourceVersion, Schema, Service, ServiceKind, ServiceView, Snapshot,
};
use crate::config::corefile::similar;
use crate::config::directive::PodMode;
use crate::dns::{Name, Query, address_of_reverse_name, is_reverse};

/// Names that are told where one is missed, at most.
const NAMES_MAX: usize = 8;

impl Kubernetes {
    /// What was found, and why.
    pub(super) fn describe(&self, query: &Query, apex: &Name, snapshot: &Snapshot, found: &Found) -> String {
        format!("{}: {}", self.subject(query, apex, snapshot), found.described())
    }

    fn subject(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> String {
        if is_reverse(apex) {
            return reverse(&query.name, snapshot);
        }
        let schema = self.schema(apex);
        match ClusterName::parse(&query.name, apex, schema) {
            None => format!("no name that the Kubernetes DNS schema has below {apex}"),
            Some(ClusterName::Apex) => "the apex of the zone".to_owned(),
            Some(ClusterName::Version) => "the version of the schema".to_owned(),
            Some(ClusterName::NameServer) => "the addresses of this server".to_owned(),
            Some(ClusterName::EmptyNonTerminal) => "a node of the schema".to_owned(),
            Some(ClusterName::Namespace(namespace) | ClusterName::NamespaceOfPods(namespace)) => {
                self.namespace(&namespace, snapshot).unwrap_or(format!("namespace {namespace}"))
            }
            Some(ClusterName::Pod { namespace, address }) => {
                let there = self.namespace(&namespace, snapshot);
                let address = address.map_or("an address that is none".to_owned(), |address| address.to_string());
                there.unwrap_or_else(|| match self.config.pods {
                    PodMode::Disabled => "Pods have no names (`pods disabled`)".to_owned(),
                    PodMode::Insecure => format!("{address}, whatever Pod it is (`pods insecure`)"),
                    PodMode::Verified => format!("a Pod of namespace {namespace} with {address} (`pods verified`)"),
                })
            }
            Some(
                ClusterName::Service { namespace, service }
                | ClusterName::Endpoint { namespace, service, .. }
                | ClusterName::EndpointOfCluster { namespace, service, .. }
                | ClusterName::Zone { namespace, service, .. }
                | ClusterName::Port { namespace, service, .. },
            ) => match schema {
                Schema::Cluster | Schema::ZonalCluster => self.service(&namespace, &service, snapshot),
                Schema::ClusterSet => self.import(&namespace, &service, snapshot),
            },
        }
    }

    /// Why nothing in a namespace has a name; None: it is there and served.
    fn namespace(&self, name: &str, snapshot: &Snapshot) -> Option<String> {
        if self.is_exposed(name, snapshot) {
            return None;
        }
        Some(match snapshot.namespace(name) {
            Some(_) => format!("namespace {name} is there, but not served (`namespaces`, `namespace_labels`)"),
            None => format!("there is no namespace {name}{}", nearest(name, snapshot.namespaces())),
        })
    }

    pub(super) fn service(&self, namespace: &str, name: &str, snapshot: &Snapshot) -> String {
        if let Some(reason) = self.namespace(namespace, snapshot) {
            return reason;
        }
        let view = snapshot.namespace(namespace);
        view.and_then(|view| Some(described("Service", view.service(name)?))).unwrap_or_else(|| {
            let others = view.into_iter().flat_map(NamespaceView::services).map(|service| &*service.name);
            format!("namespace {namespace} has no Service {name}{}", nearest(name, others))
        })
    }

    fn import(&self, namespace: &str, name: &str, snapshot: &Snapshot) -> String {
        let view = snapshot.namespace(namespace).and_then(|view| view.import(name));
        let found = self.namespace(namespace, snapshot).or_else(|| Some(described("ServiceImport", view?)));
        found.unwrap_or_else(|| format!("namespace {namespace} has no ServiceImport {name}"))
    }
}

/// A Service with its slices.
fn described(what: &str, view: ServiceView<'_>) -> String {
    let service = view.service;
    let slices: Vec<String> = view.slices().map(slice).collect();
    let slices = match (&service.kind, slices.is_empty()) {
        (ServiceKind::ExternalName(_), _) => String::new(),
        (_, true) => "; no EndpointSlice".to_owned(),
        (_, false) => format!("; {}", slices.join(", ")),
    };
    format!("{what} {}/{}{}, {}{slices}", service.namespace, service.name, service.version, kind(service))
}

fn kind(service: &Service) -> String {
    match &service.kind {
        ServiceKind::Headless => "headless".to_owned(),
        ServiceKind::ExternalName(target) => format!("ExternalName {target}"),
        ServiceKind::ClusterIp(addresses) => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("cluster IP {}", addresses.join(" "))
        }
    }
}

fn slice(slice: &EndpointSlice) -> String {
    let (ready, all) = (slice.ready().count(), slice.endpoints.len());
    let version: ResourceVersion = slice.version;
    format!("EndpointSlice {}{version}: {ready} of {all} endpoints ready", slice.name)
}

fn reverse(name: &Name, snapshot: &Snapshot) -> String {
    let Some(address) = address_of_reverse_name(name) else { return "a part of a reverse name".to_owned() };
    let services = snapshot.services_at(address).map(|key| format!("Service {}/{}", key.namespace, key.name));
    let slices = snapshot.slices_at(address).map(|slice| format!("EndpointSlice {}/{}", slice.namespace, slice.name));
    let owners: Vec<String> = services.chain(slices).collect();
    match owners.is_empty() {
        true => format!("no Service and no ready endpoint has {address}"),
        false => format!("{address} is of {}", owners.join(", ")),
    }
}

/// `; did you mean …?`, or what there is.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match (similar(name, &known), known.len()) {
        (Some(meant), _) => format!("; did you mean {meant}?"),
        (None, 0) => String::new(),
        (None, count) => {
            let more = if count > NAMES_MAX { " …" } else { "" };
            format!("; there are {}{more}", known.into_iter().take(NAMES_MAX).collect::<Vec<_>>().join(" "))
        }
    }
}
