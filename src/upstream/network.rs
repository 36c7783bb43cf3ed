//! The network behind [`Exchange`].

use crate::config::directive::Forward;
use crate::metrics::Metrics;

use super::{Attempt, Exchange, Exchanging, UpstreamError};

/// Sockets and connections to the servers of one `forward`.
#[derive(Debug)]
pub struct Network {}

/// Why TLS towards servers cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {}

impl Network {
    /// The network as a `forward` wants it: its TLS settings and how long it keeps connections.
    pub fn new(config: &Forward, metrics: &Metrics) -> Result<Self, TlsError> {
        let _ = (config, metrics);
        Ok(Self {})
    }
}

impl Exchange for Network {
    fn exchange(&self, attempt: Attempt) -> Exchanging<'_> {
        Box::pin(async move { Err(UpstreamError::Timeout { server: attempt.server, timeout: attempt.timeout }) })
    }
}
