//! What happened to one object.

use std::sync::Arc;

use super::{EndpointSlice, Kept, Namespace, Pod, Service};

/// A kind of object that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Resource {
    Namespaces,
    Services,
    EndpointSlices,
    ServiceImports,
    Pods,
}

impl Resource {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Namespaces, Self::Services, Self::EndpointSlices, Self::ServiceImports, Self::Pods];

    /// Whether `labels` chooses among its objects.
    pub fn has_selector(self) -> bool {
        match self {
            Self::Namespaces | Self::ServiceImports => false,
            Self::Services | Self::EndpointSlices | Self::Pods => true,
        }
    }

    /// The plural that the API uses in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Resource::Namespaces => "namespaces",
            Resource::Services => "services",
            Resource::EndpointSlices => "endpointslices",
            Resource::ServiceImports => "serviceimports",
            Resource::Pods => "pods",
        }
    }
}

/// Namespace and name of an object; the namespace of a Namespace is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
}

/// A change of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A Namespace is there, or is different.
    Namespace(Namespace),
    /// A Service is there, or is different.
    Service(Service),
    /// An EndpointSlice is there, or is different.
    EndpointSlice(EndpointSlice),
    /// A ServiceImport is there, or is different. Its name leads to addresses or endpoints, as that of a Service.
    ServiceImport(Service),
    /// A Pod is there, or is different.
    Pod(Pod),
    /// An object is there, or is different, but cannot be understood. What is known of it stays; where nothing is known,
    /// as much counts as could be read, if any.
    Unfit(Resource, ObjectKey, Option<Box<Change>>),
    /// An object is gone.
    Removed(Resource, ObjectKey),
    /// A list begins: objects of this resource that are not named until its end are gone.
    ListStarted(Resource),
    /// A list ended: what it did not name is gone, and the resource is in sync.
    ListEnded(Resource),
}

impl Change {
    /// The resource that it is about.
    pub fn resource(&self) -> Resource {
        match self {
            Self::Namespace(_) => Resource::Namespaces,
            Self::Service(_) => Resource::Services,
            Self::EndpointSlice(_) => Resource::EndpointSlices,
            Self::ServiceImport(_) => Resource::ServiceImports,
            Self::Pod(_) => Resource::Pods,
            Self::Unfit(resource, ..)
            | Self::Removed(resource, _)
            | Self::ListStarted(resource)
            | Self::ListEnded(resource) => *resource,
        }
    }
    /// The same without what no configuration asks for, and without room for more.
    pub fn restricted_to(mut self, kept: Kept) -> Self {
        match &mut self {
            Self::EndpointSlice(slice) => {
                slice.endpoints.iter_mut().for_each(|endpoint| endpoint.restrict(kept));
                slice.endpoints.shrink_to_fit();
                slice.ports.shrink_to_fit();
            }
            Self::Pod(pod) => pod.labels = pod.labels.take().filter(|_| kept.pod_labels),
            Self::Service(service) | Self::ServiceImport(service) => {
                service.ports.shrink_to_fit();
                service.external_addresses.shrink_to_fit();
                service.external_names.shrink_to_fit();
            }
            Self::Unfit(_, _, readable) => {
                *readable = readable.take().map(|readable| Box::new(readable.restricted_to(kept)));
            }
            Self::Namespace(_) | Self::Removed(..) | Self::ListStarted(_) | Self::ListEnded(_) => {}
        }
        self
    }
}
