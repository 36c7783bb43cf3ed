//! The schema of names below a cluster domain (Kubernetes DNS specification 1.1, section 2), or below the domain of a cluster set
//! (Multi-Cluster Services DNS specification 1.0).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::{Name, label_count};

/// Which names a domain has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schema {
    /// Those of a cluster.
    #[default]
    Cluster,
    /// Those of a cluster, and those of the endpoints of one topology zone (`zonal`).
    ZonalCluster,
    /// Those of a cluster set: endpoints are named with their cluster.
    ClusterSet,
}

/// What a name below a cluster domain stands for. A name that fits none of these can have no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterName {
    /// The cluster domain itself.
    Apex,
    /// `dns-version`: the version of the schema.
    Version,
    /// `ns.dns`: the server that the SOA record names.
    NameServer,
    /// `dns`, `svc` and `pod`: nothing themselves, but names stand below them.
    EmptyNonTerminal,
    /// `NAMESPACE.svc`.
    Namespace(String),
    /// `NAMESPACE.pod`.
    NamespaceOfPods(String),
    /// `SERVICE.NAMESPACE.svc`.
    Service {
        /// The namespace.
        namespace: String,
        /// The Service.
        service: String,
    },
    /// `ENDPOINT.SERVICE.NAMESPACE.svc`.
    Endpoint {
        /// The namespace.
        namespace: String,
        /// The Service.
        service: String,
        /// The hostname of the endpoint, or its address with dashes.
        endpoint: String,
    },
    /// `ENDPOINT.CLUSTER.SERVICE.NAMESPACE.svc` of a cluster set.
    EndpointOfCluster {
        /// The namespace.
        namespace: String,
        /// The ServiceImport.
        service: String,
        /// The id of the cluster, of one or more labels.
        cluster: String,
        /// The hostname of the endpoint, or its address with dashes.
        endpoint: String,
    },
    /// `ZONE.pin._zone.SERVICE.NAMESPACE.svc`, or `prefer` in place of `pin`: the endpoints of one topology zone.
    Zone {
        /// The namespace.
        namespace: String,
        /// The Service.
        service: String,
        /// The zone, of one or more labels; None: the name is above those of the zones.
        zone: Option<String>,
        /// `prefer`: all endpoints where the zone has none.
        is_preference: bool,
    },
    /// `_PORT._PROTOCOL.SERVICE.NAMESPACE.svc`; the underscores may be left out.
    Port {
        /// The namespace.
        namespace: String,
        /// The Service.
        service: String,
        /// The name of the port, without underscore.
        port: String,
        /// The protocol, without underscore.
        protocol: String,
    },
    /// `ADDRESS.NAMESPACE.pod`.
    Pod {
        /// The namespace.
        namespace: String,
        /// The address; None: what stands there is none.
        address: Option<IpAddr>,
    },
}

impl ClusterName {
    /// Reads a name below `zone`; letter case does not matter. None: no object can have such a name.
    pub fn parse(name: &Name, zone: &Name, schema: Schema) -> Option<Self> {
        let depth = label_count(name).checked_sub(label_count(zone))?;
        let mut labels = Vec::with_capacity(depth);
        for label in name.iter().take(depth) {
            labels.push(std::str::from_utf8(label).ok()?.to_ascii_lowercase());
        }
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        match labels.as_slice() {
            [] => Some(Self::Apex),
            ["dns-version"] => Some(Self::Version),
            ["ns", "dns"] => Some(Self::NameServer),
            ["dns" | "svc" | "pod"] => Some(Self::EmptyNonTerminal),
            [namespace, "svc"] => Some(Self::Namespace((*namespace).to_owned())),
            [namespace, "pod"] => Some(Self::NamespaceOfPods((*namespace).to_owned())),
            [address, namespace, "pod"] => {
                Some(Self::Pod { namespace: (*namespace).to_owned(), address: pod_address(address) })
            }
            [rest @ .., namespace, "svc"] => match schema {
                Schema::Cluster => Self::parse_service(rest, namespace),
                Schema::ZonalCluster => {
                    Self::parse_zone(rest, namespace).or_else(|| Self::parse_service(rest, namespace))
                }
                Schema::ClusterSet => Self::parse_import(rest, namespace),
            },
            _ => None,
        }
    }

