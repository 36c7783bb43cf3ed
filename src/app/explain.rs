//! One question, answered by a configuration without any listening socket, with all that led to the answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clusters::{Access, Clusters};
use super::generation::Generation;
use super::log::chain;
use crate::config::corefile::{CorefileError, Loaded, Source};
use crate::config::directive::ObjectSource;
use crate::dns::{Answer, Explanation, Name, Query, RecordType, Step, Transport, encode, label_count, name_text};
use crate::listen::Endpoint;
use crate::metrics::Metrics;
use crate::plugin::Router;

/// How long the first list of a cluster may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be explained.
#[derive(Clone, Debug)]
pub struct Request {
    /// The configuration.
    pub source: Source,
    /// How clusters are reached.
    pub access: Access,
    /// In place of every source of objects: manifests.
    pub manifests: Option<PathBuf>,
    /// The name.
    pub name: Name,
    /// The type.
    pub record_type: RecordType,
    /// Who asks.
    pub client: IpAddr,
    /// Over what.
    pub transport: Transport,
    /// The port of the listener that is asked; None: the one with the longest zone of the name.
    pub port: Option<u16>,
}

/// A question with its answer and what led there.
#[derive(Debug)]
pub struct Explained {
    /// The listener that was asked.
    pub listener: Endpoint,
    /// The query as its server block took it.
    pub query: Query,
    /// What happened, in its order.
    pub steps: Vec<Step>,
    /// The answer.
    pub answer: Answer,
    /// The answer as the client would get it; None: nothing comes back.
    pub reply: Option<Vec<u8>>,
    /// How long it took.
    pub took: Duration,
    /// What is to be known of the configuration.
    pub warnings: Vec<CorefileError>,
    /// Where the server blocks begin, and their zones, in their order: `Corefile:3 (cluster.local.)`.
    pub places: Vec<String>,
}

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The configuration has mistakes.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Configuration(Vec<CorefileError>),
    /// It cannot be run.
    #[error("{0}")]
    Assembly(String),
}

/// Answers the question of a request, and tells what led to the answer.
pub fn explain(request: Request) -> Result<Explained, ExplainError> {
    let loaded = request.source.load(53).map_err(ExplainError::Configuration)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| ExplainError::Assembly(format!("cannot start: {error}")))?;
    let explained = runtime.block_on(ask(request, loaded));
    runtime.shutdown_background();
    explained
}

async fn ask(request: Request, mut loaded: Loaded) -> Result<Explained, ExplainError> {
    let warnings = std::mem::take(&mut loaded.warnings);
    let zones = loaded.config.servers.iter().map(|server| server.keys.iter().map(|key| name_text(&key.zone)));
    let blocks = loaded
        .places
        .iter()
        .zip(zones)
        .map(|(place, zones)| format!("{place} ({})", zones.collect::<Vec<_>>().join(" ")));
    let places = blocks.collect();
    for kubernetes in loaded.config.servers.iter_mut().filter_map(|server| server.kubernetes.as_mut()) {
        if let Some(manifests) = &request.manifests {
            kubernetes.source = ObjectSource::Manifests(manifests.clone());
        }
        // What is asked once leaves nothing for the next start.
        kubernetes.warm_start = None;
    }
    let metrics = Arc::new(Metrics::new());
    let generation =
        Generation::prepare(loaded, 53, &Clusters::default(), &HashMap::new(), &request.access, &metrics).await;
    let generation = generation.map_err(|error| ExplainError::Assembly(chain(&error)))?;
    let explanation = Explanation::default();
    wait_for_clusters(&generation.clusters, &explanation).await;
    let routers = generation.assembly.routers.iter();
    let routers = routers.filter(|(address, _)| request.port.is_none_or(|port| address.address.port() == port));
    let Some((listener, router)) =
        routers.max_by_key(|(address, router)| (longest(router, &request.name), std::cmp::Reverse(**address)))
    else {
        return Err(ExplainError::Assembly("no server block listens on that port".to_owned()));
    };
    let query = Query {
        client: (request.client, 40000).into(),
        transport: request.transport,
        explanation: Some(explanation.clone()),
        ..Query::of_our_own(request.name, request.record_type)
    };
    let asked_at = Instant::now();
    let routed = router.route(query);
    let answer = routed.answer().await;
    let took = asked_at.elapsed();
    let query = routed.query().clone();
    let reply = (!answer.is_dropped()).then(|| encode(&query, &answer));
    Ok(Explained { listener: *listener, steps: explanation.steps(), query, answer, reply, took, warnings, places })
}

/// How many labels the longest zone of a name has; None: no zone has the name.
fn longest(router: &Router, name: &Name) -> Option<usize> {
    router.zones().filter(|zone| zone.apex.zone_of(name)).map(|zone| label_count(&zone.apex)).max()
}

async fn wait_for_clusters(clusters: &Clusters, explanation: &Explanation) {
    let waited_from = Instant::now();
    clusters.wait(PATIENCE).await;
    let unheard: Vec<&str> = clusters.unheard();
    match unheard.is_empty() {
        true if clusters.is_empty() => {}
        true => explanation.tell(0, "watch", format!("the cluster was listed in {:.1?}", waited_from.elapsed())),
        false => explanation.tell(0, "watch", format!("not listed in {PATIENCE:?}: {}", unheard.join(", "))),
    }
}
