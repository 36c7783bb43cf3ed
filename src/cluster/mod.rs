//! The names of a cluster, as immutable values.
//!
//! [`model`] holds what is kept of Kubernetes objects, [`Change`] says what happened to one, [`Snapshot`] is the whole
//! cluster at one moment, and [`Store`] hands the newest snapshot to queries. No sockets, tasks, logs or clock here.

mod change;
mod model;
mod snapshot;
mod store;

pub use change::{Change, ObjectKey, Resource};
pub use model::{Endpoint, EndpointSlice, Labels, Namespace, Pod, Port, Service, ServiceKind};
pub use snapshot::Snapshot;
pub use store::{Store, SyncState};
