//! Questions in datagrams.
//!
//! There is a pool of connected sockets for each server. A question has a socket for itself until it is answered, so a
//! reply must come from the server, to a port that one question in flight is asked from, with that question's id, in its
//! letters, and with our cookie.
//!
//! What is no reply never ends the wait. What is nearly one is a sign that somebody guesses: from then on the question is
//! asked over TCP, too, and the first answer counts. So whoever guesses can neither win time nor keep the answer away.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{Either, select};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep};

use super::cookie::{Cookie, Cookies, Lesson};
use super::reply::{Mismatches, Question, Verdict};
use super::stream::{Connections, Keeping};
use crate::dns::Budget;
use crate::metrics::{ConnCache, Metrics};

/// Sockets are opened until there are so many, and then used again: that many ports have to be guessed.
const POOL: usize = 64;

/// Idle sockets at most; what was opened for more questions at once is closed.
const IDLE_MAX: usize = 512;

/// Questions that a socket asks before it is closed.
const QUESTIONS_MAX: u32 = 1000;

/// How long a socket is used.
const AGE_MAX: Duration = Duration::from_secs(10);

/// How often it is looked for idle sockets whose time is over.
const SWEEP: Duration = Duration::from_secs(1);

/// Octets of a datagram at most; a longer one counts as truncated.
const SIZE_MAX: usize = 4096;

/// What a question waits for: a datagram, or word from the system that nobody is there.
const HEARD: Interest = Interest::READABLE.add(Interest::ERROR);

/// How long a server that does not keep the case of letters is asked as the client wrote.
const CASE_LOST: Duration = Duration::from_secs(600);

thread_local! {
    /// Where a datagram is for a moment, so that nothing is allocated or cleared for it.
    static DATAGRAM: RefCell<[u8; SIZE_MAX + 1]> = const { RefCell::new([0; SIZE_MAX + 1]) };
}

/// The sockets to one server.
#[derive(Debug)]
pub(super) struct Sockets {
    server: SocketAddr,
    /// The address that questions come from; None: the system chooses.
    source: Option<IpAddr>,
    pool: Arc<Mutex<Pool>>,
    cache: ConnCache,
    mismatches: Mismatches,
}

/// What is kept of one server.
#[derive(Debug)]
struct Pool {
    idle: Vec<Socket>,
    /// How many sockets ask at the moment.
    lent: usize,
    /// How long a socket may be idle.
    expire: Duration,
    /// Whether a task looks for those whose time is over.
    is_swept: bool,
    /// The server does not keep the case of letters.
    case_lost_until: Option<Instant>,
    cookies: Cookies,
}

#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    opened: Instant,
    /// When it was last given back.
    idle_since: Instant,
    questions: u32,
    /// The id of its question, and that of the question before: another reply to that one may come late.
    id: Option<[u8; 2]>,
    last_id: Option<[u8; 2]>,
}

impl Sockets {
    /// No sockets yet.
    pub fn new(server: SocketAddr, keeping: &Keeping, metrics: &Metrics) -> Self {
        let to = server.to_string();
        Self {
            server,
            source: keeping.source,
            pool: Arc::new(Mutex::new(Pool::new(keeping.expire))),
            cache: ConnCache::new(metrics, &to, "udp"),
            mismatches: Mismatches::new(&to, metrics),
        }
    }

