//! Servers of DNS over QUIC.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, TokioRuntime, VarInt};

use super::*;

/// What a server does with a question.
#[derive(Clone)]
pub(super) enum Does {
    /// Sends these octets on its stream, and ends it.
    Send(Vec<u8>),
    /// Sends them one by one, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Sends them, and closes the connection.
    Cut(Vec<u8>),
    /// Resets the stream.
    Reset,
    /// Nothing.
    Nothing,
}

/// A reply with its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// Does with a question what `does` says of the connection's number, the question's number on it, and the question.
pub(super) type Plot = fn(usize, usize, &[u8]) -> Does;

/// A server for dns.example on a socket, and how many connections it had.
pub(super) fn serve_quic(socket: std::net::UdpSocket, mut config: ServerConfig, plot: Plot) -> Arc<AtomicUsize> {
    config.alpn_protocols = vec![b"doq".to_vec()];
    let crypto = QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime)).unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = accepted.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                let mut questions = 0;
                while let Ok((send, mut receive)) = connection.accept_bi().await {
                    let frame = receive.read_to_end(70_000).await.unwrap();
                    let does = plot(number, questions, &frame[2..]);
                    tokio::spawn(act(does, send, connection.clone()));
                    questions += 1;
                }
            });
        }
    });
    accepted
}

async fn act(does: Does, mut send: quinn::SendStream, connection: quinn::Connection) {
    match does {
        Does::Send(octets) => send.write_all(&octets).await.unwrap(),
        Does::Drip(octets, pause) => {
            for octet in octets {
                tokio::time::sleep(pause).await;
                if send.write_all(&[octet]).await.is_err() {
                    return;
                }
            }
        }
        Does::Cut(octets) => {
            let _ = send.write_all(&octets).await;
            return connection.close(VarInt::from_u32(0), b"");
        }
        Does::Reset => return send.reset(VarInt::from_u32(4)).unwrap(),
        Does::Nothing => std::future::pending().await,
    }
    let _ = send.finish();
    // Until all of it has come, or nobody wants it.
    let _ = send.stopped().await;
}

/// A client of a server that does as the plot says, and how many connections that had.
pub(super) fn client(plot: Plot) -> (Client, Arc<AtomicUsize>) {
    client_that_keeps(Duration::from_secs(10), plot)
}

/// The same, where an idle connection is kept for so long.
fn client_that_keeps(expire: Duration, plot: Plot) -> (Client, Arc<AtomicUsize>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = socket.local_addr().unwrap();
    let (tls, authority) = tls_config("dns.example", &folder);
    let accepted = serve_quic(socket, tls, plot);
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    (Client::of(server, Channel::Quic, Forward { expire, ..config(server, Channel::Quic, tls) }), accepted)
}

#[tokio::test]
async fn questions_go_out_side_by_side_on_one_connection_over_quic() {
    let (client, accepted) = client(|_, _, question| {
        assert_eq!(question[..2], [0, 0], "an id says nothing over QUIC");
        Does::Send(framed(&reply(question)))
    });
    for _ in 0..2 {
        let answers = join_all((0..50).map(|_| client.ask())).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
    client.check_metric("coredns_proxy_conn_cache_misses_total", "quic", 1);
    client.check_metric("coredns_proxy_conn_cache_hits_total", "quic", 99);
}

#[tokio::test]
async fn a_quic_connection_that_the_server_closes_is_made_anew() {
    let (client, accepted) = client(|_, number, question| match number {
        0 => Does::Send(framed(&reply(question))),
        _ => Does::Cut(Vec::new()),
    });
    for _ in 0..4 {
        client.ask().await.expect("no fault of the server");
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn what_is_no_answer_over_quic_is_a_failure() {
    let wrongs: [(Plot, &str); 6] = [
        (|_, _, question| Does::Send(reply(question)), "not one message with its length"),
        (|_, _, question| Does::Send([framed(&reply(question)), framed(&reply(question))].concat()), "not one message"),
        (|_, _, _| Does::Send(vec![0; 70_000]), "longer than a DNS message"),
        (|_, _, question| Does::Send(framed(question)), "another question"),
        (
            |_, _, question| {
                let mut reply = reply(question);
                reply[1] = 1;
                Does::Send(framed(&reply))
            },
            "another question",
        ),
        (|_, _, _| Does::Reset, "gives the question up with code 4"),
    ];
    for (plot, expected) in wrongs {
        let error = client(plot).0.ask().await.unwrap_err();
        let UpstreamError::Connect { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains(expected), "{source}");
    }
}

#[tokio::test]
async fn an_idle_quic_connection_expires() {
    let plot: Plot = |_, _, question| Does::Send(framed(&reply(question)));
    let (client, accepted) = client_that_keeps(Duration::ZERO, plot);
    client.ask().await.unwrap();
    client.ask().await.unwrap();
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}
