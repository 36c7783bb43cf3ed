//! Objects as they were read to what is kept of them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, Error};

use super::object::{self, Misfit};
use crate::cluster::{
    Change, Endpoint, EndpointDetails, EndpointSlice, Import, Labels, Namespace, ObjectKey, Pod, Port, Resource,
    ResourceVersion, Service, ServiceKind,
};

/// An object that was read.
#[derive(Debug)]
pub struct Reading {
    /// Which object it is.
    pub key: ObjectKey,
    /// Its labels, for selectors.
    pub labels: Labels,
    /// `metadata.resourceVersion`, empty in manifests.
    pub resource_version: String,
    /// What it makes of the cluster; a removal if it is not served, such as a Pod that has finished.
    pub change: Change,
    /// When the change began that it is the result of.
    pub caused_at: Option<SystemTime>,
    /// Addresses and ports that are none and were left out.
    pub skipped: u64,
    /// A field that decides answers and is of a wrong type: the change is not all of what was meant.
    pub misfit: Option<&'static str>,
}

impl Reading {
    /// What it makes of the cluster. What is known of an object is better than half of it.
    pub fn into_change(self, resource: Resource) -> Change {
        match self.misfit {
            Some(_) if !matches!(self.change, Change::Removed(..)) => {
                Change::Unfit(resource, self.key, Some(Box::new(self.change)))
            }
            Some(_) | None => self.change,
        }
    }
}

/// Reads an object of a resource. Fails only where nobody could say which object it is.
pub fn read<'de, D: Deserializer<'de>>(resource: Resource, deserializer: D) -> Result<Reading, D::Error> {
    let mut skipped = 0;
    let (metadata, misfit, change) = match resource {
        Resource::Namespaces => {
            let object = object::Namespace::deserialize(deserializer)?;
            let name = object.metadata.name.as_str().into();
            let labels = Labels::clone(&object.metadata.labels);
            let misfit = object.misfit();
            (object.metadata, misfit, Some(Change::Namespace(Namespace { name, labels })))
        }
        Resource::Services => {
            let object = object::Service::deserialize(deserializer)?;
            let (misfit, service) = (object.misfit(), service(&object, &mut skipped));
            (object.metadata, misfit, Some(Change::Service(service)))
        }
        Resource::EndpointSlices => {
            let object = object::EndpointSlice::deserialize(deserializer)?;
            let (misfit, slice) = (object.misfit(), endpoint_slice(&object, &mut skipped));
            (object.metadata, misfit, Some(Change::EndpointSlice(slice)))
        }
        Resource::ServiceImports => {
            let object = object::ServiceImport::deserialize(deserializer)?;
            let (misfit, import) = (object.misfit(), service_import(&object, &mut skipped));
            (object.metadata, misfit, Some(Change::ServiceImport(import)))
        }
        Resource::Pods => {
            let object = object::Pod::deserialize(deserializer)?;
            let pod = is_served(&object).then(|| Change::Pod(pod(&object, &mut skipped)));
            let misfit = object.misfit();
            (object.metadata, misfit, pod)
        }
    };
    let key = key(resource, &metadata).ok_or_else(|| D::Error::custom("the object has no name or no namespace"))?;
    Ok(Reading {
        change: change.unwrap_or_else(|| Change::Removed(resource, key.clone())),
        caused_at: caused_at(&metadata),
        key,
        labels: Labels::clone(&metadata.labels),
        resource_version: metadata.resource_version,
        skipped,
        misfit,
    })
}

/// Which object it is and its version, where no more than that can be read of it.
pub fn read_key<'de, D: Deserializer<'de>>(resource: Resource, deserializer: D) -> Option<(ObjectKey, String)> {
    let metadata = object::Namespace::deserialize(deserializer).ok()?.metadata;
    Some((key(resource, &metadata)?, metadata.resource_version))
}

fn key(resource: Resource, metadata: &object::Metadata) -> Option<ObjectKey> {
    let namespace = match resource {
        Resource::Namespaces => "",
        Resource::Services | Resource::EndpointSlices | Resource::ServiceImports | Resource::Pods => {
            stated(&metadata.namespace)?
        }
    };
    Some(ObjectKey { namespace: namespace.into(), name: stated(&metadata.name)?.into() })
}