    fn parse_service(labels: &[&str], namespace: &str) -> Option<Self> {
        let namespace = namespace.to_owned();
        match labels {
            [service] => Some(Self::Service { namespace, service: (*service).to_owned() }),
            [endpoint, service] => {
                Some(Self::Endpoint { namespace, service: (*service).to_owned(), endpoint: (*endpoint).to_owned() })
            }
            [port, protocol, service] => Some(Self::Port {
                namespace,
                service: (*service).to_owned(),
                port: without_underscore(port),
                protocol: without_underscore(protocol),
            }),
            _ => None,
        }
    }

    fn parse_zone(labels: &[&str], namespace: &str) -> Option<Self> {
        let (zone, choice, service) = match labels {
            ["_zone", service] => (None, "pin", service),
            [choice @ ("pin" | "prefer"), "_zone", service] => (None, *choice, service),
            [zone @ .., choice @ ("pin" | "prefer"), "_zone", service] => (Some(zone.join(".")), *choice, service),
            _ => return None,
        };
        let (namespace, service) = (namespace.to_owned(), (*service).to_owned());
        Some(Self::Zone { namespace, service, zone, is_preference: choice == "prefer" })
    }

    /// There is neither `CLUSTER.SERVICE` nor `ENDPOINT.SERVICE` in a cluster set, and ports need their underscores.
    fn parse_import(labels: &[&str], namespace: &str) -> Option<Self> {
        match labels {
            [_] => Self::parse_service(labels, namespace),
            [label, _] | [label, _, _] | [_, label, _] if label.starts_with('_') => {
                Self::parse_service(labels, namespace)
            }
            [endpoint, cluster @ .., service]
                if !cluster.is_empty() && !cluster.iter().any(|label| label.starts_with('_')) =>
            {
                Some(Self::EndpointOfCluster {
                    namespace: namespace.to_owned(),
                    service: (*service).to_owned(),
                    cluster: cluster.join("."),
                    endpoint: (*endpoint).to_owned(),
                })
            }
            _ => None,
        }
    }
}

fn without_underscore(label: &str) -> String {
    label.strip_prefix('_').unwrap_or(label).to_owned()
}

