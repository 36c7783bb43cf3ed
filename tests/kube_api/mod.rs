//! A fake Kubernetes API server for tests: lists, watches, revisions, selectors, rights and failures of the real one,
//! on loopback, written to by the test that started it.
//!
//! `tests/it/kube_api.rs` keeps it honest with exchanges recorded from a real server. It never writes on its own: what
//! controllers would do, the test does.

mod credentials;
mod defaults;
mod discovery;
mod fault;
mod form;
mod list;
mod resource;
mod rights;
mod selector;
mod server;
mod silence;
mod status;
mod store;
mod watch;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch as channel;
use tokio::time::timeout;

pub use fault::Fault;
pub use rights::{DNS, TOKENS};
pub use store::Store;

use fault::Injected;
use list::Parameters;
use resource::Resource;
use rights::Rights;
use server::{Address, Running};
use status::Status;

/// A running server. It ends when it is dropped.
pub struct KubeApi {
    shared: Arc<Shared>,
    address: Address,
    running: Mutex<Option<Running>>,
    kubeconfig: PathBuf,
    // The runtime goes before the folder and after what it runs.
    runtime: Runtime,
    folder: TempDir,
}

/// What a test may choose, also while the server runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a second of this server is: timeouts, bookmarks, waiting for revisions of the future.
    pub second: Duration,
    /// How often bookmarks come.
    pub bookmark_seconds: u32,
    /// The feature WatchList: off in 1.33 and before 1.32.
    pub has_initial_events: bool,
    /// The CRD ServiceImport is installed.
    pub has_service_imports: bool,
    /// A version that this CRD does not serve.
    pub absent_version: Option<&'static str>,
    /// The store can say how far it is: etcd 3.4 cannot, and lists cannot be streamed.
    pub store_tells_progress: bool,
    /// The store does not answer; what the server has in its cache, it still serves.
    pub is_store_down: bool,
    /// The process is stopped: it says nothing on any connection.
    pub is_paused: bool,
    /// Watches of these resources say nothing for the time being.
    pub held: &'static [&'static str],
    /// Watches tell of each object that is there twice, the second time as new.
    pub repeats_events: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            bookmark_seconds: 60,
            has_initial_events: true,
            has_service_imports: false,
            absent_version: None,
            store_tells_progress: true,
            is_store_down: false,
            is_paused: false,
            held: &[],
            repeats_events: false,
        }
    }
}

/// What the connections of a server share.
struct Shared {
    state: Mutex<State>,
    /// Told of every write.
    changed: channel::Sender<()>,
}

#[derive(Default)]
struct State {
    store: Store,
    settings: Settings,
    rights: Rights,
    faults: Vec<Injected>,
    requests: Vec<Asked>,
    connections: usize,
    /// The first so many connections are dead, which their clients do not know.
    dead_connections: usize,
}

/// A request for objects, as it came.
struct Asked {
    verb: &'static str,
    plural: String,
    parameters: Parameters,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits for a revision of the future, as long as the real server does.
    async fn wait_for(&self, revision: u64) -> Result<(), Status> {
        let patience = self.lock().settings.second * 3;
        let mut changed = self.changed.subscribe();
        let reached = async {
            while self.lock().store.revision() < revision {
                let _ = changed.changed().await;
            }
        };
        let current = |_| Status::too_large_revision(revision, self.lock().store.revision());
        timeout(patience, reached).await.map_err(current)
    }

    /// Waits until the settings and the connections are so.
    async fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        while !is_so(&self.lock()) {
            let _ = changed.changed().await;
        }
    }

    /// Waits for the store, as long as the real server does; false: it is still away.
    async fn store_is_there(&self) -> bool {
        let patience = self.lock().settings.second * 60;
        timeout(patience, self.wait_until(|state| !state.settings.is_store_down)).await.is_ok()
    }
}

impl KubeApi {
    /// Starts a server that takes tokens over plain HTTP.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// Starts a server with TLS that takes client certificates.
    pub fn start_with_tls() -> Self {
        Self::start_with(true)
    }

