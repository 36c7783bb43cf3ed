//! Asking other servers: what is sent, over what, and what of the answer is believed.
//!
//! [`Exchange`] is the seam: the network stands behind it, or a script in tests. It hands over octets that belong to a
//! question; [`scrub`] says which of the records in them are believed.

mod cookie;
mod https;
mod network;
mod notify;
mod quic;
mod reply;
mod shared;
mod stream;
mod tls;
mod udp;

mod scrub;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use network::Network;
pub use notify::{NotifyError, notify};
pub use scrub::{Unusable, scrub};
pub use tls::TlsError;

use crate::config::directive::UpstreamTransport;
use crate::dns::{Budget, Malformed};

/// A server, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    /// How it is asked.
    pub transport: UpstreamTransport,
    /// The name in its certificate; None: it has its address there.
    pub server_name: Option<Arc<str>>,
    /// Where it answers, over HTTPS.
    pub path: Arc<str>,
}

impl Upstream {
    /// A server that is asked over UDP and TCP.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, transport: UpstreamTransport::Plain, server_name: None, path: Arc::default() }
    }
}

/// One attempt at asking one server.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The server.
    pub upstream: Upstream,
    /// Over what.
    pub channel: Channel,
    /// The question as a complete message; the id is ours to choose.
    pub message: Vec<u8>,
    /// How long to wait for the answer.
    pub timeout: Duration,
    /// Pays for connections, and for all messages but the first.
    pub budget: Arc<Budget>,
}

/// Over what a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Channel {
    Udp,
    Tcp,
    Tls,
    Https,
    Quic,
}

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It did not answer in time.
    #[error("no answer from {server} within {timeout:?}")]
    Timeout {
        /// The server.
        server: SocketAddr,
        /// The time.
        timeout: Duration,
    },
    /// It was not asked: what the query may cost is spent.
    #[error("{server} is not asked: the query has cost too much")]
    Spent {
        /// The server.
        server: SocketAddr,
    },
    /// It could not be reached, or went away.
    #[error("cannot reach {server}")]
    Connect {
        /// The server.
        server: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It was not asked, for want of something on our side: file descriptors, ports, memory. This says nothing of it.
    #[error("cannot ask {server}: this machine is short of sockets")]
    Local {
        /// The server.
        server: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// What it sent is no answer to the question.
    #[error("cannot read the answer of {server}")]
    Malformed {
        /// The server.
        server: SocketAddr,
        /// What is wrong with it.
        source: Malformed,
    },
}

impl UpstreamError {
    /// Whether the reason is on our side, and says nothing of the server.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Spent { .. } | Self::Local { .. })
    }
}

/// A pending exchange.
pub type Exchanging<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, UpstreamError>> + Send + 'a>>;

/// Sends a message to a server and returns the octets of the answer that belongs to it: same id, same question.
pub trait Exchange: Send + Sync + std::fmt::Debug {
    /// Makes one attempt.
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_>;

    /// Says who is asked from now on: what is kept of others may go.
    fn prepare(&self, _servers: &[Upstream]) {}
}
