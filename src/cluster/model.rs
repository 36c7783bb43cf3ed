//! What is kept of Kubernetes objects: only what decides an answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
    /// Its ports.
    pub ports: Vec<Port>,
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
}
