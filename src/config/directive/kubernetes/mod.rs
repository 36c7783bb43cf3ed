//! `kubernetes [ZONES...] { ... }`: the names of a cluster.

mod pace;
mod source;
mod warm_start;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

pub use self::pace::ApiPace;
pub use self::source::ObjectSource;
pub use self::warm_start::WarmStart;
use super::{Directive, Fallthrough, Opt, Reference, is_default};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::selector::Selector;
use crate::config::text::{AsText, Expanded, Text};
use crate::dns::{Name, is_reverse};

/// How often what is known is compared, where nothing is said.
const COMPARE: Duration = Duration::from_secs(30 * 60);
/// More often, it would be a burden.
const COMPARE_MIN: Duration = Duration::from_secs(60);

/// Which objects are served under which zones.
#[serde_as]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// Cluster domains and reverse zones, in the order of the file; those of the server block if the line names none.
    #[serde_as(as = "Expanded")]
    pub zones: Vec<Name>,
    /// Where the objects come from.
    #[serde(skip_serializing_if = "is_default")]
    pub source: ObjectSource,
    /// Only these namespaces; empty: all.
    #[serde(skip_serializing_if = "is_default")]
    pub namespaces: Vec<String>,
    /// Only namespaces that this selector matches.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace_labels: Option<String>,
    /// Only Services, Pods and EndpointSlices that this selector matches.
    #[serde(skip_serializing_if = "is_default")]
    pub labels: Option<String>,
    /// How names below `pod.ZONE` are answered.
    pub pods: PodMode,
    /// Name endpoints after their Pods where they have no hostname.
    #[serde(skip_serializing_if = "is_default")]
    pub endpoint_pod_names: bool,
    /// TTL of the answers in seconds, 0 to 3600.
    pub ttl: u32,
    /// EndpointSlices are not watched.
    #[serde(rename = "noendpoints", skip_serializing_if = "is_default")]
    pub no_endpoints: bool,
    /// Where names that do not exist go.
    #[serde(skip_serializing_if = "is_default")]
    pub fallthrough: Fallthrough,
    /// A Service with a cluster IP but without ready endpoints does not exist.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_empty_service: bool,
    /// Zones of a cluster set: names of ServiceImports.
    #[serde_as(as = "Expanded")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub multicluster: Vec<Name>,
    /// Headless Services have names for the endpoints of one topology zone.
    #[serde(skip_serializing_if = "is_default")]
    pub zonal: bool,
    /// How often the API server is asked.
    #[serde(skip_serializing_if = "is_default")]
    pub apiserver: ApiPace,
    /// How often what is known is compared with what the API server has, about; 0: never.
    #[serde_as(as = "AsText")]
    #[serde(skip_serializing_if = "is_usual")]
    pub compare: Duration,
    /// How long the server waits for the first sync before it answers.
    #[serde_as(as = "AsText")]
    pub startup_timeout: Duration,
    /// Where the last snapshot is kept, for the next start.
    #[serde(skip_serializing_if = "is_default")]
    pub warm_start: Option<WarmStart>,
}

/// How names below `pod.cluster.local.` are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PodMode {
    /// Never: NXDOMAIN.
    #[default]
    Disabled,
    /// From the name alone, without asking whether the Pod exists.
    Insecure,
    /// Only if a Pod of that namespace has that address.
    Verified,
}

impl PodMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Insecure => "insecure",
            Self::Verified => "verified",
        }
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
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
            multicluster: Vec::new(),
            zonal: false,
            apiserver: ApiPace::default(),
            compare: COMPARE,
            startup_timeout: Duration::from_secs(5),
            warm_start: None,
        }
    }
}

impl Directive for Kubernetes {
    type Values = Option<Self>;

