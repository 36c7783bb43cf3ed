//! A question as a client asked it, with all that decides how it is answered.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Budget, Class, Explanation, Metadata, Name, RecordType};

/// A parsed and accepted query: opcode QUERY, exactly one question, QR clear.
#[derive(Clone, Debug)]
pub struct Query {
    /// The id, copied into the answer.
    pub id: u16,
    /// The name asked for, in the client's letter case; comparisons ignore case (RFC 4343).
    pub name: Name,
    /// The type asked for.
    pub record_type: RecordType,
    /// The class asked for.
    pub class: Class,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// AD: the client understands AD in the answer (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// The OPT record, if the client sent one.
    pub edns: Option<Edns>,
    /// Who asked.
    pub client: SocketAddr,
    /// The address that the query came to.
    pub local: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Length of the request in octets, for metrics and the query log.
    pub size_bytes: usize,
    /// How many internal look-ups led here: 0 for what a client asked. See [`Query::follow_up`].
    pub depth: u8,
    /// The serial of the zone that the client has (IXFR).
    pub serial: Option<u32>,
    /// What plugins say of it (`metadata`).
    pub metadata: Metadata,
    /// What other servers may still be asked for it. Its look-ups share it.
    pub budget: Arc<Budget>,
    /// Whether there is room for one more query that waits: if not, it is answered from memory or not at all.
    pub may_wait: bool,
    /// Options of EDNS that other servers are asked with, as (code, octets); never the client's own.
    pub upstream_options: Vec<(u16, Vec<u8>)>,
    /// Takes what happens to it; None while serving.
    pub explanation: Option<Explanation>,
}

/// What a client said in its OPT record (RFC 6891), version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP answer that the client takes, at least 512.
    pub udp_size: u16,
    /// DO (RFC 3225).
    pub dnssec_ok: bool,
    /// Options as (code, octets), in their order.
    pub options: Vec<(u16, Vec<u8>)>,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream with two-octet lengths.
    Tcp,
}

impl Transport {
    /// The word that CoreDNS's logs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

impl Query {
    /// How many internal look-ups one query may cause in a row: the longest chain of aliases that CoreDNS follows.
    pub const DEPTH_MAX: u8 = 11;

    /// A question of the server itself, which no client asked: for probes of other servers.
    pub fn of_our_own(name: Name, record_type: RecordType) -> Query {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Query {
            id: 0,
            name,
            record_type,
            class: Class::IN,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: None,
            client: nobody,
            local: nobody,
            transport: Transport::Udp,
            size_bytes: 0,
            depth: 0,
            serial: None,
            metadata: Metadata::default(),
            budget: Arc::default(),
            may_wait: true,
            upstream_options: Vec::new(),
            explanation: None,
        }
    }

    /// The same client asking for another name or type: for the targets of aliases and the A side of DNS64.
    ///
    /// None if the chain of look-ups is longer than [`Query::DEPTH_MAX`].
    pub fn follow_up(&self, name: Name, record_type: RecordType) -> Option<Query> {
        (self.depth < Self::DEPTH_MAX).then(|| Query {
            name,
            record_type,
            depth: self.depth + 1,
            upstream_options: Vec::new(),
            ..self.clone()
        })
    }

    /// The longest answer that the client takes, in octets, as it says itself.
    pub fn size_limit(&self) -> u16 {
        match self.transport {
            Transport::Udp => self.edns.as_ref().map_or(512, |edns| edns.udp_size),
            Transport::Tcp => u16::MAX,
        }
    }

    /// Tells what `plugin` did with the query and why, if anybody wants to know.
    pub fn explain(&self, plugin: &'static str, text: impl FnOnce() -> String) {
        if let Some(explanation) = &self.explanation {
            explanation.tell(self.depth, plugin, text());
        }
    }

    /// Whether the client set DO.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// The family of the client's address as CoreDNS's metrics have it: 1 for IPv4 (mapped ones too), 2 for IPv6.
    pub fn family(&self) -> u8 {
        match self.client.ip().to_canonical() {
            IpAddr::V4(_) => 1,
            IpAddr::V6(_) => 2,
        }
    }
}
