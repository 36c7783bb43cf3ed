//! Kubernetes objects to [`crate::cluster::Change`]s: from an API server, or from manifests.
//!
//! [`start`] is the one entry. `source` finds the API server and the credentials, `reflector` lists and watches one
//! resource, `object` holds the slim types that JSON and YAML are read into, `convert` makes changes of them, `pace` bounds the requests,
//! [`Times`] says how long they take, [`Troubles`] why they fail, `token` keeps credentials fresh, `owner` is the task that applies changes and
//! publishes snapshots, [`manifests`] reads files. Nothing here knows DNS.

mod convert;
mod lenient;
pub mod manifests;
mod object;
mod owner;
mod pace;
mod reflector;
mod source;
mod times;
mod token;
mod troubles;
mod warm;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use self::owner::Owner;
use self::reflector::{Context, Reflector};
use self::source::Source;
use self::warm::WarmFile;
use crate::cluster::{InvalidSelector, Resource, Selector, Store};
use crate::config::directive::{ApiPace, ObjectSource, WarmStart};
use crate::metrics::Metrics;
use crate::task::Tasks;

pub use self::source::SourceError;
pub use self::times::Times;
pub use self::troubles::Troubles;

/// What is watched, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where the objects come from.
    pub source: ObjectSource,
    /// `--kubeconfig`: in place of what `source` says, unless that is manifests.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`: the context in the kubeconfig.
    pub context: Option<String>,
    /// Only Services, EndpointSlices and Pods that this label selector matches.
    pub labels: Option<String>,
    /// How often the API server may be asked.
    pub pace: ApiPace,
    /// How often what is known is compared with what is there, about; None: never.
    pub compare: Option<Duration>,
    /// How long everything takes.
    pub times: Times,
    /// Where what is known is kept for the next start.
    pub warm_start: Option<WarmStart>,
}

/// Why nothing can be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// `labels` is not a label selector.
    #[error(transparent)]
    Labels(#[from] InvalidSelector),
    /// There is no API server, or there are no credentials for it.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Starts the tasks that keep `store` up to date with the resources that it wants; they end when `tasks` stop. Reads
/// credentials, but does not wait for the API server: whether it answers shows in the store, and why not in what is returned.
pub async fn start(
    settings: Settings,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    tasks: &Tasks,
) -> Result<Troubles, WatchError> {
    let selector = settings.labels.as_deref().map(Selector::parse).transpose()?;
    let source = source::find(&settings).await?;
    let (updates, received) = mpsc::channel(owner::QUEUE_LENGTH);
    let watched: BTreeMap<_, _> =
        store.wanted().iter().map(|resource| (*resource, metrics.watch(resource.plural()))).collect();
    if let (Source::Api(server), Some(warm_start)) = (&source, &settings.warm_start) {
        let labels = settings.labels.as_deref().unwrap_or_default();
        let file = WarmFile::new(warm_start, &server.host, &server.authorities, labels);
        warm::warm(&file, &store).await;
        let all = watched.values().cloned().collect();
        tasks.spawn("warm start", |stop| warm::keep(file, store.clone(), all, metrics.clone(), stop));
    }
    let troubles = Troubles::default();
    let owner = Owner::new(store, metrics.clone(), watched.clone(), received);
    tasks.spawn("cluster", |stop| owner.run(stop));
    match source {
        Source::Manifests(path) => {
            tasks.spawn("manifests", |stop| manifests::follow(path, selector, updates, stop));
        }
        Source::Api(server) => {
            for (resource, watched) in watched {
                let context = Context {
                    server: server.clone(),
                    labels: settings.labels.clone(),
                    compare: settings.compare,
                    times: settings.times,
                    updates: updates.clone(),
                    metrics: metrics.clone(),
                    watched,
                    troubles: troubles.clone(),
                };
                let reflector = Reflector::new(resource, context);
                tasks.spawn(task_name(resource), |stop| reflector.run(stop));
            }
        }
    }
    Ok(troubles)
}

fn task_name(resource: Resource) -> &'static str {
    match resource {
        Resource::Namespaces => "watch namespaces",
        Resource::Services => "watch services",
        Resource::EndpointSlices => "watch endpointslices",
        Resource::ServiceImports => "watch serviceimports",
        Resource::Pods => "watch pods",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(source: ObjectSource, labels: &str) -> Settings {
        let labels = (!labels.is_empty()).then(|| labels.to_owned());
        Settings { source, labels, ..Settings::default() }
    }

    fn store() -> Arc<Store> {
        Arc::new(Store::new(vec![Resource::Namespaces, Resource::Services]))
    }

    #[tokio::test(start_paused = true)]
    async fn manifests_are_followed_until_the_tasks_stop() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cluster.yaml");
        let write = |names: &[&str]| {
            let objects = names.iter().map(|name| format!("---\nkind: Namespace\nmetadata: {{name: {name}}}\n"));
            std::fs::write(&file, objects.collect::<String>()).expect("a file");
        };
        write(&["shop", "bank"]);
        let (store, tasks) = (store(), Tasks::new());
        let source = ObjectSource::Manifests(folder.path().to_owned());
        start(settings(source, ""), store.clone(), Arc::new(Metrics::new()), &tasks).await.expect("tasks");
        store.synced().wait_for(|synced| *synced).await.expect("a store");
        assert!(store.load().namespace("bank").is_some());
        write(&["shop"]);
        while store.load().namespace("bank").is_some() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(store.load().namespace("shop").is_some());
        assert!(tasks.stop(Duration::from_secs(1)).await);
    }

    #[tokio::test]
    async fn a_selector_that_is_none_is_refused() {
        let source = ObjectSource::Manifests("absent".into());
        let started = start(settings(source, "a in (b"), store(), Arc::new(Metrics::new()), &Tasks::new()).await;
        assert!(matches!(started, Err(WatchError::Labels(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_down_leaves_the_store_unsynced_and_the_tasks_stoppable() {
        let (store, tasks) = (store(), Tasks::new());
        let source = ObjectSource::Endpoint { url: "http://127.0.0.1:1".to_owned(), tls: None };
        start(settings(source, ""), store.clone(), Arc::new(Metrics::new()), &tasks).await.expect("tasks");
        tokio::task::yield_now().await;
        assert!(!*store.synced().borrow());
        assert!(tasks.stop(Duration::from_secs(1)).await);
    }
}
