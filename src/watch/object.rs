//! What is read of Kubernetes objects: the fields that an answer can depend on, from JSON or from YAML. Only an object
//! that is no object at all cannot be read; a field of the wrong type counts as missing.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::MapAccess;
use serde::de::value::MapAccessDeserializer;

use super::lenient::{Lenient, lenient};

/// `metadata` of every kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub namespace: String,
    #[serde(deserialize_with = "lenient")]
    pub resource_version: String,
    #[serde(deserialize_with = "lenient")]
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "lenient")]
    pub annotations: Annotations,
}

/// The annotations that mean something here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    /// When the change of a Pod or Service began that this EndpointSlice is the result of.
    #[serde(rename = "endpoints.kubernetes.io/last-change-trigger-time", deserialize_with = "lenient")]
    pub last_change_trigger_time: String,
    /// "true" in the bookmark that ends a streamed list.
    #[serde(rename = "k8s.io/initial-events-end", deserialize_with = "lenient")]
    pub initial_events_end: String,
}

/// A Namespace, and all that is known of other kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Namespace {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
}

/// A Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "lenient")]
    pub spec: ServiceSpec,
    #[serde(deserialize_with = "lenient")]
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub service_type: String,
    #[serde(rename = "clusterIP", deserialize_with = "lenient")]
    pub cluster_ip: String,
    #[serde(rename = "clusterIPs", deserialize_with = "lenient")]
    pub cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "lenient")]
    pub external_ips: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub external_name: String,
    #[serde(deserialize_with = "lenient")]
    pub ports: Vec<Port>,
}

/// `status` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    #[serde(deserialize_with = "lenient")]
    pub load_balancer: LoadBalancer,
}

/// `status.loadBalancer` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    #[serde(deserialize_with = "lenient")]
    pub ingress: Vec<Ingress>,
}

/// One point of entry of a load balancer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ingress {
    #[serde(deserialize_with = "lenient")]
    pub ip: String,
    #[serde(deserialize_with = "lenient")]
    pub hostname: String,
}

/// A port of a Service or an EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    #[serde(deserialize_with = "lenient")]
    pub protocol: String,
    #[serde(deserialize_with = "lenient")]
    pub port: Option<u16>,
}

/// A ServiceImport: v1alpha1 and v1beta1 have the same fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceImport {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "lenient")]
    pub spec: ServiceImportSpec,
}

/// `spec` of a ServiceImport.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceImportSpec {
    #[serde(rename = "type", deserialize_with = "lenient")]
    pub import_type: String,
    #[serde(deserialize_with = "lenient")]
    pub ips: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub ports: Vec<Port>,
}

/// An EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSlice {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "lenient")]
    pub address_type: String,
    #[serde(deserialize_with = "lenient")]
    pub endpoints: Vec<Endpoint>,
    #[serde(deserialize_with = "lenient")]
    pub ports: Vec<Port>,
}

/// An endpoint of an EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    #[serde(deserialize_with = "lenient")]
    pub addresses: Vec<String>,
    #[serde(deserialize_with = "lenient")]
    pub conditions: Conditions,
    #[serde(deserialize_with = "lenient")]
    pub hostname: String,
    #[serde(deserialize_with = "lenient")]
    pub target_ref: Reference,
    #[serde(deserialize_with = "lenient")]
    pub zone: String,
}

/// `conditions` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Conditions {
    #[serde(deserialize_with = "lenient")]
    pub ready: Option<bool>,
}

/// `targetRef` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    #[serde(deserialize_with = "lenient")]
    pub kind: String,
    #[serde(deserialize_with = "lenient")]
    pub name: String,
}

/// A Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    #[serde(deserialize_with = "lenient")]
    pub spec: PodSpec,
    #[serde(deserialize_with = "lenient")]
    pub status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    #[serde(deserialize_with = "lenient")]
    pub host_network: Option<bool>,
}

/// `status` of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    #[serde(deserialize_with = "lenient")]
    pub phase: String,
    #[serde(rename = "podIP", deserialize_with = "lenient")]
    pub pod_ip: String,
    #[serde(rename = "podIPs", deserialize_with = "lenient")]
    pub pod_ips: Vec<PodIp>,
}

/// An address of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    #[serde(deserialize_with = "lenient")]
    pub ip: String,
}

/// Parts of objects are made from maps.
macro_rules! from_map {
    ($($part:ident)*) => {$(
        impl Lenient for $part {
            fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                Self::deserialize(MapAccessDeserializer::new(map))
            }
        }
    )*};
}

from_map!(Metadata Annotations ServiceSpec ServiceStatus LoadBalancer Ingress Port ServiceImportSpec Endpoint Conditions);
from_map!(Reference PodSpec PodStatus PodIp);
