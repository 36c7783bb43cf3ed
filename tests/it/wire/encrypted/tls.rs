//! DNS over TLS.

use std::time::Duration;

use landfall::config::Scheme;
use landfall::config::directive::Timeouts;
use landfall::listen::{Limits, Tuning};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Identity, SHORT, Server, next, question};
use crate::wire::packet::{A, Packet};
use crate::wire::socket::frame;

#[tokio::test]
async fn questions_over_tls_are_answered_whole_and_on_one_connection() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Tls, identity.files(), Limits::default());
    let mut stream = identity.connect(server.address(), &[b"dot"]).await.expect("TLS");
    stream.write_all(&(1..=20).flat_map(|id| frame(&question(id))).collect::<Vec<_>>()).await.expect("questions");
    for _ in 1..=20 {
        assert!(next(&mut stream).await.is_some_and(|reply| reply.len() > 60_000));
    }
}

#[tokio::test]
async fn what_is_no_tls_and_who_says_nothing_is_closed() {
    let identity = Identity::new();
    let limits = Limits { message_time: SHORT, idle_time: SHORT, ..Limits::default() };
    let server = Server::start(Scheme::Tls, identity.files(), limits);
    let mut plain = TcpStream::connect(server.address()).await.expect("a connection");
    plain.write_all(&frame(&question(1))).await.expect("a question");
    assert_eq!(next(&mut plain).await, None, "plain DNS is not answered");
    let mut silent = TcpStream::connect(server.address()).await.expect("a connection");
    assert_eq!(next(&mut silent).await, None, "no handshake");
    let mut idle = identity.connect(server.address(), &[]).await.expect("TLS");
    assert_eq!(next(&mut idle).await, None, "no question");
}

#[tokio::test]
async fn connections_over_tls_have_the_bounds_of_tcp() {
    let identity = Identity::new();
    let limits = Limits { connections_per_client: 2, ..Limits::default() };
    let server = Server::start(Scheme::Tls, identity.files(), limits);
    let _held = [identity.connect(server.address(), &[]).await, identity.connect(server.address(), &[]).await];
    assert!(identity.connect(server.address(), &[]).await.is_err(), "a third of one client");
    assert_eq!(server.metrics.landfall_queries_refused.with_label_values(&["connections_per_client"]).get(), 1);
}

#[tokio::test]
async fn a_connection_brings_as_many_queries_as_it_may() {
    let identity = Identity::new();
    let timeouts = Timeouts { maxtcpqueries: Some(2), ..Timeouts::default() };
    let tuning = Tuning { tls: Some(identity.files()), timeouts, sockets: None };
    let server = Server::bind(Scheme::Tls, &tuning, Limits::default()).expect("a listener");
    let mut stream = identity.connect(server.address(), &[]).await.expect("TLS");
    stream.write_all(&frame(&question(1)).repeat(5)).await.expect("questions");
    let mut replies = 0;
    while next(&mut stream).await.is_some() {
        replies += 1;
    }
    assert_eq!(replies, 2);
}

#[tokio::test]
async fn what_is_behind_the_last_query_does_not_take_replies_with_it() {
    let identity = Identity::new();
    let timeouts = Timeouts { maxtcpqueries: Some(1), ..Timeouts::default() };
    let tuning = Tuning { tls: Some(identity.files()), timeouts, sockets: None };
    let server = Server::bind(Scheme::Tls, &tuning, Limits::default()).expect("a listener");
    let mut stream = identity.connect(server.address(), &[]).await.expect("TLS");
    stream.write_all(&frame(&question(1)).repeat(1000)).await.expect("questions");
    tokio::time::sleep(SHORT).await;
    assert!(next(&mut stream).await.is_some_and(|reply| reply.len() > 60_000));
    assert_eq!(stream.read(&mut [0; 100]).await.expect("an end in order"), 0);
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let identity = Identity::new();
    let limits = Limits { write_time: SHORT, ..Limits::default() };
    let server = Server::start(Scheme::Tls, identity.files(), limits);
    let mut stream = identity.connect(server.address(), &[]).await.expect("TLS");
    // More than what the buffers of both kernels take.
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.write_all(&frame(&question(1)).repeat(1000))).await;
    server.is_left().await;
}

#[tokio::test]
async fn a_stop_waits_for_answers_and_for_no_handshake() {
    let identity = Identity::new();
    let server = Server::of("slow {\n forward . 192.0.2.1\n}\n", Scheme::Tls, identity.files());
    let _silent = TcpStream::connect(server.address()).await.expect("a connection");
    let mut stream = identity.connect(server.address(), &[]).await.expect("TLS");
    stream.write_all(&frame(&Packet::new("a.slow", A).octets())).await.expect("a question");
    assert!(server.stops_after(next(&mut stream)).await.is_some());
}
