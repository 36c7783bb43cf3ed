//! One TCP connection (RFC 7766): queries may overtake each other, and nothing about it is without a bound.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::datagrams::canonical;
use super::frames::{Frames, TooShort};
use super::respond::{Packet, Reply, Responder, Response, Times};
use crate::dns::{Messages, Transport};

/// Octets that wait for the client to read them, at most.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

/// Octets of a reply with its length, at most.
const REPLY_BYTES_MAX: usize = 2 + u16::MAX as usize;

/// How long we read on, and throw away, after the last reply: closing earlier could reset the connection before the
/// client has read it.
const LINGER: Duration = Duration::from_secs(1);

/// How long queries are still taken after the order to stop: those that were sent before it are there by then.
const LAST_QUERIES: Duration = Duration::from_millis(100);

/// Ready when no more queries are to be taken.
pub(super) async fn last_queries(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_QUERIES).await;
}

/// A connection's queries and answers.
pub(super) struct Connection {
    responder: Arc<Responder>,
    times: Times,
    client: SocketAddr,
    /// How many queries were taken.
    queries: u32,
    frames: Frames,
    pending: FuturesUnordered<BoxFuture<'static, Option<Reply>>>,
    /// What follows the first messages of transfers.
    transfers: VecDeque<Box<Messages>>,
    output: Output,
    /// Whether more queries are taken.
    is_open: bool,
    /// When the message began of which only a part is there.
    message_since: Option<Instant>,
    /// When the last query came or the last octets left.
    idle_since: Instant,
}

/// Why a connection ends.
enum End {
    /// All is answered, and no more will be asked.
    Finished,
    /// The client sent nothing, or not the rest of a message.
    Idle,
    /// The client does not read.
    Stuck,
}

impl Connection {
    pub fn new(responder: Arc<Responder>, client: SocketAddr) -> Self {
        Self {
            times: responder.times(),
            queries: 0,
            responder,
            client,
            frames: Frames::default(),
            pending: FuturesUnordered::new(),
            transfers: VecDeque::new(),
            output: Output::default(),
            is_open: true,
            message_since: None,
            idle_since: Instant::now(),
        }
    }

    /// Answers until the client, a deadline or `stop` ends it; what was asked before `stop` is answered.
    pub async fn serve(mut self, mut stream: TcpStream, stop: &CancellationToken) {
        let Ok(local) = stream.local_addr() else { return };
        // Replies are written as a whole, so that waiting for more gains nothing.
        let _ = stream.set_nodelay(true);
        let (mut reader, mut writer) = stream.split();
        match self.exchange(&mut reader, &mut writer, canonical(local), stop).await {
            Ok(End::Finished) => {
                let _ = stream.shutdown().await;
                let _ = timeout(LINGER, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
            }
            // The kernel is to forget at once what it could not send.
            Ok(End::Stuck) => drop(stream.set_zero_linger()),
            Ok(End::Idle) | Err(_) => {}
        }
    }

    /// The same below TLS.
    pub async fn serve_tls(mut self, stream: TlsStream<TcpStream>, local: SocketAddr, stop: &CancellationToken) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        match self.exchange(&mut reader, &mut writer, local, stop).await {
            Ok(End::Finished) => {
                let _ = timeout(LINGER, writer.shutdown()).await;
                let _ = timeout(LINGER, tokio::io::copy(&mut reader, &mut tokio::io::sink())).await;
            }
            Ok(End::Idle) => drop(timeout(LINGER, writer.shutdown()).await),
            Ok(End::Stuck) => drop(reader.unsplit(writer).get_ref().0.set_zero_linger()),
            Err(_) => {}
        }
    }

    async fn exchange(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        local: SocketAddr,
        stop: &CancellationToken,
    ) -> io::Result<End> {
        let mut alarm = pin!(sleep_until(self.idle_since));
        let mut last_queries = pin!(last_queries(stop));
        loop {
            self.answer_buffered(local);
            self.transfer();
            self.output.turn_over();
            if !self.is_open && self.is_done() {
                return Ok(End::Finished);
            }
            let deadline = self.deadline().map(|(deadline, _)| deadline);
            if deadline.is_some_and(|deadline| alarm.is_elapsed() || deadline < alarm.deadline()) {
                alarm.as_mut().reset(deadline.unwrap_or_else(Instant::now));
            }
            let (has_room, has_room_for_replies) = (self.has_room(), self.output.has_room());
            tokio::select! {
                // What is ready goes out before more comes in, and what was sent to us is read before the end.
                biased;
                written = writer.write(self.output.unsent()), if !self.output.unsent().is_empty() => {
                    self.output.advance(written?);
                    // TLS may hold some of it back.
                    let Ok(flushed) = timeout(self.times.write, writer.flush()).await else { return Ok(End::Stuck) };
                    flushed?;
                    self.idle_since = Instant::now();
                }
                reply = self.pending.next(), if !self.pending.is_empty() && has_room_for_replies => {
                    self.push(reply.flatten());
                }
                read = reader.read_buf(self.frames.space()), if self.is_open && has_room => self.is_open = read? > 0,
                () = &mut last_queries, if self.is_open => self.is_open = false,
                // It may be early: deadlines move while it sleeps.
                () = &mut alarm, if deadline.is_some() => match self.deadline() {
                    Some((deadline, end)) if deadline <= Instant::now() => return Ok(end),
                    Some(_) | None => {}
                },
            }
        }
    }

