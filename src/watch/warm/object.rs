//! What is kept of an object, as the object that it would be kept of.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::{Change, Endpoint, EndpointSlice, Object, Pod, Port, Resource, Service, ServiceKind};
use crate::watch::convert;

/// What can be in a file.
const KINDS: [(&str, Resource); 5] = [
    ("Namespace", Resource::Namespaces),
    ("Service", Resource::Services),
    ("EndpointSlice", Resource::EndpointSlices),
    ("ServiceImport", Resource::ServiceImports),
    ("Pod", Resource::Pods),
];

/// Reads an object; None: it is none that was written.
pub fn read(json: &[u8]) -> Option<Change> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        kind: &'a str,
    }
    let written: Kind<'_> = serde_json::from_slice(json).ok()?;
    let (_, resource) = KINDS.iter().find(|(kind, _)| *kind == written.kind)?;
    convert::read(*resource, &mut serde_json::Deserializer::from_slice(json)).ok().map(|reading| reading.change)
}

/// Writes an object.
pub fn write(object: Object<'_>) -> Value {
    match object {
        Object::Namespace(namespace) => json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": &*namespace.name, "labels": namespace.labels},
        }),
        Object::Service(service) => write_service(service),
        Object::ServiceImport(import) => write_import(import),
        Object::EndpointSlice(slice) => write_slice(slice),
        Object::Pod(pod) => write_pod(pod),
    }
}

fn write_service(service: &Service) -> Value {
    let (kind, addresses, external_name) = match &service.kind {
        ServiceKind::ClusterIp(addresses) => ("ClusterIP", json!(addresses), None),
        ServiceKind::Headless => ("ClusterIP", json!(["None"]), None),
        ServiceKind::ExternalName(name) => ("ExternalName", json!([]), Some(name)),
    };
    let ingress: Vec<Value> = service.external_names.iter().map(|name| json!({ "hostname": name })).collect();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": &*service.namespace, "name": &*service.name},
        "spec": {
            "type": kind, "clusterIPs": addresses, "externalName": external_name, "ports": ports(&service.ports),
            "externalIPs": service.external_addresses,
            // Whether there is one is all that is known of it.
            "selector": service.has_selector.then(|| json!({"landfall": "unknown"})),
        },
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

fn write_import(import: &Service) -> Value {
    let addresses: Vec<_> = import.cluster_ips().collect();
    let kind = if import.kind == ServiceKind::Headless { "Headless" } else { "ClusterSetIP" };
    json!({
        "apiVersion": "multicluster.x-k8s.io/v1beta1", "kind": "ServiceImport",
        "metadata": {"namespace": &*import.namespace, "name": &*import.name},
        "spec": {"type": kind, "ips": addresses, "ports": ports(&import.ports)},
    })
}

fn write_slice(slice: &EndpointSlice) -> Value {
    let labels = [
        ("kubernetes.io/service-name", slice.service.as_deref()),
        ("multicluster.kubernetes.io/service-name", slice.import.as_ref().map(|import| &*import.service)),
        ("multicluster.kubernetes.io/source-cluster", slice.import.as_ref().map(|import| &*import.cluster)),
    ];
    let labels: BTreeMap<&str, &str> = labels.into_iter().filter_map(|(label, value)| Some((label, value?))).collect();
    let has_names = slice.endpoints.iter().any(|endpoint| !endpoint.names().is_empty());
    let has_ipv6 = slice.endpoints.iter().any(|endpoint| endpoint.addresses.iter().any(|address| address.is_ipv6()));
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": &*slice.namespace, "name": &*slice.name, "labels": labels},
        "addressType": if has_names { "FQDN" } else if has_ipv6 { "IPv6" } else { "IPv4" },
        "endpoints": slice.endpoints.iter().map(write_endpoint).collect::<Vec<_>>(),
        "ports": ports(&slice.ports),
    })
}

fn write_endpoint(endpoint: &Endpoint) -> Value {
    let addresses = endpoint.addresses.iter().map(ToString::to_string).chain(endpoint.names().iter().cloned());
    let pod = endpoint.pod().map(|pod| json!({"kind": "Pod", "name": pod}));
    json!({
        "addresses": addresses.collect::<Vec<_>>(), "conditions": {"ready": endpoint.is_ready},
        "hostname": endpoint.hostname(), "zone": endpoint.zone(), "targetRef": pod,
    })
}

fn write_pod(pod: &Pod) -> Value {
    let addresses: Vec<Value> = pod.addresses.iter().map(|address| json!({ "ip": address })).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": &*pod.namespace, "name": &*pod.name, "labels": pod.labels},
        "spec": {"hostNetwork": pod.is_on_host_network}, "status": {"phase": "Running", "podIPs": addresses},
    })
}

fn ports(ports: &[Port]) -> Value {
    let port = |port: &Port| json!({"name": port.name, "protocol": port.protocol, "port": port.number});
    ports.iter().map(port).collect()
}
