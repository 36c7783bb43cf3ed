//! One connection, with many questions at a time (RFC 7766 section 6.2.1.1): replies come in any order.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::metrics::Counter;
use crate::upstream::reply::Question;

/// Octets of a header (RFC 1035 section 4.1.1), which every message has.
const HEADER: usize = 12;

/// Messages that wait to be written.
const QUEUE: usize = 16;

/// Octets in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection, which lasts as long as somebody has it or until it ends.
#[derive(Debug)]
pub struct Connection {
    frames: mpsc::Sender<Vec<u8>>,
    board: Arc<Board>,
    driver: AbortHandle,
}

/// Who waits for which reply.
#[derive(Debug)]
struct Board {
    state: Mutex<State>,
    mismatches: Counter,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u16, Waiting>,
    /// Replies that were waited for.
    replies: u64,
    end: Option<End>,
}

#[derive(Debug)]
struct Waiting {
    question: Arc<Question>,
    reply: oneshot::Sender<io::Result<Vec<u8>>>,
}

/// Why a connection has ended.
#[derive(Clone, Debug)]
struct End {
    kind: io::ErrorKind,
    /// What the system said, if it was the system.
    code: Option<i32>,
    text: Arc<str>,
}

impl Connection {
    /// A connection that is opened while the first questions wait already. `held` is let go when it has ended.
    pub fn begin(
        opening: impl Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
        held: impl Send + 'static,
        mismatches: Counter,
    ) -> Self {
        let board = Arc::new(Board { state: Mutex::default(), mismatches });
        let (frames, queue) = mpsc::channel(QUEUE);
        let shared = board.clone();
        let driver = tokio::spawn(async move {
            let end = match opening.await {
                Ok(stream) => shared.serve(stream, queue).await,
                Err(error) => error,
            };
            // Who is told asks again, on a connection in place of this one.
            drop(held);
            shared.end(&end);
        });
        Self { frames, board, driver: driver.abort_handle() }
    }

    /// Asks, and waits without end for the reply, or an error without the question. Fails when the connection ends.
    pub async fn ask(&self, question: &Arc<Question>) -> io::Result<Vec<u8>> {
        let (id, reply) = self.board.wait_for(question)?;
        let _withdrawal = Withdrawal { board: &self.board, id };
        // A connection that has ended says why in place of the reply.
        let _ = self.frames.send(frame(question, id)?).await;
        reply.await.unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into()))
    }

    /// How many questions were answered.
    pub fn replies(&self) -> u64 {
        self.board.lock().replies
    }

    /// Whether it can be used no more.
    pub fn has_ended(&self) -> bool {
        self.board.lock().end.is_some()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A question that is over, answered or not.
struct Withdrawal<'a> {
    board: &'a Board,
    id: u16,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        self.board.lock().waiting.remove(&self.id);
    }
}

impl Board {
    /// A place for the reply to a question, with an id that no other question on this connection has.
    fn wait_for(&self, question: &Arc<Question>) -> io::Result<(u16, oneshot::Receiver<io::Result<Vec<u8>>>)> {
        let mut state = self.lock();
        if let Some(end) = &state.end {
            return Err(end.error());
        }
        // There are far fewer questions than ids.
        loop {
            let id = rand::random();
            if let Entry::Vacant(place) = state.waiting.entry(id) {
                let (sender, reply) = oneshot::channel();
                place.insert(Waiting { question: question.clone(), reply: sender });
                return Ok((id, reply));
            }
        }
    }

    /// Writes questions and reads replies until that ends.
    async fn serve(&self, stream: Box<dyn Stream>, queue: mpsc::Receiver<Vec<u8>>) -> io::Error {
        let (reader, writer) = tokio::io::split(stream);
        tokio::select! {
            end = self.read(BufReader::new(reader)) => end,
            end = write(writer, queue) => end,
        }
    }

    async fn read(&self, mut reader: impl AsyncRead + Unpin) -> io::Error {
        loop {
            let length = match reader.read_u16().await {
                Ok(length) => usize::from(length),
                Err(error) => return closed(error, "the server has closed the connection"),
            };
            if length < HEADER {
                return io::Error::new(io::ErrorKind::InvalidData, "what the server sends is no message");
            }
            let mut message = vec![0; length];
            if let Err(error) = reader.read_exact(&mut message).await {
                return closed(error, "the server has closed the connection amid a message");
            }
            self.hand_out(message);
        }
    }

    /// What nobody waits for is counted, and the wait goes on: a late reply, or one that was made up.
    fn hand_out(&self, mut message: Vec<u8>) {
        let mut state = self.lock();
        let id = message.first_chunk_mut().map(|octets| (u16::from_be_bytes(*octets), octets));
        let Some((id, octets)) = id else { return };
        let own_id = state.waiting.get(&id).and_then(|waiting| waiting.question.octets().first_chunk());
        if let Some(own_id) = own_id {
            *octets = *own_id;
        }
        match state.waiting.entry(id) {
            Entry::Occupied(waiting) if waiting.get().is_ended_by(&message) => {
                // Who asked may have gone this moment.
                let _ = waiting.remove().reply.send(Ok(message));
                state.replies += 1;
            }
            Entry::Occupied(_) | Entry::Vacant(_) => self.mismatches.inc(),
        }
    }

    /// All that wait are told.
    fn end(&self, error: &io::Error) {
        let end = End { kind: error.kind(), code: error.raw_os_error(), text: error.to_string().into() };
        let mut state = self.lock();
        for (_, waiting) in state.waiting.drain() {
            let _ = waiting.reply.send(Err(end.error()));
        }
        state.end = Some(end);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_ended_by(&self, message: &[u8]) -> bool {
        self.question.is_answered_by(message) || self.question.is_turned_down_by(message)
    }
}

impl End {
    fn error(&self) -> io::Error {
        match self.code {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.kind, &*self.text),
        }
    }
}

/// Writes what comes. What cannot be written is not told here: replies that came before are read, and then the end.
async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Vec<u8>>) -> io::Error {
    while let Some(frame) = queue.recv().await {
        if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
            break;
        }
    }
    std::future::pending().await
}

/// Length and message go out as one: some servers do not read on after the length (RFC 7766 section 8).
fn frame(question: &Question, id: u16) -> io::Result<Vec<u8>> {
    let length = u16::try_from(question.octets().len()).map_err(io::Error::other)?;
    let message = question.octets().get(2..).unwrap_or_default();
    Ok([&length.to_be_bytes(), &id.to_be_bytes(), message].concat())
}

fn closed(error: io::Error, text: &str) -> io::Error {
    match error.kind() {
        kind @ io::ErrorKind::UnexpectedEof => io::Error::new(kind, text),
        _ => error,
    }
}
