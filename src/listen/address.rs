//! Addresses to listen on, and their sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Scheme;
use crate::dns::Transport;

/// Where to listen, over UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddress {
    /// Every address of the machine, IPv4 and, where it is there, IPv6.
    All {
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// One address; `[::]` takes IPv4, too, and `0.0.0.0` only IPv4.
    One(SocketAddr),
}

impl ListenAddress {
    /// The port; 0 lets the system choose.
    pub fn port(&self) -> u16 {
        match self {
            ListenAddress::All { port } => *port,
            ListenAddress::One(address) => address.port(),
        }
    }
}

/// A listen address, and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// What is spoken.
    pub scheme: Scheme,
    /// Where.
    pub address: ListenAddress,
}

impl Endpoint {
    /// What metrics call it: `dns://:53`, `tls://[::1]:853`.
    pub fn label(&self) -> String {
        match self.address {
            ListenAddress::All { port } => format!("{}://:{port}", self.scheme.as_str()),
            ListenAddress::One(address) => format!("{}://{address}", self.scheme.as_str()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Dns => self.address.fmt(f),
            scheme => write!(f, "{}://{}", scheme.as_str(), self.address),
        }
    }
}

/// Who may have the port of a listen address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortUse {
    /// Nobody: another server on it is a mistake.
    Alone,
    /// Other listen addresses of this server, such as all addresses beside one of them.
    WithOurOwn,
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::All { port } => write!(f, "*:{port}"),
            ListenAddress::One(address) => write!(f, "{address}"),
        }
    }
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} over {}: {}", .transport.as_str(), explain(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// What the system said.
    pub source: io::Error,
}

fn explain(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another server has this port",
        io::ErrorKind::AddrNotAvailable => "no interface has this address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        _ => "the system refuses it",
    }
}

/// The sockets of a listen address, bound to the same port.
#[derive(Debug)]
pub(super) struct Sockets {
    pub tcp: TcpListener,
    pub udp: Vec<UdpSocket>,
    /// With the port that the system chose if it was to choose.
    pub local: SocketAddr,
}

/// How long a UDP thread waits for a packet before it looks whether it is to stop.
const RECEIVE_TIME: Duration = Duration::from_millis(100);

/// Some 1,000 queries, 5 ms of work: the system's default drops bursts, and more only makes answers late.
const RECEIVE_BUFFER_BYTES: usize = 512 * 1024;

/// How often another port is tried when the system chose one for TCP that is taken for UDP.
const PORT_ATTEMPTS: usize = 20;

impl Sockets {
    pub fn bind(address: ListenAddress, port_use: PortUse, udp_sockets: usize) -> Result<Self, BindError> {
        let bind = |ip: IpAddr, port| Self::bind_one((ip, port).into(), port_use, udp_sockets);
        match address {
            ListenAddress::One(address) => Self::bind_one(address, port_use, udp_sockets),
            ListenAddress::All { port } => match bind(Ipv6Addr::UNSPECIFIED.into(), port) {
                Err(error) if has_no_ipv6(&error.source) => bind(Ipv4Addr::UNSPECIFIED.into(), port),
                bound => bound,
            },
        }
    }

    fn bind_one(address: SocketAddr, port_use: PortUse, udp_sockets: usize) -> Result<Self, BindError> {
        for _ in 1..PORT_ATTEMPTS {
            match Self::try_bind(address, port_use, udp_sockets) {
                Err(error) if address.port() == 0 && error.source.kind() == io::ErrorKind::AddrInUse => {}
                bound => return bound,
            }
        }
        Self::try_bind(address, port_use, udp_sockets)
    }

    /// TCP first: SO_REUSEPORT would let a second server share the UDP port in silence.
    fn try_bind(address: SocketAddr, port_use: PortUse, udp_sockets: usize) -> Result<Self, BindError> {
        let over = |transport| move |source| BindError { address, transport, source };
        let tcp = bind_tcp(address, port_use).map_err(over(Transport::Tcp))?;
        let local = tcp.local_addr().map_err(over(Transport::Tcp))?;
        let udp = (0..udp_sockets).map(|_| bind_udp(local)).collect::<io::Result<_>>();
        Ok(Self { tcp, udp: udp.map_err(over(Transport::Udp))?, local })
    }
}

