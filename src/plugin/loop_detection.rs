//! `loop`: notices when the server's own questions come back to it.

use std::net::SocketAddr;

use tokio_util::sync::CancellationToken;

use crate::dns::{Answer, Name, Query};
use crate::upstream::Exchange;

/// Notices when the server's own questions come back to it.
#[derive(Debug)]
pub struct LoopDetection {}

/// The server's own question came back: it forwards to itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Loop ({source_address} -> {listen_address}) detected for zone \"{zone}\", see \
     https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO {name}\""
)]
pub struct LoopDetected {
    /// Who sent the question for the last time.
    pub source_address: SocketAddr,
    /// Where we listen, as CoreDNS writes it: `:53` for all addresses.
    pub listen_address: String,
    /// The zone.
    pub zone: Name,
    /// The name that was asked for.
    pub name: Name,
}

impl LoopDetection {
    /// Detection with a fresh name that nobody can guess, below the first zone of a server block.
    pub fn new(zone: &Name) -> Self {
        let _ = zone;
        Self {}
    }

    /// Counts a probe that came back; None for all else.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let _ = query;
        None
    }

    /// Asks ourselves on the block's first listen address once the listeners are up, and waits whether the question comes
    /// back: at most 30 s, then detection is off.
    pub async fn run(
        &self,
        listen: SocketAddr,
        exchange: &dyn Exchange,
        stop: CancellationToken,
    ) -> Result<(), LoopDetected> {
        let _ = (listen, exchange, stop);
        Ok(())
    }
}