fn caused_at(metadata: &object::Metadata) -> Option<SystemTime> {
    metadata.annotations.last_change_trigger_time.parse::<Timestamp>().ok().map(SystemTime::from)
}

fn service(object: &object::Service, skipped: &mut u64) -> Service {
    let spec = &object.spec;
    let ingress = &object.status.load_balancer.ingress;
    let external = spec.external_ips.iter().chain(ingress.iter().map(|ingress| &*ingress.ip));
    Service {
        namespace: object.metadata.namespace.as_str().into(),
        name: object.metadata.name.as_str().into(),
        kind: service_kind(spec, skipped),
        ports: spec.ports.iter().filter_map(|port| service_port(port, skipped)).collect(),
        external_addresses: addresses(external, skipped),
        external_names: ingress
            .iter()
            .map(|ingress| &*ingress.hostname)
            .filter(|name| !name.is_empty())
            .cloned()
            .collect(),
        has_selector: spec.selector.0,
        version: ResourceVersion::parse(&object.metadata.resource_version),
    }
}

fn service_kind(spec: &object::ServiceSpec, skipped: &mut u64) -> ServiceKind {
    // clusterIPs came with dual stack; before it, and in terse manifests, clusterIP stands alone.
    let written = if spec.cluster_ips.is_empty() { std::slice::from_ref(&*spec.cluster_ip) } else { &spec.cluster_ips };
    if *spec.service_type == "ExternalName" {
        ServiceKind::ExternalName(spec.external_name.clone())
    } else if written.first().is_some_and(|first| first == "None") {
        ServiceKind::Headless
    } else {
        ServiceKind::ClusterIp(addresses(written, skipped))
    }
}

fn service_import(object: &object::ServiceImport, skipped: &mut u64) -> Service {
    let spec = &object.spec;
    Service {
        namespace: object.metadata.namespace.as_str().into(),
        name: object.metadata.name.as_str().into(),
        kind: match spec.import_type.as_str() {
            "Headless" => ServiceKind::Headless,
            _ => ServiceKind::ClusterIp(addresses(spec.ips.iter(), skipped)),
        },
        ports: spec.ports.iter().filter_map(|port| service_port(port, skipped)).collect(),
        external_addresses: Vec::new(),
        external_names: Vec::new(),
        has_selector: false,
        version: ResourceVersion::parse(&object.metadata.resource_version),
    }
}

/// A port of a Service must have a number.
fn service_port(port: &object::Port, skipped: &mut u64) -> Option<Port> {
    let port = self::port(port);
    *skipped += u64::from(port.number.is_none());
    port.number.is_some().then_some(port)
}

fn port(port: &object::Port) -> Port {
    let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
    Port { name: port.name.clone(), protocol: protocol.to_owned(), number: *port.port }
}

fn endpoint_slice(object: &object::EndpointSlice, skipped: &mut u64) -> EndpointSlice {
    let has_names = *object.address_type == "FQDN";
    let label = |name: &str| object.metadata.labels.get(name).and_then(|value| stated(value));
    let import =
        label("multicluster.kubernetes.io/service-name").zip(label("multicluster.kubernetes.io/source-cluster"));
    EndpointSlice {
        namespace: object.metadata.namespace.as_str().into(),
        name: object.metadata.name.as_str().into(),
        service: label("kubernetes.io/service-name").map(Arc::from),
        import: import
            .map(|(service, cluster)| Import { service: service.into(), cluster: cluster.to_ascii_lowercase() }),
        endpoints: object.endpoints.iter().map(|read| endpoint(read, has_names, skipped)).collect(),
        ports: object.ports.iter().map(port).collect(),
        version: ResourceVersion::parse(&object.metadata.resource_version),
    }
}

fn endpoint(read: &object::Endpoint, has_names: bool, skipped: &mut u64) -> Endpoint {
    let (addresses, names) = match has_names {
        true => (Vec::new(), read.addresses.iter().filter(|name| !name.is_empty()).cloned().collect()),
        false => (addresses(read.addresses.iter(), skipped), Vec::new()),
    };
    let is_pod = *read.target_ref.kind == "Pod";
    let details = EndpointDetails {
        names,
        hostname: stated(&read.hostname).map(Box::from),
        pod: stated(&read.target_ref.name).filter(|_| is_pod).map(Box::from),
        zone: stated(&read.zone).map(Box::from),
    };
    Endpoint::new(addresses.into(), read.conditions.ready.unwrap_or(true), details)
}

