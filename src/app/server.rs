//! What stays while configurations come and go: sockets, admin pages, the count of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::generation::Generation;
use super::log;
use crate::admin::{Admin, AdminError};
use crate::config::Scheme;
use crate::config::directive::Timeouts;
use crate::dns::name_text;
use crate::listen::{Capacity, Endpoint, Limits, ListenAddress, ListenError, Listener, PortUse, Tuning};
use crate::metrics::Metrics;
use crate::plugin::loop_detection::LoopDetected;

/// How long queries that are under way may take when their socket is to close.
const DRAIN: Duration = Duration::from_secs(5);

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    pub generation: Generation,
    pub admin: Admin,
    listeners: BTreeMap<Endpoint, Listener>,
    /// Those that are served, and those that were: sockets of a listen address that is gone may still be closing.
    ports: BTreeSet<u16>,
    capacity: Arc<Capacity>,
    metrics: Arc<Metrics>,
    loops: mpsc::Sender<LoopDetected>,
}

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A DNS endpoint.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// An admin page.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

impl Server {
    /// Opens the sockets of a configuration, and answers. The admin pages are up before.
    pub fn start(
        generation: Generation,
        admin: Admin,
        metrics: Arc<Metrics>,
        loops: mpsc::Sender<LoopDetected>,
    ) -> Result<Self, ServeError> {
        let capacity = Arc::new(Capacity::new(Limits::default(), metrics.clone()));
        let listeners = bind(&generation, &BTreeMap::new(), &BTreeSet::new(), &capacity)?;
        let ports = BTreeSet::new();
        let mut server = Self { generation, admin, listeners, ports, capacity, metrics, loops };
        server.begin();
        Ok(server)
    }

    /// Puts another configuration in place of the one that runs. Either all of it is served, or nothing changes.
    pub fn replace(&mut self, next: Generation) -> Result<(), ServeError> {
        let pages = self.admin.prepare(next.pages())?;
        let mut changes = Vec::new();
        for (address, router) in &next.assembly.routers {
            if let Some(listener) = self.listeners.get(address) {
                changes.push((listener, listener.prepare(router.clone(), tuning(&next, address))?));
            }
        }
        let new = bind(&next, &self.listeners, &self.ports, &self.capacity)?;
        changes.into_iter().for_each(|(listener, change)| listener.replace(change));
        self.admin.show(pages);
        for (address, listener) in std::mem::replace(&mut self.listeners, new) {
            if next.assembly.routers.contains_key(&address) {
                self.listeners.insert(address, listener);
            } else {
                tokio::spawn(close(address, listener));
            }
        }
        let before = std::mem::replace(&mut self.generation, next);
        let kept = self.generation.clusters.clone();
        tokio::spawn(async move { before.end(Some(&kept)).await });
        self.begin();
        Ok(())
    }

    /// What has to happen once a configuration is served.
    fn begin(&mut self) {
        log::follow(&self.generation.config);
        self.ports.extend(self.listeners.keys().map(|endpoint| endpoint.address.port()));
        self.metrics.plugin_enabled.reset();
        for enabled in &self.generation.assembly.enabled {
            let labels = [&enabled.server, &enabled.zone, &enabled.view, enabled.directive];
            self.metrics.plugin_enabled.with_label_values(&labels).set(1);
        }
        self.generation.start_tasks();
        let listeners = &self.listeners;
        self.generation.start_loop_detection(|address| Some(listeners.get(address)?.local_address()), &self.loops);
    }

    /// One line for each zone and address: `.:53`, `example.org.:53 on 127.0.0.1`.
    pub fn zone_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (address, router) in &self.generation.assembly.routers {
            let Some(local) = self.listeners.get(address).map(Listener::local_address) else { continue };
            let mut zones: Vec<_> = router.zones().map(|zone| name_text(&zone.apex)).collect();
            zones.sort();
            zones.dedup();
            let scheme =
                if address.scheme == Scheme::Dns { String::new() } else { format!("{}://", address.scheme.as_str()) };
            lines.extend(zones.iter().map(|zone| match address.address {
                ListenAddress::All { .. } => format!("{scheme}{zone}:{}", local.port()),
                ListenAddress::One(_) => format!("{scheme}{zone}:{} on {}", local.port(), local.ip()),
            }));
        }
        lines
    }

    /// The port of the first listen address.
    pub fn port(&self) -> Option<u16> {
        self.listeners.values().next().map(|listener| listener.local_address().port())
    }

    /// Answers what came, and closes everything.
    pub async fn stop(self) {
        let closing: Vec<_> =
            self.listeners.into_iter().map(|(address, listener)| tokio::spawn(close(address, listener))).collect();
        for closed in closing {
            // A panic was logged where it happened.
            let _ = closed.await;
        }
        self.generation.end(None).await;
    }
}

async fn close(address: Endpoint, listener: Listener) {
    if !listener.stop(DRAIN).await {
        warn!(%address, "queries were still under way when the socket closed");
    }
}

/// What is said of an endpoint.
fn tuning<'a>(generation: &'a Generation, endpoint: &Endpoint) -> &'a Tuning {
    static NOTHING: Tuning = Tuning {
        timeouts: Timeouts { read: None, write: None, idle: None, maxtcpqueries: None },
        sockets: None,
        tls: None,
    };
    generation.assembly.tunings.get(endpoint).unwrap_or(&NOTHING)
}

/// The listeners of a configuration that do not run yet.
fn bind(
    generation: &Generation,
    running: &BTreeMap<Endpoint, Listener>,
    ours: &BTreeSet<u16>,
    capacity: &Arc<Capacity>,
) -> Result<BTreeMap<Endpoint, Listener>, ListenError> {
    let mut bound = BTreeMap::new();
    for (endpoint, router) in &generation.assembly.routers {
        if running.contains_key(endpoint) {
            continue;
        }
        let port = endpoint.address.port();
        let is_ours = ours.contains(&port) || bound.keys().any(|other: &Endpoint| other.address.port() == port);
        let port_use = if is_ours { PortUse::WithOurOwn } else { PortUse::Alone };
        bound.insert(
            *endpoint,
            Listener::bind(*endpoint, port_use, router.clone(), tuning(generation, endpoint), capacity)?,
        );
    }
    Ok(bound)
}
