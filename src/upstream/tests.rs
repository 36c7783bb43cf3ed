//! The network, on the loopback interface.

mod faults;
mod guessing;
mod quic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::config::directive::{DohMethod, Forward, ForwardTls, Policy, To};
use crate::config::text::Text;
use crate::dns::{Name, Query, RecordType, encode_question, parse_name};
use crate::metrics::Metrics;

fn config(server: SocketAddr, channel: Channel, tls: ForwardTls) -> Forward {
    let scheme = match channel {
        Channel::Udp | Channel::Tcp => "dns",
        Channel::Tls => "tls",
        Channel::Https => "https",
        Channel::Quic => "quic",
    };
    Forward {
        to: vec![To::read(&format!("{scheme}://{server}")).expect("a server")],
        policy: Policy::Sequential,
        tls,
        ..Forward::new(Name::root())
    }
}

fn question() -> Vec<u8> {
    encode_question(&Query::of_our_own(parse_name("web.example.").unwrap(), RecordType::A))
}

/// A network to one server, and what it counts in.
struct Client {
    network: Network,
    metrics: Arc<Metrics>,
    upstream: Upstream,
    channel: Channel,
}

impl Client {
    fn new(server: SocketAddr, channel: Channel, tls: ForwardTls) -> Self {
        Self::of(server, channel, config(server, channel, tls))
    }

    fn of(server: SocketAddr, channel: Channel, config: Forward) -> Self {
        let metrics = Arc::new(Metrics::new());
        let network = Network::new(&config, &metrics).expect("a network");
        let server_name = config.tls.server_name.as_deref().map(Arc::from);
        let upstream = Upstream { transport: config.to[0].transport(), server_name, ..Upstream::plain(server) };
        network.prepare(std::slice::from_ref(&upstream));
        Self { network, metrics, upstream, channel }
    }

    fn plain(server: SocketAddr, channel: Channel) -> Self {
        Self::new(server, channel, ForwardTls::default())
    }

    async fn ask(&self) -> Result<Vec<u8>, UpstreamError> {
        self.ask_within(Duration::from_secs(20)).await
    }

    async fn ask_within(&self, timeout: Duration) -> Result<Vec<u8>, UpstreamError> {
        let (upstream, channel) = (self.upstream.clone(), self.channel);
        self.network.exchange(Attempt { upstream, channel, message: question(), timeout, budget: Arc::default() }).await
    }

    /// The line of a metric of this server is there.
    fn check_metric(&self, name: &str, proto: &str, value: u32) {
        let line =
            format!("{name}{{proto=\"{proto}\",proxy_name=\"forward\",to=\"{}\"}} {value}", self.upstream.address);
        // Under its name before CoreDNS 1.11, too.
        let old = line.replace("_proxy_", "_forward_").replace("proxy_name=\"forward\",", "");
        let text = self.metrics.render();
        assert!(text.contains(&line) && text.contains(&old), "{line} {old}");
    }

    fn mismatches(&self, reason: &str) -> u64 {
        self.metrics.landfall_upstream_mismatches.with_label_values(&[&self.upstream.address.to_string(), reason]).get()
    }
}

/// The reply that says of what it is a reply: everything as it was asked, QR set.
fn reply(question: &[u8]) -> Vec<u8> {
    let mut reply = question.to_vec();
    reply[2] |= 0x80;
    reply
}

/// A server that sends for each question the datagrams that `replies` makes of it.
async fn udp_server(replies: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            for reply in replies(&buffer[..length]) {
                socket.send_to(&reply, client).await.unwrap();
            }
        }
    });
    address
}

#[tokio::test]
async fn a_datagram_that_is_too_long_counts_as_truncated() {
    let server = udp_server(|question| vec![[reply(question), vec![0; 5000]].concat()]).await;
    let answer = Client::plain(server, Channel::Udp).ask().await.unwrap();
    let message = crate::dns::parse_upstream(&answer).expect("a well-formed answer");
    assert!(message.truncated && message.answers.is_empty());
}