    fn start_with(has_tls: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (mut address, at) = Address::reserve(&runtime);
        let kubeconfig = if has_tls {
            let (kubeconfig, tls) = credentials::write_certificate_kubeconfig(folder.path(), at);
            address.use_tls(tls);
            kubeconfig
        } else {
            credentials::write_token_kubeconfig(folder.path(), at)
        };
        let (changed, _) = channel::channel(());
        let shared = Arc::new(Shared { state: Mutex::default(), changed });
        let api = Self { shared, address, running: Mutex::new(None), kubeconfig, runtime, folder };
        api.resume();
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            api.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        }
        api
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.socket_address()
    }

    /// A kubeconfig whose context `fake` is this server, for a user with the rights of a DNS server. Its current
    /// context leads nowhere.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// Changes the settings.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.lock().settings);
        self.shared.changed.send_replace(());
    }
}

/// Writing.
impl KubeApi {
    fn write<T>(&self, write: impl FnOnce(&mut Store) -> T) -> T {
        let result = write(&mut self.shared.lock().store);
        self.shared.changed.send_replace(());
        result
    }

    /// Creates an object, or replaces it; returns it as the server completed it.
    pub fn create(&self, mut object: Value) -> Value {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let resource = Resource::of_kind(&kind).unwrap_or_else(|| panic!("no kind {kind:?}"));
        if resource.is_namespaced && object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = json!("default");
        }
        self.put(resource, object)
    }

    /// Creates all objects of a YAML text.
    pub fn create_all(&self, manifests: &str) {
        for object in serde_saphyr::from_multiple::<Value>(manifests).unwrap() {
            self.create(object);
        }
    }

    /// Applies a merge patch.
    pub fn patch(&self, plural: &str, namespace: &str, name: &str, patch: &Value) -> Value {
        let resource = Resource::of_plural(plural);
        let before = self.shared.lock().store.objects().get(&key(resource, namespace, name)).cloned();
        let mut object = (*before.unwrap_or_else(|| panic!("no {plural} {namespace}/{name}"))).clone();
        defaults::merge(&mut object, patch);
        self.put(resource, object)
    }

    fn put(&self, resource: &'static Resource, mut object: Value) -> Value {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let key = key(resource, namespace, object["metadata"]["name"].as_str().unwrap());
        self.write(|store| {
            let before = store.objects().get(&key).cloned();
            defaults::fill_in(resource, &mut object, before.as_deref(), store.revision() + 1);
            store.write(key.clone(), Some(object));
            resource.with_type(resource.versions[0], &store.objects()[&key])
        })
    }

    /// Deletes an object. A Namespace is Terminating first and stays until it is deleted again: see
    /// [`Self::delete_namespace`].
    pub fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let key = key(Resource::of_plural(plural), namespace, name);
        self.write(|store| store.write(key, None));
    }

    /// Deletes a Namespace as the namespace controller does: it terminates, what is in it goes, it goes.
    pub fn delete_namespace(&self, name: &str) {
        let terminating =
            json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}, "status": {"phase": "Terminating"}});
        self.patch("namespaces", "", name, &terminating);
        let inside: Vec<_> = {
            let state = self.shared.lock();
            state.store.objects().keys().filter(|key| key.1.starts_with(&format!("{name}/"))).cloned().collect()
        };
        for key in inside {
            self.write(|store| store.write(key, None));
        }
        self.delete("namespaces", "", name);
    }

    /// Writes an object as a real server had it, with its revision, or deletes it.
    pub fn replay(&self, plural: &str, namespace: &str, name: &str, revision: u64, object: Option<Value>) {
        let key = key(Resource::of_plural(plural), namespace, name);
        self.write(|store| {
            store.advance_to(revision - 1);
            store.write(key, object);
        });
    }

    /// Others use up revisions until this one.
    pub fn advance_to(&self, revision: u64) {
        self.write(|store| store.advance_to(revision));
    }

    /// Forgets the past: revisions before this moment are expired.
    pub fn compact(&self) {
        self.write(Store::compact);
    }

    /// A copy of everything stored.
    pub fn backup(&self) -> Store {
        self.shared.lock().store.clone()
    }

    /// Puts a copy back, as restoring a backup of etcd does: revisions go back, and connections end.
    pub fn restore(&self, backup: Store) {
        self.stop();
        self.restore_unnoticed(backup);
        self.resume();
    }

    /// The same behind a proxy that keeps connections open.
    pub fn restore_unnoticed(&self, backup: Store) {
        self.write(|store| *store = backup);
    }

    /// Everything that is stored, as manifests.
    pub fn manifests(&self) -> Vec<Value> {
        let state = self.shared.lock();
        let typed = |(key, object): (&store::Key, &store::Object)| {
            let resource = Resource::of_plural(key.0);
            resource.with_type(resource.versions[0], object)
        };
        state.store.objects().iter().map(typed).collect()
    }

    /// Whether watches tell of what is written from now on.
    pub fn skip_events(&self, skips: bool) {
        self.write(|store| store.skips_changes = skips);
    }
}