    const REFERENCE: Reference = Reference {
        name: "kubernetes",
        syntax: "kubernetes [ZONES...] { ... }",
        summary: "The names of a cluster, by the Kubernetes DNS specification 1.1. Without zones: those of the block; one must not be a reverse zone.\n\nRights: list and \
                  watch of namespaces, services and endpointslices.discovery.k8s.io; of pods for `pods verified`, of \
                  serviceimports.multicluster.x-k8s.io for `multicluster`.",
        options: &[
            Opt {
                syntax: "kubeconfig FILE [CONTEXT]",
                meaning: "which API server",
                default: "the Pod's service account; else `--kubeconfig`, KUBECONFIG, ~/.kube/config",
            },
            Opt { syntax: "endpoint URL", meaning: "the API server at this address", default: "" },
            Opt { syntax: "tls CERT KEY CA", meaning: "towards `endpoint`", default: "" },
            Opt {
                syntax: "manifests PATH",
                meaning: "ours: objects from YAML or JSON files, a file or a folder, looked at each 2s; no API server",
                default: "",
            },
            Opt { syntax: "namespaces NAME...", meaning: "only these", default: "all" },
            Opt {
                syntax: "namespace_labels SELECTOR",
                meaning: "only namespaces that it matches; not beside `namespaces`",
                default: "all",
            },
            Opt {
                syntax: "labels SELECTOR",
                meaning: "only Services, EndpointSlices and Pods that it matches",
                default: "all",
            },
            Opt {
                syntax: "pods disabled|insecure|verified",
                meaning: "names below `pod`: none; any address; addresses of Pods of that namespace (Pods are watched)",
                default: "disabled",
            },
            Opt {
                syntax: "endpoint_pod_names",
                meaning: "endpoints without hostname are named after their Pod",
                default: "",
            },
            Opt { syntax: "ttl SECONDS", meaning: "0 to 3600", default: "5" },
            Opt { syntax: "noendpoints", meaning: "EndpointSlices are not watched: no headless Services", default: "" },
            Opt {
                syntax: "ignore empty_service",
                meaning: "a Service with a cluster IP but no ready endpoint does not exist",
                default: "",
            },
            Opt {
                syntax: "multicluster [ZONES...]",
                meaning: "these zones are a cluster set: `SERVICE.NAMESPACE.svc` is a ServiceImport (v1beta1 or v1alpha1), and its endpoints are \
                          `HOST.CLUSTER.SERVICE.NAMESPACE.svc`, where CLUSTER has one or more labels",
                default: "",
            },
            Opt {
                syntax: "zonal",
                meaning: "`ZONE.pin._zone.SERVICE.NAMESPACE.svc` is the endpoints of a headless Service in that topology zone; with `prefer` for `pin`: all of \
                          them where there are none; not beside `noendpoints`",
                default: "",
            },
            Opt {
                syntax: "apiserver_qps N",
                meaning: "requests to the API server in a second, at most; alone, 10 may come at once",
                default: "as they come",
            },
            Opt {
                syntax: "apiserver_burst N",
                meaning: "how many of them may come at once; alone, 5 follow each second",
                default: "as they come",
            },
            Opt {
                syntax: "apiserver_max_inflight N",
                meaning: "requests under way at once; a watch is one until it begins",
                default: "as they come",
            },
            Opt {
                syntax: "compare DURATION",
                meaning: "ours: how often, about, the versions of all objects are compared with those of the API server, in pages of metadata; what \
                          differs for 10s was lost on the way, and the resource is listed again. At least 1m; 0: never. A list of 150,000 Pods \
                          (`pods verified`) is some 200 MB each time, so a very large cluster may want it less often",
                default: "30m",
            },
            Opt {
                syntax: "fallthrough [ZONES...]",
                meaning: "names that do not exist go to the next plugin; never before everything was listed",
                default: "",
            },
            Opt {
                syntax: "startup_timeout DURATION",
                meaning: "how long names of the cluster wait for the first sync before they are SERVFAIL",
                default: "5s",
            },
            Opt {
                syntax: "warm_start FILE [MAX_AGE]",
                meaning: "ours: what is known is kept in FILE, and after a restart its names are answered before the API server is; MAX_AGE old at most. \
                          Nothing is denied by it, and metrics say that it is in use",
                default: "off; 24h",
            },
        ],
        example: "kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods verified\n    ttl 30\n    fallthrough in-addr.arpa ip6.arpa\n}",
    };

    fn lower(cursor: &mut Cursor<'_>) -> Result<Option<Self>, CorefileError> {
        cursor.advance();
        let arguments = cursor.arguments();
        let mut kubernetes = Self { zones: cursor.zones(&arguments), ..Self::default() };
        if kubernetes.zones.iter().all(is_reverse) {
            return Err(cursor.error("a zone that is not a reverse zone must be named, such as cluster.local"));
        }
        while cursor.next_option() {
            kubernetes.lower_option(cursor)?;
        }
        if kubernetes.namespace_labels.is_some() && !kubernetes.namespaces.is_empty() {
            return Err(cursor.error("namespaces and namespace_labels cannot both be set; keep one of them"));
        }
        if let Some(zone) = kubernetes.multicluster.iter().find(|zone| !kubernetes.zones.contains(zone)) {
            return Err(cursor.error(format!(
                "multicluster {zone}: this directive does not serve that zone; name it on the line of kubernetes"
            )));
        }
        if kubernetes.zonal && kubernetes.no_endpoints {
            return Err(cursor.error("zonal needs endpoints, and noendpoints switches them off; remove one of them"));
        }
        if cursor.advance() {
            return Err(cursor.once());
        }
        if kubernetes.warm_start.is_some() && matches!(kubernetes.source, ObjectSource::Manifests(_)) {
            cursor.warn("warm_start has no effect beside manifests, which are there from the start");
        }
        if matches!(&kubernetes.source, ObjectSource::Endpoint { url, .. } if url.is_empty()) {
            cursor.warn("tls belongs to `endpoint`, and there is none; it is left out");
            kubernetes.source = ObjectSource::Cluster;
        }
        Ok(Some(kubernetes))
    }

