//! An endpoint at work.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::{BindError, Endpoint, PortUse, Sockets, bind_quic};
use super::capacity::Capacity;
use super::encrypted::{Certificate, CertificateError, https, quic};
use super::respond::Responder;
use super::tcp::{self, Spoken};
use super::udp::UdpWorker;
use crate::config::Scheme;
use crate::config::directive::{Timeouts, Tls};
use crate::dns::Transport;
use crate::plugin::Router;

/// An endpoint that is served until [`Listener::stop`], or until this is dropped.
#[derive(Debug)]
pub struct Listener {
    local: SocketAddr,
    responder: Arc<Responder>,
    certificate: Option<Arc<Certificate>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What server blocks say of the endpoint that they share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tuning {
    /// How long connections are waited for.
    pub timeouts: Timeouts,
    /// How many UDP sockets there are; None: as many as the limits say.
    pub sockets: Option<usize>,
    /// The certificate, for all but plain DNS.
    pub tls: Option<Tls>,
}

/// Why an endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Its sockets.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Its certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Listener {
    /// Binds the sockets of an endpoint, and answers on them. Needs the runtime's context.
    pub fn bind(
        endpoint: Endpoint,
        port_use: PortUse,
        router: Arc<Router>,
        tuning: &Tuning,
        capacity: &Arc<Capacity>,
    ) -> Result<Self, ListenError> {
        let certificate = certificate(endpoint.scheme, tuning)?;
        let responder = Responder::new(router, tuning.timeouts, endpoint.label(), Arc::clone(capacity));
        let mut listener = Self {
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
            responder: Arc::new(responder),
            certificate,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        listener.start(endpoint, port_use, tuning.sockets)?;
        Ok(listener)
    }

    fn start(&mut self, endpoint: Endpoint, port_use: PortUse, sockets: Option<usize>) -> Result<(), BindError> {
        let Endpoint { scheme, address } = endpoint;
        let spoken = match (scheme, self.certificate.clone()) {
            (Scheme::Quic, Some(certificate)) => return self.start_quic(bind_quic(address, port_use)?, certificate),
            (Scheme::Tls, Some(certificate)) => Spoken::Tls(certificate),
            (Scheme::Https, Some(certificate)) => Spoken::Https(certificate),
            _ => Spoken::Plain,
        };
        let udp_sockets = match spoken {
            Spoken::Plain => sockets.unwrap_or(self.responder.capacity.limits.udp_threads).max(1),
            Spoken::Tls(_) | Spoken::Https(_) => 0,
        };
        let Sockets { tcp, udp, local } = Sockets::bind(address, port_use, udp_sockets)?;
        self.local = local;
        let over = |transport| move |source| BindError { address: local, transport, source };
        let tcp = tokio::net::TcpListener::from_std(tcp).map_err(over(Transport::Tcp))?;
        let Self { responder, tasks, stop, .. } = self;
        tasks.spawn(tcp::accept(tcp, spoken, Arc::clone(responder), tasks.clone(), stop.clone()));
        for socket in udp {
            let worker = UdpWorker {
                socket: Arc::new(socket),
                bound: local,
                responder: Arc::clone(responder),
                runtime: Handle::current(),
                tasks: tasks.clone(),
                stop: stop.clone(),
            };
            worker.start().map_err(over(Transport::Udp))?;
        }
        self.watch_certificate();
        Ok(())
    }

    fn start_quic(&mut self, socket: UdpSocket, certificate: Arc<Certificate>) -> Result<(), BindError> {
        let over = |source| BindError { address: self.local, transport: Transport::Udp, source };
        let acceptor = quic::Acceptor {
            responder: Arc::clone(&self.responder),
            certificate,
            tasks: self.tasks.clone(),
            stop: self.stop.clone(),
        };
        let local = socket.local_addr().map_err(over)?;
        let endpoint = acceptor.endpoint(socket).map_err(over)?;
        self.local = local;
        self.tasks.spawn(acceptor.run(endpoint));
        self.watch_certificate();
        Ok(())
    }

    fn watch_certificate(&self) {
        if let Some(certificate) = self.certificate.clone() {
            let stop = self.stop.clone();
            self.tasks.spawn(async move { certificate.watch(stop).await });
        }
    }

    /// What it is bound to, with the port that the system chose if the address left it open.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Whether another configuration of the same endpoint can be served without new sockets: the certificate is of the same
    /// files.
    pub fn fits(&self, tuning: &Tuning) -> bool {
        match (&self.certificate, &tuning.tls) {
            (Some(certificate), Some(files)) => certificate.is_of(files),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// From now on another router answers; the sockets stay open, and queries that wait end as they began.
    pub fn replace(&self, router: Arc<Router>, tuning: &Tuning) {
        self.responder.replace(router, tuning.timeouts);
    }

    /// Takes no more queries, answers those that came, and closes the sockets. Returns whether all of it was done
    /// within `patience`.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

/// The certificate of an encrypted endpoint. Assembly leaves those out that have none.
fn certificate(scheme: Scheme, tuning: &Tuning) -> Result<Option<Arc<Certificate>>, CertificateError> {
    let protocols: &[&[u8]] = match scheme {
        Scheme::Dns | Scheme::Grpc => return Ok(None),
        Scheme::Tls => &[b"dot"],
        Scheme::Https => https::PROTOCOLS,
        Scheme::Quic => quic::PROTOCOLS,
    };
    let certificate = tuning.tls.as_ref().map(|files| Certificate::read(files, protocols)).transpose()?;
    Ok(certificate.map(Arc::new))
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
