//! `forward FROM TO... { ... }`: ask other servers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::dns::Name;

/// Whom to ask, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// Names below this zone are forwarded.
    pub from: Name,
    /// The servers, at least one, in the order of the file, as addresses: files are already read.
    pub to: Vec<Upstream>,
    /// Files of `to` in resolv.conf's form.
    pub files: Vec<PathBuf>,
    /// Names below these zones are not forwarded.
    pub except: Vec<Name>,
    /// Always ask over TCP.
    pub force_tcp: bool,
    /// Ask over UDP even if the client asked over TCP.
    pub prefer_udp: bool,
    /// How long an idle connection is kept.
    pub expire: Duration,
    /// How many probes in a row must fail before a server counts as down; 0: never down.
    pub max_fails: u32,
    /// How servers that failed are probed.
    pub health_check: HealthCheck,
    /// In which order servers are asked.
    pub policy: Policy,
    /// Queries under way at once; 0: no limit.
    pub max_concurrent: usize,
    /// TLS towards `tls://` servers.
    pub tls: ForwardTls,
}

/// A server to ask.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Its address and port.
    pub address: SocketAddr,
    /// How it is asked.
    pub transport: UpstreamTransport,
    /// The name in its certificate, where the address says it (`tls://9.9.9.9%dns.quad9.net`).
    pub server_name: Option<String>,
}

/// How a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamTransport {
    /// UDP and TCP.
    Plain,
    /// DNS over TLS (RFC 7858).
    Tls,
}

/// TLS towards servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardTls {
    /// The name in the servers' certificates (`tls_servername`).
    pub server_name: Option<String>,
    /// Our certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The authority of the servers' certificates; None: those of the system.
    pub authority: Option<PathBuf>,
}

/// Probes of servers that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Time between probes; zero: no probes.
    pub interval: Duration,
    /// Whether RD is set in a probe.
    pub recursion_desired: bool,
    /// The name that a probe asks for (type NS).
    pub domain: Name,
}

/// In which order servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In a random order.
    #[default]
    Random,
    /// Each in its turn.
    RoundRobin,
    /// In the order of the file.
    Sequential,
}