#[tokio::test]
async fn a_closed_port_is_an_error_at_once_and_silence_one_in_time() {
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for channel in [Channel::Udp, Channel::Tcp] {
        let error = Client::plain(closed, channel).ask().await.unwrap_err();
        assert!(matches!(error, UpstreamError::Connect { .. }), "{error:?}");
    }
    let silent = udp_server(|_| Vec::new()).await;
    let error = Client::plain(silent, Channel::Udp).ask_within(Duration::from_millis(10)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no answer from {silent} within 10ms"));
}

#[tokio::test]
async fn servers_that_are_not_in_the_directive_can_be_asked() {
    let server = udp_server(|question| vec![reply(question)]).await;
    let mut client = Client::plain("127.0.0.1:9".parse().unwrap(), Channel::Udp);
    client.upstream.address = server;
    assert!(client.ask().await.is_ok());
}

/// Answers questions on a stream, at most so many.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, questions: usize) {
    for _ in 0..questions {
        let Ok(length) = stream.read_u16().await else { return };
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(&reply(&question)).await.unwrap();
        stream.flush().await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

/// A server that takes so many questions on each connection.
async fn tcp_server(questions: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, questions));
        }
    });
    address
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let client = Client::plain(tcp_server(100).await, Channel::Tcp);
    for _ in 0..5 {
        client.ask().await.unwrap();
    }
    client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp", 1);
    client.check_metric("coredns_proxy_conn_cache_hits_total", "tcp", 4);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_made_anew() {
    let client = Client::plain(tcp_server(1).await, Channel::Tcp);
    for _ in 0..5 {
        client.ask().await.expect("no fault of the server");
    }
    client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp", 5);
}

#[tokio::test]
async fn an_idle_connection_expires() {
    let server = tcp_server(100).await;
    let config = Forward { expire: Duration::ZERO, ..config(server, Channel::Tcp, ForwardTls::default()) };
    let client = Client::of(server, Channel::Tcp, config);
    client.ask().await.unwrap();
    client.ask().await.unwrap();
    client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp", 2);
}

#[tokio::test]
async fn a_fresh_connection_that_is_closed_is_a_failure() {
    let error = Client::plain(tcp_server(0).await, Channel::Tcp).ask().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Connect { .. }), "{error:?}");
}

/// A server's TLS with a certificate for one name or address; the file holds its authority.
fn tls_config(name: &str, folder: &tempfile::TempDir) -> (ServerConfig, PathBuf) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, made.cert.pem()).unwrap();
    (server_config(made.cert.der().clone(), made.signing_key.serialize_der()), authority)
}

fn server_config(certificate: CertificateDer<'static>, key: Vec<u8>) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
        .unwrap()
}

/// A server of DNS over TLS.
async fn tls_server(name: &str, folder: &tempfile::TempDir) -> (SocketAddr, PathBuf) {
    let (config, authority) = tls_config(name, folder);
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let accepting = acceptor.accept(stream);
            tokio::spawn(async move {
                if let Ok(stream) = accepting.await {
                    serve(stream, 100).await;
                }
            });
        }
    });
    (address, authority)
}

#[tokio::test]
async fn a_tls_server_must_have_the_name_or_else_the_address() {
    let folder = tempfile::tempdir().unwrap();
    for (certificate, name, is_right) in [
        ("dns.example", Some("dns.example"), true),
        ("dns.example", Some("other.example"), false),
        ("dns.example", None, false),
        ("127.0.0.1", None, true),
    ] {
        let (server, authority) = tls_server(certificate, &folder).await;
        let server_name = name.map(str::to_owned);
        let tls = ForwardTls { server_name, authority: Some(authority), identity: None };
        let client = Client::new(server, Channel::Tls, tls);
        let answer = client.ask().await;
        assert_eq!(answer.is_ok(), is_right, "{certificate} {name:?} {answer:?}");
        if is_right {
            client.ask().await.unwrap();
            client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp-tls", 1);
            client.check_metric("coredns_proxy_conn_cache_hits_total", "tcp-tls", 1);
        }
    }
}

