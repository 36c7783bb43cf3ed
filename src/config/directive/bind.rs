//! `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`: where to listen.

use crate::config::corefile::{CorefileError, Cursor};

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

impl Bind {
    /// Reads all `bind` lines of a block; they add up.
    pub fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
        let mut bind = Self::default();
        while cursor.advance() {
            let arguments = cursor.arguments();
            if arguments.is_empty() {
                return Err(cursor.error("takes at least one address or interface"));
            }
            for argument in arguments {
                bind.addresses.push(BindAddress::parse(cursor, &argument)?);
            }
            while cursor.next_option() {
                if cursor.word() != "except" {
                    return Err(cursor.unknown("except"));
                }
                let arguments = cursor.arguments();
                if arguments.is_empty() {
                    return Err(cursor.error("except takes at least one address or interface"));
                }
                for argument in arguments {
                    bind.except.push(BindAddress::parse(cursor, &argument)?);
                }
            }
        }
        Ok(bind)
    }
}

impl BindAddress {
    fn parse(cursor: &Cursor<'_>, text: &str) -> Result<Self, CorefileError> {
        let (address, scope) = text.split_once('%').map_or((text, None), |(address, scope)| (address, Some(scope)));
        if let Ok(address) = address.parse() {
            return Ok(Self::Address(address, scope.map(str::to_owned)));
        }
        // IFNAMSIZ is 16 with the final zero.
        let may_be_interface = (1..16).contains(&text.len()) && !text.contains(['/', ' ', ':']);
        match may_be_interface {
            true => Ok(Self::Interface(text.to_owned())),
            false => Err(cursor.error(format!("not a valid IP address or interface name: {text:?}"))),
        }
    }
}
