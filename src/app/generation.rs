//! What a configuration needs to run, made before anything of the one before it is touched.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use super::assemble::{AssembleError, Assembly, Environment, Loop, Refresh, assemble};
use super::clusters::{Access, Clusters};
use super::interfaces;
use super::wanted::startup_timeout;
use crate::admin::{self, Page};
use crate::config::Config;
use crate::config::corefile::Loaded;
use crate::config::directive::{self, Prometheus};
use crate::listen::{Certificate, Endpoint};
use crate::metrics::Metrics;
use crate::plugin::cache::Memory;
use crate::plugin::errors::Errors;
use crate::plugin::loadbalance::LoadBalance;
use crate::plugin::loop_detection::LoopDetected;
use crate::task::Tasks;
use crate::watch::WatchError;

/// How long tasks of a configuration that is gone may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration, assembled.
#[derive(Debug)]
pub struct Generation {
    pub config: Config,
    /// See [`Loaded::hash`].
    pub hash: String,
    pub assembly: Assembly,
    pub clusters: Clusters,
    pub tasks: Tasks,
    /// Those of the metrics pages, by their web configuration.
    certificates: HashMap<PathBuf, Arc<Certificate>>,
    /// Whatever becomes of it, its tasks do not outlive it.
    _end: DropGuard,
}

/// Why a configuration that can be read cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// It cannot be assembled.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The certificate of its metrics page cannot be used.
    #[error("plugin/prometheus: {0}")]
    Certificate(String),
    /// Its cluster cannot be watched.
    #[error("plugin/kubernetes: {0}")]
    Watch(#[from] WatchError),
}

impl Generation {
    /// Assembles a configuration. Clusters that run already go on, new ones begin to be listed; what caches remember stays
    /// remembered where nothing changed that it depends on.
    pub async fn prepare(
        loaded: Loaded,
        default_port: u16,
        running: &Clusters,
        memories: &HashMap<String, Memory>,
        access: &Access,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, GenerationError> {
        let Loaded { config, hash, .. } = loaded;
        let certificates = certificates(&config, metrics)?;
        let clusters = running.for_config(&config, access, metrics).await?;
        let tasks = Tasks::new();
        let environment = Environment {
            metrics: metrics.clone(),
            interfaces: interfaces::addresses(),
            host_name: interfaces::host_name(),
            stores: &clusters.stores(),
            memories,
            exchange: None,
            default_port,
            tasks: tasks.clone(),
        };
        let assembly = assemble(&config, &environment).inspect_err(|_| clusters.stop_all_but(running))?;
        let end = tasks.stopping().clone().drop_guard();
        Ok(Self { config, hash, assembly, clusters, tasks, certificates, _end: end })
    }

    /// Waits for the clusters, as long as `startup_timeout` says. A server that starts answers meanwhile.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + 'static {
        let (clusters, patience) = (self.clusters.clone(), startup_timeout(&self.config));
        async move { clusters.wait(patience).await }
    }

    /// The admin pages, with their addresses.
    pub fn pages(&self) -> Vec<(String, Page)> {
        let readiness = self.clusters.readiness();
        let pages = self.config.servers.iter().flat_map(|server| {
            let health = server.health.as_ref().map(|health| (health.address.clone(), Page::Health));
            let ready = server.ready.as_ref();
            let ready = ready.map(|ready| (ready.address.clone(), Page::ready(readiness.clone(), ready.continuously)));
            let metrics = server.prometheus.as_ref();
            let metrics = metrics.map(|metrics| (metrics.address.clone(), Page::Metrics(self.tls(metrics))));
            let process = server.pprof.as_ref().map(|pprof| (pprof.address.clone(), Page::Process));
            [health, ready, metrics, process].into_iter().flatten()
        });
        pages.collect()
    }

    /// TLS of a metrics page.
    fn tls(&self, metrics: &Prometheus) -> Option<admin::Tls> {
        let certificate = self.certificates.get(metrics.tls.as_ref()?)?.clone();
        Some(admin::Tls(Arc::new(move || certificate.config())))
    }

