//! `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`: where to listen.

use std::net::IpAddr;

/// Where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bind {
    /// Addresses and interfaces; empty means all addresses.
    pub addresses: Vec<BindAddress>,
    /// Addresses and interfaces to leave out.
    pub except: Vec<BindAddress>,
}

/// An address, or an interface that stands for its addresses when the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAddress {
    /// An address, with the interface that an IPv6 link-local address belongs to.
    Address(IpAddr, Option<String>),
    /// The name of an interface.
    Interface(String),
}
