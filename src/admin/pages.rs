//! What the pages say.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tracing::info;

use super::connections::Tls;
use super::process;
use crate::metrics::Metrics;
use crate::task::Readiness;

/// A page of the Corefile.
#[derive(Clone, Debug)]
pub enum Page {
    /// `health`: /health.
    Health,
    /// `ready`: /ready.
    Ready(Arc<Ready>),
    /// `prometheus`: /metrics, plain or over TLS.
    Metrics(Option<Tls>),
    /// `pprof`: /debug/pprof/.
    Process,
}

/// What /ready asks.
#[derive(Debug)]
pub struct Ready {
    gates: Readiness,
    continuously: bool,
    was_ready: AtomicBool,
    /// What the log was told last.
    told: Mutex<String>,
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its sockets are not open yet.
    Starting,
    /// It answers queries.
    Serving,
    /// It still answers, but is to get no more.
    ShuttingDown,
}

impl Page {
    /// A page that asks these gates until all were open once, or `continuously`.
    pub fn ready(gates: Readiness, continuously: bool) -> Self {
        Self::Ready(Arc::new(Ready { gates, continuously, was_ready: AtomicBool::new(false), told: Mutex::default() }))
    }

    /// The directive.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Page::Health => "health",
            Page::Ready(_) => "ready",
            Page::Metrics(_) => "prometheus",
            Page::Process => "pprof",
        }
    }
}

/// The pages of one address.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub health: bool,
    pub ready: Option<Arc<Ready>>,
    pub metrics: bool,
    pub process: bool,
    /// All pages of an address are over TLS, or none.
    pub tls: Option<Tls>,
}

impl Pages {
    pub fn add(&mut self, page: Page) {
        match page {
            Page::Health => self.health = true,
            Page::Ready(ready) => self.ready = Some(ready),
            Page::Metrics(tls) => {
                self.metrics = true;
                self.tls = tls.or(self.tls.take());
            }
            Page::Process => self.process = true,
        }
    }
}

impl Ready {
    /// What is not ready, and why; empty: nothing.
    fn missing(&self) -> String {
        if !self.continuously && self.was_ready.load(Ordering::Relaxed) {
            return String::new();
        }
        let closed = self.gates.closed().join(",");
        if closed.is_empty() {
            self.was_ready.store(true, Ordering::Relaxed);
        }
        self.tell(&closed);
        closed
    }

    /// One log line for each change, not for each probe.
    fn tell(&self, missing: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == missing {
            return;
        }
        missing.clone_into(&mut told);
        match missing {
            "" => info!(target: "plugin/ready", "Plugins are ready"),
            missing => info!(target: "plugin/ready", "Plugins not ready: {missing:?}"),
        }
    }
}

/// What a request sees.
#[derive(Clone)]
pub(super) struct Shown {
    pub pages: Arc<ArcSwap<Pages>>,
    pub metrics: Arc<Metrics>,
    pub phase: tokio::sync::watch::Receiver<Phase>,
}

impl Shown {
    pub fn router(self) -> Router {
        let (health, ready, process, index) = (self.clone(), self.clone(), self.clone(), self.clone());
        Router::new()
            .route("/health", get(|| async move { health.health() }))
            .route("/ready", get(|| async move { ready.ready() }))
            .route("/debug/pprof", get(|| async { Redirect::to("/debug/pprof/") }))
            .route("/debug/pprof/", get(|| async move { index.process("") }))
            .route("/debug/pprof/{page}", get(|Path(page): Path<String>| async move { process.process(&page) }))
            .route("/metrics", get(|| async move { self.metrics() }))
    }

    fn health(&self) -> Response {
        match self.pages.load().health {
            true => "OK".into_response(),
            false => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn ready(&self) -> Response {
        let Some(ready) = self.pages.load().ready.clone() else { return StatusCode::NOT_FOUND.into_response() };
        let phase = *self.phase.borrow();
        let unavailable = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
        if phase == Phase::ShuttingDown {
            return unavailable("Shutting down".to_owned());
        }
        let missing = ready.missing();
        if !missing.is_empty() {
            return unavailable(missing);
        }
        match phase {
            Phase::Starting => unavailable("Starting".to_owned()),
            Phase::Serving | Phase::ShuttingDown => "OK".into_response(),
        }
    }

    fn process(&self, page: &str) -> Response {
        match page {
            _ if !self.pages.load().process => StatusCode::NOT_FOUND.into_response(),
            "" => process::INDEX.into_response(),
            "cmdline" => process::command_line().into_response(),
            "threads" => process::threads().into_response(),
            "memory" => process::memory().into_response(),
            _ => (StatusCode::NOT_IMPLEMENTED, process::NO_PROFILE).into_response(),
        }
    }

    fn metrics(&self) -> Response {
        match self.pages.load().metrics {
            true => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], self.metrics.render())
                .into_response(),
            false => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
