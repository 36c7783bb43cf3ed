//! Server blocks and their keys.

use crate::config::directive::{
    Bind, Cache, Chaos, Dns64, Errors, Forward, Health, Hosts, Kubernetes, LoadBalance, LogRule, NAMES, Prometheus,
    Ready, Reload, Template,
};
use crate::dns::Name;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The server blocks in the order of the file.
    pub servers: Vec<ServerBlock>,
}

/// One server block: the zones that it serves and what is done with their queries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerBlock {
    /// Zones with scheme and port; prefixes are expanded to their reverse zones. Never empty.
    pub keys: Vec<ServerKey>,
    /// Addresses and interfaces to listen on; empty means all addresses.
    pub bind: Bind,
    /// Largest UDP size that is taken from a client's OPT (`bufsize`).
    pub bufsize: Option<u16>,
    /// `cache`.
    pub cache: Option<Cache>,
    /// `chaos`.
    pub chaos: Option<Chaos>,
    /// `dns64`.
    pub dns64: Option<Dns64>,
    /// `errors`.
    pub errors: Option<Errors>,
    /// `forward`, in the order of the file.
    pub forward: Vec<Forward>,
    /// `health`.
    pub health: Option<Health>,
    /// `hosts`.
    pub hosts: Option<Hosts>,
    /// `kubernetes`.
    pub kubernetes: Option<Kubernetes>,
    /// `loadbalance`.
    pub loadbalance: Option<LoadBalance>,
    /// `log`, in the order of the file.
    pub log: Vec<LogRule>,
    /// `loop`.
    pub loop_detection: bool,
    /// `prometheus`.
    pub prometheus: Option<Prometheus>,
    /// `ready`.
    pub ready: Option<Ready>,
    /// `reload`.
    pub reload: Option<Reload>,
    /// `template`, in the order of the file.
    pub template: Vec<Template>,
    /// `whoami`.
    pub whoami: bool,
}

impl ServerBlock {
    /// The names of the directives that are in it, in the order of the alphabet.
    pub fn directives(&self) -> Vec<&'static str> {
        let present = [
            !self.bind.addresses.is_empty(),
            self.bufsize.is_some(),
            self.cache.is_some(),
            self.chaos.is_some(),
            self.dns64.is_some(),
            self.errors.is_some(),
            !self.forward.is_empty(),
            self.health.is_some(),
            self.hosts.is_some(),
            self.kubernetes.is_some(),
            self.loadbalance.is_some(),
            !self.log.is_empty(),
            self.loop_detection,
            self.prometheus.is_some(),
            self.ready.is_some(),
            self.reload.is_some(),
            !self.template.is_empty(),
            self.whoami,
        ];
        NAMES.into_iter().zip(present).filter_map(|(name, is_present)| is_present.then_some(name)).collect()
    }
}

/// A zone with the scheme and port that it is served on, as in `dns://example.org:53`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey {
    /// How queries come.
    pub scheme: Scheme,
    /// The zone, in lower case.
    pub zone: Name,
    /// The port; None where the file names none: the default of the scheme or of `-dns.port`.
    pub port: Option<u16>,
}

/// How queries come to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Plain DNS over UDP and TCP.
    #[default]
    Dns,
    /// DNS over TLS (RFC 7858).
    Tls,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// DNS over QUIC (RFC 9250).
    Quic,
    /// CoreDNS's gRPC.
    Grpc,
}

impl Scheme {
    /// The word before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Dns => "dns",
            Scheme::Tls => "tls",
            Scheme::Https => "https",
            Scheme::Quic => "quic",
            Scheme::Grpc => "grpc",
        }
    }
}
