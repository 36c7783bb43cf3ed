//! Datagrams in batches: one system call receives or sends many (recvmmsg, sendmmsg).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, sendmmsg, sendmsg,
};

/// Datagrams in one batch: more gains nothing.
pub(super) const BATCH: usize = 32;

/// Octets of a query at most; of a longer one only these are read, and they are no whole message.
const QUERY_BYTES_MAX: usize = 4096;

/// Where a datagram came from, and where it came to: the reply goes the same way back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Route {
    /// The client as the socket sees it: an IPv4 client of an IPv6 socket has a mapped address.
    client: SocketAddr,
    /// The destination, where the socket takes several; the reply has to leave from it.
    source: Option<IpAddr>,
}

impl Route {
    /// The client, IPv4 clients with their IPv4 address.
    pub fn client(&self) -> SocketAddr {
        canonical(self.client)
    }

    /// The address that the datagram came to, on a socket that is bound to `bound`.
    pub fn local(&self, bound: SocketAddr) -> SocketAddr {
        canonical(SocketAddr::new(self.source.unwrap_or(bound.ip()), bound.port()))
    }
}

/// The address, IPv4 instead of IPv4-mapped IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// A batch of received datagrams.
pub(super) struct Inbox {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; QUERY_BYTES_MAX]; BATCH]>,
    received: Vec<(usize, Option<Route>)>,
    /// What the socket is bound to; on one of all addresses, each datagram tells its destination.
    bound: SocketAddr,
}

impl Inbox {
    pub fn new(bound: SocketAddr) -> Self {
        Self {
            headers: headers(bound),
            buffers: Box::new([[0; QUERY_BYTES_MAX]; BATCH]),
            received: Vec::with_capacity(BATCH),
            bound,
        }
    }

    /// Receives what is there; waits for the first datagram as long as the socket's time allows if `waits`.
    pub fn receive(&mut self, socket: &UdpSocket, waits: bool) -> io::Result<()> {
        self.received.clear();
        let flags = if waits { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let results = recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None)?;
        let is_wildcard = self.bound.ip().is_unspecified();
        self.received.extend(results.map(|message| (message.bytes, route(&message, is_wildcard))));
        if self.received.iter().any(|(_, route)| route.is_none()) {
            // The headers keep the lengths of what they held last: one without a destination would never hold one again.
            self.headers = headers(self.bound);
        }
        Ok(())
    }

    /// The datagrams of the last batch whose way back is known.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], Route)> {
        let received = self.received.iter().zip(self.buffers.iter());
        received.filter_map(|((length, route), buffer)| Some((buffer.get(..*length)?, (*route)?)))
    }
}

/// Headers of a batch, each with room for the one control message that a socket of all addresses needs.
fn headers(bound: SocketAddr) -> MultiHeaders<SockaddrStorage> {
    let room = match bound {
        _ if !bound.ip().is_unspecified() => None,
        SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
        SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
    };
    MultiHeaders::preallocate(BATCH, room)
}

fn route(message: &RecvMsg<'_, '_, SockaddrStorage>, is_wildcard: bool) -> Option<Route> {
    let address = message.address.as_ref()?;
    let client = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => SocketAddr::V4(SocketAddrV4::from(*v4)),
        (None, Some(v6)) => SocketAddr::V6(SocketAddrV6::from(*v6)),
        (None, None) => return None,
    };
    let source = match is_wildcard {
        true => Some(message.cmsgs().ok()?.find_map(destination)?),
        false => None,
    };
    Some(Route { client, source })
}

fn destination(message: ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::from(info.ipi6_addr.s6_addr)),
        _ => None,
    }
}

/// A batch of replies.
pub(super) struct Outbox {
    headers: MultiHeaders<SockaddrStorage>,
    replies: Vec<(Vec<u8>, Route)>,
}

impl Outbox {
    pub fn new(bound: SocketAddr) -> Self {
        Self { headers: headers(bound), replies: Vec::with_capacity(BATCH) }
    }

    /// Adds a reply; a batch has no more of them than datagrams were received.
    pub fn push(&mut self, reply: Vec<u8>, route: Route) {
        self.replies.push((reply, route));
    }

    /// Sends all replies. One that cannot be sent is lost, as any datagram may be, and keeps no other back.
    pub fn send(&mut self, socket: &UdpSocket) {
        for group in self.replies.chunk_by(|(_, one), (_, other)| one.source == other.source) {
            let slices: Vec<_> = group.iter().map(|(reply, _)| [IoSlice::new(reply)]).collect();
            let clients: Vec<_> = group.iter().map(|(_, route)| Some(SockaddrStorage::from(route.client))).collect();
            let source = group.first().and_then(|(_, route)| route.source).map(PacketInfo::from);
            let control: Vec<_> = source.iter().map(PacketInfo::message).collect();
            let mut sent = 0;
            while let (Some(slices @ [_, ..]), Some(clients)) = (slices.get(sent..), clients.get(sent..)) {
                let fd = socket.as_raw_fd();
                match sendmmsg(fd, &mut self.headers, slices, clients, &control, MsgFlags::empty()) {
                    Ok(results) => sent += results.count(),
                    Err(Errno::EINTR) => {}
                    // The network took nothing for a while: the rest would only come later still.
                    Err(Errno::EAGAIN) => break,
                    // The first of those that are left could not be sent.
                    Err(_) => sent += 1,
                }
            }
        }
        self.replies.clear();
    }
}

/// Sends one reply, later than its batch.
pub(super) fn send(socket: &UdpSocket, reply: &[u8], route: Route) -> io::Result<()> {
    let source = route.source.map(PacketInfo::from);
    let control: Vec<_> = source.iter().map(PacketInfo::message).collect();
    let client = SockaddrStorage::from(route.client);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(reply)], &control, MsgFlags::MSG_DONTWAIT, Some(&client))?;
    Ok(())
}

/// The address that a reply leaves from; the route decides the interface.
enum PacketInfo {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl PacketInfo {
    fn message(&self) -> ControlMessage<'_> {
        match self {
            PacketInfo::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            PacketInfo::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}

impl From<IpAddr> for PacketInfo {
    fn from(source: IpAddr) -> Self {
        match source {
            IpAddr::V4(v4) => PacketInfo::V4(in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
                ipi_addr: in_addr { s_addr: 0 },
            }),
            IpAddr::V6(v6) => {
                PacketInfo::V6(in6_pktinfo { ipi6_addr: in6_addr { s6_addr: v6.octets() }, ipi6_ifindex: 0 })
            }
        }
    }
}
