//! What must have been listed before a name can be said not to exist.

use super::Kubernetes;
use crate::cluster::{ClusterName, Resource, ServiceKind, Snapshot};
use crate::config::directive::PodMode;
use crate::dns::{Name, Query, is_reverse};

const NAMESPACES: &[Resource] = &[Resource::Namespaces];
const PODS: &[Resource] = &[Resource::Namespaces, Resource::Pods];
const SERVICES: &[Resource] = &[Resource::Namespaces, Resource::Services];
const ENDPOINTS: &[Resource] = &[Resource::Namespaces, Resource::Services, Resource::EndpointSlices];

impl Kubernetes {
    /// Whether a negative answer cannot be otherwise once everything is listed: only what the name depends on counts, so
    /// that a role that lacks one right does not spoil the names that need it not.
    pub(super) fn is_certain(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> bool {
        let is_listed = |resource: &Resource| snapshot.is_synced(*resource);
        let is_wanted = |resource: &&Resource| self.store.wanted().contains(resource);
        // Most times everything is, and the name need not be looked at.
        self.store.wanted().iter().all(is_listed)
            || self.needed(query, apex, snapshot).iter().filter(is_wanted).all(is_listed)
    }

    fn needed(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> &'static [Resource] {
        if is_reverse(apex) {
            return ENDPOINTS;
        }
        match ClusterName::parse(&query.name, apex) {
            Some(ClusterName::Apex | ClusterName::NameServer) => ENDPOINTS,
            Some(ClusterName::Version | ClusterName::EmptyNonTerminal) | None => SERVICES,
            Some(ClusterName::Namespace(_) | ClusterName::NamespaceOfPods(_)) => NAMESPACES,
            Some(ClusterName::Pod { namespace, .. }) => {
                match self.config.pods == PodMode::Verified && self.is_exposed(&namespace, snapshot) {
                    true => PODS,
                    false => NAMESPACES,
                }
            }
            Some(ClusterName::Service { namespace, service } | ClusterName::Port { namespace, service, .. }) => {
                match kind(snapshot, &namespace, &service) {
                    Some(ServiceKind::Headless) => ENDPOINTS,
                    Some(ServiceKind::ClusterIp(_) | ServiceKind::ExternalName(_)) | None => SERVICES,
                }
            }
            Some(ClusterName::Endpoint { namespace, service, .. }) => match kind(snapshot, &namespace, &service) {
                Some(ServiceKind::Headless | ServiceKind::ClusterIp(_)) => ENDPOINTS,
                Some(ServiceKind::ExternalName(_)) | None => SERVICES,
            },
        }
    }
}

fn kind<'a>(snapshot: &'a Snapshot, namespace: &str, service: &str) -> Option<&'a ServiceKind> {
    Some(&snapshot.namespace(namespace)?.service(service)?.service.as_ref()?.kind)
}
