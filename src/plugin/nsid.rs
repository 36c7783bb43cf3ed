//! `nsid`: the name of this server (RFC 5001).

use std::sync::Arc;

use crate::dns::{Answer, NSID, Query};

/// The name of this server.
#[derive(Debug)]
pub struct Nsid {
    text: Arc<str>,
}

impl Nsid {
    /// The name that is told.
    pub fn new(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The answer, with the name if the client asked for it.
    pub fn tell(&self, query: &Query, answer: Answer) -> Answer {
        match &query.edns {
            Some(edns) if edns.options.iter().any(|(code, _)| *code == NSID) => {
                answer.with_server_id(Arc::clone(&self.text))
            }
            _ => answer,
        }
    }
}
