//! A server, and how it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::config::directive::UpstreamTransport;
use crate::upstream::{Channel, Upstream};

/// A server, and how it is.
#[derive(Debug)]
pub(super) struct Server {
    upstream: Upstream,
    /// What metrics call it: `10.0.0.1:53`.
    label: String,
    /// How many probes failed in a row.
    fails: AtomicU32,
    is_probed: AtomicBool,
    is_gone: AtomicBool,
}

impl Server {
    /// A server that is well until the contrary is known.
    pub fn new(upstream: Upstream) -> Self {
        Self {
            label: upstream.address.to_string(),
            upstream,
            fails: AtomicU32::new(0),
            is_probed: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub fn address(&self) -> SocketAddr {
        self.upstream.address
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// How this server is asked, where plain servers would be asked over this channel.
    pub fn channel(&self, plain: Channel) -> Channel {
        match self.upstream.transport {
            UpstreamTransport::Plain => plain,
            UpstreamTransport::Tls => Channel::Tls,
            UpstreamTransport::Https => Channel::Https,
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

    /// Nobody is to be asked here any more.
    pub fn leave(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    pub fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Relaxed)
    }
}
