//! The one connection to a server, on which all questions go out side by side: over HTTPS and QUIC.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::reply::Question;
use super::stream::{Keeping, Spent};
use crate::dns::Budget;
use crate::metrics::{ConnCache, Counter, Metrics};

/// Questions on a connection at most; what is beyond waits. Servers let in 100 at the least (RFC 9113 section 6.5.2), and one that they
/// have answered may count there a moment longer.
const QUESTIONS_MAX: usize = 64;

/// How questions are put to a server on a connection that takes many at a time.
pub(super) trait Protocol: Send + Sync {
    /// What metrics call it.
    const NAME: &'static str;

    /// A connection, which lasts as long as somebody has it.
    type Connection: Send + Sync;

    /// A new connection.
    fn connect(&self) -> impl Future<Output = io::Result<Self::Connection>> + Send;

    /// Asks, and waits for the reply without end. What the server says instead of a reply is invalid data.
    fn ask(&self, connection: &Self::Connection, question: &[u8]) -> impl Future<Output = io::Result<Vec<u8>>> + Send;

    /// Whether a connection can be used no more.
    fn has_ended(connection: &Self::Connection) -> bool;
}

/// The connection to one server.
#[derive(Debug)]
pub(super) struct Shared<P: Protocol> {
    protocol: P,
    keeping: Keeping,
    kept: Mutex<Option<Kept<P::Connection>>>,
    /// One permit for each question that may be under way.
    places: Semaphore,
    /// Who has it begins a connection, for all who wait for it.
    turn: Semaphore,
    cache: ConnCache,
    mismatches: Counter,
}

/// A connection that takes questions.
#[derive(Debug)]
struct Kept<C> {
    open: Arc<Open<C>>,
    /// When the last reply came.
    used: Instant,
}

#[derive(Debug)]
struct Open<C> {
    connection: C,
    begun: Instant,
    replies: AtomicU64,
}

impl<C> Open<C> {
    /// Whether a question was answered on it.
    fn was_used(&self) -> bool {
        self.replies.load(Ordering::Relaxed) > 0
    }
}

impl<P: Protocol> Shared<P> {
    /// No connection yet.
    pub fn new(protocol: P, server: SocketAddr, keeping: Keeping, metrics: &Metrics) -> Self {
        let to = server.to_string();
        Self {
            protocol,
            keeping,
            kept: Mutex::default(),
            places: Semaphore::new(QUESTIONS_MAX),
            turn: Semaphore::new(1),
            cache: ConnCache::new(metrics, &to, P::NAME),
            mismatches: metrics.landfall_upstream_mismatches.with_label_values(&[&to, "foreign"]),
        }
    }

    /// Asks, and waits for the reply without end. The id of the question says nothing: the connection tells what is the reply.
    pub async fn ask(&self, question: Question, budget: &Budget) -> io::Result<Vec<u8>> {
        let question = question.without_id();
        let _place = self.places.acquire().await.map_err(io::Error::other)?;
        let open = self.open(budget).await?;
        match self.ask_over(&open, &question).await {
            // A server may close a connection that was used whenever it likes, which says nothing of it; what it says counts.
            Err(error) if open.was_used() && error.kind() != io::ErrorKind::InvalidData => {
                self.forget(&open);
                if !budget.take_message() {
                    return Err(error);
                }
                let open = self.open(budget).await?;
                self.ask_over(&open, &question).await
            }
            outcome => outcome,
        }
    }

    async fn ask_over(&self, open: &Arc<Open<P::Connection>>, question: &Question) -> io::Result<Vec<u8>> {
        let _asked = Asked { shared: self, open, replies_before: open.replies.load(Ordering::Relaxed) };
        let reply = self.protocol.ask(&open.connection, question.octets()).await?;
        if !question.is_answered_by(&reply) {
            self.mismatches.inc();
            return Err(invalid("the reply belongs to another question"));
        }
        open.replies.fetch_add(1, Ordering::Relaxed);
        self.keep(open);
        Ok(reply)
    }

    /// The connection, or a new one that others wait for as well: many questions do not make many handshakes.
    async fn open(&self, budget: &Budget) -> io::Result<Arc<Open<P::Connection>>> {
        if let Some(open) = self.take() {
            self.cache.hit();
            return Ok(open);
        }
        let _turn = self.turn.acquire().await.map_err(io::Error::other)?;
        if let Some(open) = self.take() {
            self.cache.hit();
            return Ok(open);
        }
        if !budget.take_connection() {
            return Err(io::Error::other(Spent));
        }
        self.cache.miss();
        let connection = self.protocol.connect().await?;
        let open = Arc::new(Open { connection, begun: Instant::now(), replies: AtomicU64::new(0) });
        self.keep(&open);
        Ok(open)
    }

    /// The connection, unless its time is over.
    fn take(&self) -> Option<Arc<Open<P::Connection>>> {
        let now = Instant::now();
        let Keeping { expire, max_age, .. } = self.keeping;
        let mut kept = self.lock();
        let is_fresh = |kept: &Kept<_>| {
            let is_young = max_age.is_none_or(|max| now.duration_since(kept.open.begun) < max);
            is_young && now.duration_since(kept.used) < expire && !P::has_ended(&kept.open.connection)
        };
        *kept = kept.take().filter(is_fresh);
        kept.as_ref().map(|kept| kept.open.clone())
    }

    /// Of several that were made one after the other, the youngest is kept.
    fn keep(&self, open: &Arc<Open<P::Connection>>) {
        let mut kept = self.lock();
        if kept.as_ref().is_none_or(|kept| kept.open.begun <= open.begun) {
            *kept = Some(Kept { open: open.clone(), used: Instant::now() });
        }
    }

    /// No question takes this connection any more.
    fn forget(&self, open: &Arc<Open<P::Connection>>) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.open, open)) {
            *kept = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept<P::Connection>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is over. If nothing has come on its connection since it was asked, that may be dead, and is not kept.
struct Asked<'a, P: Protocol> {
    shared: &'a Shared<P>,
    open: &'a Arc<Open<P::Connection>>,
    replies_before: u64,
}

impl<P: Protocol> Drop for Asked<'_, P> {
    fn drop(&mut self) {
        if self.open.replies.load(Ordering::Relaxed) == self.replies_before {
            self.shared.forget(self.open);
        }
    }
}

/// What a server says instead of a reply.
pub(super) fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
