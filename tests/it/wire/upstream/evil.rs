//! Another server on loopback that does what a question tells it to: over UDP, TCP and TLS.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::message::Asked;
use super::script::{answer, datagrams};
use crate::wire::socket::frame;

/// How often it looks whether it is to end.
const TICK: Duration = Duration::from_millis(5);

/// A server, of the address that it has for UDP and TCP, until this is dropped.
pub struct Evil {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_gone: AtomicBool,
    /// It hears questions, and answers none.
    is_down: AtomicBool,
    /// It does nothing that it is told.
    is_good: AtomicBool,
    /// How often each name was asked for, and all over streams.
    asked: Mutex<HashMap<String, usize>>,
    over_streams: AtomicUsize,
    /// How many streams there were.
    streams: AtomicUsize,
    /// How many questions had no RD.
    without_recursion: AtomicUsize,
}

impl Evil {
    /// Over UDP and TCP.
    pub fn start() -> Self {
        let (datagrams, streams) = sockets();
        let evil = Self { address: datagrams.local_addr().expect("an address"), state: Arc::default() };
        let state = evil.state.clone();
        std::thread::spawn(move || state.answer_datagrams(&datagrams));
        evil.listen(streams, None);
        evil
    }

    /// The same, but every question over a stream gets the good answer, whatever it tells.
    pub fn made_good(self) -> Self {
        self.state.is_good.store(true, Ordering::Relaxed);
        self
    }

    /// Over TLS alone.
    pub fn with_tls(tls: Arc<ServerConfig>) -> Self {
        let streams = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let evil = Self { address: streams.local_addr().expect("an address"), state: Arc::default() };
        evil.listen(streams, Some(tls));
        evil
    }

    fn listen(&self, streams: TcpListener, tls: Option<Arc<ServerConfig>>) {
        streams.set_nonblocking(true).expect("an option");
        let state = self.state.clone();
        std::thread::spawn(move || {
            while !state.is_gone() {
                let Ok((stream, _)) = streams.accept() else {
                    std::thread::sleep(TICK);
                    continue;
                };
                state.streams.fetch_add(1, Ordering::Relaxed);
                let (state, tls) = (state.clone(), tls.clone());
                std::thread::spawn(move || state.answer_connection(stream, tls));
            }
        });
    }

    /// Answers nothing from now on, or everything.
    pub fn set_down(&self, is_down: bool) {
        self.state.is_down.store(is_down, Ordering::Relaxed);
    }

    /// How often a name was asked for; over TCP it is not counted, where a question of a datagram may come again at any time.
    pub fn asked(&self, name: &str) -> usize {
        self.state.asked.lock().expect("no panic").get(&name.to_lowercase()).copied().unwrap_or_default()
    }

    /// How many streams there were.
    pub fn streams(&self) -> usize {
        self.state.streams.load(Ordering::Relaxed)
    }

    /// How many questions had no RD.
    pub fn asked_without_recursion(&self) -> usize {
        self.state.without_recursion.load(Ordering::Relaxed)
    }

    /// How many questions came over streams.
    pub fn asked_over_streams(&self) -> usize {
        self.state.over_streams.load(Ordering::Relaxed)
    }
}

impl Drop for Evil {
    fn drop(&mut self) {
        self.state.is_gone.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }

    /// A question that came; None: it is not answered.
    fn note(&self, message: &[u8], is_counted: bool) -> Option<Asked> {
        let asked = Asked::read(message);
        if is_counted {
            *self.asked.lock().expect("no panic").entry(asked.name.clone()).or_default() += 1;
        }
        self.without_recursion.fetch_add(usize::from(!asked.recursion_desired), Ordering::Relaxed);
        (!self.is_down.load(Ordering::Relaxed)).then_some(asked)
    }

    fn answer_datagrams(&self, socket: &UdpSocket) {
        let elsewhere = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(TICK)).expect("a timeout");
        let mut octets = [0; 4096];
        while !self.is_gone() {
            let Ok((length, client)) = socket.recv_from(&mut octets) else { continue };
            let Some(asked) = self.note(&octets[..length], true) else { continue };
            for datagram in datagrams(&asked) {
                let from = if datagram.is_from_elsewhere { &elsewhere } else { socket };
                // Who has what it wanted may have closed its socket.
                let _ = from.send_to(&datagram.octets, client);
            }
        }
    }

    fn answer_connection(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> Option<()> {
        stream.set_nonblocking(false).expect("an option");
        stream.set_read_timeout(Some(TICK)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        match tls {
            None => self.answer_stream(stream, false),
            Some(tls) => {
                let connection = ServerConnection::new(tls).expect("a connection");
                self.answer_stream(StreamOwned::new(connection, stream), true)
            }
        }
    }

    /// Until an end of any kind.
    fn answer_stream(&self, mut stream: impl Read + Write, is_counted: bool) -> Option<()> {
        loop {
            let mut length = [0; 2];
            self.fill(&mut stream, &mut length)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            self.fill(&mut stream, &mut message)?;
            self.over_streams.fetch_add(1, Ordering::Relaxed);
            let Some(asked) = self.note(&message, is_counted) else { continue };
            let reply = frame(&answer(&asked));
            match asked.script() {
                _ if self.is_good.load(Ordering::Relaxed) => {
                    stream.write_all(&reply).and_then(|()| stream.flush()).ok()?
                }
                "close" => return stream.write_all(&reply[..reply.len() / 2]).ok(),
                "drip" => {
                    for octet in reply {
                        stream.write_all(&[octet]).and_then(|()| stream.flush()).ok()?;
                        std::thread::sleep(Duration::from_millis(200));
                        if self.is_gone() {
                            return None;
                        }
                    }
                }
                _ => stream.write_all(&reply).and_then(|()| stream.flush()).ok()?,
            }
        }
    }

    /// None: the stream or this server has ended.
    fn fill(&self, stream: &mut impl Read, mut octets: &mut [u8]) -> Option<()> {
        while !octets.is_empty() && !self.is_gone() {
            match stream.read(octets) {
                Ok(0) => return None,
                Ok(count) => octets = &mut octets[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return None,
            }
        }
        octets.is_empty().then_some(())
    }
}

/// Sockets for UDP and TCP of one port.
fn sockets() -> (UdpSocket, TcpListener) {
    let pair = || {
        let datagrams = UdpSocket::bind("127.0.0.1:0").ok()?;
        let streams = TcpListener::bind(datagrams.local_addr().ok()?).ok()?;
        Some((datagrams, streams))
    };
    std::iter::repeat_with(pair).take(100).flatten().next().expect("a port that is free for both")
}
