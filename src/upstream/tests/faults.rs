//! Servers that are broken: each question ends in its time with a reason, and the next one can succeed.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use tokio::time::sleep;

use super::quic::{Does, Plot, client, framed, serve_quic};
use super::*;

/// What a server does with the first question on its first connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It never ends the handshake.
    Handshake,
    /// It reads, and says nothing.
    Silence,
    /// It sends an octet now and then.
    Drip,
    /// It announces more than it sends.
    TooLittle,
    /// It closes the connection amid its answer.
    Cut,
    /// It sends what is no message.
    Garbage,
}

const PATIENCE: Duration = Duration::from_millis(150);
const PAUSE: Duration = Duration::from_millis(20);

/// Answers the first question with a fault.
async fn fail(mut stream: impl AsyncRead + AsyncWrite + Unpin, fault: Fault) {
    let mut question = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut question).await.unwrap();
    let frame = framed(&reply(&question));
    let (octets, pause) = match fault {
        Fault::Handshake | Fault::Silence => (Vec::new(), Duration::ZERO),
        Fault::Drip => (frame, PAUSE),
        Fault::TooLittle => ([&[255, 255], &frame[2..]].concat(), Duration::ZERO),
        Fault::Cut => (frame[..20].to_vec(), Duration::ZERO),
        Fault::Garbage => (vec![0, 3, 1, 2, 3], Duration::ZERO),
    };
    for octet in octets {
        sleep(pause).await;
        if stream.write_all(&[octet]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    if fault != Fault::Cut {
        std::future::pending::<()>().await;
    }
    let _ = stream.shutdown().await;
}

/// The same over HTTPS.
async fn fail_https(stream: impl AsyncRead + AsyncWrite + Unpin, fault: Fault) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let (request, mut respond) = connection.accept().await.unwrap().unwrap();
    let answering = async {
        let question = request.into_body().data().await.unwrap().unwrap();
        let reply = reply(&question);
        let (octets, pause) = match fault {
            Fault::Handshake | Fault::Silence => return std::future::pending().await,
            Fault::Drip => (reply, PAUSE),
            Fault::TooLittle | Fault::Cut => (reply[..20].to_vec(), Duration::ZERO),
            Fault::Garbage => (vec![1, 2, 3], Duration::ZERO),
        };
        let head = http::Response::builder().header("content-type", MESSAGE).body(()).unwrap();
        let mut body = respond.send_response(head, false).unwrap();
        for octet in octets {
            sleep(pause).await;
            if body.send_data(vec![octet].into(), false).is_err() {
                return;
            }
        }
        match fault {
            Fault::Garbage => body.send_data(Vec::new().into(), true).unwrap(),
            // What was sent leaves before the connection is closed.
            Fault::Cut => sleep(PAUSE).await,
            _ => std::future::pending().await,
        }
        if fault == Fault::Garbage {
            std::future::pending().await
        }
    };
    tokio::select! {
        () = answering => {}
        _ = async { while connection.accept().await.is_some() {} } => {}
    }
}

/// A server whose first connection has a fault, and a client of it.
async fn faulty(channel: Channel, fault: Fault) -> Client {
    let folder = tempfile::tempdir().unwrap();
    let (mut config, authority) = tls_config("dns.example", &folder);
    if channel == Channel::Https {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut is_first = true;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, has_fault) = (acceptor.clone(), std::mem::take(&mut is_first));
            tokio::spawn(async move {
                match (channel, has_fault) {
                    (_, true) if fault == Fault::Handshake => {
                        let _stream = stream;
                        std::future::pending::<()>().await;
                    }
                    (Channel::Tcp, true) => fail(stream, fault).await,
                    (Channel::Tcp, false) => serve(stream, 100).await,
                    (Channel::Tls, true) => fail(acceptor.accept(stream).await.unwrap(), fault).await,
                    (Channel::Tls, false) => serve(acceptor.accept(stream).await.unwrap(), 100).await,
                    (_, true) => fail_https(acceptor.accept(stream).await.unwrap(), fault).await,
                    (_, false) => serve_https(acceptor.accept(stream).await.unwrap()).await,
                }
            });
        }
    });
    Client::new(server, channel, tls)
}

async fn serve_https(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let question = request.into_body().data().await.unwrap().unwrap();
        let head = http::Response::builder().header("content-type", MESSAGE).body(()).unwrap();
        respond.send_response(head, false).unwrap().send_data(reply(&question).into(), true).unwrap();
    }
}

/// The first question fails for this reason, None: when its time is over; the next one succeeds.
async fn check(client: Client, reason: Option<&str>, what: &str) {
    let patience = if reason.is_some() { Duration::from_secs(20) } else { PATIENCE };
    let error = client.ask_within(patience).await.expect_err(what);
    match (&error, reason) {
        (UpstreamError::Timeout { .. }, None) => {}
        (UpstreamError::Connect { source, .. }, Some(reason)) => {
            assert!(source.to_string().contains(reason), "{what}: {source}");
        }
        _ => panic!("{what}: {error:?}"),
    }
    client.ask().await.expect(what);
}

