//! Questions over TCP, plain or below TLS, with two-octet lengths (RFC 1035 section 4.2.2, RFC 7858).
//!
//! A connection has one question at a time, and is kept for the next one. Idle connections beyond their time are closed
//! when a connection is wanted or left the next time.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::reply::Question;
use crate::metrics::{Counter, Metrics};

/// Idle connections to a server at most.
pub(super) const IDLE_MAX: usize = 64;

/// How connections are made, how long they are kept, and how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// The address that they come from; None: the system chooses.
    pub source: Option<IpAddr>,
    /// How long an idle one is kept.
    pub expire: Duration,
    /// How long any is kept.
    pub max_age: Option<Duration>,
    /// How many idle ones are kept.
    pub idle_max: usize,
}

/// TLS to a server.
#[derive(Clone)]
pub(super) struct Tls {
    /// How it is begun.
    pub connector: TlsConnector,
    /// Whose certificate it must be.
    pub name: ServerName<'static>,
}

/// The connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    server: SocketAddr,
    tls: Option<Tls>,
    keeping: Keeping,
    /// The one that was used last is at the end.
    idle: Mutex<VecDeque<Idle>>,
    hits: Counter,
    misses: Counter,
    mismatches: Counter,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Debug)]
struct Connection {
    stream: Box<dyn Stream>,
    begun: Instant,
}

/// Octets in both directions.
trait Stream: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Stream for S {}

impl Connections {
    /// No connections yet.
    pub fn new(server: SocketAddr, tls: Option<Tls>, keeping: Keeping, metrics: &Metrics) -> Self {
        let to = server.to_string();
        let labels = ["forward", &to, if tls.is_some() { "tcp-tls" } else { "tcp" }];
        Self {
            server,
            tls,
            keeping,
            idle: Mutex::default(),
            hits: metrics.proxy_conn_cache_hits.with_label_values(&labels),
            misses: metrics.proxy_conn_cache_misses.with_label_values(&labels),
            mismatches: metrics.landfall_upstream_mismatches.with_label_values(&[&to]),
        }
    }

    /// Asks, and waits for the reply without end.
    pub async fn ask(&self, question: &Question) -> io::Result<Vec<u8>> {
        if let Some(connection) = self.take_idle() {
            self.hits.inc();
            // RFC 7766 section 6.2.4: a server may close an idle connection whenever it likes, which says nothing of it.
            if let Ok(reply) = self.ask_over(connection, question).await {
                return Ok(reply);
            }
        }
        self.misses.inc();
        let connection = Connection { stream: self.connect().await?, begun: Instant::now() };
        self.ask_over(connection, question).await
    }

    /// A connection that did not bring the reply is closed.
    async fn ask_over(&self, mut connection: Connection, question: &Question) -> io::Result<Vec<u8>> {
        write(&mut connection.stream, question.octets()).await?;
        let reply = read(&mut connection.stream).await?;
        if !question.is_answered_by(&reply) {
            self.mismatches.inc();
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the reply belongs to another question"));
        }
        self.keep(connection);
        Ok(reply)
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = connect(self.server, self.keeping.source).await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(Tls { connector, name }) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.lock();
        self.close_expired(&mut idle);
        idle.pop_back().map(|idle| idle.connection)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        idle.push_back(Idle { connection, since: Instant::now() });
        self.close_expired(&mut idle);
    }

    fn close_expired(&self, idle: &mut VecDeque<Idle>) {
        let now = Instant::now();
        if let Some(max_age) = self.keeping.max_age {
            idle.retain(|idle| now.duration_since(idle.connection.begun) < max_age);
        }
        let is_over = |idle: &Idle| now.duration_since(idle.since) >= self.keeping.expire;
        while idle.len() > self.keeping.idle_max || idle.front().is_some_and(is_over) {
            idle.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A connection without any delay of what is written.
pub(super) async fn connect(server: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Length and message go out as one: some servers do not read on after the length (RFC 7766 section 8).
async fn write(stream: &mut Box<dyn Stream>, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    stream.flush().await
}

async fn read(stream: &mut Box<dyn Stream>) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}