#[test]
fn what_tls_cannot_be_set_up_with_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let [one, other] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap());
    let (certificate, empty) = (file("tls.crt", &one.cert.pem()), file("empty", ""));
    let key = file("other.key", &other.signing_key.serialize_pem());
    let missing = folder.path().join("missing");
    let check = |tls: ForwardTls, expected: String| {
        let config = config("127.0.0.1:853".parse().unwrap(), Channel::Tls, tls);
        let error = Network::new(&config, &Arc::new(Metrics::new())).expect_err("TLS cannot be set up");
        assert!(error.to_string().starts_with(&expected), "{error}");
    };
    let none = ForwardTls { authority: Some(certificate.clone()), ..ForwardTls::default() };
    let authority = |file: &PathBuf| ForwardTls { authority: Some(file.clone()), ..none.clone() };
    let identity = |certificate: &PathBuf, key: &PathBuf| ForwardTls {
        identity: Some((certificate.clone(), key.clone())),
        ..none.clone()
    };
    check(authority(&missing), format!("cannot read certificates from {missing:?}: "));
    check(authority(&empty), format!("cannot read certificates from {empty:?}: there is none in it"));
    check(identity(&empty, &key), format!("cannot read certificates from {empty:?}: there is none in it"));
    check(identity(&certificate, &empty), format!("cannot read a private key from {empty:?}: "));
    check(identity(&certificate, &key), format!("cannot use the certificate {certificate:?} with the key {key:?}"));
}

/// What an HTTP server makes of a question: status, media type, message.
type Responds = fn(Vec<u8>) -> (u16, &'static str, Vec<u8>);

/// A server of DNS over HTTPS for dns.example that takes so many questions on each connection, and the file of its
/// authority. It notes the requests.
async fn https_server(
    folder: &tempfile::TempDir,
    questions: usize,
    responds: Responds,
) -> (SocketAddr, ForwardTls, Arc<std::sync::Mutex<Vec<String>>>) {
    let (mut config, authority) = tls_config("dns.example", folder);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (address, noted) = (listener.local_addr().unwrap(), Arc::default());
    let notes: Arc<std::sync::Mutex<Vec<String>>> = Arc::clone(&noted);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (accepting, notes) = (acceptor.accept(stream), Arc::clone(&notes));
            tokio::spawn(async move {
                let Ok(stream) = accepting.await else { return };
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut left = questions;
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let (head, mut body) = request.into_parts();
                    let mut question = Vec::new();
                    while let Some(part) = body.data().await {
                        question.extend_from_slice(&part.unwrap());
                    }
                    if let Some((_, encoded)) = head.uri.query().and_then(|query| query.split_once("dns=")) {
                        question = data_encoding::BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap();
                    }
                    notes.lock().unwrap().push(format!(
                        "{} {}{}",
                        head.method,
                        head.uri.authority().unwrap(),
                        head.uri.path()
                    ));
                    let (status, media_type, message) = responds(question);
                    if status == SILENCE {
                        std::future::pending::<()>().await;
                    }
                    let head = http::Response::builder().status(status).header("content-type", media_type);
                    let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    stream.send_data(message.into(), true).unwrap();
                    left -= 1;
                    if left == 0 {
                        connection.graceful_shutdown();
                    }
                }
            });
        }
    });
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    (address, tls, noted)
}

/// In place of a status: nothing comes on the connection any more.
const SILENCE: u16 = 0;
const MESSAGE: &str = "application/dns-message";

#[tokio::test]
async fn questions_go_out_side_by_side_on_one_connection_over_https() {
    let folder = tempfile::tempdir().unwrap();
    for (method, word) in [(DohMethod::Post, "POST"), (DohMethod::Get, "GET")] {
        let (server, tls, noted) = https_server(&folder, 100, |question| {
            assert_eq!(question[..2], [0, 0], "an id says nothing over HTTPS");
            (200, MESSAGE, reply(&question))
        })
        .await;
        let config = Forward { doh_method: method, ..config(server, Channel::Https, tls) };
        let client = Client::of(server, Channel::Https, config);
        client.ask().await.expect("an answer");
        let (one, other) = tokio::join!(client.ask(), client.ask());
        assert!(one.is_ok() && other.is_ok());
        client.check_metric("coredns_proxy_conn_cache_misses_total", "https", 1);
        client.check_metric("coredns_proxy_conn_cache_hits_total", "https", 2);
        let expected = format!("{word} dns.example:{}/dns-query", server.port());
        assert_eq!(*noted.lock().unwrap(), [expected.as_str(); 3]);
    }
}

#[tokio::test]
async fn an_https_connection_that_is_gone_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (server, tls, _) = https_server(&folder, 1, |question| (200, MESSAGE, reply(&question))).await;
    let client = Client::new(server, Channel::Https, tls);
    for _ in 0..5 {
        client.ask().await.expect("no fault of the server");
    }
}