fn key(resource: &Resource, namespace: &str, name: &str) -> store::Key {
    let path = if resource.is_namespaced { format!("{namespace}/{name}") } else { name.to_owned() };
    (resource.plural, path)
}

/// Failing, and what was asked.
impl KubeApi {
    /// Lets a user list and watch `services`, `endpointslices.discovery.k8s.io` and so on.
    pub fn grant(&self, user: &str, resource: &str) {
        self.shared.lock().rights.grant(user, resource);
    }

    /// Takes that away. Watches that run go on.
    pub fn revoke(&self, user: &str, resource: &str) {
        self.shared.lock().rights.revoke(user, resource);
    }

    /// The token in the file of the kubeconfig is another one from now on, and nobody knows the old one.
    pub fn renew_token(&self) {
        self.shared.lock().rights.expire(TOKENS[1].0);
        credentials::write_token(self.folder.path(), TOKENS[2].0);
    }

    /// Nothing is said any more on the connections that are open, and nothing ends them.
    pub fn kill_connections_unnoticed(&self) {
        let mut state = self.shared.lock();
        state.dead_connections = state.connections;
    }

    /// Spoils the next answers to requests of a verb for a resource. The verbs are `list`, `continue` (a later page), `peek`
    /// (a list of one object), `watch`, `get`.
    pub fn inject(&self, verb: &'static str, plural: &'static str, fault: Fault, times: usize) {
        self.shared.lock().faults.push(Injected { verb, plural, fault, times });
    }

    /// Ends all connections and refuses new ones; what is stored stays.
    pub fn stop(&self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            self.runtime.block_on(running.stop());
        }
    }

    /// Takes connections again.
    pub fn resume(&self) {
        let running = self.address.listen(&self.runtime, &self.shared);
        *self.running.lock().unwrap() = Some(running);
    }

    /// How many requests of a verb for a resource came.
    pub fn requests(&self, verb: &str, plural: &str) -> usize {
        self.shared.lock().requests.iter().filter(|asked| asked.verb == verb && asked.plural == plural).count()
    }

    /// The values that a parameter had in the requests for a resource, each once; empty stands for its absence.
    pub fn parameters(&self, plural: &str, name: &str) -> BTreeSet<String> {
        let requests = &self.shared.lock().requests;
        let asked = requests.iter().filter(|asked| asked.plural == plural);
        asked.map(|asked| asked.parameters.get(name).cloned().unwrap_or_default()).collect()
    }

    /// How many lists of a resource were begun: in pages, or streamed by a watch.
    pub fn lists(&self, plural: &str) -> usize {
        let requests = &self.shared.lock().requests;
        let is_list = |asked: &&Asked| {
            let is_streamed = asked.parameters.contains_key("sendInitialEvents");
            asked.plural == plural && (asked.verb == "list" || asked.verb == "watch" && is_streamed)
        };
        requests.iter().filter(is_list).count()
    }
}
