//! What is kept of Kubernetes objects: only what decides an answer.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Addresses, Kept, ResourceVersion};

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
    /// Whether it chooses its Pods by labels (`spec.selector`); without, somebody else writes its slices.
    pub has_selector: bool,
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

/// An endpoint of an EndpointSlice. There are many: what most have not stands apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its IP addresses.
    pub addresses: Addresses,
    /// `conditions.ready`, where nothing said means ready.
    pub is_ready: bool,
    /// None if there are none.
    details: Option<Box<EndpointDetails>>,
}

/// What may be said of an endpoint beside its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointDetails {
    /// Its domain names: addresses of a slice with addressType FQDN.
    pub names: Vec<String>,
    /// `hostname`.
    pub hostname: Option<Box<str>>,
    /// The name of the Pod that it is (`targetRef`).
    pub pod: Option<Box<str>>,
    /// `zone`.
    pub zone: Option<Box<str>>,
}

/// A Pod that may have queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Box<str>,
    /// `status.podIPs`, and `status.podIP` where those are missing.
    pub addresses: Addresses,
    /// Its labels; None if there are none, or if nobody asks for them.
    pub labels: Option<Box<Labels>>,
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
    /// An endpoint with these details, if there are any.
    pub fn new(addresses: Addresses, is_ready: bool, details: EndpointDetails) -> Self {
        let details = (details != EndpointDetails::default()).then(|| Box::new(details));
        Self { addresses, is_ready, details }
    }

    /// Its domain names.
    pub fn names(&self) -> &[String] {
        self.details.as_ref().map_or(&[], |details| &details.names)
    }

    /// `hostname`.
    pub fn hostname(&self) -> Option<&str> {
        self.details.as_ref()?.hostname.as_deref()
    }

    /// The name of the Pod that it is.
    pub fn pod(&self) -> Option<&str> {
        self.details.as_ref()?.pod.as_deref()
    }

    /// `zone`.
    pub fn zone(&self) -> Option<&str> {
        self.details.as_ref()?.zone.as_deref()
    }

    /// Forgets what no configuration asks for.
    pub(super) fn restrict(&mut self, kept: Kept) {
        let Some(details) = &mut self.details else { return };
        details.pod.take_if(|_| !kept.endpoint_pods);
        details.zone.take_if(|_| !kept.endpoint_zones);
        if **details == EndpointDetails::default() {
            self.details = None;
        }
    }

    /// The label that names it below its Service, for one of its addresses: its hostname; the name of its Pod, if those are
    /// wanted and it is a label; or the address with dashes.
    pub fn label(&self, address: IpAddr, uses_pod_names: bool) -> String {
        match self.own_label(uses_pod_names) {
            Some(label) => label.to_ascii_lowercase(),
            None => address_label(address),
        }
    }

    /// Whether [`Self::label`] is the one that was asked for. A Service may have ten thousand endpoints: nothing is written for
    /// those that it is not.
    pub fn has_label(&self, asked: &AskedLabel<'_>, address: IpAddr, uses_pod_names: bool) -> bool {
        match self.own_label(uses_pod_names) {
            Some(label) => label.eq_ignore_ascii_case(asked.text),
            None => asked.addresses.contains(&Some(address)),
        }
    }

    /// The label that does not come from an address.
    fn own_label(&self, uses_pod_names: bool) -> Option<&str> {
        let is_label = |name: &&str| (1..=63).contains(&name.len()) && !name.contains('.');
        let details = self.details.as_ref()?;
        let pod = details.pod.as_deref().filter(|_| uses_pod_names).filter(is_label);
        details.hostname.as_deref().filter(is_label).or(pod)
    }
}

/// A label in the place of an endpoint's.
#[derive(Clone, Copy, Debug)]
pub struct AskedLabel<'a> {
    text: &'a str,
    /// The addresses whose label it is.
    addresses: [Option<IpAddr>; 3],
}

