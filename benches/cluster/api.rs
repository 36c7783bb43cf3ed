//! An API server of a cluster of any size: objects are made when they are asked for, and only what was changed is held.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

use crate::objects::Size;

/// The resources that are asked for.
pub const RESOURCES: [&str; 4] = ["namespaces", "services", "endpointslices", "pods"];
/// How many events may wait for a watch.
const EVENTS: usize = 100_000;
/// Objects of one piece of a streamed list.
const PIECE: usize = 100;

/// A running server.
pub struct Api {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

struct Shared {
    size: Size,
    /// Whether lists are streamed.
    streams: bool,
    state: Mutex<Held>,
    /// Lines of watches, with their resource; an empty line ends the watch.
    events: broadcast::Sender<(&'static str, Bytes)>,
}

#[derive(Default)]
struct Held {
    /// When the first list was asked for.
    began: Option<Instant>,
    revision: u64,
    /// Addresses of Services that are not the first ones.
    addresses: HashMap<usize, Ipv4Addr>,
    /// How many watches of each resource were begun.
    watches: HashMap<&'static str, usize>,
}

impl Api {
    /// Starts a server.
    pub fn start(size: Size, streams: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Arc::new(Shared { size, streams, state: Mutex::default(), events });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        // As Kubernetes does: an event waits for no other.
        let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
        let router = Router::new().fallback(answer).with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, shared, _runtime: runtime }
    }

    /// When the first list was asked for.
    pub fn began(&self) -> Option<Instant> {
        self.shared.lock().began
    }

    /// Gives a Service another address.
    pub fn change(&self, service: usize, address: Ipv4Addr) {
        let mut state = self.shared.lock();
        state.revision += 1;
        state.addresses.insert(service, address);
        let object = self.shared.size.service(service, address, state.revision);
        let line = format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}\n");
        let _ = self.shared.events.send(("services", line.into()));
    }

    /// Makes every watch end with 410, so that all is listed again.
    pub fn expire(&self) {
        let line = "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n";
        for resource in RESOURCES {
            let _ = self.shared.events.send((resource, line.into()));
            let _ = self.shared.events.send((resource, Bytes::new()));
        }
    }

    /// How many watches of a resource were begun.
    pub fn watches(&self, resource: &str) -> usize {
        self.shared.lock().watches.get(resource).copied().unwrap_or_default()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap()
    }

    /// The objects of a part of a resource, as JSON.
    fn objects(&self, resource: &str, from: usize, count: usize) -> Vec<String> {
        let indexes = from..self.size.count(resource).min(from + count);
        let address = |index| self.lock().addresses.get(&index).copied();
        let object = |index| match resource {
            "namespaces" => self.size.namespace(index),
            "services" => self.size.service(index, address(index).unwrap_or(self.size.first_address(index)), 1),
            "endpointslices" => self.size.slice(index),
            _ => self.size.pod(index),
        };
        indexes.map(object).collect()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Query(parameters): Query<HashMap<String, String>>,
) -> Response {
    if uri.path() == "/version" {
        let minor = if shared.streams { 36 } else { 33 };
        return format!("{{\"major\":\"1\",\"minor\":\"{minor}\"}}").into_response();
    }
    let Some(resource) = RESOURCES.into_iter().find(|resource| uri.path().ends_with(resource)) else {
        return axum::http::StatusCode::NOT_FOUND.into_response();
    };
    shared.lock().began.get_or_insert_with(Instant::now);
    let number = |name: &str| parameters.get(name).and_then(|value| value.parse::<usize>().ok());
    match parameters.get("watch") {
        Some(_) => watch(shared, resource, parameters.contains_key("sendInitialEvents")),
        None => page(&shared, resource, number("continue").unwrap_or(0), number("limit").unwrap_or(usize::MAX)),
    }
}

fn page(shared: &Shared, resource: &str, from: usize, limit: usize) -> Response {
    let items = shared.objects(resource, from, limit.min(shared.size.count(resource)));
    let next = from + items.len();
    let next = if next < shared.size.count(resource) { format!(",\"continue\":\"{next}\"") } else { String::new() };
    let revision = shared.lock().revision + 1000;
    let metadata = format!("{{\"resourceVersion\":\"{revision}\"{next}}}");
    format!("{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{metadata},\"items\":[{}]}}", items.join(","))
        .into_response()
}

fn watch(shared: Arc<Shared>, resource: &'static str, has_initial_events: bool) -> Response {
    let events = shared.events.subscribe();
    *shared.lock().watches.entry(resource).or_default() += 1;
    let live = stream::unfold(events, move |mut events| async move {
        loop {
            match events.recv().await {
                Ok((of, _)) if of != resource => {}
                Ok((_, line)) if !line.is_empty() => return Some((line, events)),
                Ok(_) | Err(_) => return None,
            }
        }
    });
    let initial = match has_initial_events {
        true => initial_events(shared, resource).left_stream(),
        false => stream::empty().right_stream(),
    };
    Body::from_stream(initial.chain(live).map(Ok::<_, Infallible>)).into_response()
}

/// A streamed list.
fn initial_events(shared: Arc<Shared>, resource: &'static str) -> impl futures_util::Stream<Item = Bytes> {
    let revision = shared.lock().revision + 1000;
    let end = format!(
        "{{\"type\":\"BOOKMARK\",\"object\":{{\"metadata\":{{\"resourceVersion\":\"{revision}\",\"annotations\":{{\"k8s.io/initial-events-end\":\"true\"}}}}}}}}\n"
    );
    let pieces = (0..shared.size.count(resource)).step_by(PIECE).map(move |from| {
        let objects = shared.objects(resource, from, PIECE);
        let lines = objects.iter().map(|object| format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n"));
        Bytes::from(lines.collect::<String>())
    });
    stream::iter(pieces).chain(stream::iter([Bytes::from(end)]))
}
