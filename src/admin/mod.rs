//! /health, /ready, /metrics and /debug/pprof/, on a runtime of their own so that they answer under full load.
//!
//! [`Admin`] owns the thread and the sockets; a reload hands it the new [`Page`]s. Pages of one address share a server.
//! What is ready is decided by [`crate::task::Readiness`]; nothing here knows DNS.

mod connections;
mod pages;
mod probe;
mod process;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::connections::Tls;
use self::pages::Pages;
pub use self::pages::{Page, Phase};
use crate::metrics::Metrics;

/// The admin pages of the process.
#[derive(Debug)]
pub struct Admin {
    runtime: Handle,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    phase: tokio::sync::watch::Sender<Phase>,
    servers: BTreeMap<String, Server>,
    /// Those that are served, and those that were: sockets of an address that is gone may still be closing.
    ports: BTreeSet<u16>,
}

/// An address at work; it ends when this is dropped.
#[derive(Debug)]
struct Server {
    pages: Arc<ArcSwap<Pages>>,
    local: SocketAddr,
    stop: CancellationToken,
}

/// Sockets that are bound already for pages that are not shown yet.
#[derive(Debug)]
pub struct Prepared {
    pages: BTreeMap<String, Pages>,
    sockets: BTreeMap<String, std::net::TcpListener>,
}

/// Why the pages cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be listened on.
    #[error("plugin/{page}: cannot listen on {address}: {source}")]
    Listen {
        /// The directive.
        page: &'static str,
        /// The address as the Corefile has it.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Admin {
    /// Starts the thread; nothing listens yet.
    pub fn start(metrics: Arc<Metrics>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        std::thread::Builder::new().name("admin".to_owned()).spawn({
            let stop = stop.clone();
            move || run(&runtime, &stop)
        })?;
        let phase = tokio::sync::watch::Sender::new(Phase::Starting);
        Ok(Self { runtime: handle, stop, metrics, phase, servers: BTreeMap::new(), ports: BTreeSet::new() })
    }

    /// Says what the server is doing; `/ready` follows at once.
    pub fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Binds the addresses that are new among those of `wanted`. What is shown stays as it is.
    pub fn prepare(&self, wanted: Vec<(String, Page)>) -> Result<Prepared, AdminError> {
        let mut prepared = Prepared { pages: BTreeMap::new(), sockets: BTreeMap::new() };
        for (address, page) in wanted {
            let is_new = !self.servers.contains_key(&address) && !prepared.sockets.contains_key(&address);
            if is_new {
                let error = |source| AdminError::Listen { page: page.name(), address: address.clone(), source };
                let socket =
                    bind(&address, |port| self.ports.contains(&port) || prepared.has_port(port)).map_err(error)?;
                prepared.sockets.insert(address.clone(), socket);
            }
            prepared.pages.entry(address).or_default().add(page);
        }
        Ok(prepared)
    }

    /// Shows the new pages, and closes the addresses that have none any more.
    pub fn show(&mut self, prepared: Prepared) {
        let Prepared { pages, mut sockets } = prepared;
        let wanted: BTreeSet<String> = pages.keys().cloned().collect();
        self.servers.retain(|address, _| wanted.contains(address));
        for (address, pages) in pages {
            if let Some(server) = self.servers.get(&address) {
                server.pages.store(Arc::new(pages));
            } else if let Some(socket) = sockets.remove(&address) {
                match self.serve(socket, pages) {
                    Ok(server) => {
                        self.ports.insert(server.local.port());
                        self.servers.insert(address, server);
                    }
                    Err(error) => warn!(address, %error, "cannot serve the admin pages"),
                }
            }
        }
    }

    /// Where the pages of an address are.
    pub fn local_address(&self, address: &str) -> Option<SocketAddr> {
        self.servers.get(address).map(|server| server.local)
    }

    fn serve(&self, socket: std::net::TcpListener, pages: Pages) -> io::Result<Server> {
        let _context = self.runtime.enter();
        let local = socket.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(socket)?;
        let (pages, stop) = (Arc::new(ArcSwap::from_pointee(pages)), self.stop.child_token());
        let shown = pages::Shown { pages: pages.clone(), metrics: self.metrics.clone(), phase: self.phase.subscribe() };
        self.runtime.spawn(connections::serve(listener, pages.clone(), shown.router(), stop.clone()));
        self.runtime.spawn(probe::run(local, pages.clone(), self.metrics.clone(), stop.clone()));
        info!(%local, "the admin pages are up");
        Ok(Server { pages, local, stop })
    }
}

