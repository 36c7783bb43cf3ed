//! A server, and how it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::config::directive::{ForwardTls, Upstream, UpstreamTransport};
use crate::upstream::Channel;

/// A server, and how it is.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    transport: UpstreamTransport,
    tls_server_name: Option<String>,
    /// What metrics call it: `10.0.0.1:53`.
    label: String,
    /// How many probes failed in a row.
    fails: AtomicU32,
    is_probed: AtomicBool,
}

impl Server {
    /// A server that is well until the contrary is known.
    pub fn new(upstream: &Upstream, tls: &ForwardTls) -> Self {
        Self {
            address: upstream.address,
            transport: upstream.transport,
            tls_server_name: upstream.server_name.as_ref().or(tls.server_name.as_ref()).cloned(),
            label: upstream.address.to_string(),
            fails: AtomicU32::new(0),
            is_probed: AtomicBool::new(false),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    pub fn tls_server_name(&self) -> Option<&str> {
        self.tls_server_name.as_deref()
    }

    /// How this server is asked, where plain servers would be asked over this channel.
    pub fn channel(&self, plain: Channel) -> Channel {
        match self.transport {
            UpstreamTransport::Plain => plain,
            UpstreamTransport::Tls => Channel::Tls,
        }
    }

    /// Whether more probes failed than may fail; 0 may: never.
    pub fn is_down(&self, max_fails: u32) -> bool {
        max_fails > 0 && self.fails.load(Ordering::Relaxed) > max_fails
    }

    /// A probe failed. Returns how many did in a row.
    pub fn fail(&self) -> u32 {
        self.fails.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// A probe was answered. Returns how many had failed.
    pub fn recover(&self) -> u32 {
        self.fails.swap(0, Ordering::Relaxed)
    }

    /// Whether the caller is the one who probes from now on: there is one at a time.
    pub fn begin_probes(&self) -> bool {
        !self.is_probed.swap(true, Ordering::AcqRel)
    }

    /// The probes are over.
    pub fn end_probes(&self) {
        self.is_probed.store(false, Ordering::Release);
    }
}
