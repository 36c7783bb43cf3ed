//! Datagrams in batches: a client that costs more than the server measures itself.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};

/// Datagrams in one batch.
pub const BATCH: usize = 32;

/// Octets of a datagram at most.
const OCTETS_MAX: usize = 1232;

/// A batch that was received.
pub struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; OCTETS_MAX]; BATCH]>,
    received: Vec<(usize, Option<SocketAddr>)>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            buffers: Box::new([[0; OCTETS_MAX]; BATCH]),
            received: Vec::with_capacity(BATCH),
        }
    }
}

impl Inbox {
    /// Receives what is there, and waits for the first datagram as long as the socket's read timeout allows.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.received.clear();
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let flags = MsgFlags::MSG_WAITFORONE;
        let messages = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        self.received.extend(messages.map(|message| {
            let sender = message.address.as_ref().and_then(|address| address.as_sockaddr_in().copied());
            (message.bytes, sender.map(|sender| SocketAddr::V4(SocketAddrV4::from(sender))))
        }));
        Ok(())
    }

    /// What was received last, and who sent it.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Option<SocketAddr>)> {
        self.received.iter().zip(self.buffers.iter()).map(|((length, sender), buffer)| (&buffer[..*length], *sender))
    }
}

/// A batch that is to be sent.
pub struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    messages: Vec<Vec<u8>>,
    receivers: Vec<Option<SockaddrStorage>>,
    used: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        let messages = vec![Vec::new(); BATCH];
        Self { headers: MultiHeaders::preallocate(BATCH, None), messages, receivers: vec![None; BATCH], used: 0 }
    }
}

impl Outbox {
    /// A further message, empty, to this address; None: to what the socket is connected to. A batch has 32 of them.
    pub fn message(&mut self, receiver: Option<SocketAddr>) -> &mut Vec<u8> {
        let (message, place) = (&mut self.messages[self.used], &mut self.receivers[self.used]);
        *place = receiver.map(SockaddrStorage::from);
        self.used += 1;
        message.clear();
        message
    }

    /// Sends all; what cannot be sent is lost, as any datagram may be.
    pub fn send(&mut self, socket: &UdpSocket) {
        let slices: Vec<_> = self.messages[..self.used].iter().map(|message| [IoSlice::new(message)]).collect();
        let mut sent = 0;
        while sent < self.used {
            let (messages, receivers) = (&slices[sent..], &self.receivers[sent..self.used]);
            match sendmmsg(socket.as_raw_fd(), &mut self.headers, messages, receivers, [], MsgFlags::empty()) {
                Ok(results) => sent += results.count(),
                Err(Errno::EINTR) => {}
                Err(_) => sent += 1,
            }
        }
        self.used = 0;
    }
}