/// The address of a Pod's name: `10-244-0-1`, or IPv6 with dashes for its colons.
fn pod_address(label: &str) -> Option<IpAddr> {
    let is_v4 = label.matches('-').count() == 3 && !label.contains("--");
    match is_v4 {
        true => label.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        false => label.replace('-', ":").parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;

    fn check(name: &str, expected: Option<ClusterName>) {
        check_in(Schema::Cluster, name, expected);
    }

    fn check_in(schema: Schema, name: &str, expected: Option<ClusterName>) {
        let zone = parse_name("cluster.local.").unwrap();
        let name = parse_name(&format!("{name}cluster.local.")).unwrap();
        assert_eq!(ClusterName::parse(&name, &zone, schema), expected, "{name}");
    }

    fn service(service: &str, namespace: &str) -> Option<ClusterName> {
        Some(ClusterName::Service { namespace: namespace.to_owned(), service: service.to_owned() })
    }

    fn port(port: &str, protocol: &str) -> Option<ClusterName> {
        let [namespace, service, port, protocol] = ["ns", "web", port, protocol].map(str::to_owned);
        Some(ClusterName::Port { namespace, service, port, protocol })
    }

    fn zone(zone: Option<&str>, is_preference: bool) -> Option<ClusterName> {
        let [namespace, service] = ["ns", "web"].map(str::to_owned);
        Some(ClusterName::Zone { namespace, service, zone: zone.map(str::to_owned), is_preference })
    }

    fn endpoint_of(cluster: &str) -> Option<ClusterName> {
        let [namespace, service, endpoint, cluster] = ["ns", "web", "host", cluster].map(str::to_owned);
        Some(ClusterName::EndpointOfCluster { namespace, service, cluster, endpoint })
    }

    fn pod(address: Option<&str>) -> Option<ClusterName> {
        Some(ClusterName::Pod { namespace: "ns".to_owned(), address: address.map(|text| text.parse().unwrap()) })
    }

    #[test]
    fn the_upper_names_are_fixed() {
        check("", Some(ClusterName::Apex));
        check("dns-version.", Some(ClusterName::Version));
        check("ns.dns.", Some(ClusterName::NameServer));
        check("svc.", Some(ClusterName::EmptyNonTerminal));
        check("dns.", Some(ClusterName::EmptyNonTerminal));
        check("ns.svc.", Some(ClusterName::Namespace("ns".to_owned())));
        check("ns.pod.", Some(ClusterName::NamespaceOfPods("ns".to_owned())));
        check("x.", None);
        check("web.ns.other.", None);
        check("*.", None);
    }

    #[test]
    fn letter_case_does_not_matter() {
        check("WEB.Ns.sVc.", service("web", "ns"));
    }

    #[test]
    fn namespaces_may_be_named_as_the_schema() {
        check("web.svc.svc.", service("web", "svc"));
        check("svc.pod.svc.", service("svc", "pod"));
    }

    #[test]
    fn ports_may_do_without_underscores() {
        check("_http._tcp.web.ns.svc.", port("http", "tcp"));
        check("http.tcp.web.ns.svc.", port("http", "tcp"));
        check("_._tcp.web.ns.svc.", port("", "tcp"));
    }

    #[test]
    fn more_labels_are_no_name() {
        check("a.b.c.web.ns.svc.", None);
        check("a.10-0-0-1.ns.pod.", None);
    }

    #[test]
    fn topology_zones_have_one_or_more_labels() {
        let check = |name, expected| check_in(Schema::ZonalCluster, name, expected);
        check("a.pin._zone.web.ns.svc.", zone(Some("a"), false));
        check("corp.Example.prefer._zone.web.ns.svc.", zone(Some("corp.example"), true));
        check("prefer._zone.web.ns.svc.", zone(None, true));
        check("_zone.web.ns.svc.", zone(None, false));
        check("a._zone.web.ns.svc.", port("a", "zone"));
        check("a.only._zone.web.ns.svc.", None);
        check("web.ns.svc.", service("web", "ns"));
        check_in(Schema::Cluster, "a.pin._zone.web.ns.svc.", None);
        check_in(Schema::ClusterSet, "a.pin._zone.web.ns.svc.", None);
    }

    #[test]
    fn endpoints_of_a_cluster_set_are_named_with_their_cluster() {
        let check = |name, expected| check_in(Schema::ClusterSet, name, expected);
        check("host.east.web.ns.svc.", endpoint_of("east"));
        check("host.east.ring1.web.ns.svc.", endpoint_of("east.ring1"));
        check("_http._tcp.web.ns.svc.", port("http", "tcp"));
        check("_http.tcp.web.ns.svc.", port("http", "tcp"));
        check("host._tcp.web.ns.svc.", port("host", "tcp"));
        check("web.ns.svc.", service("web", "ns"));
        check("host.web.ns.svc.", None);
    }

    #[test]
    fn pods_are_named_by_address() {
        check("10-0-0-1.ns.pod.", pod(Some("10.0.0.1")));
        check("fd00-10--1.ns.pod.", pod(Some("fd00:10::1")));
        check("--1.ns.pod.", pod(Some("::1")));
        check("1-2-3.ns.pod.", pod(None));
        check("hello.ns.pod.", pod(None));
    }
}
