//! What the directives of a configuration want of clusters.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::cluster::{Kept, Resource, Store};
use crate::config::Config;
use crate::config::directive::{ApiPace, Kubernetes, ObjectSource, PodMode, WarmStart};

/// Objects of one source. Directives that want the same share them, and they outlive every reload that wants them, however.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Where they come from.
    pub source: ObjectSource,
    /// The label selector.
    pub labels: Option<String>,
}

/// What some directives want of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The resources.
    pub resources: BTreeSet<Resource>,
    /// What is kept of their objects.
    pub kept: Kept,
    /// How the cluster is watched.
    pub watching: Watching,
}

/// How a cluster is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// How often the API server may be asked: the first directive that says it decides.
    pub pace: ApiPace,
    /// How often what is known is compared with what is there, about: the shortest time of all directives that compare; None: never.
    pub compare: Option<Duration>,
    /// Where what is known is kept for the next start: the first directive that says it decides.
    pub warm_start: Option<WarmStart>,
}

/// The clusters that a configuration needs, each with all that any of its directives wants.
pub fn clusters(config: &Config) -> HashMap<Cluster, Wanted> {
    let mut clusters: HashMap<Cluster, Wanted> = HashMap::new();
    for server in &config.servers {
        let Some(kubernetes) = &server.kubernetes else { continue };
        let wanted = clusters.entry(Cluster::of(kubernetes)).or_default();
        wanted.add(kubernetes);
        wanted.kept.pod_labels |= server.metadata.is_some();
        let warm_start = kubernetes.warm_start.clone();
        let warm_start = warm_start.map(|warm_start| WarmStart { file: server.path(&warm_start.file), ..warm_start });
        wanted.watching.warm_start = wanted.watching.warm_start.take().or(warm_start);
    }
    clusters
}

/// How long the first answer may wait for the clusters.
pub fn startup_timeout(config: &Config) -> Duration {
    let kubernetes = config.servers.iter().filter_map(|server| server.kubernetes.as_ref());
    kubernetes.map(|kubernetes| kubernetes.startup_timeout).max().unwrap_or_default()
}

impl Cluster {
    /// The cluster that a directive is for.
    pub fn of(kubernetes: &Kubernetes) -> Self {
        Self { source: kubernetes.source.clone(), labels: kubernetes.labels.clone() }
    }
}

impl Wanted {
    fn add(&mut self, kubernetes: &Kubernetes) {
        let Self { resources, kept, watching } = self;
        resources.extend([Resource::Namespaces, Resource::Services]);
        let has_imports = !kubernetes.multicluster.is_empty();
        if !kubernetes.no_endpoints || has_imports {
            resources.insert(Resource::EndpointSlices);
        }
        if has_imports {
            resources.insert(Resource::ServiceImports);
        }
        if kubernetes.pods == PodMode::Verified {
            resources.insert(Resource::Pods);
        }
        kept.endpoint_pods |= kubernetes.endpoint_pod_names;
        kept.endpoint_zones |= kubernetes.zonal;
        if watching.pace == ApiPace::default() {
            watching.pace = kubernetes.apiserver;
        }
        let compare = Some(kubernetes.compare).filter(|compare| !compare.is_zero());
        watching.compare = watching.compare.into_iter().chain(compare).min();
    }

    /// A store that will hold just that.
    pub fn store(&self) -> Store {
        Store::keeping(self.resources.iter().copied().collect(), self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corefile::Source;

    #[test]
    fn clusters_of_one_source_are_one_with_all_that_is_wanted() {
        let text = "a {\n kubernetes {\n noendpoints\n }\n}\nb {\n kubernetes {\n pods verified\n }\n}\nc {\n kubernetes {\n labels x=y\n }\n}\n";
        let source = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() };
        let clusters = clusters(&source.load(53).expect("a Corefile").config);
        let mut wanted: Vec<usize> = clusters.values().map(|wanted| wanted.resources.len()).collect();
        wanted.sort_unstable();
        assert_eq!(wanted, [3, 4]);
    }

    #[test]
    fn of_objects_only_what_a_directive_asks_for_is_kept() {
        let kept = |text: &str| {
            let source = Source::Text { name: "Corefile".to_owned(), text: text.to_owned() };
            let clusters = clusters(&source.load(53).expect("a Corefile").config);
            clusters.into_values().next().expect("a cluster").kept
        };
        assert_eq!(kept(". {\n kubernetes {\n pods verified\n }\n}\n"), Kept::default());
        let zones = Kept { endpoint_zones: true, ..Kept::default() };
        assert_eq!(kept(". {\n kubernetes\n}\na {\n kubernetes {\n zonal\n }\n}\n"), zones);
        assert_eq!(kept(". {\n metadata\n kubernetes {\n zonal\n endpoint_pod_names\n }\n}\n"), Kept::ALL);
    }
}
