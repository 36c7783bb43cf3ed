//! The server that all others ask: it knows the address of every name, and costs as little as can be.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::datagrams::{Inbox, Outbox};
use super::question::{HEADER, Name};

/// How often it is looked whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Octets that the socket holds: what comes while this thread does not run is not lost.
const BUFFER: usize = 4 << 20;

const A: [u8; 2] = [0, 1];

/// A running server.
pub struct Upstream {
    pub address: SocketAddr,
    asked: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one that answers at once.
    pub fn start() -> Self {
        Self::serve(|socket, stop, asked| {
            let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
            while !stop.load(Ordering::Relaxed) {
                if inbox.receive(socket).is_ok() {
                    for (query, client) in inbox.datagrams() {
                        asked.fetch_add(u64::from(Name::of(query).is_some()), Ordering::Relaxed);
                        answer(query, outbox.message(client));
                    }
                    outbox.send(socket);
                }
            }
        })
    }

    /// Starts one that thinks for so long about each question.
    pub fn slow(delay: Duration) -> Self {
        Self::serve(move |socket, stop, asked| {
            let (sender, due) = channel::<(Instant, Vec<u8>, SocketAddr)>();
            let late = socket.try_clone().unwrap();
            let replies = thread::spawn(move || {
                for (at, reply, client) in due {
                    thread::sleep(at.saturating_duration_since(Instant::now()));
                    let _ = late.send_to(&reply, client);
                }
            });
            let mut query = [0; 1232];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut query) else { continue };
                asked.fetch_add(u64::from(Name::of(&query[..length]).is_some()), Ordering::Relaxed);
                let mut reply = Vec::new();
                answer(&query[..length], &mut reply);
                sender.send((Instant::now() + delay, reply, client)).unwrap();
            }
            drop(sender);
            replies.join().unwrap();
        })
    }

    fn serve(work: impl FnOnce(&UdpSocket, &AtomicBool, &AtomicU64) + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LOOK)).unwrap();
        // The kernel gives less where its bound is lower.
        socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER).unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counter) = (stop.clone(), asked.clone());
        let thread = thread::spawn(move || work(&socket, &stopped, &counter));
        Self { address, asked, stop, thread: Some(thread) }
    }

    /// How many questions of the bench came.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Writes the answer to a query: an address for A, NODATA for the rest; OPT where the query has one.
fn answer(query: &[u8], reply: &mut Vec<u8>) {
    let Some(end) = question_end(query) else { return };
    let (address, is_a) = (Name::of(query).unwrap_or(Name(1)).address(), query[end - 4..end - 2] == A);
    let has_opt = query[11] == 1;
    reply.extend_from_slice(&query[..2]);
    reply.extend_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, u8::from(has_opt)]);
    reply.extend_from_slice(&query[HEADER..end]);
    if is_a {
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4]);
        reply.extend_from_slice(&address.octets());
    }
    if has_opt {
        reply.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
    }
}

/// Where the question ends: behind its name, type and class.
fn question_end(query: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1 + length;
        if length == 0 {
            return (at + 4 <= query.len()).then_some(at + 4);
        }
    }
}
