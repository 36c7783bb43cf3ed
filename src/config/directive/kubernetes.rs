//! `kubernetes [ZONES...] { ... }`: the names of a cluster.

use crate::config::corefile::{CorefileError, Cursor};

use std::path::PathBuf;
use std::time::Duration;

use super::Fallthrough;
use crate::config::selector::Selector;
use crate::dns::{Name, is_reverse};

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

impl Kubernetes {
    /// Reads the directive.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let mut kubernetes = Self {
            zones: cursor.zones(&arguments),
            source: ObjectSource::default(),
            namespaces: Vec::new(),
            namespace_labels: None,
            labels: None,
            pods: PodMode::default(),
            endpoint_pod_names: false,
            ttl: 5,
            no_endpoints: false,
            fallthrough: Fallthrough::default(),
            ignore_empty_service: false,
            startup_timeout: Duration::from_secs(5),
        };
        if kubernetes.zones.iter().all(is_reverse) {
            return Err(cursor.error("a zone that is not a reverse zone must be named, such as cluster.local"));
        }
        while cursor.next_option() {
            kubernetes.lower_option(cursor)?;
        }
        if kubernetes.namespace_labels.is_some() && !kubernetes.namespaces.is_empty() {
            return Err(cursor.error("namespaces and namespace_labels cannot both be set; keep one of them"));
        }
        if cursor.advance() {
            return Err(cursor.once());
        }
        if matches!(&kubernetes.source, ObjectSource::Endpoint { url, .. } if url.is_empty()) {
            cursor.warn("tls belongs to `endpoint`, and there is none; it is left out");
            kubernetes.source = ObjectSource::Cluster;
        }
        Ok(kubernetes)
    }

    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "endpoint_pod_names" => {
                cursor.no_argument()?;
                self.endpoint_pod_names = true;
            }
            "pods" => {
                self.pods = match cursor.one_argument("disabled, insecure or verified")?.as_str() {
                    "disabled" => PodMode::Disabled,
                    "insecure" => PodMode::Insecure,
                    "verified" => PodMode::Verified,
                    other => return Err(cursor.error(format!("pods takes disabled, insecure or verified, not {other:?}"))),
                }
            }
            "namespaces" => {
                let namespaces = cursor.arguments();
                if namespaces.is_empty() {
                    return Err(cursor.error("namespaces takes at least one namespace"));
                }
                self.namespaces.extend(namespaces);
            }
            "endpoint" | "tls" | "kubeconfig" | "manifests" => self.lower_source(cursor)?,
            "noendpoints" => {
                cursor.no_argument()?;
                self.no_endpoints = true;
            }
            "labels" => self.labels = Some(lower_selector(cursor)?),
            "namespace_labels" => self.namespace_labels = Some(lower_selector(cursor)?),
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            "ttl" => {
                let text = cursor.first_argument("a number of seconds")?;
                self.ttl = cursor.number(&text, "ttl", 0..=3600)?;
            }
            "ignore" => match cursor.first_argument("empty_service")?.as_str() {
                "empty_service" => self.ignore_empty_service = true,
                other => return Err(cursor.error(format!("ignore takes empty_service, not {other:?}"))),
            },
            "startup_timeout" => {
                let text = cursor.first_argument("a duration")?;
                self.startup_timeout = cursor.duration(&text, "startup_timeout")?;
            }
            "upstream" => return Err(cursor.error("unknown property \"upstream\": CoreDNS 1.7 removed it; remove the line, names outside the cluster are looked up by this server itself")),
            "resyncperiod" => return Err(cursor.error("unknown property \"resyncperiod\": CoreDNS 1.7 removed it; remove the line")),
            "transfer" => return Err(cursor.error("unknown property \"transfer\": it became a directive of its own in CoreDNS 1.8")),
            option @ ("multicluster" | "zonal" | "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight") => {
                return Err(cursor.error(format!("{option} is not built yet")));
            }
            _ => {
                return Err(cursor.unknown(
                    "endpoint, tls, kubeconfig, manifests, namespaces, namespace_labels, labels, pods, endpoint_pod_names, ttl, \
                     noendpoints, fallthrough, ignore, startup_timeout",
                ));
            }
        }
        Ok(())
    }

    fn lower_source(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        let option = cursor.word().to_owned();
        let arguments = cursor.arguments();
        self.source = match (option.as_str(), arguments.as_slice()) {
            ("endpoint", [url, others @ ..]) => {
                cursor.leave_out(others);
                ObjectSource::Endpoint { url: url.clone(), tls: self.endpoint_tls() }
            }
            ("tls", [certificate, key, authority]) => {
                let tls = Some((certificate.into(), key.into(), authority.into()));
                match std::mem::take(&mut self.source) {
                    ObjectSource::Endpoint { url, .. } => ObjectSource::Endpoint { url, tls },
                    _ => ObjectSource::Endpoint { url: String::new(), tls },
                }
            }
            ("kubeconfig", [file]) => ObjectSource::Kubeconfig(file.into(), None),
            ("kubeconfig", [file, context]) => ObjectSource::Kubeconfig(file.into(), Some(context.clone())),
            ("manifests", [path]) => ObjectSource::Manifests(path.into()),
            ("endpoint", _) => return Err(cursor.error("endpoint takes a URL")),
            ("tls", _) => return Err(cursor.error("tls takes a certificate, a key and an authority")),
            ("kubeconfig", _) => return Err(cursor.error("kubeconfig takes a file and perhaps a context")),
            _ => return Err(cursor.error("manifests takes a file or a folder")),
        };
        Ok(())
    }

    fn endpoint_tls(&self) -> Option<(PathBuf, PathBuf, PathBuf)> {
        match &self.source {
            ObjectSource::Endpoint { tls, .. } => tls.clone(),
            _ => None,
        }
    }
}

/// A label selector may be written with blanks.
fn lower_selector(cursor: &mut Cursor<'_>) -> Result<String, CorefileError> {
    let option = cursor.word().to_owned();
    match cursor.arguments().join(" ") {
        selector if selector.is_empty() => Err(cursor.error(format!("{option} takes a label selector"))),
        selector => match Selector::parse(&selector) {
            Ok(_) => Ok(selector),
            Err(error) => Err(cursor.error(format!("{option}: {error}, such as tier=front or env in (test, prod)"))),
        },
    }
}
