//! Questions in datagrams.
//!
//! There is a pool of connected sockets for each server. A question has a socket for itself until it is answered, so a
//! reply must come from the server, to a port that one question in flight is asked from, with that question's id.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::reply::Question;
use crate::metrics::{ConnCache, Counter, Metrics};

/// Sockets are opened until there are so many, and then used again: that many ports have to be guessed.
const POOL: usize = 64;

/// Idle sockets at most; what was opened for more questions at once is closed.
const IDLE_MAX: usize = 512;

/// Questions that a socket asks before it is closed.
const QUESTIONS_MAX: u32 = 1000;

/// How long a socket is used.
const AGE_MAX: Duration = Duration::from_secs(10);

/// Octets of a datagram at most; a longer one counts as truncated.
const SIZE_MAX: usize = 4096;

/// The sockets to one server.
#[derive(Debug)]
pub(super) struct Sockets {
    server: SocketAddr,
    /// The address that questions come from; None: the system chooses.
    source: Option<IpAddr>,
    pool: Mutex<Pool>,
    cache: ConnCache,
    mismatches: Counter,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Socket>,
    /// How many sockets ask at the moment.
    lent: usize,
}

#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    opened: Instant,
    questions: u32,
}

impl Sockets {
    /// No sockets yet.
    pub fn new(server: SocketAddr, source: Option<IpAddr>, metrics: &Metrics) -> Self {
        let to = server.to_string();
        Self {
            server,
            source,
            pool: Mutex::default(),
            cache: ConnCache::new(metrics, &to, "udp"),
            mismatches: metrics.landfall_upstream_mismatches.with_label_values(&[&to]),
        }
    }

    /// Asks, and waits for the reply without end.
    pub async fn ask(&self, question: &Question) -> io::Result<Vec<u8>> {
        let (place, idle) = self.take_place();
        let mut socket = match idle {
            Some(socket) => {
                self.cache.hit();
                socket
            }
            None => {
                self.cache.miss();
                Socket::open(self.server, self.source).await?
            }
        };
        let reply = socket.ask(question, &self.mismatches).await?;
        // A socket whose question was not answered is closed: its answer may still come.
        place.give_back(socket);
        Ok(reply)
    }

    fn take_place(&self) -> (Place<'_>, Option<Socket>) {
        let idle = self.lock().take(Instant::now());
        (Place { sockets: self }, idle)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to ask, counted as long as it exists.
struct Place<'a> {
    sockets: &'a Sockets,
}

impl Place<'_> {
    fn give_back(self, socket: Socket) {
        let mut pool = self.sockets.lock();
        if pool.idle.len() < IDLE_MAX && !socket.is_worn(Instant::now()) {
            pool.idle.push(socket);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.sockets.lock().lent -= 1;
    }
}

impl Pool {
    /// One of the idle sockets, none while there are few.
    fn take(&mut self, now: Instant) -> Option<Socket> {
        self.lent += 1;
        while self.lent + self.idle.len() > POOL && !self.idle.is_empty() {
            let socket = self.idle.swap_remove(rand::random_range(..self.idle.len()));
            if !socket.is_worn(now) {
                return Some(socket);
            }
        }
        None
    }
}

impl Socket {
    /// A socket that hears nobody but the server. The system chooses its port, at random.
    async fn open(server: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let any = match server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((source.unwrap_or(any), 0)).await?;
        socket.connect(server).await?;
        Ok(Self { socket, opened: Instant::now(), questions: 0 })
    }

    fn is_worn(&self, now: Instant) -> bool {
        self.questions >= QUESTIONS_MAX || now.duration_since(self.opened) >= AGE_MAX
    }

    /// What is no reply to the question is counted, and the wait goes on: nobody can end it by sending something first.
    async fn ask(&mut self, question: &Question, mismatches: &Counter) -> io::Result<Vec<u8>> {
        self.questions += 1;
        self.socket.send(question.octets()).await?;
        let mut reply = Vec::with_capacity(SIZE_MAX + 1);
        loop {
            self.socket.recv_buf(&mut reply).await?;
            if question.is_answered_by(&reply) {
                break;
            }
            mismatches.inc();
            reply.clear();
        }
        if reply.len() > SIZE_MAX {
            question.cut(&mut reply);
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn opened(count: usize) -> Pool {
        let mut pool = Pool::default();
        for _ in 0..count {
            pool.idle.push(Socket::open("127.0.0.1:9".parse().unwrap(), None).await.unwrap());
        }
        pool
    }

    #[tokio::test]
    async fn sockets_are_used_again_when_there_are_enough_to_choose_from() {
        let now = Instant::now();
        assert!(opened(POOL - 1).await.take(now).is_none());
        let mut pool = opened(POOL).await;
        assert!(pool.take(now).is_some());
        assert!(pool.take(now).is_some(), "those that are lent count, too");
        assert_eq!((pool.lent, pool.idle.len()), (2, POOL - 2));
    }

    #[tokio::test]
    async fn a_worn_socket_is_not_used_again() {
        let mut pool = opened(POOL).await;
        assert!(pool.take(Instant::now() + AGE_MAX).is_none());
        let mut pool = opened(POOL).await;
        pool.idle.iter_mut().for_each(|socket| socket.questions = QUESTIONS_MAX);
        assert!(pool.take(Instant::now()).is_none());
    }
}
