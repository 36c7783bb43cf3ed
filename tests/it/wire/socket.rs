//! Clients with sockets of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use landfall::dns::Transport;
use socket2::{Domain, Socket, Type};

use super::packet::Packet;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The id of the question that is asked behind another one: its reply shows that none to the other one will come.
const MARKER_ID: u16 = 0xfeed;

/// Sends a request; None if nothing goes back.
pub fn ask(server: SocketAddr, transport: Transport, request: &[u8]) -> Option<Vec<u8>> {
    match transport {
        Transport::Udp => Datagrams::to(server).ask(request),
        Transport::Tcp => Stream::to(server).ask(request),
    }
}

/// A UDP client that is connected to the server: only what leaves from the address asked reaches it.
pub struct Datagrams(UdpSocket);

impl Datagrams {
    pub fn to(server: SocketAddr) -> Self {
        Self::from_to(loopback(server), server)
    }

    pub fn from_to(client: IpAddr, server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((client, 0)).expect("a socket");
        socket.connect(server).expect("a route");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(socket)
    }

    pub fn send(&self, request: &[u8]) {
        self.0.send(request).expect("a request sent");
    }

    pub fn next(&self) -> Vec<u8> {
        let mut reply = vec![0; 65535];
        let length = self.0.recv(&mut reply).expect("a reply");
        reply.truncate(length);
        reply
    }

    /// Sends a request; None if nothing goes back.
    pub fn ask(&self, request: &[u8]) -> Option<Vec<u8>> {
        self.send(request);
        self.send(&marker());
        let reply = self.next();
        if is_marker(&reply) {
            return None;
        }
        assert!(is_marker(&self.next()), "two replies to {request:x?}");
        Some(reply)
    }
}

/// A TCP client.
pub struct Stream(pub TcpStream);

impl Stream {
    pub fn to(server: SocketAddr) -> Self {
        Self::from_to(loopback(server), server)
    }

    pub fn from_to(client: IpAddr, server: SocketAddr) -> Self {
        Self::connect(client, server, |_| {})
    }

    /// Connects with a socket that is prepared before.
    pub fn connect(client: IpAddr, server: SocketAddr, prepare: impl FnOnce(&Socket)) -> Self {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).expect("a socket");
        prepare(&socket);
        socket.bind(&SocketAddr::new(client, 0).into()).expect("a client address");
        socket.connect_timeout(&server.into(), PATIENCE).expect("a connection");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    /// Sends octets as they are.
    pub fn write(&mut self, octets: &[u8]) {
        self.0.write_all(octets).expect("octets sent");
    }

    pub fn send(&mut self, request: &[u8]) {
        self.write(&frame(request));
    }

    /// The next reply; None if the connection ends instead.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        self.fill(&mut length)?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        self.fill(&mut reply)?;
        Some(reply)
    }

    fn fill(&mut self, octets: &mut [u8]) -> Option<()> {
        match self.0.read_exact(octets) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => None,
            Err(error) => panic!("neither a reply nor an end: {error}"),
        }
    }

    /// Sends a request; None if nothing goes back.
    pub fn ask(&mut self, request: &[u8]) -> Option<Vec<u8>> {
        self.send(request);
        self.send(&marker());
        let reply = self.next().expect("a reply");
        if is_marker(&reply) {
            return None;
        }
        assert!(is_marker(&self.next().expect("a reply")), "two replies to {request:x?}");
        Some(reply)
    }

    /// Whether a question gets a reply; no if the connection is closed.
    pub fn is_served(&mut self) -> bool {
        self.0.write_all(&frame(&marker())).is_ok() && self.next().is_some()
    }

    /// Whether the server has closed the connection, asked for a short while.
    pub fn is_closed(&mut self, while_: Duration) -> bool {
        self.0.set_read_timeout(Some(while_)).expect("a timeout");
        match self.0.read(&mut [0; 512]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// A message with its length in front.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).expect("a message").to_be_bytes()[..], message].concat()
}

fn marker() -> Vec<u8> {
    Packet { id: MARKER_ID, ..Packet::new("marker.", 1) }.octets()
}

fn is_marker(reply: &[u8]) -> bool {
    reply[..2] == MARKER_ID.to_be_bytes()
}

/// The loopback address of the server's family; of IPv4, always the first one.
fn loopback(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => [127, 0, 0, 1].into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Waits for a condition.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
