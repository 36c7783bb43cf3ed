//! The names of a cluster, as immutable values.
//!
//! [`model`](self) holds what is kept of Kubernetes objects, [`Change`] says what happened to one, [`Snapshot`] is the
//! whole cluster at one moment, [`ClusterName`] is the schema of its names, and [`Store`] hands the newest snapshot to
//! queries. No sockets, tasks, logs or clock here: time is an argument.

mod addresses;
mod change;
mod kept;
mod model;
mod name;
mod snapshot;
mod store;
mod version;

pub use crate::config::selector::{InvalidSelector, Selector};
pub use addresses::Addresses;
pub use change::{Change, ObjectKey, Resource};
pub use kept::Kept;
pub use model::{
    AskedLabel, Endpoint, EndpointDetails, EndpointSlice, Import, Labels, Namespace, Pod, Port, Service, ServiceKind,
};
pub use name::{ClusterName, Schema};
pub use snapshot::{NamespaceView, Object, ServiceView, Snapshot};
pub use store::Store;
pub use version::ResourceVersion;
