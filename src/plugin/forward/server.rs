//! A server, and how it is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::tally::Tally;
use crate::config::directive::UpstreamTransport;
use crate::upstream::{Channel, Upstream};

/// How often a server that is down is asked all the same, where there is no other: more time than it has for an answer, so
/// one query waits for it, and the others fail at once.
const TRIAL_INTERVAL: Duration = Duration::from_secs(3);

/// A server, and how it is.
#[derive(Debug)]
pub(super) struct Server {
    upstream: Upstream,
    /// What metrics call it: `10.0.0.1:53`.
    label: String,
    tally: Tally,
    /// How many probes failed in a row.
    fails: AtomicU32,
    is_probed: AtomicBool,
    /// Told when a query was answered while it was probed.
    answered: Notify,
    is_gone: AtomicBool,
    /// When it was asked last although it was down.
    tried_at: Mutex<Option<Instant>>,
}

impl Server {
    /// A server that is well until the contrary is known.
    pub fn new(upstream: Upstream) -> Self {
        Self {
            label: upstream.address.to_string(),
            upstream,
            tally: Tally::default(),
            fails: AtomicU32::new(0),
            is_probed: AtomicBool::new(false),
            answered: Notify::new(),
            is_gone: AtomicBool::new(false),
            tried_at: Mutex::default(),
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

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How this server is asked, where plain servers would be asked over this channel.
    pub fn channel(&self, plain: Channel) -> Channel {
        match self.upstream.transport {
            UpstreamTransport::Plain => plain,
            UpstreamTransport::Tls => Channel::Tls,
            UpstreamTransport::Https => Channel::Https,
            UpstreamTransport::Quic => Channel::Quic,
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

    /// A query was answered: it need not be probed.
    pub fn note_answer(&self) {
        if self.is_probed.load(Ordering::Acquire) {
            self.answered.notify_one();
        }
    }

    /// Waits for a query that is answered.
    pub async fn answered(&self) {
        self.answered.notified().await;
    }

    /// It has answered. Returns how many probes had failed.
    pub fn recover(&self) -> u32 {
        match self.fails.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.fails.swap(0, Ordering::Relaxed),
        }
    }

    /// Whether the caller may ask it although it is down: nobody did for a while.
    pub fn begin_trial(&self, now: Instant) -> bool {
        let mut tried_at = self.tried_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = tried_at.is_none_or(|at| now.duration_since(at) >= TRIAL_INTERVAL);
        if is_due {
            *tried_at = Some(now);
        }
        is_due
    }

    /// Whether the caller is the one who probes from now on: there is one at a time.
    pub fn begin_probes(&self) -> bool {
        let is_first = !self.is_probed.swap(true, Ordering::AcqRel);
        if is_first {
            // An answer that nobody has seen is older than the failure that is probed for.
            let _ = self.answered.notified().now_or_never();
        }
        is_first
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_probes_of_its_time_and_no_later_ones() {
        let server = Server::new(Upstream::plain("192.0.2.1:53".parse().unwrap()));
        assert!(server.begin_probes() && !server.begin_probes());
        server.note_answer();
        assert!(server.answered().now_or_never().is_some());
        // Another answer comes before the one who probes has seen the first.
        server.note_answer();
        server.end_probes();
        assert!(server.begin_probes() && server.answered().now_or_never().is_none());
    }
}
