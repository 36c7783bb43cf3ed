//! `dns64 [PREFIX] { prefix PREFIX; translate_all; allow_ipv4 }`: AAAA records from A records (RFC 6147).

use ipnet::Ipv6Net;

/// How AAAA records are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns64 {
    /// The NAT64 prefix, of one of the lengths of RFC 6052 section 2.2.
    pub prefix: Ipv6Net,
    /// Also where AAAA records exist.
    pub translate_all: bool,
    /// Also for queries that come over IPv4.
    pub allow_ipv4: bool,
}