    fn write(kubernetes: &Option<Self>, corefile: &mut Writer) {
        if let Some(kubernetes) = kubernetes {
            let zones = kubernetes.zones.iter().map(Text::text);
            corefile.block(std::iter::once("kubernetes".to_owned()).chain(zones), |options| {
                kubernetes.write_options(options)
            });
        }
    }
}

impl Kubernetes {
    fn write_options(&self, options: &mut Writer) {
        self.source.write(options);
        if !self.namespaces.is_empty() {
            options.line(std::iter::once("namespaces").chain(self.namespaces.iter().map(String::as_str)));
        }
        for (name, selector) in [("namespace_labels", &self.namespace_labels), ("labels", &self.labels)] {
            if let Some(selector) = selector {
                options.line([name, selector]);
            }
        }
        options.line(["pods", self.pods.as_str()]);
        options.line(["ttl", &self.ttl.to_string()]);
        let words = [
            ("endpoint_pod_names", self.endpoint_pod_names),
            ("noendpoints", self.no_endpoints),
            ("zonal", self.zonal),
            ("ignore empty_service", self.ignore_empty_service),
        ];
        words.into_iter().filter(|(_, is_set)| *is_set).for_each(|(words, _)| options.line(words.split(' ')));
        if !self.multicluster.is_empty() {
            options.line(std::iter::once("multicluster".to_owned()).chain(self.multicluster.iter().map(Text::text)));
        }
        self.apiserver.write(options);
        if !is_usual(&self.compare) {
            options.line(["compare", &self.compare.text()]);
        }
        self.fallthrough.write(options);
        options.line(["startup_timeout", &self.startup_timeout.text()]);
        if let Some(warm_start) = &self.warm_start {
            warm_start.write(options);
        }
    }

    fn lower_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), CorefileError> {
        match cursor.word().to_owned().as_str() {
            "endpoint_pod_names" => {
                cursor.no_argument()?;
                self.endpoint_pod_names = true;
            }
            "pods" => {
                let word = cursor.one_argument("disabled, insecure or verified")?;
                let mode = [PodMode::Disabled, PodMode::Insecure, PodMode::Verified]
                    .into_iter()
                    .find(|mode| mode.as_str() == word);
                self.pods = mode
                    .ok_or_else(|| cursor.error(format!("pods takes disabled, insecure or verified, not {word:?}")))?;
            }
            "namespaces" => {
                let namespaces = cursor.arguments();
                if namespaces.is_empty() {
                    return Err(cursor.error("namespaces takes at least one namespace"));
                }
                self.namespaces.extend(namespaces);
            }
            "endpoint" | "tls" | "kubeconfig" | "manifests" => self.source.lower_option(cursor)?,
            "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight" => self.apiserver.lower_option(cursor)?,
            "noendpoints" => {
                cursor.no_argument()?;
                self.no_endpoints = true;
            }
            "zonal" => {
                cursor.no_argument()?;
                self.zonal = true;
            }
            "multicluster" => {
                let arguments = cursor.arguments();
                if arguments.is_empty() {
                    cursor.warn("multicluster names no zone and has no effect");
                } else {
                    self.multicluster = cursor.zones(&arguments);
                }
            }
            "labels" => self.labels = Some(lower_selector(cursor)?),
            "namespace_labels" => self.namespace_labels = Some(lower_selector(cursor)?),
            "fallthrough" => self.fallthrough = Fallthrough::lower(cursor, &self.zones)?,
            "ttl" => {
                let text = cursor.first_argument("a number of seconds")?;
                self.ttl = cursor.number(&text, "ttl", 0..=3600)?;
            }
            "ignore" => match cursor.arguments().as_slice() {
                [] => cursor.warn("ignore says nothing to ignore, such as empty_service, and has no effect"),
                [what, others @ ..] if what == "empty_service" => {
                    cursor.leave_out(others);
                    self.ignore_empty_service = true;
                }
                [other, ..] => return Err(cursor.error(format!("ignore takes empty_service, not {other:?}"))),
            },
            "startup_timeout" => {
                let text = cursor.first_argument("a duration")?;
                self.startup_timeout = cursor.duration(&text, "startup_timeout")?;
            }
            "compare" => {
                let text = cursor.one_argument("a duration")?;
                self.compare = cursor.duration(&text, "compare")?;
                if !self.compare.is_zero() && self.compare < COMPARE_MIN {
                    return Err(cursor.error("compare takes a duration of at least 1m, or 0 for never"));
                }
            }
            "warm_start" => self.warm_start = Some(WarmStart::lower(cursor)?),
            _ => return Err(cursor.unknown::<Self>()),
        }
        Ok(())
    }
}

fn is_usual(compare: &Duration) -> bool {
    *compare == COMPARE
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