    /// Asks, and waits for the reply without end. `connections` are those to the same server.
    pub async fn ask(&self, mut question: Question, connections: &Connections, budget: &Budget) -> io::Result<Vec<u8>> {
        let mut place = Place::take(self);
        let mut socket = place.socket().await?;
        place.prepare(&mut question);
        socket.send(&question).await?;
        let mut is_renewed = false;
        loop {
            let verdict = socket.hear(&mut question, &mut place).await?;
            match verdict {
                Verdict::Reply => {
                    place.give_back(socket);
                    return Ok(question.into_octets());
                }
                Verdict::Foreign => {}
                Verdict::KnowsNoEdns if budget.take_message() => {
                    question.remove_opt();
                    socket.send(&question).await?;
                }
                Verdict::BadCookie if !is_renewed && budget.take_message() => {
                    is_renewed = true;
                    place.lesson.heard.into_iter().for_each(|cookie| question.set_cookie(cookie));
                    question.renew_id();
                    socket.send(&question).await?;
                }
                Verdict::WrongCase
                | Verdict::NoCookie
                | Verdict::NearMiss
                | Verdict::KnowsNoEdns
                | Verdict::BadCookie => {
                    if budget.take_message() {
                        // It is rare, and would make the wait of all others larger.
                        return Box::pin(ask_over_both(question, place, socket, connections, budget)).await;
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        lock(&self.pool)
    }
}

/// Asks over TCP, too, and waits for the first reply of both. What the server says over TCP instead of a reply counts. The
/// socket is not used again: its port may be known.
async fn ask_over_both(
    mut question: Question,
    mut place: Place<'_>,
    socket: Socket,
    connections: &Connections,
    budget: &Budget,
) -> io::Result<Vec<u8>> {
    place.lesson.is_doubtful = true;
    let over_tcp = pin!(connections.ask(question.unmixed(), budget));
    let over_udp = pin!(async {
        while socket.hear(&mut question, &mut place).await? != Verdict::Reply {}
        Ok(question.into_octets())
    });
    match select(over_udp, over_tcp).await {
        Either::Left((Ok(reply), _)) | Either::Right((Ok(reply), _)) => Ok(reply),
        Either::Left((Err(_), over_tcp)) => over_tcp.await,
        Either::Right((Err(error), _)) if error.kind() == io::ErrorKind::InvalidData => Err(error),
        Either::Right((Err(_), over_udp)) => over_udp.await,
    }
}

/// The right to ask, counted as long as it exists, and what was learned while it did.
struct Place<'a> {
    sockets: &'a Sockets,
    /// What goes back to the pool.
    socket: Option<Socket>,
    keeps_case: bool,
    /// What is sent.
    cookie: Option<Cookie>,
    is_case_lost: bool,
    lesson: Lesson,
}

impl<'a> Place<'a> {
    fn take(sockets: &'a Sockets) -> Self {
        let now = Instant::now();
        let mut pool = sockets.lock();
        Self {
            sockets,
            socket: pool.take(now),
            keeps_case: pool.keeps_case(now),
            cookie: pool.cookies.cookie(now),
            is_case_lost: false,
            lesson: Lesson::default(),
        }
    }

    /// A socket on which nothing waits: what came before the question was asked was guessed, or comes late.
    async fn socket(&mut self) -> io::Result<Socket> {
        let sockets = self.sockets;
        while let Some(socket) = self.socket.take() {
            if socket.is_silent(&sockets.mismatches) {
                sockets.cache.hit();
                return Ok(socket);
            }
            self.socket = sockets.lock().take_another(Instant::now());
        }
        sockets.cache.miss();
        Socket::open(sockets.server, sockets.source).await
    }

    /// Makes a question hard to guess, as far as the server is known to go along.
    fn prepare(&mut self, question: &mut Question) {
        if self.keeps_case {
            question.mix_case();
        }
        self.cookie.into_iter().for_each(|cookie| question.set_cookie(cookie));
        self.cookie = question.cookie();
    }

    /// Remembers what a message says of its server.
    fn learn(&mut self, verdict: Verdict, cookie: Option<Cookie>) {
        self.lesson.heard = cookie.or(self.lesson.heard);
        match verdict {
            Verdict::Reply => self.is_case_lost = false,
            Verdict::WrongCase => self.is_case_lost = true,
            Verdict::NoCookie => self.lesson.is_missing = true,
            Verdict::BadCookie | Verdict::KnowsNoEdns | Verdict::NearMiss | Verdict::Foreign => {}
        }
    }

    /// A socket whose question was not answered is not given back: its answer may still come.
    fn give_back(mut self, mut socket: Socket) {
        socket.idle_since = Instant::now();
        self.socket = Some(socket);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut pool = self.sockets.lock();
        pool.lent -= 1;
        if self.is_case_lost {
            pool.case_lost_until = Some(now + CASE_LOST);
        }
        if self.cookie.is_some() {
            pool.cookies.learn(self.lesson, now);
        }
        let Some(socket) = self.socket.take() else { return };
        if pool.idle.len() < IDLE_MAX && !socket.is_worn(now) {
            pool.idle.push(socket);
            if !pool.is_swept {
                pool.is_swept = true;
                tokio::spawn(sweep(Arc::downgrade(&self.sockets.pool)));
            }
        }
    }
}

/// Closes sockets whose time is over, until there are no idle ones.
async fn sweep(pool: Weak<Mutex<Pool>>) {
    loop {
        sleep(SWEEP).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut pool = lock(&pool);
        let (now, expire) = (Instant::now(), pool.expire);
        pool.idle.retain(|socket| !socket.is_over(now, expire));
        if pool.idle.is_empty() {
            pool.idle = Vec::new();
            pool.is_swept = false;
            return;
        }
    }
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn new(expire: Duration) -> Self {
        let (idle, cookies) = (Vec::new(), Cookies::new());
        Self { idle, lent: 0, expire, is_swept: false, case_lost_until: None, cookies }
    }

    /// A place, and one of the idle sockets, none while there are few.
    fn take(&mut self, now: Instant) -> Option<Socket> {
        self.lent += 1;
        self.take_another(now)
    }

    /// An idle socket for somebody who has a place.
    fn take_another(&mut self, now: Instant) -> Option<Socket> {
        while self.lent + self.idle.len() > POOL && !self.idle.is_empty() {
            let socket = self.idle.swap_remove(rand::random_range(..self.idle.len()));
            if !socket.is_over(now, self.expire) {
                return Some(socket);
            }
        }
        None
    }

    fn keeps_case(&self, now: Instant) -> bool {
        self.case_lost_until.is_none_or(|until| until <= now)
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
        let now = Instant::now();
        Ok(Self { socket, opened: now, idle_since: now, questions: 0, id: None, last_id: None })
    }

    fn is_worn(&self, now: Instant) -> bool {
        self.questions >= QUESTIONS_MAX || now.duration_since(self.opened) >= AGE_MAX
    }

    /// Whether it is not to be used again.
    fn is_over(&self, now: Instant, expire: Duration) -> bool {
        self.is_worn(now) || now.duration_since(self.idle_since) >= expire
    }

    /// Whether nothing came while nobody asked; what came is counted.
    fn is_silent(&self, mismatches: &Mismatches) -> bool {
        // Here Tokio takes no sum of interests. It is readable since its last reply, so this looks.
        match self.socket.try_io(Interest::READABLE, || self.read(&mut [0; 1])) {
            Ok(_) => {
                mismatches.count_late();
                false
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// One datagram, if there is one.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*SockRef::from(&self.socket)).read(buffer)
    }

    async fn send(&mut self, question: &Question) -> io::Result<()> {
        self.questions += 1;
        if self.id != question.id() {
            self.last_id = std::mem::replace(&mut self.id, question.id());
        }
        self.socket.send(question.octets()).await.map(drop)
    }

    /// Waits for a datagram. If it is the reply, it takes the place of the question; if not, it is counted.
    async fn hear(&self, question: &mut Question, place: &mut Place<'_>) -> io::Result<Verdict> {
        self.socket.async_io(HEARD, || self.receive(question, place)).await
    }

    fn receive(&self, question: &mut Question, place: &mut Place<'_>) -> io::Result<Verdict> {
        DATAGRAM.with_borrow_mut(|buffer| {
            let length = self.read(buffer)?;
            Ok(self.judge(buffer.get(..length).unwrap_or_default(), question, place))
        })
    }

    /// What a datagram is to the question, and what is learned from it.
    fn judge(&self, datagram: &[u8], question: &mut Question, place: &mut Place<'_>) -> Verdict {
        let verdict = question.verdict(datagram);
        if verdict != Verdict::Reply && self.last_id.is_some_and(|id| datagram.starts_with(&id)) {
            place.sockets.mismatches.count_late();
            return Verdict::Foreign;
        }
        place.sockets.mismatches.count(verdict);
        match verdict {
            Verdict::Reply => {
                place.learn(verdict, question.cookie_of(datagram));
                question.replace_by(datagram, datagram.len() <= SIZE_MAX);
            }
            Verdict::BadCookie => place.learn(verdict, question.cookie_of(datagram)),
            Verdict::WrongCase | Verdict::NoCookie | Verdict::KnowsNoEdns | Verdict::NearMiss | Verdict::Foreign => {
                place.learn(verdict, None);
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRE: Duration = Duration::from_secs(4);

    async fn open() -> Socket {
        Socket::open("127.0.0.1:9".parse().unwrap(), None).await.unwrap()
    }

    async fn opened(count: usize) -> Pool {
        let mut pool = Pool::new(EXPIRE);
        for _ in 0..count {
            pool.idle.push(open().await);
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
    async fn a_worn_or_expired_socket_is_not_used_again() {
        let now = Instant::now();
        let mut pool = opened(POOL).await;
        pool.idle.iter_mut().for_each(|socket| socket.idle_since = now + AGE_MAX);
        assert!(pool.take(now + AGE_MAX * 2).is_none(), "old");
        assert!(opened(POOL).await.take(Instant::now() + EXPIRE).is_none(), "expired");
        let mut pool = opened(POOL).await;
        pool.idle.iter_mut().for_each(|socket| socket.questions = QUESTIONS_MAX);
        assert!(pool.take(Instant::now()).is_none(), "worn");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sockets_are_closed_in_time_without_another_question() {
        let keeping = Keeping { source: None, expire: EXPIRE, max_age: None, idle_max: 0 };
        let sockets = Sockets::new("127.0.0.1:9".parse().unwrap(), &keeping, &Metrics::new());
        for _ in 0..2 {
            Place::take(&sockets).give_back(open().await);
            sleep(EXPIRE - Duration::from_millis(1)).await;
            assert_eq!(sockets.lock().idle.len(), 1);
            sleep(SWEEP + Duration::from_millis(1)).await;
            let pool = sockets.lock();
            assert_eq!((pool.idle.len(), pool.is_swept), (0, false));
        }
        let idle = Arc::downgrade(&sockets.pool);
        Place::take(&sockets).give_back(open().await);
        drop(sockets);
        sleep(SWEEP * 2).await;
        assert!(idle.upgrade().is_none(), "nothing is kept of a server that is gone");
    }

    #[tokio::test]
    async fn that_a_server_changes_letters_is_remembered_for_ten_minutes() {
        let (mut pool, now) = (opened(0).await, Instant::now());
        assert!(pool.keeps_case(now));
        pool.case_lost_until = Some(now + CASE_LOST);
        assert!(!pool.keeps_case(now + CASE_LOST - Duration::from_secs(1)) && pool.keeps_case(now + CASE_LOST));
    }
}
