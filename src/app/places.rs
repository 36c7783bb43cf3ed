//! `bind`: the listen addresses of a server block on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use crate::config::directive::{Bind, BindAddress};
use crate::config::{Scheme, ServerBlock, ServerKey};
use crate::dns::Name;
use crate::listen::{Endpoint, ListenAddress};

/// An address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name of the interface that has it.
    pub name: String,
    /// The number of that interface: the scope of a link-local address (RFC 4007 section 11).
    pub index: u32,
    /// The address.
    pub address: IpAddr,
}

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// `bind` names an interface that is not there.
    #[error("bind: there is no interface {name:?}, or it has no address")]
    Interface {
        /// The name.
        name: String,
    },
    /// `except` leaves nothing of `bind`.
    #[error("bind: except leaves no address to listen on")]
    Nowhere,
}

impl Interface {
    fn socket_address(&self) -> SocketAddr {
        match self.address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, 0, 0, self.index).into(),
            address => SocketAddr::new(address, 0),
        }
    }
}

/// The endpoints that a block listens on, with the zones that it serves there.
pub fn listen_addresses(
    server: &ServerBlock,
    interfaces: &[Interface],
    default_port: u16,
) -> Result<BTreeMap<Endpoint, Vec<Name>>, PlaceError> {
    let hosts = bind_addresses(&server.bind, interfaces)?;
    let mut addresses: BTreeMap<Endpoint, Vec<Name>> = BTreeMap::new();
    // Nothing is served in plain text where it is to be encrypted.
    let is_served = |key: &&ServerKey| key.scheme == Scheme::Dns || server.tls.is_some();
    for key in server.keys.iter().filter(is_served) {
        let port = key.port.unwrap_or(key.scheme.port(default_port));
        let at_port = |mut host: SocketAddr| {
            host.set_port(port);
            ListenAddress::One(host)
        };
        let places = match &hosts {
            None => vec![ListenAddress::All { port }],
            Some(hosts) => hosts.iter().copied().map(at_port).collect(),
        };
        for place in places {
            addresses.entry(Endpoint { scheme: key.scheme, address: place }).or_default().push(key.zone.clone());
        }
    }
    Ok(addresses)
}

/// The addresses of `bind`, whose ports are still to be set; None: all of them.
fn bind_addresses(bind: &Bind, interfaces: &[Interface]) -> Result<Option<BTreeSet<SocketAddr>>, PlaceError> {
    if bind.addresses.is_empty() && bind.except.is_empty() {
        return Ok(None);
    }
    let mut addresses = BTreeSet::new();
    for wanted in &bind.addresses {
        addresses.extend(addresses_of(wanted, interfaces)?);
    }
    if bind.addresses.is_empty() {
        addresses.extend(interfaces.iter().map(Interface::socket_address));
    }
    for unwanted in &bind.except {
        for address in addresses_of(unwanted, interfaces)? {
            addresses.remove(&address);
        }
    }
    match addresses.is_empty() {
        true => Err(PlaceError::Nowhere),
        false => Ok(Some(addresses)),
    }
}

fn addresses_of(bind: &BindAddress, interfaces: &[Interface]) -> Result<Vec<SocketAddr>, PlaceError> {
    let of = |name: &str| -> Result<Vec<&Interface>, PlaceError> {
        let found: Vec<_> = interfaces.iter().filter(|interface| interface.name == name).collect();
        match found.is_empty() {
            true => Err(PlaceError::Interface { name: name.to_owned() }),
            false => Ok(found),
        }
    };
    match bind {
        BindAddress::Address(address, Some(scope)) => {
            let index = of(scope)?.first().map_or(0, |interface| interface.index);
            Ok(vec![Interface { name: scope.clone(), index, address: *address }.socket_address()])
        }
        BindAddress::Address(address, None) => Ok(vec![SocketAddr::new(*address, 0)]),
        BindAddress::Interface(name) => Ok(of(name)?.into_iter().map(Interface::socket_address).collect()),
    }
}
