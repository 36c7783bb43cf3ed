//! `kubernetes [ZONES...] { ... }`: the names of a cluster.

use std::path::PathBuf;
use std::time::Duration;

use super::Fallthrough;
use crate::dns::Name;

/// Which objects are served under which zones.
#[derive(Clone, Debug, PartialEq)]
pub struct Kubernetes {
    /// Cluster domains and reverse zones, in the order of the file; those of the server block if the line names none.
    pub zones: Vec<Name>,
    /// Where the objects come from.
    pub source: ObjectSource,
    /// Only these namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// Only namespaces that this selector matches.
    pub namespace_labels: Option<String>,
    /// Only Services, Pods and EndpointSlices that this selector matches.
    pub labels: Option<String>,
    /// How names below `pod.ZONE` are answered.
    pub pods: PodMode,
    /// Name endpoints after their Pods where they have no hostname.
    pub endpoint_pod_names: bool,
    /// TTL of the answers in seconds, 0 to 3600.
    pub ttl: u32,
    /// EndpointSlices are not watched.
    pub no_endpoints: bool,
    /// Where names that do not exist go.
    pub fallthrough: Fallthrough,
    /// A Service with a cluster IP but without ready endpoints does not exist.
    pub ignore_empty_service: bool,
    /// How long the server waits for the first sync before it answers.
    pub startup_timeout: Duration,
}

/// Where Kubernetes objects come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum ObjectSource {
    /// The service account of the Pod; or else `--kubeconfig`, KUBECONFIG, ~/.kube/config.
    #[default]
    Cluster,
    /// A kubeconfig file and the context in it (`kubeconfig FILE [CONTEXT]`).
    Kubeconfig(PathBuf, Option<String>),
    /// The URL of an API server, with an optional certificate, key and authority (`endpoint URL`, `tls CERT KEY CA`).
    Endpoint {
        /// The URL.
        url: String,
        /// Certificate, key and authority.
        tls: Option<(PathBuf, PathBuf, PathBuf)>,
    },
    /// A file or folder of manifests (`manifests PATH`, ours).
    Manifests(PathBuf),
}

/// How names below `pod.cluster.local.` are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodMode {
    /// Never: NXDOMAIN.
    #[default]
    Disabled,
    /// From the name alone, without asking whether the Pod exists.
    Insecure,
    /// Only if a Pod of that namespace has that address.
    Verified,
}
