//! What is kept of Kubernetes objects: only what decides an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::ResourceVersion;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A Namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels, for `namespace_labels`.
    pub labels: Labels,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// What its name leads to.
    pub kind: ServiceKind,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Addresses outside the cluster: `spec.externalIPs` and those of the load balancer.
    pub external_addresses: Vec<IpAddr>,
    /// Names of the load balancer.
    pub external_names: Vec<String>,
    /// Its version when it last changed to DNS.
    pub version: ResourceVersion,
}

/// What the name of a Service leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Its own addresses, in the order of the families.
    ClusterIp(Vec<IpAddr>),
    /// The addresses of its endpoints.
    Headless,
    /// Another name, as it was written.
    ExternalName(String),
}

/// A port of a Service or of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// Its name, empty where it has none.
    pub name: String,
    /// TCP, UDP or SCTP, as written.
    pub protocol: String,
    /// Its number; None in an EndpointSlice means all ports.
    pub number: Option<u16>,
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSlice {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The Service of its label `kubernetes.io/service-name`; None: it belongs to no Service.
    pub service: Option<Arc<str>>,
    /// The ServiceImport that it belongs to; None: to none.
    pub import: Option<Import>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Its ports.
    pub ports: Vec<Port>,
    /// Its version when it last changed to DNS.
    pub version: ResourceVersion,
}

/// What an EndpointSlice of a cluster set says of where it comes from: its labels `multicluster.kubernetes.io/service-name` and
/// `.../source-cluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The ServiceImport.
    pub service: Arc<str>,
    /// The id of the cluster that the endpoints are in, of one or more labels, in lower case.
    pub cluster: String,
}

/// An endpoint of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its IP addresses.
    pub addresses: Vec<IpAddr>,
    /// Its domain names: addresses of a slice with addressType FQDN.
    pub names: Vec<String>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// The name of the Pod that it is (`targetRef`).
    pub pod: Option<String>,
    /// `conditions.ready`, where nothing said means ready.
    pub is_ready: bool,
    /// `zone`.
    pub zone: Option<String>,
}

/// A Pod that may have queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// `status.podIPs`, and `status.podIP` where those are missing.
    pub addresses: Vec<IpAddr>,
    /// Its labels.
    pub labels: Labels,
    /// `spec.hostNetwork`: its addresses are those of its node.
    pub is_on_host_network: bool,
}

impl Service {
    /// Its cluster IPs; none if it is headless or an alias.
    pub fn cluster_ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let addresses = match &self.kind {
            ServiceKind::ClusterIp(addresses) => addresses.as_slice(),
            ServiceKind::Headless | ServiceKind::ExternalName(_) => &[],
        };
        addresses.iter().copied()
    }
}

impl EndpointSlice {
    /// Its endpoints that are ready.
    pub fn ready(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(|endpoint| endpoint.is_ready)
    }

    /// Its endpoints that are ready, once for each of their addresses.
    pub fn ready_with_addresses(&self) -> impl Iterator<Item = (&Endpoint, IpAddr)> {
        self.ready().flat_map(|endpoint| endpoint.addresses.iter().map(move |address| (endpoint, *address)))
    }

    /// The addresses of its endpoints that are ready.
    pub fn ready_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ready_with_addresses().map(|(_, address)| address)
    }
}

impl Endpoint {
    /// The label that names it below its Service, for one of its addresses: its hostname; the name of its Pod, if those are
    /// wanted and it is a label; or the address with dashes, which never ends in one (`fd00::` is `fd00--0`).
    pub fn label(&self, address: IpAddr, uses_pod_names: bool) -> String {
        let is_label = |name: &&String| (1..=63).contains(&name.len()) && !name.contains('.');
        let pod = self.pod.as_ref().filter(|_| uses_pod_names).filter(is_label);
        if let Some(name) = self.hostname.as_ref().filter(is_label).or(pod) {
            return name.to_ascii_lowercase();
        }
        let label = address.to_string().replace(['.', ':'], "-");
        match label.ends_with('-') {
            true => label + "0",
            false => label,
        }
    }
}