/// A Pod that has finished keeps its address in its status, but no longer has it. The API server leaves such Pods out
/// when asked to; in manifests they are there.
fn is_served(object: &object::Pod) -> bool {
    !matches!(object.status.phase.as_str(), "Succeeded" | "Failed" | "Unknown")
}

fn pod(object: &object::Pod, skipped: &mut u64) -> Pod {
    let status = &object.status;
    // Unlike CoreDNS: all of podIPs count, so that a dual-stack Pod has both of its names.
    let addresses = match status.pod_ips.is_empty() {
        true => addresses([&*status.pod_ip], skipped),
        false => addresses(status.pod_ips.iter().map(|address| &*address.ip), skipped),
    };
    Pod {
        namespace: object.metadata.namespace.as_str().into(),
        name: object.metadata.name.as_str().into(),
        addresses: addresses.into(),
        labels: (!object.metadata.labels.is_empty()).then(|| Box::new(Labels::clone(&object.metadata.labels))),
        is_on_host_network: object.spec.host_network.unwrap_or(false),
    }
}

fn stated(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The texts that are addresses; an empty one is none, any other is skipped.
fn addresses<'a>(texts: impl IntoIterator<Item = &'a String>, skipped: &mut u64) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for text in texts.into_iter().filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(address) => found.push(address),
            Err(_) => *skipped += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(resource: Resource, json: &str) -> Reading {
        read(resource, &mut serde_json::Deserializer::from_str(json)).expect("an object")
    }

    fn service(spec: &str) -> Service {
        let json = format!(r#"{{"metadata": {{"name": "web", "namespace": "shop"}}, "spec": {spec}}}"#);
        match reading(Resource::Services, &json).change {
            Change::Service(service) => service,
            other => panic!("{other:?}"),
        }
    }

    fn slice(rest: &str) -> (EndpointSlice, u64) {
        let labels = r#""labels": {"kubernetes.io/service-name": "web"}"#;
        let json = format!(r#"{{"metadata": {{"name": "web-1", "namespace": "shop", {labels}}}, {rest}}}"#);
        let reading = reading(Resource::EndpointSlices, &json);
        match reading.change {
            Change::EndpointSlice(slice) => (slice, reading.skipped),
            other => panic!("{other:?}"),
        }
    }

    fn check_kind(spec: &str, kind: ServiceKind) {
        assert_eq!(service(spec).kind, kind, "{spec}");
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_first_cluster_ip_decides_what_a_service_is() {
        check_kind(r#"{"clusterIP": "None"}"#, ServiceKind::Headless);
        check_kind(r#"{"clusterIP": "None", "clusterIPs": ["None"]}"#, ServiceKind::Headless);
        check_kind(r#"{"clusterIP": "10.0.0.1"}"#, ServiceKind::ClusterIp(vec![ip("10.0.0.1")]));
        check_kind(
            r#"{"clusterIP": "fd00::1", "clusterIPs": ["fd00::1", "10.0.0.1"]}"#,
            ServiceKind::ClusterIp(vec![ip("fd00::1"), ip("10.0.0.1")]),
        );
        check_kind(
            r#"{"type": "ExternalName", "externalName": "shop.example"}"#,
            ServiceKind::ExternalName("shop.example".to_owned()),
        );
        check_kind("{}", ServiceKind::ClusterIp(vec![]));
    }

    #[test]
    fn a_field_of_a_wrong_type_does_not_cost_the_object() {
        let spec = r#"{"type": 7, "clusterIP": ["10.0.0.1"], "clusterIPs": "10.0.0.2", "externalName": {"a": [1, {}]},
            "ports": [7, {"name": null, "port": 80}, {"port": "http"}, {"port": 99999}, [], {"port": -1.5}]}"#;
        let service = service(spec);
        assert_eq!(service.kind, ServiceKind::ClusterIp(vec![]));
        assert_eq!(service.ports, [Port { name: String::new(), protocol: "TCP".to_owned(), number: Some(80) }]);
        check_kind("17", ServiceKind::ClusterIp(vec![]));
        check_kind("[[]]", ServiceKind::ClusterIp(vec![]));
    }

    #[test]
    fn addresses_outside_the_cluster_come_from_the_spec_and_the_load_balancer() {
        let json = r#"{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"externalIPs": ["192.0.2.1", "x"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::1"}, {"hostname": "lb.example"}]}}}"#;
        let reading = reading(Resource::Services, json);
        let Change::Service(service) = reading.change else { panic!("a service") };
        assert_eq!(service.external_addresses, [ip("192.0.2.1"), ip("2001:db8::1")]);
        assert_eq!(service.external_names, ["lb.example"]);
        assert_eq!(reading.skipped, 1);
    }

    #[test]
    fn an_import_is_a_service_of_its_own_kinds() {
        let import = |spec: &str| {
            let json = format!(r#"{{"metadata": {{"name": "web", "namespace": "shop"}}, "spec": {spec}}}"#);
            let Change::ServiceImport(import) = reading(Resource::ServiceImports, &json).change else {
                panic!("an import")
            };
            (import.kind, import.ports.len())
        };
        let addresses = ServiceKind::ClusterIp(vec![ip("10.0.0.1"), ip("fd00::1")]);
        let spec =
            r#"{"type": "ClusterSetIP", "ips": ["10.0.0.1", "fd00::1"], "ports": [{"port": 80, "protocol": "TCP"}]}"#;
        assert_eq!(import(spec), (addresses, 1));
        assert_eq!(import(r#"{"type": "Headless", "ports": [{"name": "http"}]}"#), (ServiceKind::Headless, 0));
        assert_eq!(import("{}"), (ServiceKind::ClusterIp(vec![]), 0));
    }

    #[test]
    fn a_slice_of_an_import_has_both_labels() {
        let import = |labels: &str| {
            let json = format!(r#"{{"metadata": {{"name": "s", "namespace": "shop", "labels": {{{labels}}}}}}}"#);
            let Change::EndpointSlice(slice) = reading(Resource::EndpointSlices, &json).change else {
                panic!("a slice")
            };
            assert_eq!(slice.service, None);
            slice.import
        };
        let service = r#""multicluster.kubernetes.io/service-name": "web""#;
        let both = format!(r#"{service}, "multicluster.kubernetes.io/source-cluster": "East.Ring1""#);
        assert_eq!(import(&both), Some(Import { service: "web".into(), cluster: "east.ring1".to_owned() }));
        assert_eq!(import(service), None);
    }

    #[test]
    fn nothing_said_about_readiness_means_ready() {
        let (slice, _) = slice(
            r#""endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": null}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": false, "serving": true}}]"#,
        );
        assert_eq!(slice.endpoints.iter().map(|endpoint| endpoint.is_ready).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn an_address_that_is_none_is_skipped_and_counted() {
        let (slice, skipped) = slice(r#""endpoints": [{"addresses": ["10.0.0.256", "10.0.0.1"]}], "ports": null"#);
        assert_eq!(*slice.endpoints[0].addresses, [ip("10.0.0.1")]);
        assert_eq!(skipped, 1);
    }

    #[test]
    fn a_slice_of_names_has_no_addresses() {
        let (slice, skipped) = slice(r#""addressType": "FQDN", "endpoints": [{"addresses": ["a.example"]}]"#);
        assert_eq!((slice.endpoints[0].names().to_vec(), skipped), (vec!["a.example".to_owned()], 0));
        assert!(slice.endpoints[0].addresses.is_empty());
    }

    #[test]
    fn only_a_reference_to_a_pod_names_a_pod() {
        let (slice, _) = slice(
            r#""endpoints": [{"targetRef": {"kind": "Pod", "name": "web-0"}}, {"targetRef": {"kind": "Node", "name": "a"}}],
               "ports": [{"name": "http", "port": null}]"#,
        );
        assert_eq!(slice.endpoints[0].pod(), Some("web-0"));
        assert_eq!(slice.endpoints[1].pod(), None);
        assert_eq!(slice.ports[0].number, None);
    }

    #[test]
    fn a_pod_that_has_finished_is_not_served() {
        let pod = |phase: &str| {
            let json = format!(
                r#"{{"metadata": {{"name": "p", "namespace": "shop"}}, "status": {{"phase": {phase:?}, "podIP": "10.0.0.1"}}}}"#
            );
            reading(Resource::Pods, &json).change
        };
        for phase in ["Succeeded", "Failed", "Unknown"] {
            assert!(matches!(pod(phase), Change::Removed(Resource::Pods, _)), "{phase}");
        }
        for phase in ["Pending", "Running", ""] {
            assert!(matches!(pod(phase), Change::Pod(_)), "{phase}");
        }
    }

    #[test]
    fn a_pod_has_all_of_its_addresses() {
        let json = r#"{"metadata": {"name": "p", "namespace": "shop", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"hostNetwork": true},
            "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00:0:0::1"}]}}"#;
        let Change::Pod(pod) = reading(Resource::Pods, json).change else { panic!("a pod") };
        assert_eq!(*pod.addresses, [ip("10.0.0.1"), ip("fd00::1")]);
        assert!(pod.is_on_host_network);
    }

    #[test]
    fn the_cause_of_a_slice_is_an_annotation() {
        let json = r#"{"metadata": {"name": "s", "namespace": "n",
            "annotations": {"other": 7, "endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:00:10.5Z"}}}"#;
        let caused_at = reading(Resource::EndpointSlices, json).caused_at.expect("a time");
        assert_eq!(caused_at.duration_since(SystemTime::UNIX_EPOCH).expect("later").as_millis(), 10_500);
    }

    #[test]
    fn a_field_of_a_wrong_type_is_named_and_the_rest_is_read() {
        let check = |resource, fields: &str, misfit: Option<&str>| {
            let json = format!(r#"{{"metadata": {{"name": "web", "namespace": "shop"}}, {fields}}}"#);
            assert_eq!(reading(resource, &json).misfit, misfit, "{fields}");
        };
        check(Resource::Services, r#""spec": "none""#, Some("spec"));
        check(Resource::Services, r#""spec": {"clusterIP": 7, "ports": 8}"#, Some("spec.clusterIP"));
        check(Resource::Services, r#""spec": {"clusterIPs": ["10.0.0.1", {}]}"#, Some("spec.clusterIPs"));
        check(Resource::Services, r#""spec": {"ports": [{"port": 70000}]}"#, Some("spec.ports"));
        check(Resource::Services, r#""spec": {"ports": null, "type": null, "future": [7]}, "status": {}"#, None);
        check(Resource::EndpointSlices, r#""endpoints": {}"#, Some("endpoints"));
        check(Resource::EndpointSlices, r#""endpoints": [{"addresses": "10.0.0.1"}]"#, Some("endpoints.addresses"));
        check(
            Resource::EndpointSlices,
            r#""endpoints": [{"conditions": {"ready": "yes"}}]"#,
            Some("endpoints.conditions.ready"),
        );
        check(Resource::EndpointSlices, r#""addressType": [], "endpoints": null"#, Some("addressType"));
        check(Resource::Pods, r#""status": {"podIPs": [7]}"#, Some("status.podIPs"));
        check(Resource::Pods, r#""status": {"podIPs": [{"ip": 7}]}"#, Some("status.podIPs.ip"));
        check(Resource::ServiceImports, r#""spec": {"ips": "10.0.0.1"}"#, Some("spec.ips"));
        let labels = r#"{"metadata": {"name": "shop", "labels": ["x"]}}"#;
        assert_eq!(reading(Resource::Namespaces, labels).misfit, Some("metadata.labels"));
    }

    #[test]
    fn an_object_of_which_only_the_key_can_be_read_has_that() {
        let json =
            r#"{"metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7"}, "spec": {}, "spec": {}}"#;
        assert!(read(Resource::Services, &mut serde_json::Deserializer::from_str(json)).is_err());
        let key = ObjectKey { namespace: "shop".into(), name: "web".into() };
        let found = read_key(Resource::Services, &mut serde_json::Deserializer::from_str(json));
        assert_eq!(found, Some((key, "7".to_owned())));
    }

    #[test]
    fn an_object_without_a_name_cannot_be_read() {
        for json in [r#"{"metadata": {"namespace": "shop"}}"#, r#"{"metadata": {"name": "web"}}"#, "{}", "7", "[]"] {
            assert!(read(Resource::Services, &mut serde_json::Deserializer::from_str(json)).is_err(), "{json}");
        }
    }
}
