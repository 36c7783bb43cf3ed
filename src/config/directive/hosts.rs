//! `hosts [FILE [ZONES...]] { ... }`: names from a file in the form of /etc/hosts.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Fallthrough;
use crate::dns::Name;

/// Names from a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// The file.
    pub file: PathBuf,
    /// The zones whose names are answered; empty means those of the server block.
    pub zones: Vec<Name>,
    /// Lines of the block itself.
    pub inline: Vec<(IpAddr, Vec<Name>)>,
    /// TTL of the answers in seconds.
    pub ttl: u32,
    /// No PTR records.
    pub no_reverse: bool,
    /// How often the file is looked at; zero: never again.
    pub reload: Duration,
    /// Where names that are not there go.
    pub fallthrough: Fallthrough,
}
