//! `health [ADDRESS] { lameduck DURATION }`: says that the process lives.

use std::time::Duration;

/// The health page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// HOST:PORT as CoreDNS takes it; an empty host means all addresses.
    pub address: String,
    /// How long the server goes on answering after SIGTERM.
    pub lameduck: Duration,
}
