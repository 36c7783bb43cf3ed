//! Questions over TCP, plain or below TLS, with two-octet lengths (RFC 1035 section 4.2.2, RFC 7766, RFC 7858).
//!
//! A question takes an idle connection, or else a new one while there are few of them. Only then does it share one with
//! others: so a server that answers one question after the other holds none of them up as long as that can be helped.

mod connection;
mod pool;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use self::connection::{Connection, Stream};
use self::pool::{Limits, Pool};
use super::reply::{Question, Verdict};
use super::shared::invalid;
use crate::dns::Budget;
use crate::metrics::{ConnCache, Counter, Metrics};

/// Connections to a server at most, and so idle ones.
pub(super) const CONNECTIONS_MAX: usize = TCP.connections;

/// How much there may be at a time. What is beyond waits.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections to a server.
    connections: usize,
    /// Questions on each of them.
    questions: usize,
}

const TCP: Bounds = Bounds { connections: 64, questions: 100 };

/// Each connection costs a handshake.
const TLS: Bounds = Bounds { connections: 8, questions: 100 };

/// How often it is looked for idle connections whose time is over.
const SWEEP: Duration = Duration::from_secs(1);

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

/// No more connections are begun for the query that a question belongs to.
#[derive(Debug, thiserror::Error)]
#[error("no more connections are begun for this query")]
pub(super) struct Spent;

impl Spent {
    /// Whether that is why something failed.
    pub fn is_in(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|source| source.is::<Self>())
    }
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
    source: Option<IpAddr>,
    pool: Arc<Mutex<Pool<Connection>>>,
    /// One permit for each question that may be under way; the others wait, in the order in which they came.
    places: Semaphore,
    /// One permit for each connection that may be open.
    slots: Arc<Semaphore>,
    /// A connection was closed, or a question is over.
    changed: Arc<Notify>,
    cache: ConnCache,
    mismatches: Counter,
}

impl Connections {
    /// No connections yet.
    pub fn new(server: SocketAddr, tls: Option<Tls>, keeping: Keeping, metrics: &Metrics) -> Self {
        let bounds = if tls.is_some() { TLS } else { TCP };
        Self::bounded(bounds, server, tls, keeping, metrics)
    }

    fn bounded(bounds: Bounds, server: SocketAddr, tls: Option<Tls>, keeping: Keeping, metrics: &Metrics) -> Self {
        let to = server.to_string();
        let proto = if tls.is_some() { "tcp-tls" } else { "tcp" };
        let Keeping { source, expire, max_age, idle_max } = keeping;
        Self {
            server,
            tls,
            source,
            pool: Arc::new(Mutex::new(Pool::new(Limits {
                expire,
                max_age,
                idle_max,
                questions_max: bounds.questions,
            }))),
            places: Semaphore::new(bounds.connections * bounds.questions),
            slots: Arc::new(Semaphore::new(bounds.connections)),
            changed: Arc::default(),
            cache: ConnCache::new(metrics, &to, proto),
            mismatches: metrics.landfall_upstream_mismatches.with_label_values(&[&to, "foreign"]),
        }
    }

    /// Asks, and waits for the reply without end. A server that is older than EDNS is asked once more without OPT.
    pub async fn ask(&self, question: Question, budget: &Budget) -> io::Result<Vec<u8>> {
        let mut question = Arc::new(question);
        loop {
            let reply = self.exchange(&question, budget).await?;
            if question.is_answered_by(&reply) {
                return Ok(reply);
            }
            if question.verdict(&reply) != Verdict::KnowsNoEdns || !budget.take_message() {
                return Err(invalid("it answers with an error without the question"));
            }
            Arc::make_mut(&mut question).remove_opt();
        }
    }

    /// Asks on one connection, and on another if that was closed.
    async fn exchange(&self, question: &Arc<Question>, budget: &Budget) -> io::Result<Vec<u8>> {
        let seat = self.seat(Wish::Any, budget).await?;
        let outcome = seat.connection.ask(question).await;
        match outcome {
            // RFC 7766 section 6.2.4: a server may close a connection that was used whenever it likes, which says nothing
            // of it. What it says counts.
            Err(error) if seat.connection.replies() > 0 && error.kind() != io::ErrorKind::InvalidData => {
                drop(seat);
                if !budget.take_message() {
                    return Err(error);
                }
                self.seat(Wish::New, budget).await?.connection.ask(question).await
            }
            outcome => outcome,
        }
    }

