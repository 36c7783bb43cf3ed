//! What is kept of objects only if a configuration asks for it: with 150,000 Pods it is most of the memory.

use super::Resource;

/// The parts of objects that a configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The names of the Pods that endpoints are (`endpoint_pod_names`).
    pub endpoint_pods: bool,
    /// The topology zones of endpoints (`zonal`).
    pub endpoint_zones: bool,
    /// The labels of Pods (`metadata`).
    pub pod_labels: bool,
}

impl Kept {
    /// All of them.
    pub const ALL: Self = Self { endpoint_pods: true, endpoint_zones: true, pod_labels: true };

    /// Whether objects of a resource that were read for `self` have all that `other` asks for.
    pub fn has_all_of(self, other: Self, resource: Resource) -> bool {
        let (has, wants) = match resource {
            Resource::EndpointSlices => {
                ((self.endpoint_pods, self.endpoint_zones), (other.endpoint_pods, other.endpoint_zones))
            }
            Resource::Pods => ((self.pod_labels, true), (other.pod_labels, true)),
            Resource::Namespaces | Resource::Services | Resource::ServiceImports => return true,
        };
        has.0 >= wants.0 && has.1 >= wants.1
    }
}
