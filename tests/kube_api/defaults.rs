//! What the server fills in when an object is written.

use serde_json::{Map, Value, json};

use super::resource::Resource;

/// Completes an object for the revision that its write takes; `before` is what it replaces.
pub fn fill_in(resource: &Resource, object: &mut Value, before: Option<&Value>, revision: u64) {
    if !resource.is_custom {
        let fields = object.as_object_mut().unwrap();
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    match resource.plural {
        "namespaces" => fill_in_namespace(object),
        "services" => fill_in_service(object, revision),
        "endpointslices" => fill_in_slice(object),
        "pods" => fill_in_pod(object),
        _ => {}
    }
    fill_in_metadata(resource, object, before, revision);
}

fn set_default(parent: &mut Value, field: &str, value: Value) {
    if parent[field].is_null() {
        parent[field] = value;
    }
}

/// The items of an array that may be missing; asking for it does not make it.
fn items_of<'a>(parent: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    parent.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn fill_in_metadata(resource: &Resource, object: &mut Value, before: Option<&Value>, revision: u64) {
    let metadata = &mut object["metadata"];
    // Time passes with the revisions, so that it is later for what is newer, and the same in every run.
    let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", revision / 3600 % 24, revision / 60 % 60, revision % 60);
    let uid = format!("00000000-0000-4000-8000-{revision:012x}");
    for (field, value) in [("uid", uid), ("creationTimestamp", time)] {
        metadata[field] = before.map_or(json!(value), |before| before["metadata"][field].clone());
    }
    if ["endpointslices", "pods", "serviceimports"].contains(&resource.plural) {
        object["metadata"]["generation"] = match before {
            None => json!(1),
            Some(before) => {
                let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
                json!(generation + u64::from(is_another_specification(before, object)))
            }
        };
    }
}

/// Whether more than metadata and status differs.
fn is_another_specification(before: &Value, after: &Value) -> bool {
    let specification = |object: &Value| {
        let mut object = object.as_object().unwrap().clone();
        object.remove("metadata");
        object.remove("status");
        object
    };
    specification(before) != specification(after)
}

fn fill_in_namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    set_default(&mut namespace["spec"], "finalizers", json!(["kubernetes"]));
    set_default(&mut namespace["status"], "phase", json!("Active"));
}

fn fill_in_service(service: &mut Value, revision: u64) {
    let spec = &mut service["spec"];
    set_default(spec, "type", json!("ClusterIP"));
    set_default(spec, "sessionAffinity", json!("None"));
    for port in items_of(spec, "ports") {
        set_default(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        set_default(port, "targetPort", number);
    }
    if spec["type"] == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            spec.as_object_mut().unwrap().remove(field);
        }
    } else {
        fill_in_addresses(spec, revision);
        fill_in_reach(spec, revision);
    }
    if service["status"]["loadBalancer"].is_null() {
        service["status"] = json!({"loadBalancer": {}});
    }
}

/// Addresses and families, as a dual-stack server that prefers IPv4 chooses them.
fn fill_in_addresses(spec: &mut Value, revision: u64) {
    spec.as_object_mut().unwrap().remove("externalName");
    let has_selector = spec["selector"].as_object().is_some_and(|labels| !labels.is_empty());
    let is_dual = spec["clusterIP"] == "None" && !has_selector || spec["ipFamilyPolicy"] == "RequireDualStack";
    set_default(spec, "clusterIP", json!(format!("10.96.{}.{}", 128 + revision / 250 % 128, 1 + revision % 250)));
    let address = spec["clusterIP"].clone();
    set_default(spec, "clusterIPs", json!([address]));
    let family = |address: &Value| if address.as_str().unwrap().contains(':') { "IPv6" } else { "IPv4" };
    let families: Vec<&str> = match spec["clusterIPs"].as_array().unwrap().as_slice() {
        [only] if is_dual && only == "None" => vec!["IPv4", "IPv6"],
        addresses => addresses.iter().map(family).collect(),
    };
    let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    set_default(spec, "ipFamilies", json!(families));
    set_default(spec, "ipFamilyPolicy", json!(policy));
    set_default(spec, "internalTrafficPolicy", json!("Cluster"));
}

/// What reaches it from outside: ports of the nodes, for the types that have them.
fn fill_in_reach(spec: &mut Value, revision: u64) {
    let is_load_balancer = spec["type"] == "LoadBalancer";
    let has_node_ports = is_load_balancer || spec["type"] == "NodePort";
    if has_node_ports || spec.get("externalIPs").is_some() {
        set_default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if is_load_balancer {
        set_default(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    for (number, port) in (30_000 + revision..).zip(items_of(spec, "ports").filter(|_| has_node_ports)) {
        set_default(port, "nodePort", json!(number));
    }
}

fn fill_in_slice(slice: &mut Value) {
    for endpoint in items_of(slice, "endpoints") {
        set_default(endpoint, "conditions", json!({}));
    }
    for port in items_of(slice, "ports") {
        set_default(port, "name", json!(""));
        set_default(port, "protocol", json!("TCP"));
    }
    for field in ["endpoints", "ports"] {
        if items_of(slice, field).next().is_none() {
            slice[field] = Value::Null;
        }
    }
}

/// Of the defaults of Pods only those that a DNS server could look at.
fn fill_in_pod(pod: &mut Value) {
    set_default(&mut pod["status"], "phase", json!("Pending"));
}

/// RFC 7386: a merge patch.
pub fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (field, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(field);
        } else {
            merge(&mut target[field], value);
        }
    }
}