impl<'a> AskedLabel<'a> {
    /// Reads a label in lower case.
    pub fn new(text: &'a str) -> Self {
        Self { text, addresses: addresses_of_label(text) }
    }
}

/// An address with dashes. It never ends in one (`fd00::` is `fd00--0`).
fn address_label(address: IpAddr) -> String {
    let label = address.to_string().replace(['.', ':'], "-");
    match label.ends_with('-') {
        true => label + "0",
        false => label,
    }
}

/// The addresses that [`address_label`] writes so: of IPv4, of IPv6, and of IPv4 inside of IPv6, which has dots, too.
fn addresses_of_label(label: &str) -> [Option<IpAddr>; 3] {
    let with = |separator| label.replace('-', separator).parse().ok();
    let mapped = || label.strip_prefix("--ffff-")?.replace('-', ".").parse::<Ipv4Addr>().ok();
    let mapped = mapped().map(|address| IpAddr::from(address.to_ipv6_mapped()));
    let is_written_so = |address: &IpAddr| address_label(*address) == label;
    [with("."), with(":"), mapped].map(|address| address.filter(is_written_so))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_label_finds_the_addresses_that_are_written_so() {
        let check = |address: &str, label: &str| {
            assert_eq!(address_label(ip(address)), label);
            assert!(addresses_of_label(label).contains(&Some(ip(address))), "{label}");
        };
        check("10.0.0.1", "10-0-0-1");
        check("fd00::1:2", "fd00--1-2");
        check("fd00::", "fd00--0");
        check("::", "--0");
        check("::1", "--1");
        check("1:2:3:4:5:6:7:8", "1-2-3-4-5-6-7-8");
        check("::ffff:10.0.0.1", "--ffff-10-0-0-1");
        check("::ffff:10:0:0:1", "--ffff-10-0-0-1");
        for other in
            ["10-0-0-01", "fd00-0-0-0-0-0-0-1", "fd00--0-1", "FD00--1", "web-1", "10.0.0.1", "", "-", "--", "db-0"]
        {
            assert_eq!(addresses_of_label(other), [None; 3], "{other}");
        }
    }

    #[test]
    fn an_endpoint_has_the_label_that_it_is_given_and_no_other() {
        let details = |hostname: Option<&str>, pod: &str| EndpointDetails {
            hostname: hostname.map(Box::from),
            pod: Some(pod.into()),
            ..EndpointDetails::default()
        };
        let labels = ["db-0", "pod-0", "10-0-0-1", "10-0-0-2", "fd00--0"];
        for details in [details(None, "Pod-0"), details(Some("DB-0"), "pod-0"), details(Some("a.b"), "c.d")] {
            let endpoint = Endpoint::new([ip("10.0.0.1"), ip("fd00::")].into_iter().collect(), true, details);
            for (address, uses_pod_names) in endpoint.addresses.iter().flat_map(|ip| [(*ip, true), (*ip, false)]) {
                let label = endpoint.label(address, uses_pod_names);
                for asked in labels {
                    let has_label = endpoint.has_label(&AskedLabel::new(asked), address, uses_pod_names);
                    assert_eq!(has_label, label == asked, "{endpoint:?} {asked}");
                }
            }
        }
    }

    #[test]
    fn an_endpoint_keeps_what_is_asked_for() {
        let details = || EndpointDetails { pod: Some("a".into()), zone: Some("b".into()), ..Default::default() };
        let mut endpoint = Endpoint::new([ip("10.0.0.1")].into_iter().collect(), true, details());
        endpoint.restrict(Kept::ALL);
        assert_eq!((endpoint.pod(), endpoint.zone()), (Some("a"), Some("b")));
        endpoint.restrict(Kept { endpoint_zones: true, ..Kept::default() });
        assert_eq!((endpoint.pod(), endpoint.zone()), (None, Some("b")));
        endpoint.restrict(Kept::default());
        assert_eq!(endpoint.details, None);
        assert_eq!(size_of::<Endpoint>(), 40, "there are 150,000 of them");
    }
}
