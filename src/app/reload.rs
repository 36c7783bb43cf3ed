//! Another configuration in place of the one that runs: asked for by a signal, or found by looking at the file.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info, warn};

use super::generation::Generation;
use super::log::chain;
use super::run::Options;
use super::server::Server;
use crate::config::Config;
use crate::config::corefile::{CorefileError, Loaded};
use crate::metrics::Metrics;

/// What was refused last, so that it is not tried and told again by each look.
#[derive(Debug, Default)]
pub struct Refused {
    errors: Vec<CorefileError>,
    hash: String,
}

/// What makes us read the Corefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGUSR1: whatever was before, it is tried.
    Signal,
    /// `reload`: only a change counts.
    Look,
}

/// How long to the next look; None: the configuration has no `reload`.
pub fn interval(config: &Config) -> Option<Duration> {
    let reload = config.servers.iter().find_map(|server| server.reload)?;
    let spread = reload.jitter.mul_f64(rand::random::<f64>());
    Some((reload.interval + spread).saturating_sub(reload.jitter / 2))
}

/// Reads the Corefile; None: there is nothing to do, or nothing that can be done.
pub async fn read(
    options: &Options,
    running: &str,
    refused: &mut Refused,
    cause: Cause,
    metrics: &Metrics,
) -> Option<Loaded> {
    let (source, system) = (options.corefile.clone(), options.system());
    let read = tokio::task::spawn_blocking(move || source.load_with(system)).await.ok()?;
    let is_look = cause == Cause::Look;
    match read {
        Ok(loaded) if is_look && (loaded.hash == running || loaded.hash == refused.hash) => {
            refused.errors.clear();
            None
        }
        Ok(loaded) => Some(loaded),
        Err(errors) if is_look && errors == refused.errors => None,
        Err(errors) => {
            metrics.reload_failed.inc();
            let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            error!(target: "plugin/reload", "Corefile changed but reload failed, the old one is kept: {text}");
            refused.errors = errors;
            None
        }
    }
}

/// Puts what was read in place of what runs; if that cannot be, what runs stays.
pub async fn apply(
    server: &mut Server,
    options: &Options,
    loaded: Loaded,
    refused: &mut Refused,
    metrics: &Arc<Metrics>,
) {
    info!("Reloading");
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let hash = loaded.hash.clone();
    let (running, memories) = (&server.generation.clusters, &server.generation.assembly.memories);
    let outcome = match Generation::prepare(loaded, options.port, running, memories, &options.access, metrics).await {
        Ok(next) => {
            next.wait().await;
            let clusters = next.clusters.clone();
            server.replace(next).map_err(|error| {
                clusters.stop_all_but(&server.generation.clusters);
                chain(&error)
            })
        }
        Err(error) => Err(chain(&error)),
    };
    match outcome {
        Ok(()) => {
            *refused = Refused::default();
            metrics.reload_version_info.reset();
            metrics.reload_version_info.with_label_values(&["sha512", &hash]).set(1);
            info!(target: "plugin/reload", "Running configuration SHA512 = {hash}");
            info!("Reloading complete");
        }
        Err(reason) => {
            metrics.reload_failed.inc();
            error!(target: "plugin/reload", "Corefile changed but reload failed, the old one is kept: {reason}");
            *refused = Refused { errors: Vec::new(), hash };
        }
    }
}
