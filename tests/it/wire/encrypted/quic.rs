//! DNS over QUIC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use landfall::config::Scheme;
use landfall::listen::Limits;
use quinn::{ReadError, ReadToEndError};

use super::{Identity, NAME, SHORT, Server, big_and_dropped, question, until};
use crate::wire::packet::{A, Opt, Packet};
use crate::wire::socket::frame;

const AXFR: u16 = 252;

/// A connection over QUIC, which says that it is there all the time.
async fn connect_quic(identity: &Identity, server: SocketAddr) -> quinn::Connection {
    try_connect(identity, server, 64 << 10).await.expect("a connection")
}

/// The same with so many octets that are taken from a stream before they are read.
async fn try_connect(
    identity: &Identity,
    server: SocketAddr,
    window: u32,
) -> Result<quinn::Connection, quinn::ConnectionError> {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(identity.client(&[b"doq"])).expect("QUIC");
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_millis(50))).stream_receive_window(window.into());
    config.transport_config(Arc::new(transport));
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("an endpoint");
    endpoint.set_default_client_config(config);
    endpoint.connect(server, NAME).expect("an address").await
}

/// What comes back on a stream of its own.
async fn ask_quic(connection: &quinn::Connection, octets: &[u8]) -> Option<Vec<u8>> {
    try_ask(connection, octets).await.ok()
}

/// The same, or the code with which the stream ends.
async fn try_ask(connection: &quinn::Connection, octets: &[u8]) -> Result<Vec<u8>, Option<u64>> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(|_| None)?;
    // The server may have ended the stream already.
    let _ = send.write_all(octets).await;
    let _ = send.finish();
    receive.read_to_end(10_000_000).await.map_err(|error| match error {
        ReadToEndError::Read(ReadError::Reset(code)) => Some(code.into_inner()),
        _ => None,
    })
}

#[tokio::test]
async fn questions_over_quic_have_streams_of_their_own() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Quic, identity.files(), Limits::default());
    let connection = connect_quic(&identity, server.address()).await;
    for _ in 0..300 {
        let reply = ask_quic(&connection, &frame(&question(0))).await.expect("a reply");
        assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])) + 2, reply.len());
        assert!(reply.len() > 60_000);
    }
    let answered = || server.metrics.dns_quic_responses.with_label_values(&["quic://127.0.0.1:0", "0x0"]).get();
    connection.close(0u32.into(), b"");
    until("the last reply is acknowledged", || answered() == 300).await;
}

#[tokio::test]
async fn who_breaks_the_rules_of_quic_loses_the_connection() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Quic, identity.files(), Limits::default());
    let with_id = frame(&question(7));
    let twice = frame(&question(0)).repeat(2);
    let opt = Opt { options: vec![(11, Vec::new())], ..Opt::default() };
    let keepalive = Packet { id: 0, ..Packet::new("a", A) }.with_opt(opt);
    for octets in [with_id, twice, vec![0], frame(&keepalive.octets())] {
        let connection = connect_quic(&identity, server.address()).await;
        assert_eq!(ask_quic(&connection, &octets).await, None);
        let quinn::ConnectionError::ApplicationClosed(closed) = connection.closed().await else { panic!("not closed") };
        assert_eq!(closed.error_code.into_inner(), 2, "DOQ_PROTOCOL_ERROR");
    }
}

#[tokio::test]
async fn trouble_of_a_stream_is_not_that_of_its_connection() {
    let identity = Identity::new();
    let limits = Limits { message_time: SHORT, ..Limits::default() };
    let server = Server::start(Scheme::Quic, identity.files(), limits);
    let connection = connect_quic(&identity, server.address()).await;
    let (mut send, _receive) = connection.open_bi().await.expect("a stream");
    send.write_all(&[0, 12]).await.expect("a beginning");
    send.reset(3u32.into()).expect("a cancelled query");
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(&[0, 12]).await.expect("a beginning");
    let error = receive.read_to_end(10).await.expect_err("no query in time");
    assert!(matches!(error, ReadToEndError::Read(ReadError::Reset(code)) if code.into_inner() == 4), "{error:?}");
    assert_eq!(try_ask(&connection, &frame(&[0; 5_000])).await, Err(Some(4)), "longer than any query");
    assert!(ask_quic(&connection, &frame(&question(0))).await.is_some());
}

