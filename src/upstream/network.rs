//! The network behind [`Exchange`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_rustls::TlsConnector;

use super::reply::Question;
use super::stream::{Connections, IDLE_MAX, Keeping, Tls};
use super::tls::{TlsError, connector, server_name};
use super::udp::Sockets;
use super::{Attempt, Channel, Exchange, Exchanging, UpstreamError};
use crate::config::directive::{Forward, UpstreamTransport};
use crate::metrics::Metrics;

/// Sockets and connections to the servers of one `forward`. Other servers can be asked, too; nothing of that is kept.
#[derive(Debug)]
pub struct Network {
    sockets: HashMap<SocketAddr, Sockets>,
    connections: HashMap<SocketAddr, Connections>,
    /// By the name that `tls://` servers must have, too: those of another name are other servers.
    tls_connections: HashMap<(SocketAddr, Option<String>), Connections>,
    keeping: Keeping,
    metrics: Arc<Metrics>,
}

impl Network {
    /// The network as a `forward` wants it: its TLS settings and how long it keeps connections.
    pub fn new(config: &Forward, metrics: &Arc<Metrics>) -> Result<Self, TlsError> {
        let mut network = Self {
            sockets: HashMap::new(),
            connections: HashMap::new(),
            tls_connections: HashMap::new(),
            keeping: Keeping {
                expire: config.expire,
                max_age: Some(config.max_age).filter(|age| !age.is_zero()),
                idle_max: match config.max_idle_conns {
                    0 => IDLE_MAX,
                    idle => idle.min(IDLE_MAX),
                },
            },
            metrics: metrics.clone(),
        };
        let is_tls = |transport| transport == UpstreamTransport::Tls;
        // Files that are named are read, used or not: as in CoreDNS, one that is missing is a mistake.
        let names_files = config.tls.identity.is_some() || config.tls.authority.is_some();
        let connector = match names_files || config.servers.iter().any(|upstream| is_tls(upstream.transport)) {
            true => Some(connector(&config.tls)?),
            false => None,
        };
        for upstream in &config.servers {
            match &connector {
                Some(connector) if is_tls(upstream.transport) => {
                    let name = upstream.server_name.as_ref().or(config.tls.server_name.as_ref());
                    network.add_tls(upstream.address, name.cloned(), connector)?;
                }
                _ => network.add_plain(upstream.address),
            }
        }
        Ok(network)
    }

    fn add_plain(&mut self, server: SocketAddr) {
        self.sockets.insert(server, Sockets::new(server, &self.metrics));
        self.connections.insert(server, Connections::new(server, None, self.keeping, &self.metrics));
    }

    fn add_tls(&mut self, server: SocketAddr, name: Option<String>, connector: &TlsConnector) -> Result<(), TlsError> {
        let tls = Tls { connector: connector.clone(), name: server_name(name.as_deref(), server.ip())? };
        let connections = Connections::new(server, Some(tls), self.keeping, &self.metrics);
        self.tls_connections.insert((server, name), connections);
        Ok(())
    }

    async fn ask(&self, attempt: Attempt) -> io::Result<Vec<u8>> {
        let question = Question::new(attempt.message)?;
        let server = attempt.server;
        match attempt.channel {
            Channel::Udp => match self.sockets.get(&server) {
                Some(sockets) => sockets.ask(&question).await,
                None => Sockets::new(server, &self.metrics).ask(&question).await,
            },
            Channel::Tcp => match self.connections.get(&server) {
                Some(connections) => connections.ask(&question).await,
                None => Connections::new(server, None, self.keeping, &self.metrics).ask(&question).await,
            },
            Channel::Tls => match self.tls_connections.get(&(server, attempt.tls_server_name)) {
                Some(connections) => connections.ask(&question).await,
                None => Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is not set up for this server")),
            },
        }
    }
}

impl Exchange for Network {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        let Attempt { server, timeout, .. } = attempt;
        Box::pin(async move {
            match tokio::time::timeout(timeout, self.ask(attempt)).await {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(source)) => Err(UpstreamError::Connect { server, source }),
                Err(_) => Err(UpstreamError::Timeout { server, timeout }),
            }
        })
    }
}
