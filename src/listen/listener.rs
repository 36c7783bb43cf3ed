//! An endpoint at work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::{BindError, Endpoint, ListenAddress, PortUse, Sockets, bind_quic};
use super::capacity::Capacity;
use super::encrypted::{Certificate, CertificateError, Version, https, quic};
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

/// Another configuration of a running endpoint, in which nothing can be wrong any more.
#[derive(Debug)]
pub struct Change {
    router: Arc<Router>,
    timeouts: Timeouts,
    /// None: the files are the same.
    certificate: Option<Version>,
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
        let responder = Responder::new(router, tuning.timeouts, endpoint.label(), Arc::clone(capacity));
        let mut listener = Self {
            local: SocketAddr::from(([0, 0, 0, 0], 0)),
            responder: Arc::new(responder),
            certificate: None,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        let Endpoint { scheme, address } = endpoint;
        let mut certify = |protocols| -> Result<Arc<Certificate>, CertificateError> {
            let files = tuning.tls.as_ref().ok_or(CertificateError::Missing { scheme: scheme.as_str() })?;
            let failures = &capacity.metrics.landfall_certificate_failures;
            let failures = failures.with_label_values(&[endpoint.label()]);
            let certificate = Arc::new(Certificate::read(files, protocols, failures)?);
            listener.certificate = Some(certificate.clone());
            Ok(certificate)
        };
        let spoken = match scheme {
            Scheme::Dns => Spoken::Plain,
            Scheme::Tls => Spoken::Tls(certify(&[b"dot"])?),
            Scheme::Https => Spoken::Https(certify(https::PROTOCOLS)?),
            Scheme::Quic => {
                let certificate = certify(quic::PROTOCOLS)?;
                listener.start_quic(address, port_use, certificate)?;
                return Ok(listener);
            }
        };
        listener.start(address, port_use, spoken, tuning.sockets)?;
        Ok(listener)
    }

    fn start(
        &mut self,
        address: ListenAddress,
        port_use: PortUse,
        spoken: Spoken,
        sockets: Option<usize>,
    ) -> Result<(), BindError> {
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

    fn start_quic(
        &mut self,
        address: ListenAddress,
        port_use: PortUse,
        certificate: Arc<Certificate>,
    ) -> Result<(), BindError> {
        let socket = bind_quic(address, port_use)?;
        let over = |source| BindError { address: self.local, transport: Transport::Udp, source };
        let local = socket.local_addr().map_err(over)?;
        let acceptor = quic::Acceptor { responder: Arc::clone(&self.responder), certificate, stop: self.stop.clone() };
        let endpoint = acceptor.endpoint(socket).map_err(over)?;
        self.local = local;
        self.tasks.spawn(acceptor.run(endpoint));
        self.watch_certificate();
        Ok(())
    }

    fn watch_certificate(&self) {
        let Some(certificate) = self.certificate.clone() else { return };
        self.tasks.spawn(certificate.watch(self.stop.clone()));
    }

    /// What it is bound to, with the port that the system chose if the address left it open.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Reads what another configuration of the same endpoint needs. Nothing changes yet.
    pub fn prepare(&self, router: Arc<Router>, tuning: &Tuning) -> Result<Change, ListenError> {
        let certificate = match (&self.certificate, &tuning.tls) {
            (Some(certificate), Some(files)) => certificate.prepare(files)?,
            (Some(_), None) | (None, _) => None,
        };
        Ok(Change { router, timeouts: tuning.timeouts, certificate })
    }

    /// From now on another configuration counts; the sockets stay open, and queries that wait end as they began.
    pub fn replace(&self, change: Change) {
        self.responder.replace(change.router, change.timeouts);
        match (&self.certificate, change.certificate) {
            (Some(certificate), Some(version)) => certificate.replace(version),
            (Some(certificate), None) => certificate.look(),
            (None, _) => {}
        }
    }

    /// Takes no more queries, answers those that came, and closes the sockets. Returns whether all of it was done
    /// within `patience`.
    pub async fn stop(self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(patience, self.tasks.wait()).await.is_ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