impl Prepared {
    fn has_port(&self, port: u16) -> bool {
        self.sockets.values().any(|socket| socket.local_addr().is_ok_and(|local| local.port() == port))
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn run(runtime: &Runtime, stop: &CancellationToken) {
    runtime.block_on(stop.cancelled());
}

/// Binds HOST:PORT as Go takes it: an empty host means all addresses. `is_ours` tells ports that this server has
/// already: another address with one of them is no mistake.
fn bind(address: &str, is_ours: impl Fn(u16) -> bool) -> io::Result<std::net::TcpListener> {
    let places: Vec<SocketAddr> = match address.strip_prefix(':').map(str::parse::<u16>) {
        // A machine without IPv6 has only the other one.
        Some(Ok(port)) => vec![(Ipv6Addr::UNSPECIFIED, port).into(), (Ipv4Addr::UNSPECIFIED, port).into()],
        _ => {
            let mut places: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
            // `localhost` is 127.0.0.1 first, as for CoreDNS.
            places.sort_by_key(SocketAddr::is_ipv6);
            places
        }
    };
    let mut refused = io::ErrorKind::AddrNotAvailable.into();
    for place in places {
        match listen(place, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_ours(place.port()) => {
                return listen(place, true);
            }
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => refused = error,
            bound => return bound,
        }
    }
    Err(refused)
}

fn listen(address: SocketAddr, reuses_port: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuses_port)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    // Only now: this socket has found the port free, and others of ours may still come to it.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::task::{Gate, Readiness};

    const ANY: &str = "127.0.0.1:0";

    fn admin(pages: Vec<(&str, Page)>) -> Admin {
        let mut admin = Admin::start(Arc::new(Metrics::new())).expect("a thread");
        show(&mut admin, pages);
        admin
    }

    fn show(admin: &mut Admin, pages: Vec<(&str, Page)>) {
        let pages = pages.into_iter().map(|(address, page)| (address.to_owned(), page)).collect();
        let prepared = admin.prepare(pages).expect("free addresses");
        admin.show(prepared);
    }

    fn fetch(admin: &Admin, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(admin.local_address(ANY).expect("an address")).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("a reply");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
    }

    fn ready(gates: &[(&'static str, &tokio::sync::watch::Sender<bool>)], continuously: bool) -> Page {
        let readiness = Readiness::default();
        gates.iter().for_each(|(name, open)| readiness.add(Gate::new(name, open.subscribe())));
        Page::ready(readiness, continuously)
    }

    #[test]
    fn health_is_always_ok_and_other_paths_are_not_found() {
        let admin = admin(vec![(ANY, Page::Health)]);
        for phase in [Phase::Starting, Phase::Serving, Phase::ShuttingDown] {
            admin.enter(phase);
            assert_eq!(fetch(&admin, "/health"), (200, "OK".to_owned()));
        }
        assert_eq!(fetch(&admin, "/ready").0, 404);
        assert_eq!(fetch(&admin, "/").0, 404);
    }

    #[test]
    fn ready_names_the_gates_that_are_closed() {
        let open = tokio::sync::watch::Sender::new(false);
        let admin = admin(vec![(ANY, ready(&[("kubernetes", &open), ("file", &open)], false))]);
        assert_eq!(fetch(&admin, "/ready"), (503, "file,kubernetes".to_owned()));
        open.send_replace(true);
        assert_eq!(fetch(&admin, "/ready"), (503, "Starting".to_owned()), "no socket is open yet");
        admin.enter(Phase::Serving);
        assert_eq!(fetch(&admin, "/ready"), (200, "OK".to_owned()));
        admin.enter(Phase::ShuttingDown);
        assert_eq!(fetch(&admin, "/ready"), (503, "Shutting down".to_owned()));
    }

    #[test]
    fn what_was_ready_once_is_asked_again_only_if_told_so() {
        for (continuously, status) in [(false, 200), (true, 503)] {
            let open = tokio::sync::watch::Sender::new(true);
            let admin = admin(vec![(ANY, ready(&[("kubernetes", &open)], continuously))]);
            admin.enter(Phase::Serving);
            assert_eq!(fetch(&admin, "/ready").0, 200);
            open.send_replace(false);
            assert_eq!(fetch(&admin, "/ready").0, status, "continuously: {continuously}");
        }
    }

    #[test]
    fn pprof_shows_the_process_and_says_what_it_cannot_show() {
        let admin = admin(vec![(ANY, Page::Process)]);
        let index = fetch(&admin, "/debug/pprof/").1;
        assert_eq!(fetch(&admin, "/debug/pprof").0, 303);
        for path in index.lines().filter_map(|line| line.split(' ').next()) {
            assert_eq!(fetch(&admin, path).0, 200, "{path}");
        }
        let (status, text) = fetch(&admin, "/debug/pprof/profile?seconds=5");
        assert!(status == 501 && text.contains("perf record"), "{text}");
        assert_eq!(fetch(&admin, "/metrics").0, 404);
    }

    #[test]
    fn pages_of_one_address_share_a_server_and_are_replaced_without_closing_it() {
        let mut admin = admin(vec![(ANY, Page::Health), (ANY, Page::Metrics(None))]);
        let before = admin.local_address(ANY);
        assert!(fetch(&admin, "/metrics").1.contains("# TYPE coredns_panics_total counter"));
        show(&mut admin, vec![(ANY, Page::Metrics(None))]);
        assert_eq!(admin.local_address(ANY), before);
        assert_eq!(fetch(&admin, "/health").0, 404);
        assert_eq!(fetch(&admin, "/debug/pprof/cmdline").0, 404);
        show(&mut admin, Vec::new());
        assert_eq!(admin.local_address(ANY), None);
    }

    #[test]
    fn an_address_may_become_all_addresses_and_one_again() {
        let mut admin = admin(vec![(ANY, Page::Health)]);
        let port = admin.local_address(ANY).expect("an address").port();
        let hosts = ["", "127.0.0.1", "localhost", "127.0.0.1", ""];
        for address in hosts.map(|host| format!("{host}:{port}")) {
            show(&mut admin, vec![(&address, Page::Health)]);
            // Those who have connected before it went are answered.
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            show(&mut admin, Vec::new());
            write!(stream, "GET /health HTTP/1.0\r\n\r\n").expect("a request");
            let mut reply = String::new();
            stream.read_to_string(&mut reply).expect("a reply");
            assert!(reply.starts_with("HTTP/1.0 200"), "{address}: {reply}");
        }
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_and_changes_nothing() {
        let admin = admin(vec![(ANY, Page::Health)]);
        let other = std::net::TcpListener::bind(ANY).expect("a socket");
        let taken = other.local_addr().expect("an address").to_string();
        let error = admin.prepare(vec![(taken.clone(), Page::Metrics(None))]).expect_err("an error").to_string();
        assert!(error.starts_with(&format!("plugin/prometheus: cannot listen on {taken}: ")), "{error}");
        assert_eq!(fetch(&admin, "/health").0, 200);
    }
}