/// The socket of QUIC, which shares its port with nobody but sockets of ours that are closing.
pub(super) fn bind_quic(address: ListenAddress, port_use: PortUse) -> Result<UdpSocket, BindError> {
    let bind = |address: SocketAddr| {
        let bound = || -> io::Result<UdpSocket> {
            let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
            take_ipv4_too(&socket, address)?;
            socket.set_reuse_port(port_use == PortUse::WithOurOwn)?;
            socket.bind(&address.into())?;
            // Only now: this socket has found the port free, and others of ours may still come to it.
            socket.set_reuse_port(true)?;
            Ok(socket.into())
        };
        bound().map_err(|source| BindError { address, transport: Transport::Udp, source })
    };
    match address {
        ListenAddress::One(address) => bind(address),
        ListenAddress::All { port } => match bind((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if has_no_ipv6(&error.source) => bind((Ipv4Addr::UNSPECIFIED, port).into()),
            bound => bound,
        },
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT has no kind of its own.
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

fn bind_tcp(address: SocketAddr, port_use: PortUse) -> io::Result<TcpListener> {
    match try_bind_tcp(address, false) {
        Err(error) if port_use == PortUse::WithOurOwn && error.kind() == io::ErrorKind::AddrInUse => {
            try_bind_tcp(address, true)
        }
        bound => bound,
    }
}

fn try_bind_tcp(address: SocketAddr, reuses_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    take_ipv4_too(&socket, address)?;
    // A restarted server finds the port free although connections of the old one are still closing.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuses_port)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    // Only now: this socket has found the port free, and others of ours may still come to it.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    take_ipv4_too(&socket, address)?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_read_timeout(Some(RECEIVE_TIME))?;
    // A network that takes nothing costs replies, and not the thread.
    socket.set_write_timeout(Some(RECEIVE_TIME))?;
    // Before bind, so that no packet comes without its destination.
    match address {
        _ if !address.ip().is_unspecified() => {}
        SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?,
        // It tells the destination of IPv4 packets, too, as a mapped address.
        SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn take_ipv4_too(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address.ip() == Ipv6Addr::UNSPECIFIED {
        true => socket.set_only_v6(false),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> ListenAddress {
        ListenAddress::One((Ipv4Addr::LOCALHOST, port).into())
    }

    #[test]
    fn udp_and_tcp_share_the_port_that_the_system_chose() {
        let sockets = Sockets::bind(loopback(0), PortUse::Alone, 2).unwrap();
        assert_ne!(sockets.local.port(), 0);
        assert_eq!(sockets.tcp.local_addr().unwrap(), sockets.local);
        assert_eq!(sockets.udp.len(), 2);
        assert!(sockets.udp.iter().all(|udp| udp.local_addr().unwrap() == sockets.local));
    }

    #[test]
    fn a_second_server_on_the_same_port_is_told_so() {
        let first = Sockets::bind(loopback(0), PortUse::Alone, 1).unwrap();
        let error = Sockets::bind(loopback(first.local.port()), PortUse::Alone, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot listen on {} over tcp: another server has this port", first.local)
        );
    }

    #[test]
    fn addresses_of_one_server_may_share_a_port() {
        let first = Sockets::bind(ListenAddress::All { port: 0 }, PortUse::Alone, 1).unwrap();
        let address = loopback(first.local.port());
        assert!(Sockets::bind(address, PortUse::Alone, 1).is_err());
        let second = Sockets::bind(address, PortUse::WithOurOwn, 1).unwrap();
        drop(first);
        let all = ListenAddress::All { port: second.local.port() };
        assert!(Sockets::bind(all, PortUse::Alone, 1).is_err());
        assert!(Sockets::bind(all, PortUse::WithOurOwn, 1).is_ok());
    }

    #[test]
    fn a_port_that_only_udp_has_taken_is_in_use() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        let error = Sockets::bind(ListenAddress::One(address), PortUse::Alone, 1).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address} over udp: another server has this port"));
    }

    #[test]
    fn an_address_of_another_machine_is_none_of_ours() {
        let error = Sockets::bind(ListenAddress::One("192.0.2.1:0".parse().unwrap()), PortUse::Alone, 1).unwrap_err();
        assert!(error.to_string().ends_with("no interface has this address"), "{error}");
    }
}
