//! One packet: from the octets that came to the octets that go back.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::FutureExt;
use tracing::error;

use crate::dns::{Answer, Query, Request, Transport, encode, parse_request};
use crate::metrics::Metrics;
use crate::plugin::Router;

/// Answers a packet; None: nothing goes back.
pub async fn respond(
    router: &Router,
    metrics: &Metrics,
    packet: &[u8],
    client: SocketAddr,
    local: SocketAddr,
    transport: Transport,
) -> Option<Vec<u8>> {
    match parse_request(packet, client, local, transport) {
        Request::Ignored => None,
        Request::Rejected(reply) => Some(reply),
        Request::Query(query) => Some(answer(router, metrics, query).await),
    }
}

/// Answers a query. Whatever panics on the way costs this query a SERVFAIL and nothing else.
pub(super) async fn answer(router: &Router, metrics: &Metrics, query: Query) -> Vec<u8> {
    let started = Instant::now();
    let query = router.admit(query);
    let attempt = async {
        let answer = router.answer(&query).await;
        finish(router, &query, &answer, started)
    };
    match AssertUnwindSafe(attempt).catch_unwind().await {
        Ok(reply) => reply,
        Err(_) => {
            metrics.panics.inc();
            error!(name = %query.name, "a query ended in a panic");
            encode(&query, &Answer::serv_fail("panic"))
        }
    }
}

/// Writes an answer and tells those who watch.
pub(super) fn finish(router: &Router, query: &Query, answer: &Answer, started: Instant) -> Vec<u8> {
    let reply = encode(query, answer);
    router.observe(query, answer, reply.len(), started.elapsed());
    reply
}
