//! What `metadata` knows of a query: the parts of its name, and the Pod that asked. As CoreDNS, which reads the parts of names
//! that do not exist, too.

use super::Kubernetes;
use crate::cluster::{ClusterName, Schema};
use crate::config::directive::PodMode;
use crate::dns::{Metadata, Name, Query, label_count};

impl Kubernetes {
    /// Tells the labels of a query.
    pub fn tell(&self, query: &Query, metadata: &Metadata) {
        if self.config.pods == PodMode::Verified {
            self.tell_client(query, metadata);
        }
        let Some(zone) = self.zone_of(&query.name) else { return };
        let schema = self.schema(zone);
        let Some(parts) = Parts::special(&query.name, zone, schema).or_else(|| Parts::of(&query.name, zone)) else {
            return metadata.tell("kubernetes/parse-error", || "invalid query name".to_owned());
        };
        for (label, part) in [
            ("kubernetes/port-name", parts.port),
            ("kubernetes/protocol", parts.protocol),
            ("kubernetes/endpoint", parts.endpoint),
            ("kubernetes/service", parts.service),
            ("kubernetes/namespace", parts.namespace),
            ("kubernetes/kind", parts.kind),
        ] {
            metadata.tell(label, || part);
        }
        match schema {
            Schema::Cluster => {}
            Schema::ZonalCluster => metadata.tell("kubernetes/zone", || parts.zone),
            Schema::ClusterSet => metadata.tell("kubernetes/cluster", || parts.cluster),
        }
    }

    fn tell_client(&self, query: &Query, metadata: &Metadata) {
        let snapshot = self.store.load();
        // The address of a node is that of all Pods in its network, and of none.
        let mut pods = snapshot.pods_at(query.client.ip().to_canonical()).filter(|pod| !pod.is_on_host_network);
        let Some(pod) = pods.next() else { return };
        metadata.tell("kubernetes/client-namespace", || pod.namespace.to_string());
        metadata.tell("kubernetes/client-pod-name", || pod.name.to_string());
        for (key, value) in pod.labels.iter().flat_map(|labels| labels.iter()) {
            metadata.tell(format!("kubernetes/client-label/{key}"), || value.clone());
        }
    }
}

/// The parts of `[_PORT._PROTOCOL. | ENDPOINT.]SERVICE.NAMESPACE.KIND`; what is not there is empty.
#[derive(Debug, Default, PartialEq)]
struct Parts {
    port: String,
    protocol: String,
    endpoint: String,
    service: String,
    namespace: String,
    kind: String,
    zone: String,
    cluster: String,
}

impl Parts {
    /// Of a name that only this schema has.
    fn special(name: &Name, zone: &Name, schema: Schema) -> Option<Self> {
        let kind = "svc".to_owned();
        match ClusterName::parse(name, zone, schema)? {
            ClusterName::Zone { namespace, service, zone, .. } => {
                Some(Self { namespace, service, kind, zone: zone?, ..Self::default() })
            }
            ClusterName::EndpointOfCluster { namespace, service, cluster, endpoint } => {
                Some(Self { namespace, service, kind, cluster, endpoint, ..Self::default() })
            }
            _ => None,
        }
    }

    /// Of a name in a zone; None: it has too many labels, or another kind than `svc` and `pod`.
    fn of(name: &Name, zone: &Name) -> Option<Self> {
        let name = name.to_lowercase();
        let depth = label_count(&name).saturating_sub(label_count(zone));
        let labels: Vec<String> =
            name.iter().take(depth).map(|label| String::from_utf8_lossy(label).into_owned()).collect();
        let mut labels = labels.into_iter().rev();
        let mut next = || labels.next().unwrap_or_default();
        let [kind, namespace, service, first, second, rest] = [(); 6].map(|()| next());
        // CoreDNS takes the names of the kinds themselves for the apex.
        let kind = if namespace.is_empty() && matches!(kind.as_str(), "svc" | "pod") { String::new() } else { kind };
        let parts = Self { service, namespace, kind, ..Self::default() };
        let is_known = rest.is_empty() && matches!(parts.kind.as_str(), "" | "svc" | "pod");
        is_known.then(|| match second.is_empty() {
            true => Self { endpoint: first, ..parts },
            false => Self { port: without_underscore(&second), protocol: without_underscore(&first), ..parts },
        })
    }
}

fn without_underscore(label: &str) -> String {
    label.strip_prefix('_').unwrap_or(label).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;

    /// Port, protocol, endpoint, service, namespace and kind, separated by blanks.
    fn check(name: &str, expected: Option<&str>) {
        let zone = parse_name("cluster.local.").unwrap();
        let parts = Parts::of(&parse_name(&format!("{name}Cluster.local.")).unwrap(), &zone);
        let text = parts.map(|parts| {
            [parts.port, parts.protocol, parts.endpoint, parts.service, parts.namespace, parts.kind].join(" ")
        });
        assert_eq!(text.as_deref(), expected, "{name}");
    }

    #[test]
    fn a_name_has_the_parts_that_coredns_sees() {
        check("", Some("     "));
        check("svc.", Some("     "));
        check("Shop.svc.", Some("    shop svc"));
        check("web.shop.svc.", Some("   web shop svc"));
        check("10-0-0-1.shop.pod.", Some("   10-0-0-1 shop pod"));
        check("db-0.web.shop.svc.", Some("  db-0 web shop svc"));
        check("_HTTP._tcp.web.shop.svc.", Some("http tcp  web shop svc"));
        check("http.tcp.web.shop.svc.", Some("http tcp  web shop svc"));
        check("a._http._tcp.web.shop.svc.", None);
        check("web.shop.", None);
        check("dns-version.", None);
    }

    #[test]
    fn topology_zones_and_clusters_are_parts_where_there_are_such_names() {
        let zone = parse_name("cluster.local.").unwrap();
        let special = |schema, name: &str| {
            let parts = Parts::special(&parse_name(&format!("{name}.cluster.local.")).unwrap(), &zone, schema)?;
            Some([parts.endpoint, parts.cluster, parts.zone, parts.service, parts.namespace, parts.kind].join(" "))
        };
        let zonal = special(Schema::ZonalCluster, "a.b.pin._zone.web.shop.svc");
        assert_eq!(zonal.as_deref(), Some("  a.b web shop svc"));
        let endpoint = special(Schema::ClusterSet, "db-0.east.web.shop.svc");
        assert_eq!(endpoint.as_deref(), Some("db-0 east  web shop svc"));
        assert_eq!(special(Schema::Cluster, "db-0.east.web.shop.svc"), None);
        assert_eq!(special(Schema::ZonalCluster, "pin._zone.web.shop.svc"), None);
    }
}
