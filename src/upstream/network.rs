//! The network behind [`Exchange`].

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use tracing::error;

use super::https::Https;
use super::quic::Quic;
use super::reply::Question;
use super::shared::Shared;
use super::stream::{CONNECTIONS_MAX, Connections, Keeping, Spent, Tls};
use super::tls::{Connectors, TlsError, connectors, server_name};
use super::udp::Sockets;
use super::{Attempt, Channel, Exchange, Exchanging, Upstream, UpstreamError};
use crate::config::directive::{DohMethod, Forward, UpstreamTransport};
use crate::metrics::Metrics;

/// Sockets and connections to the servers of one `forward`. Other servers can be asked, too; nothing of that is kept.
#[derive(Debug)]
pub struct Network {
    /// They are few: to look at each is less work than to hash.
    peers: ArcSwap<Vec<(Upstream, Arc<Peer>)>>,
    settings: Settings,
}

/// How servers are reached.
struct Settings {
    keeping: Keeping,
    /// None: the directive names no server that needs TLS.
    tls: Option<Connectors>,
    doh_method: DohMethod,
    metrics: Arc<Metrics>,
}

/// Sockets and connections to one server.
#[derive(Debug)]
enum Peer {
    Plain { sockets: Sockets, connections: Connections },
    Tls(Connections),
    Https(Shared<Https>),
    Quic(Shared<Quic>),
}

impl Network {
    /// The network as a `forward` wants it: its TLS settings and how it keeps connections.
    pub fn new(config: &Forward, metrics: &Arc<Metrics>) -> Result<Self, TlsError> {
        // Files that are named are read, used or not: as in CoreDNS, one that is missing is a mistake.
        let names_files = config.tls.identity.is_some() || config.tls.authority.is_some();
        let is_encrypted = config.to.iter().any(|to| to.transport() != UpstreamTransport::Plain);
        let settings = Settings {
            keeping: Keeping {
                source: config.source_address,
                expire: config.expire,
                max_age: Some(config.max_age).filter(|age| !age.is_zero()),
                idle_max: match config.max_idle_conns {
                    0 => CONNECTIONS_MAX,
                    idle => idle.min(CONNECTIONS_MAX),
                },
            },
            tls: (names_files || is_encrypted).then(|| connectors(&config.tls)).transpose()?,
            doh_method: config.doh_method,
            metrics: metrics.clone(),
        };
        Ok(Self { peers: ArcSwap::default(), settings })
    }

    async fn ask(&self, attempt: Attempt) -> io::Result<Vec<u8>> {
        let question = Question::new(attempt.message)?;
        let kept = find(&self.peers.load(), &attempt.upstream);
        let peer = match kept {
            Some(peer) => peer,
            None => Arc::new(self.settings.peer(&attempt.upstream)?),
        };
        match (&*peer, attempt.channel) {
            (Peer::Plain { sockets, connections }, Channel::Udp) => {
                sockets.ask(question, connections, &attempt.budget).await
            }
            (Peer::Plain { connections, .. }, _) | (Peer::Tls(connections), _) => {
                connections.ask(question, &attempt.budget).await
            }
            (Peer::Https(https), _) => https.ask(question, &attempt.budget).await,
            (Peer::Quic(quic), _) => quic.ask(question, &attempt.budget).await,
        }
    }
}

impl Exchange for Network {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        let (server, timeout) = (attempt.upstream.address, attempt.timeout);
        Box::pin(async move {
            match tokio::time::timeout(timeout, self.ask(attempt)).await {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(source)) if Spent::is_in(&source) => Err(UpstreamError::Spent { server }),
                Ok(Err(source)) if is_own_shortage(&source) => Err(UpstreamError::Local { server, source }),
                Ok(Err(source)) => Err(UpstreamError::Connect { server, source }),
                Err(_) => Err(UpstreamError::Timeout { server, timeout }),
            }
        })
    }

    fn prepare(&self, servers: &[Upstream]) {
        let before = self.peers.load_full();
        let mut peers = Vec::new();
        for server in servers {
            let kept = find(&before, server);
            match kept.map_or_else(|| self.settings.peer(server).map(Arc::new), Ok) {
                Ok(peer) => peers.push((server.clone(), peer)),
                Err(error) => error!(server = %server.address, %error, "this server cannot be asked"),
            }
        }
        self.peers.store(Arc::new(peers));
    }
}

impl Settings {
    /// No connections yet.
    fn peer(&self, upstream: &Upstream) -> io::Result<Peer> {
        let Self { keeping, metrics, .. } = self;
        let server = upstream.address;
        let name = || server_name(upstream.server_name.as_deref(), server.ip()).map_err(io::Error::other);
        let tls = self.tls.clone().ok_or_else(|| io::Error::other("TLS is not set up"));
        Ok(match upstream.transport {
            UpstreamTransport::Plain => Peer::Plain {
                sockets: Sockets::new(server, keeping, metrics),
                connections: Connections::new(server, None, *keeping, metrics),
            },
            UpstreamTransport::Tls => {
                let tls = Tls { connector: tls?.tls, name: name()? };
                Peer::Tls(Connections::new(server, Some(tls), *keeping, metrics))
            }
            UpstreamTransport::Https => {
                let tls = Tls { connector: tls?.https, name: name()? };
                let https = Https::new(upstream, tls, keeping.source, self.doh_method);
                Peer::Https(Shared::new(https, server, *keeping, metrics))
            }
            UpstreamTransport::Quic => {
                let tls = Tls { connector: tls?.quic, name: name()? };
                Peer::Quic(Shared::new(Quic::new(server, &tls, *keeping)?, server, *keeping, metrics))
            }
        })
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("keeping", &self.keeping).finish_non_exhaustive()
    }
}

fn find(peers: &[(Upstream, Arc<Peer>)], wanted: &Upstream) -> Option<Arc<Peer>> {
    peers.iter().find(|(upstream, _)| upstream == wanted).map(|(_, peer)| peer.clone())
}

/// Whether an error says that this machine has no more file descriptors, ports, buffers or memory; or not the source address.
fn is_own_shortage(error: &io::Error) -> bool {
    use Errno::{EADDRINUSE, EADDRNOTAVAIL, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(EADDRINUSE | EADDRNOTAVAIL | EMFILE | ENFILE | ENOBUFS | ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_is_short_of_is_no_fault_of_the_server() {
        for code in
            [Errno::EMFILE, Errno::ENFILE, Errno::EADDRNOTAVAIL, Errno::EADDRINUSE, Errno::ENOBUFS, Errno::ENOMEM]
        {
            assert!(is_own_shortage(&code.into()), "{code}");
        }
        for code in [Errno::ECONNREFUSED, Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ETIMEDOUT, Errno::ECONNRESET]
        {
            assert!(!is_own_shortage(&code.into()), "{code}");
        }
        assert!(!is_own_shortage(&io::ErrorKind::InvalidData.into()));
    }
}