    /// Takes the messages that are there, as long as there is room for their answers.
    fn answer_buffered(&mut self, local: SocketAddr) {
        while self.has_room() && self.takes_another() {
            let octets = match self.frames.next() {
                Ok(Some(octets)) => octets,
                Ok(None) => break,
                Err(TooShort) => {
                    self.is_open = false;
                    break;
                }
            };
            self.queries = self.queries.saturating_add(1);
            let packet = Packet { octets, client: self.client, local, transport: Transport::Tcp };
            match self.responder.begin(packet) {
                Response::Ready(reply) => self.push(reply),
                Response::Waiting(waiting) => self.pending.push(Box::pin(waiting.reply())),
            }
            self.is_open &= self.takes_another();
            self.idle_since = Instant::now();
            self.message_since = None;
        }
        let is_amid_message = self.is_open && self.has_room() && !self.frames.is_empty();
        self.message_since = is_amid_message.then(|| self.message_since.unwrap_or_else(Instant::now));
    }

    fn push(&mut self, reply: Option<Reply>) {
        let Some(Reply { message, more }) = reply else { return };
        self.output.push(&message);
        self.transfers.extend(more);
    }

    /// Goes on with transfers as far as the client reads.
    fn transfer(&mut self) {
        while self.output.has_room()
            && let Some(messages) = self.transfers.front_mut()
        {
            match messages.next() {
                Some(message) => self.output.push(&message),
                None => drop(self.transfers.pop_front()),
            }
        }
    }

    /// Whether everything that was asked is answered, and has left.
    fn is_done(&self) -> bool {
        self.pending.is_empty() && self.transfers.is_empty() && self.output.is_empty()
    }

    /// Whether the connection may bring another query (`maxtcpqueries`).
    fn takes_another(&self) -> bool {
        self.queries < self.times.queries
    }

    /// Whether there is room for another query.
    fn has_room(&self) -> bool {
        let queries = self.pending.len() + self.transfers.len();
        queries < self.responder.capacity.limits.queries_per_connection && self.output.has_room()
    }

    /// What is to happen next at the latest, and what it means if it does not.
    fn deadline(&self) -> Option<(Instant, End)> {
        let Times { read, write, idle, .. } = self.times;
        [
            self.output.since().map(|since| (since + write, End::Stuck)),
            self.message_since.map(|since| (since + read, End::Idle)),
            self.is_done().then(|| (self.idle_since + idle, End::Idle)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(deadline, _)| *deadline)
    }
}

/// Replies on their way to the client: all that are ready at the same time leave in one write.
#[derive(Default)]
struct Output {
    sending: Vec<u8>,
    sent: usize,
    /// Since when `sending` is on its way.
    since: Option<Instant>,
    next: Vec<u8>,
}

impl Output {
    fn push(&mut self, reply: &[u8]) {
        let Ok(length) = u16::try_from(reply.len()) else { return };
        self.next.extend(length.to_be_bytes());
        self.next.extend(reply);
    }

    /// Starts sending what has gathered if everything before it is sent.
    fn turn_over(&mut self) {
        if self.unsent().is_empty() {
            self.sending = std::mem::take(&mut self.next);
            self.sent = 0;
            self.since = (!self.sending.is_empty()).then(Instant::now);
        }
    }

    fn unsent(&self) -> &[u8] {
        self.sending.get(self.sent..).unwrap_or_default()
    }

    /// What was sent makes room at once: queries that wait in the buffer need nothing else to go on.
    fn advance(&mut self, written: usize) {
        self.sent += written;
        self.turn_over();
    }

    fn since(&self) -> Option<Instant> {
        self.since
    }

    fn is_empty(&self) -> bool {
        self.unsent().is_empty() && self.next.is_empty()
    }

    fn has_room(&self) -> bool {
        self.sending.len() + self.next.len() + REPLY_BYTES_MAX <= OUTPUT_BYTES_MAX
    }
}