#[tokio::test]
async fn what_is_no_answer_over_https_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let wrongs: [(Responds, &str); 4] = [
        (|question| (503, MESSAGE, reply(&question)), "HTTP status 503"),
        (|question| (200, "text/html", reply(&question)), "something else than a DNS message"),
        (|question| (200, MESSAGE, [reply(&question), vec![0; 70000]].concat()), "longer than a DNS message"),
        (|question| (200, MESSAGE, question), "another question"),
    ];
    for (responds, expected) in wrongs {
        let (server, tls, _) = https_server(&folder, 100, responds).await;
        let error = Client::new(server, Channel::Https, tls).ask().await.unwrap_err();
        let UpstreamError::Connect { source, .. } = error else { panic!("{error:?}") };
        assert!(source.to_string().contains(expected), "{source}");
    }
}

#[tokio::test]
async fn an_https_server_must_speak_http_2_and_have_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let (server, authority) = tls_server("dns.example", &folder).await;
    let tls = ForwardTls { server_name: Some("dns.example".to_owned()), authority: Some(authority), identity: None };
    assert!(Client::new(server, Channel::Https, tls).ask().await.is_err());
    let (server, tls, _) = https_server(&folder, 100, |question| (200, MESSAGE, reply(&question))).await;
    let other = ForwardTls { server_name: Some("other.example".to_owned()), ..tls.clone() };
    assert!(Client::new(server, Channel::Https, other).ask().await.is_err());
    assert!(Client::new(server, Channel::Https, tls).ask().await.is_ok());
}

#[tokio::test]
async fn an_https_connection_that_has_gone_silent_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    static ASKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let (server, tls, _) = https_server(&folder, 100, |question| {
        let is_second = ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1;
        (if is_second { SILENCE } else { 200 }, MESSAGE, reply(&question))
    })
    .await;
    let client = Client::new(server, Channel::Https, tls);
    client.ask().await.expect("an answer");
    client.ask_within(Duration::from_millis(50)).await.expect_err("silence");
    client.ask().await.expect("another connection");
    client.check_metric("coredns_proxy_conn_cache_misses_total", "https", 2);
}

#[tokio::test]
async fn questions_come_from_the_source_address() {
    let source = "127.0.0.9".parse().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let listener = TcpListener::bind(server).await.unwrap();
    for channel in [Channel::Udp, Channel::Tcp] {
        let config = Forward { source_address: Some(source), ..config(server, channel, ForwardTls::default()) };
        let client = Client::of(server, channel, config);
        let asker = async {
            match channel {
                Channel::Udp => socket.recv_from(&mut [0; 512]).await.unwrap().1,
                _ => listener.accept().await.unwrap().1,
            }
        };
        let asked = tokio::join!(client.ask_within(Duration::from_millis(50)), asker).1;
        assert_eq!(asked.ip(), source);
    }
    let config = Forward { source_address: Some(source), ..config(server, Channel::Udp, ForwardTls::default()) };
    let client = Client::of("[::1]:9".parse().unwrap(), Channel::Udp, config);
    client.ask().await.expect_err("an address of the other family");
}

#[tokio::test]
async fn what_is_wrong_on_this_side_is_no_fault_of_the_server() {
    let server = tcp_server(1).await;
    for channel in [Channel::Udp, Channel::Tcp] {
        let source_address = Some("192.0.2.1".parse().unwrap());
        let config = Forward { source_address, ..config(server, channel, ForwardTls::default()) };
        let error = Client::of(server, channel, config).ask().await.unwrap_err();
        assert!(matches!(error, UpstreamError::Local { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_kept_of_servers_that_stay_is_kept() {
    let server = tcp_server(100).await;
    let client = Client::plain(server, Channel::Tcp);
    client.ask().await.unwrap();
    let other = Upstream::plain("127.0.0.1:9".parse().unwrap());
    client.network.prepare(&[other.clone(), client.upstream.clone()]);
    client.ask().await.unwrap();
    client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp", 1);
    client.network.prepare(&[other]);
    client.ask().await.unwrap();
    client.check_metric("coredns_proxy_conn_cache_misses_total", "tcp", 2);
}
