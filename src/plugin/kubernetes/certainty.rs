//! What must have been listed before a name can be said not to exist.

use super::Kubernetes;
use super::found::Found;
use crate::cluster::{ClusterName, Resource, Schema, ServiceKind, Snapshot};
use crate::config::directive::PodMode;
use crate::dns::{Name, Query, is_reverse};

const NAMESPACES: &[Resource] = &[Resource::Namespaces];
const PODS: &[Resource] = &[Resource::Namespaces, Resource::Pods];
const SERVICES: &[Resource] = &[Resource::Namespaces, Resource::Services];
const ENDPOINTS: &[Resource] = &[Resource::Namespaces, Resource::Services, Resource::EndpointSlices];
const IMPORTS: &[Resource] = &[Resource::Namespaces, Resource::ServiceImports, Resource::EndpointSlices];

/// Whether what was found is an answer whatever was not listed yet: records are, and what is known of an earlier time is known of all
/// types of a name.
pub fn stands(found: &Found, snapshot: &Snapshot) -> bool {
    match found {
        Found::Nothing => false,
        Found::NoData => snapshot.is_of_earlier(),
        Found::Records { .. } | Found::Alias(_) => true,
    }
}

impl Kubernetes {
    /// Whether a negative answer cannot be otherwise once everything is listed: only what the name depends on counts, so
    /// that a role that lacks one right does not spoil the names that need it not.
    pub(super) fn is_certain(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> bool {
        // Most times everything is listed, and the name need not be looked at.
        self.has_listed(self.store.wanted(), snapshot) || self.has_listed(self.needed(query, apex, snapshot), snapshot)
    }

    /// The same of a name outside the cluster.
    pub fn is_certain_outside(&self, has_endpoints: bool, snapshot: &Snapshot) -> bool {
        self.has_listed(if has_endpoints { ENDPOINTS } else { SERVICES }, snapshot)
    }

    /// Whether those of the resources that are watched at all were listed.
    fn has_listed(&self, resources: &[Resource], snapshot: &Snapshot) -> bool {
        let mut wanted = resources.iter().filter(|resource| self.store.wanted().contains(resource));
        wanted.all(|resource| snapshot.is_synced(*resource))
    }

    fn needed(&self, query: &Query, apex: &Name, snapshot: &Snapshot) -> &'static [Resource] {
        if is_reverse(apex) {
            return ENDPOINTS;
        }
        let schema = self.schema(apex);
        match ClusterName::parse(&query.name, apex, schema) {
            Some(ClusterName::Apex | ClusterName::NameServer) => ENDPOINTS,
            Some(ClusterName::EndpointOfCluster { .. }) => IMPORTS,
            Some(ClusterName::Service { .. } | ClusterName::Endpoint { .. } | ClusterName::Port { .. })
                if schema == Schema::ClusterSet =>
            {
                IMPORTS
            }
            Some(ClusterName::Version | ClusterName::EmptyNonTerminal) | None => SERVICES,
            Some(ClusterName::Namespace(_) | ClusterName::NamespaceOfPods(_)) => NAMESPACES,
            Some(ClusterName::Pod { namespace, .. }) => {
                match self.config.pods == PodMode::Verified && self.is_exposed(&namespace, snapshot) {
                    true => PODS,
                    false => NAMESPACES,
                }
            }
            Some(
                ClusterName::Service { namespace, service }
                | ClusterName::Port { namespace, service, .. }
                | ClusterName::Zone { namespace, service, .. },
            ) => match kind(snapshot, &namespace, &service) {
                Some(ServiceKind::Headless) => ENDPOINTS,
                Some(ServiceKind::ClusterIp(_) | ServiceKind::ExternalName(_)) | None => SERVICES,
            },
            Some(ClusterName::Endpoint { namespace, service, .. }) => match kind(snapshot, &namespace, &service) {
                Some(ServiceKind::Headless | ServiceKind::ClusterIp(_)) => ENDPOINTS,
                Some(ServiceKind::ExternalName(_)) | None => SERVICES,
            },
        }
    }
}

fn kind<'a>(snapshot: &'a Snapshot, namespace: &str, service: &str) -> Option<&'a ServiceKind> {
    Some(&snapshot.namespace(namespace)?.service(service)?.service.kind)
}