#[tokio::test]
async fn a_broken_server_costs_one_question_its_time_and_no_more() {
    let amid = "closed the connection amid a message";
    for (channel, fault, reason) in [
        (Channel::Tcp, Fault::Silence, None),
        (Channel::Tcp, Fault::Drip, None),
        (Channel::Tcp, Fault::TooLittle, None),
        (Channel::Tcp, Fault::Cut, Some(amid)),
        (Channel::Tcp, Fault::Garbage, Some("no message")),
        (Channel::Tls, Fault::Handshake, None),
        (Channel::Tls, Fault::Silence, None),
        (Channel::Tls, Fault::Drip, None),
        (Channel::Tls, Fault::TooLittle, None),
        (Channel::Tls, Fault::Cut, Some(amid)),
        (Channel::Tls, Fault::Garbage, Some("no message")),
        (Channel::Https, Fault::Handshake, None),
        (Channel::Https, Fault::Silence, None),
        (Channel::Https, Fault::Drip, None),
        (Channel::Https, Fault::TooLittle, None),
        (Channel::Https, Fault::Cut, Some("")),
        (Channel::Https, Fault::Garbage, Some("another question")),
    ] {
        check(faulty(channel, fault).await, reason, &format!("{channel:?} {fault:?}")).await;
    }
}

#[tokio::test]
async fn a_broken_server_over_quic_costs_one_question_its_time_and_no_more() {
    let plots: [(Plot, Option<&str>); 3] = [
        (
            |connection, _, question| {
                if connection == 0 { Does::Nothing } else { Does::Send(framed(&reply(question))) }
            },
            None,
        ),
        (
            |connection, _, question| match connection {
                0 => Does::Drip(framed(&reply(question)), PAUSE),
                _ => Does::Send(framed(&reply(question))),
            },
            None,
        ),
        (
            |connection, _, question| match connection {
                0 => Does::Cut(framed(&reply(question))[..20].to_vec()),
                _ => Does::Send(framed(&reply(question))),
            },
            Some("closed"),
        ),
    ];
    for (number, (plot, reason)) in plots.into_iter().enumerate() {
        check(client(plot).0, reason, &format!("plot {number}")).await;
    }
}

#[tokio::test]
async fn a_handshake_over_quic_that_never_ends_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (_, authority) = tls_config("dns.example", &folder);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    let client = Client::new(silent.local_addr().unwrap(), Channel::Quic, tls);
    let error = client.ask_within(PATIENCE).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Timeout { .. }), "{error:?}");
}

/// A server's TLS with a certificate for dns.example until a year.
fn tls_until(year: i32, folder: &tempfile::TempDir) -> (ServerConfig, PathBuf) {
    let mut parameters = CertificateParams::new(["dns.example".to_owned()]).unwrap();
    parameters.not_after = date_time_ymd(year, 1, 1);
    parameters.distinguished_name.push(DnType::CommonName, year.to_string());
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let authority = folder.path().join(format!("{year}.pem"));
    std::fs::write(&authority, certificate.pem()).unwrap();
    (server_config(certificate.der().clone(), key.serialize_der()), authority)
}

/// A server over a channel that ends handshakes, and nothing else.
async fn handshakes(channel: Channel, mut config: ServerConfig) -> SocketAddr {
    if channel == Channel::Quic {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = socket.local_addr().unwrap();
        serve_quic(socket, config, |_, _, _| Does::Nothing);
        return server;
    }
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        }
    });
    server
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_a_reason_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for channel in [Channel::Tls, Channel::Https, Channel::Quic] {
        let (expired, its_authority) = tls_until(2020, &folder);
        let (good, good_authority) = tls_until(2900, &folder);
        for (config, authority, name, reason) in [
            (expired, its_authority, "dns.example", "expired"),
            (good.clone(), tls_until(2901, &folder).1, "dns.example", "UnknownIssuer"),
            (good, good_authority, "other.example", "not valid for name"),
        ] {
            let server = handshakes(channel, config).await;
            let server_name = Some(name.to_owned());
            let tls = ForwardTls { server_name, authority: Some(authority), identity: None };
            let error = Client::new(server, channel, tls).ask().await.unwrap_err();
            let UpstreamError::Connect { source, .. } = error else { panic!("{error:?}") };
            assert!(source.to_string().contains(reason), "{channel:?} {reason}: {source}");
        }
    }
}

#[tokio::test]
async fn many_questions_at_once_make_one_handshake_over_https() {
    let folder = tempfile::tempdir().unwrap();
    let (mut config, authority) = tls_config("dns.example", &folder);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let server = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            let accepting = acceptor.accept(stream);
            tokio::spawn(async move { serve_https(accepting.await.unwrap()).await });
        }
    });
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    let client = Client::new(server, Channel::Https, tls);
    let answers = futures_util::future::join_all((0..50).map(|_| client.ask())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}
