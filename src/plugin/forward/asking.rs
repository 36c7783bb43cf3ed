//! Asking one server, and making an answer of what it says.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::server::Server;
use crate::config::directive;
use crate::dns::{
    Answer, Budget, Malformed, Query, ResponseCode, Transport, UpstreamMessage, encode_question,
    encode_question_without_edns, mnemonic, parse_upstream,
};
use crate::metrics::Metrics;
use crate::upstream::{Attempt, Channel, Exchange, UpstreamError, scrub};

/// Response codes from here on need OPT, and speak of it: between that server and us, not to the client.
const EXTENDED_CODES: u16 = 16;

/// The extended DNS error "Invalid Data" (RFC 8914 section 4.25).
const INVALID_DATA: u16 = 24;

/// How servers are asked.
#[derive(Debug)]
pub(super) struct Asking {
    exchange: Arc<dyn Exchange>,
    metrics: Arc<Metrics>,
    force_tcp: bool,
    prefer_udp: bool,
    /// How long one server may take.
    read_timeout: Duration,
}

impl Asking {
    /// As a directive wants it.
    pub fn new(config: &directive::Forward, exchange: Arc<dyn Exchange>, metrics: Arc<Metrics>) -> Self {
        Self {
            exchange,
            metrics,
            force_tcp: config.force_tcp,
            prefer_udp: config.prefer_udp,
            read_timeout: config.read_timeout,
        }
    }

    /// Asks a server. Its answer is complete if that can be had: what does not fit into a datagram is asked for again over
    /// TCP. Unlike CoreDNS, which hands the truncated answer to the client: cached, it would be of use to nobody.
    pub async fn ask(&self, server: &Server, query: &Query) -> Result<Answer, UpstreamError> {
        let channel = server.channel(self.plain_channel(query.transport));
        let message = match self.ask_over(channel, server, query).await {
            Ok(message) if message.truncated => self.ask_over(Channel::Tcp, server, query).await.unwrap_or(message),
            // What cannot be read may have been cut on the way.
            Err(UpstreamError::Malformed { .. }) if channel == Channel::Udp => {
                self.ask_over(Channel::Tcp, server, query).await?
            }
            result => result?,
        };
        Ok(believed(server, query, message))
    }

    /// Over what plain servers are asked: over what the client asked.
    fn plain_channel(&self, transport: Transport) -> Channel {
        match transport {
            _ if self.force_tcp => Channel::Tcp,
            Transport::Tcp if !self.prefer_udp => Channel::Tcp,
            Transport::Tcp | Transport::Udp => Channel::Udp,
        }
    }

    /// Asks over a channel; only a datagram's answer may be truncated.
    async fn ask_over(
        &self,
        channel: Channel,
        server: &Server,
        query: &Query,
    ) -> Result<UpstreamMessage, UpstreamError> {
        let mut message = self.exchange(channel, server, query, encode_question(query)).await?;
        // RFC 6891 section 6.2.2: a server that knows no EDNS. It is not remembered.
        if message.response_code == ResponseCode::FormErr && !message.has_opt {
            let without = encode_question_without_edns(query);
            message = self.exchange(channel, server, query, without).await.unwrap_or(message);
        }
        match message.truncated && channel != Channel::Udp {
            true => Err(malformed(server, "it is truncated, over a stream")),
            false => Ok(message),
        }
    }

    /// One message, and the answer to it.
    async fn exchange(
        &self,
        channel: Channel,
        server: &Server,
        query: &Query,
        message: Vec<u8>,
    ) -> Result<UpstreamMessage, UpstreamError> {
        let start = Instant::now();
        let (upstream, budget) = (server.upstream().clone(), query.budget.clone());
        let attempt = Attempt { upstream, channel, message, timeout: self.spend(server, &budget, start)?, budget };
        let octets = self.exchange.exchange(attempt).await?;
        let message =
            parse_upstream(&octets).map_err(|source| UpstreamError::Malformed { server: server.address(), source })?;
        let (name, record_type, class) = &message.question;
        if (name, *record_type, *class) != (&query.name, query.record_type, query.class) {
            return Err(malformed(server, "it belongs to another question"));
        }
        server.tally().count(&self.metrics, server.label(), message.response_code, start.elapsed());
        Ok(message)
    }

    /// Takes a message to a server. Returns how long it may take, in whole milliseconds: people read it.
    fn spend(&self, server: &Server, budget: &Budget, now: Instant) -> Result<Duration, UpstreamError> {
        let left = budget.deadline(now.into_std()).saturating_duration_since(now.into_std());
        if left.is_zero() || !budget.take_message() {
            return Err(UpstreamError::Spent { server: server.address() });
        }
        let left = Duration::from_millis(left.as_millis().try_into().unwrap_or(u64::MAX));
        Ok(left.min(self.read_timeout))
    }
}

fn malformed(server: &Server, reason: &str) -> UpstreamError {
    UpstreamError::Malformed { server: server.address(), source: Malformed { reason: reason.to_owned() } }
}

/// The answer to the client. AD is never claimed: nothing was validated here.
fn believed(server: &Server, query: &Query, mut message: UpstreamMessage) -> Answer {
    if u16::from(message.response_code) >= EXTENDED_CODES {
        return unusable(format!("{} answered {}", server.label(), mnemonic(message.response_code)));
    }
    if let Err(reason) = scrub(query, &mut message) {
        return unusable(format!("{}: {reason}", server.label()));
    }
    let answer = Answer::relayed(message.response_code, message.authoritative, message.recursion_available)
        .with_answers(message.answers)
        .with_authority(message.authority)
        .with_additional(message.additional)
        .with_truncated(message.truncated);
    match message.extended_error {
        Some(error) => answer.with_extended_error(error.code, error.text),
        None => answer,
    }
}

/// SERVFAIL in place of an answer of which nothing is believed.
fn unusable(reason: String) -> Answer {
    Answer::serv_fail(reason.clone()).with_extended_error(INVALID_DATA, reason)
}