    /// A connection for a question. Waits until there is one.
    async fn seat(&self, wish: Wish, budget: &Budget) -> io::Result<Seat<'_>> {
        let place = self.places.acquire().await.map_err(io::Error::other)?;
        let connection = loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.choose(wish, budget)? {
                Some(connection) => break connection,
                None => changed.await,
            }
        };
        let replies_before = connection.replies();
        Ok(Seat { connections: self, connection, replies_before, _place: place })
    }

    /// None: all connections that may be open are, and none of them takes a question at the moment.
    fn choose(&self, wish: Wish, budget: &Budget) -> io::Result<Option<Arc<Connection>>> {
        let now = Instant::now();
        let mut pool = self.lock();
        pool.tidy(Connection::has_ended, now);
        let idle = if wish == Wish::Any { pool.take_idle() } else { None };
        let slot = if idle.is_none() { self.slots.clone().try_acquire_owned().ok() } else { None };
        let is_full = slot.is_none();
        if let Some(slot) = slot.filter(|_| budget.take_connection()) {
            self.cache.miss();
            let connection = Arc::new(self.open(slot));
            pool.add(connection.clone(), now);
            return Ok(Some(connection));
        }
        match idle.or_else(|| pool.take_idle()).or_else(|| pool.take_busy()) {
            Some(connection) => {
                self.cache.hit();
                Ok(Some(connection))
            }
            None if is_full => Ok(None),
            None => Err(io::Error::other(Spent)),
        }
    }

    fn open(&self, slot: OwnedSemaphorePermit) -> Connection {
        let (server, source, tls) = (self.server, self.source, self.tls.clone());
        let opening = async move {
            let stream = connect(server, source).await?;
            Ok(match tls {
                None => Box::new(stream) as Box<dyn Stream>,
                Some(Tls { connector, name }) => Box::new(connector.connect(name, stream).await?),
            })
        };
        let held = Slot { permit: Some(slot), changed: self.changed.clone() };
        Connection::begin(opening, held, self.mismatches.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Pool<Connection>> {
        lock(&self.pool)
    }
}

/// Closes connections whose time is over, until there are no idle ones.
async fn sweep(pool: Weak<Mutex<Pool<Connection>>>) {
    loop {
        sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut pool = lock(&pool);
        pool.tidy(Connection::has_ended, Instant::now());
        if !pool.has_idle() {
            pool.is_swept = false;
            return;
        }
    }
}

fn lock(pool: &Mutex<Pool<Connection>>) -> MutexGuard<'_, Pool<Connection>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What connection a question is to have, if it can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// One that is there already.
    Any,
    /// One that nobody has used yet.
    New,
}

/// A question's right to its connection.
struct Seat<'a> {
    connections: &'a Connections,
    connection: Arc<Connection>,
    replies_before: u64,
    _place: SemaphorePermit<'a>,
}

impl Drop for Seat<'_> {
    /// If nothing has come on the connection since the question was asked, it may be dead, and takes no more questions.
    fn drop(&mut self) {
        let is_well = !self.connection.has_ended() && self.connection.replies() > self.replies_before;
        let now = Instant::now();
        let mut pool = self.connections.lock();
        pool.leave(&self.connection, is_well, now);
        pool.tidy(Connection::has_ended, now);
        // At the end of the program there may be no runtime any more.
        if !pool.is_swept
            && pool.has_idle()
            && let Ok(runtime) = Handle::try_current()
        {
            pool.is_swept = true;
            runtime.spawn(sweep(Arc::downgrade(&self.connections.pool)));
        }
        self.connections.changed.notify_waiters();
    }
}

/// The right to an open connection.
struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    changed: Arc<Notify>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.permit.take();
        self.changed.notify_waiters();
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
