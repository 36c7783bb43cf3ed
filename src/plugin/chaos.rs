//! `chaos`: questions of class CH about the server.

use crate::dns::{Answer, Query};

/// What is said of the server.
#[derive(Debug)]
pub struct Chaos {}

impl Chaos {
    /// The answer to version.bind, version.server, hostname.bind, id.server or authors.bind; None for all else.
    pub fn lookup(&self, query: &Query) -> Option<Answer> {
        let _ = query;
        None
    }
}
