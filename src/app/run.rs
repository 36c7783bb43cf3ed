//! The life of the process.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{error, info, warn};

pub use super::clusters::Access;
use super::clusters::Clusters;
use super::generation::Generation;
use super::log::{self, chain};
use super::open_files;
use super::reload::{self, Cause, Refused};
use super::server::Server;
use super::signal::{Signals, Wish};
use crate::admin::{Admin, Phase};
use crate::config::corefile::{Loaded, Source, System};
use crate::config::duration_text;
use crate::metrics::Metrics;
use crate::plugin::loop_detection::LoopDetected;

/// What the process is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the Corefile is.
    pub corefile: Source,
    /// The port of server blocks that name none.
    pub port: u16,
    /// Whether what CoreDNS has removed is replaced.
    pub migrates: bool,
    /// Where the process id is written.
    pub pidfile: Option<PathBuf>,
    /// Say nothing at start.
    pub quiet: bool,
    /// How clusters are reached.
    pub access: Access,
    /// What is printed when the sockets are open; it is told the port.
    pub greeting: Option<fn(u16) -> String>,
}

impl Options {
    /// What the configuration is read with.
    pub(super) fn system(&self) -> System {
        System { port: self.port, migrates: self.migrates }
    }
}

/// A second signal ended the process before it was done.
const INTERRUPTED: u8 = 2;

/// Answers queries until a signal ends it.
pub fn run(options: &Options) -> ExitCode {
    let loaded = match options.corefile.load_with(options.system()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            errors.iter().for_each(complain);
            return ExitCode::FAILURE;
        }
    };
    log::start();
    log::follow(&loaded.config);
    open_files::raise_limit();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))
        .and_then(|runtime| {
            let outcome = runtime.block_on(live(options, loaded));
            runtime.shutdown_background();
            outcome
        });
    log::flush();
    match outcome {
        Ok(code) => code,
        Err(reason) => {
            complain(reason);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, if there is one.
fn complain(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

async fn live(options: &Options, loaded: Loaded) -> Result<ExitCode, String> {
    let mut signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
    let metrics = Arc::new(Metrics::new());
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), "", ""]).set(1);
    let (loops, mut looped) = mpsc::channel(1);
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let starting = start(options, loaded, &metrics, loops);
    let server = tokio::select! {
        server = starting => server?,
        wish = stop_wish(&mut signals) => return Ok(ended_early(wish)),
    };
    greet(options, &server);
    write_pid(options);
    let outcome = serve(options, server, &mut signals, &mut looped, &metrics).await;
    if let Some(file) = &options.pidfile {
        // It may be gone, or never have been there.
        let _ = std::fs::remove_file(file);
    }
    outcome
}

/// Assembles and opens everything, the admin pages first. Nothing waits for the cluster but the names in it.
async fn start(
    options: &Options,
    loaded: Loaded,
    metrics: &Arc<Metrics>,
    loops: mpsc::Sender<LoopDetected>,
) -> Result<Server, String> {
    let mut admin = Admin::start(metrics.clone()).map_err(|error| format!("cannot start the admin pages: {error}"))?;
    let generation =
        Generation::prepare(loaded, options.port, &Clusters::default(), &HashMap::new(), &options.access, metrics)
            .await
            .map_err(|error| chain(&error))?;
    let pages = admin.prepare(generation.pages()).map_err(|error| chain(&error))?;
    admin.show(pages);
    tokio::spawn(generation.wait());
    let server = Server::start(generation, admin, metrics.clone(), loops).map_err(|error| chain(&error))?;
    server.admin.enter(Phase::Serving);
    Ok(server)
}

/// A signal that ends the process; a reload has nothing to reload yet.
async fn stop_wish(signals: &mut Signals) -> Wish {
    loop {
        match signals.next().await {
            Wish::Reload => {}
            wish @ (Wish::Stop(_) | Wish::Quit) => return wish,
        }
    }
}

fn ended_early(wish: Wish) -> ExitCode {
    if let Wish::Stop(name) = wish {
        info!("{name}: Shutting down servers then terminating");
    }
    ExitCode::SUCCESS
}

fn greet(options: &Options, server: &Server) {
    if !options.quiet {
        server.zone_lines().iter().for_each(log::print);
    }
    if reload::interval(&server.generation.config).is_some() {
        info!(target: "plugin/reload", "Running configuration SHA512 = {}", server.generation.hash);
    }
    if !options.quiet {
        log::print(format_args!("Landfall-{}", env!("CARGO_PKG_VERSION")));
        log::print(format_args!("{}/{}", std::env::consts::OS, std::env::consts::ARCH));
    }
    if let (Some(greeting), Some(port)) = (options.greeting, server.port()) {
        log::print(greeting(port));
    }
}

/// A server that answers does not end for want of a pidfile.
fn write_pid(options: &Options) {
    let Some(file) = &options.pidfile else { return };
    if let Err(error) = std::fs::write(file, format!("{}\n", std::process::id())) {
        error!(file = %file.display(), %error, "cannot write the pidfile");
    }
}

/// Serves until a signal ends it, or a loop is found.
async fn serve(
    options: &Options,
    mut server: Server,
    signals: &mut Signals,
    looped: &mut mpsc::Receiver<LoopDetected>,
    metrics: &Arc<Metrics>,
) -> Result<ExitCode, String> {
    let mut refused = Refused::default();
    let mut next_look = next_look(&server);
    loop {
        let cause = tokio::select! {
            wish = signals.next() => match wish {
                Wish::Reload => Cause::Signal,
                Wish::Quit => return Ok(ExitCode::SUCCESS),
                Wish::Stop(name) => return Ok(stop(server, signals, name).await),
            },
            found = looped.recv() => {
                // The sender lives in the server: there is always one.
                let Some(found) = found else { continue };
                log::print(format_args!("[FATAL] plugin/loop: {found}"));
                return Ok(ExitCode::FAILURE);
            }
            () = until(next_look) => Cause::Look,
        };
        let hash = server.generation.hash.clone();
        if let Some(loaded) = reload::read(options, &hash, &mut refused, cause, metrics).await {
            let reloading = reload::apply(&mut server, options, loaded, &mut refused, metrics);
            let wish = tokio::select! {
                () = reloading => None,
                wish = stop_wish(signals) => Some(wish),
            };
            match wish {
                None => {}
                Some(Wish::Stop(name)) => return Ok(stop(server, signals, name).await),
                Some(Wish::Quit | Wish::Reload) => return Ok(ExitCode::SUCCESS),
            }
        }
        next_look = self::next_look(&server);
    }
}

fn next_look(server: &Server) -> Option<Instant> {
    reload::interval(&server.generation.config).map(|interval| Instant::now() + interval)
}

/// Never, if there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Says that no more queries should come, answers those that do for a while, and ends.
async fn stop(server: Server, signals: &mut Signals, name: &str) -> ExitCode {
    info!("{name}: Shutting down servers then terminating");
    server.admin.enter(Phase::ShuttingDown);
    let lameduck = server.generation.lameduck();
    let stopping = async {
        if lameduck > Duration::ZERO {
            info!(target: "plugin/health", "Going into lameduck mode for {}", duration_text(lameduck));
            tokio::time::sleep(lameduck).await;
        }
        server.stop().await;
    };
    tokio::select! {
        () = stopping => ExitCode::SUCCESS,
        _ = stop_wish(signals) => ExitCode::from(INTERRUPTED),
    }
}