#[tokio::test]
async fn who_asks_nothing_is_closed() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Quic, identity.files(), Limits { idle_time: SHORT, ..Limits::default() });
    let connection = connect_quic(&identity, server.address()).await;
    let quinn::ConnectionError::ApplicationClosed(closed) = connection.closed().await else { panic!("not closed") };
    assert_eq!(closed.error_code.into_inner(), 0, "DOQ_NO_ERROR");
}

#[tokio::test]
async fn who_does_not_read_holds_little_and_not_for_long() {
    let identity = Identity::new();
    let limits = Limits { octets_per_client: 100_000, write_time: SHORT, ..Limits::default() };
    let server = Server::start(Scheme::Quic, identity.files(), limits);
    let connection = try_connect(&identity, server.address(), 30_000).await.expect("a connection");
    let (mut send, mut unread) = connection.open_bi().await.expect("a stream");
    send.write_all(&frame(&question(0))).await.expect("a question");
    send.finish().expect("a stream");
    assert!(unread.read(&mut [0; 10]).await.expect("the beginning of a reply").is_some());
    assert_eq!(try_ask(&connection, &frame(&question(0))).await, Err(Some(4)), "DOQ_EXCESSIVE_LOAD");
    assert_eq!(server.refused("octets_per_client"), 1);
    tokio::time::sleep(2 * SHORT).await;
    assert!(unread.read_to_end(70_000).await.is_err());
    assert!(ask_quic(&connection, &frame(&question(0))).await.is_some(), "room is given back");
}

#[tokio::test]
async fn places_that_are_scarce_are_for_those_who_are_where_they_say() {
    let identity = Identity::new();
    let server =
        Server::start(Scheme::Quic, identity.files(), Limits { connections_per_client: 3, ..Limits::default() });
    let mut connected = Vec::new();
    for _ in 0..3 {
        connected.push(connect_quic(&identity, server.address()).await);
    }
    let error = try_connect(&identity, server.address(), 1_000).await.expect_err("a fourth of one client");
    assert!(matches!(error, quinn::ConnectionError::ConnectionClosed(_)), "{error}");
    // What anybody may send in the name of others takes no place.
    assert_eq!(server.refused("connections_per_client"), 1);
}

#[tokio::test]
async fn a_stop_waits_for_answers() {
    let identity = Identity::new();
    let server = Server::of("slow {\n forward . 192.0.2.1\n}\n", Scheme::Quic, identity.files());
    let connection = connect_quic(&identity, server.address()).await;
    let question = frame(&Packet { id: 0, ..Packet::new("a.slow", A) }.octets());
    let asked = tokio::spawn(async move { ask_quic(&connection, &question).await });
    assert!(server.stops_after(asked).await.expect("no panic").is_some());
}

#[tokio::test]
async fn a_zone_takes_as_many_messages_as_it_needs_and_no_reply_is_told() {
    let identity = Identity::new();
    let corefile = big_and_dropped(&identity, 9000);
    let server = Server::of(&corefile, Scheme::Quic, identity.files());
    let connection = connect_quic(&identity, server.address()).await;
    let asked = |name, record_type| frame(&Packet { id: 0, ..Packet::new(name, record_type) }.octets());
    let mut rest = &ask_quic(&connection, &asked("big", AXFR)).await.expect("a zone")[..];
    let (mut messages, mut records) = (0, 0);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (message, behind) = behind.split_at(u16::from_be_bytes(*length).into());
        records += Message::from_vec(message).expect("a message").answers.len();
        (messages, rest) = (messages + 1, behind);
    }
    assert!(messages > 1 && records == 9_003, "{records} records in {messages} messages");
    assert_eq!(try_ask(&connection, &asked("a.dropped", A)).await, Err(Some(5)));
}