    /// How long the server goes on answering after it is told to stop.
    pub fn lameduck(&self) -> Duration {
        let health = self.config.servers.iter().filter_map(|server| server.health.as_ref());
        health.map(|health| health.lameduck).max().unwrap_or_default()
    }

    /// Starts what runs beside the queries: hosts files, weights, counted errors, questions asked again.
    pub fn start_tasks(&mut self) {
        for pipeline in &self.assembly.pipelines {
            if let Some(hosts) = pipeline.hosts.clone() {
                self.tasks.spawn("hosts", |stop| endless(async move { hosts.watch(stop).await }));
            }
            if pipeline.loadbalance.as_ref().is_some_and(LoadBalance::follows_a_file) {
                let pipeline = pipeline.clone();
                self.tasks.spawn("loadbalance", |stop| {
                    endless(async move {
                        if let Some(loadbalance) = &pipeline.loadbalance {
                            loadbalance.watch(stop).await;
                        }
                    })
                });
            }
            if pipeline.errors.as_ref().is_some_and(Errors::consolidates) {
                let pipeline = pipeline.clone();
                self.tasks.spawn("errors", |stop| {
                    endless(async move {
                        if let Some(errors) = &pipeline.errors {
                            errors.report(stop).await;
                        }
                    })
                });
            }
        }
        for certificate in self.certificates.values() {
            let certificate = certificate.clone();
            self.tasks.spawn("certificate", |stop| endless(certificate.watch(stop)));
        }
        for zone_files in self.assembly.zone_files.drain(..) {
            self.tasks.spawn("zone files", |stop| endless(zone_files.watch(stop)));
        }
        for Refresh { pipeline, router, queue } in self.assembly.refreshes.drain(..) {
            self.tasks.spawn("cache refresh", |stop| queue.run(pipeline, router, stop));
        }
    }

    /// Asks whether the server forwards to itself; what is detected goes to `detected`.
    pub fn start_loop_detection(
        &self,
        local_address: impl Fn(&Endpoint) -> Option<SocketAddr>,
        detected: &mpsc::Sender<LoopDetected>,
    ) {
        for Loop { pipeline, endpoint, exchange } in &self.assembly.loops {
            let Some(local) = local_address(endpoint) else { continue };
            let (pipeline, exchange, detected) = (pipeline.clone(), exchange.clone(), detected.clone());
            self.tasks.spawn("loop", |stop| {
                endless(async move {
                    let Some(detection) = &pipeline.loop_detection else { return };
                    if let Err(found) = detection.run(local, exchange.as_ref(), stop).await {
                        // Nobody listens any more when the process ends.
                        let _ = detected.send(found).await;
                    }
                })
            });
        }
    }

    /// Ends its tasks, and the watches that `next` does not go on with.
    pub async fn end(self, next: Option<&Clusters>) {
        match next {
            Some(next) => self.clusters.stop_all_but(next),
            None => self.clusters.stop_all_but(&Clusters::default()),
        }
        self.tasks.stop(PATIENCE).await;
    }
}

/// The certificates of the metrics pages.
fn certificates(config: &Config, metrics: &Metrics) -> Result<HashMap<PathBuf, Arc<Certificate>>, GenerationError> {
    let pages = config.servers.iter().filter_map(|server| server.prometheus.as_ref());
    let files = pages.filter_map(|page| Some((page.address.as_str(), page.tls.clone()?)));
    let read = |(address, file): (&str, PathBuf)| {
        let failures = metrics.landfall_certificate_failures.with_label_values(&[address]);
        let text =
            std::fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let certificate = Certificate::read(&directive::web_config(&text, &file)?, &[b"http/1.1"], failures);
        Ok((file, Arc::new(certificate.map_err(|error| error.to_string())?)))
    };
    files.map(read).collect::<Result<_, String>>().map_err(GenerationError::Certificate)
}

/// A task that cannot fail.
async fn endless(task: impl Future<Output = ()>) -> Result<(), std::convert::Infallible> {
    task.await;
    Ok(())
}
