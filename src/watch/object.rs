//! What is read of Kubernetes objects: the fields that an answer can depend on, from JSON or from YAML. Only an object
//! that is no object at all cannot be read; a field of the wrong type counts as missing, and `misfit` names it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::MapAccess;

use super::lenient::{Field, HasEntries, Lenient, lenient, part};

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
    pub labels: Field<BTreeMap<String, String>>,
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
    pub spec: Field<ServiceSpec>,
    pub status: Field<ServiceStatus>,
}

/// `spec` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    #[serde(rename = "type")]
    pub service_type: Field<String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Field<String>,
    #[serde(rename = "clusterIPs")]
    pub cluster_ips: Field<Vec<String>>,
    #[serde(rename = "externalIPs")]
    pub external_ips: Field<Vec<String>>,
    pub external_name: Field<String>,
    /// Whether Pods are chosen by labels; without, somebody else writes the slices.
    #[serde(deserialize_with = "lenient")]
    pub selector: HasEntries,
    pub ports: Field<Vec<Port>>,
}

/// `status` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    pub load_balancer: Field<LoadBalancer>,
}

/// `status.loadBalancer` of a Service.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LoadBalancer {
    pub ingress: Field<Vec<Ingress>>,
}

/// One point of entry of a load balancer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ingress {
    pub ip: Field<String>,
    pub hostname: Field<String>,
}

/// A port of a Service or an EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    pub name: Field<String>,
    pub protocol: Field<String>,
    pub port: Field<Option<u16>>,
}

/// A ServiceImport: v1alpha1 and v1beta1 have the same fields.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceImport {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    pub spec: Field<ServiceImportSpec>,
}

/// `spec` of a ServiceImport.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ServiceImportSpec {
    #[serde(rename = "type")]
    pub import_type: Field<String>,
    pub ips: Field<Vec<String>>,
    pub ports: Field<Vec<Port>>,
}

/// An EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointSlice {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    pub address_type: Field<String>,
    pub endpoints: Field<Vec<Endpoint>>,
    pub ports: Field<Vec<Port>>,
}

/// An endpoint of an EndpointSlice.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    pub addresses: Field<Vec<String>>,
    pub conditions: Field<Conditions>,
    pub hostname: Field<String>,
    pub target_ref: Field<Reference>,
    pub zone: Field<String>,
}

/// `conditions` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Conditions {
    pub ready: Field<Option<bool>>,
}

/// `targetRef` of an endpoint.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub kind: Field<String>,
    pub name: Field<String>,
}

/// A Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    #[serde(deserialize_with = "lenient")]
    pub metadata: Metadata,
    pub spec: Field<PodSpec>,
    pub status: Field<PodStatus>,
}

/// `spec` of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    pub host_network: Field<Option<bool>>,
}

/// `status` of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodStatus {
    pub phase: Field<String>,
    #[serde(rename = "podIP")]
    pub pod_ip: Field<String>,
    #[serde(rename = "podIPs")]
    pub pod_ips: Field<Vec<PodIp>>,
}

/// An address of a Pod.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodIp {
    pub ip: Field<String>,
}

/// Parts of objects are made from maps.
macro_rules! from_map {
    ($($part:ident)*) => {$(
        impl Lenient for $part {
            fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
                part(map)
            }
        }
    )*};
}

from_map!(Metadata Annotations ServiceSpec ServiceStatus LoadBalancer Ingress Port ServiceImportSpec Endpoint Conditions);
from_map!(Reference PodSpec PodStatus PodIp);

/// Which field that decides answers is of a wrong type; None: what was read is what was meant.
pub trait Misfit {
    /// The first such field.
    fn misfit(&self) -> Option<&'static str>;
}

impl Misfit for Namespace {
    fn misfit(&self) -> Option<&'static str> {
        first_unfit([("metadata.labels", self.metadata.labels.is_unfit())])
    }
}

impl Misfit for Service {
    fn misfit(&self) -> Option<&'static str> {
        let (spec, status) = (&self.spec, &self.status);
        let ingress = &status.load_balancer.ingress;
        first_unfit([
            ("spec", spec.is_unfit()),
            ("spec.type", spec.service_type.is_unfit()),
            ("spec.clusterIP", spec.cluster_ip.is_unfit()),
            ("spec.clusterIPs", spec.cluster_ips.is_unfit()),
            ("spec.externalIPs", spec.external_ips.is_unfit()),
            ("spec.externalName", spec.external_name.is_unfit()),
            ("spec.ports", are_unfit(&spec.ports)),
            ("status", status.is_unfit()),
            ("status.loadBalancer", status.load_balancer.is_unfit()),
            ("status.loadBalancer.ingress", ingress.is_unfit()),
            ("status.loadBalancer.ingress.ip", ingress.iter().any(|ingress| ingress.ip.is_unfit())),
            ("status.loadBalancer.ingress.hostname", ingress.iter().any(|ingress| ingress.hostname.is_unfit())),
        ])
    }
}

impl Misfit for ServiceImport {
    fn misfit(&self) -> Option<&'static str> {
        first_unfit([
            ("spec", self.spec.is_unfit()),
            ("spec.type", self.spec.import_type.is_unfit()),
            ("spec.ips", self.spec.ips.is_unfit()),
            ("spec.ports", are_unfit(&self.spec.ports)),
        ])
    }
}

impl Misfit for EndpointSlice {
    fn misfit(&self) -> Option<&'static str> {
        let any = |is_unfit: fn(&Endpoint) -> bool| self.endpoints.iter().any(is_unfit);
        first_unfit([
            ("metadata.labels", self.metadata.labels.is_unfit()),
            ("addressType", self.address_type.is_unfit()),
            ("ports", are_unfit(&self.ports)),
            ("endpoints", self.endpoints.is_unfit()),
            ("endpoints.addresses", any(|endpoint| endpoint.addresses.is_unfit())),
            ("endpoints.conditions", any(|endpoint| endpoint.conditions.is_unfit())),
            ("endpoints.conditions.ready", any(|endpoint| endpoint.conditions.ready.is_unfit())),
            ("endpoints.hostname", any(|endpoint| endpoint.hostname.is_unfit())),
            ("endpoints.targetRef", any(|endpoint| endpoint.target_ref.is_unfit())),
            ("endpoints.targetRef.kind", any(|endpoint| endpoint.target_ref.kind.is_unfit())),
            ("endpoints.targetRef.name", any(|endpoint| endpoint.target_ref.name.is_unfit())),
            ("endpoints.zone", any(|endpoint| endpoint.zone.is_unfit())),
        ])
    }
}

impl Misfit for Pod {
    fn misfit(&self) -> Option<&'static str> {
        let status = &self.status;
        first_unfit([
            ("spec", self.spec.is_unfit()),
            ("spec.hostNetwork", self.spec.host_network.is_unfit()),
            ("status", status.is_unfit()),
            ("status.phase", status.phase.is_unfit()),
            ("status.podIP", status.pod_ip.is_unfit()),
            ("status.podIPs", status.pod_ips.is_unfit()),
            ("status.podIPs.ip", status.pod_ips.iter().any(|address| address.ip.is_unfit())),
        ])
    }
}

fn are_unfit(ports: &Field<Vec<Port>>) -> bool {
    let is_unfit = |port: &Port| port.name.is_unfit() || port.protocol.is_unfit() || port.port.is_unfit();
    ports.is_unfit() || ports.iter().any(is_unfit)
}

fn first_unfit<const N: usize>(fields: [(&'static str, bool); N]) -> Option<&'static str> {
    fields.into_iter().find_map(|(name, is_unfit)| is_unfit.then_some(name))
}
