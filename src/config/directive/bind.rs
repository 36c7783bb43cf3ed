//! `bind ADDRESS|INTERFACE... { except ADDRESS|INTERFACE... }`: where to listen.

use std::collections::HashSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::serde_as;

use super::{Directive, Opt, Reference};
use crate::config::corefile::{CorefileError, Cursor, Writer};
use crate::config::text::{AsText, Text};

/// Where to listen.
#[serde_as]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bind {
    /// Addresses and interfaces; empty means all addresses.
    #[serde_as(as = "Vec<AsText>")]
    pub addresses: Vec<BindAddress>,
    /// Addresses and interfaces to leave out.
    #[serde_as(as = "Vec<AsText>")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<BindAddress>,
}

/// An address, or an interface that stands for its addresses when the server starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BindAddress {
    /// An address, with the interface that an IPv6 link-local address belongs to.
    Address(IpAddr, Option<String>),
    /// The name of an interface.
    Interface(String),
}

impl Directive for Bind {
    type Values = Self;

    const REFERENCE: Reference = Reference {
        name: "bind",
        syntax: "bind ADDRESS|INTERFACE... { ... }",
        summary: "Where to listen; an interface stands for its addresses. Lines add up, and `except` counts for all of them. Without it: all addresses, and \
                  each reply leaves from the address that the query came to. Blocks with and without `bind` may share a port; the address that fits best \
                  answers.",
        options: &[Opt { syntax: "except ADDRESS|INTERFACE...", meaning: "not these", default: "" }],
        example: "bind 127.0.0.1 ::1 eth0 {\n    except 192.0.2.1\n}",
    };

    /// Reads all `bind` lines of a block; they add up.
    fn lower(cursor: &mut Cursor<'_>) -> Result<Self, CorefileError> {
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
                    return Err(cursor.unknown::<Self>());
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
        let mut known = HashSet::new();
        match bind.addresses.iter().find(|address| !known.insert(*address)) {
            Some(address) => Err(cursor.error(format!("{} is named twice; remove one of them", address.text()))),
            None => Ok(bind),
        }
    }

    fn write(bind: &Self, corefile: &mut Writer) {
        let words = |addresses: &[BindAddress]| addresses.iter().map(Text::text).collect::<Vec<_>>();
        if bind.addresses.is_empty() {
            return;
        }
        corefile.block([vec!["bind".to_owned()], words(&bind.addresses)].concat(), |options| {
            if !bind.except.is_empty() {
                options.line([vec!["except".to_owned()], words(&bind.except)].concat());
            }
        });
    }
}

impl BindAddress {
    fn parse(cursor: &Cursor<'_>, text: &str) -> Result<Self, CorefileError> {
        Self::read(text).ok_or_else(|| cursor.error(format!("not a valid IP address or interface name: {text:?}")))
    }
}

impl Text for BindAddress {
    const WHAT: &'static str = "an IP address or the name of an interface";

    fn read(text: &str) -> Option<Self> {
        let (address, scope) = text.split_once('%').map_or((text, None), |(address, scope)| (address, Some(scope)));
        if let Ok(address) = address.parse() {
            return Some(Self::Address(address, scope.map(str::to_owned)));
        }
        // IFNAMSIZ is 16 with the final zero.
        let may_be_interface = (1..16).contains(&text.len()) && !text.contains(['/', ' ', ':']);
        may_be_interface.then(|| Self::Interface(text.to_owned()))
    }

    fn text(&self) -> String {
        match self {
            Self::Address(address, None) => address.to_string(),
            Self::Address(address, Some(interface)) => format!("{address}%{interface}"),
            Self::Interface(interface) => interface.clone(),
        }
    }
}
