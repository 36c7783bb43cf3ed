//! DNS over TLS, HTTPS and QUIC: listeners in this process, and clients of each.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use landfall::config::Scheme;
use landfall::config::directive::{ClientAuth, Timeouts, Tls};
use landfall::listen::{Capacity, Endpoint, Limits, ListenAddress, ListenError, Listener, PortUse, Tuning};
use landfall::metrics::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_rustls::{TlsConnector, rustls};

use super::limits::{BIG, router};
use super::packet::{A, Packet};
use super::socket::frame;

const NAME: &str = "dns.example";
const SHORT: Duration = Duration::from_millis(300);

/// A certificate that signs itself, in files.
struct Identity {
    folder: tempfile::TempDir,
}

impl Identity {
    fn new() -> Self {
        let identity = Self { folder: tempfile::tempdir().expect("a folder") };
        identity.renew();
        identity
    }

    /// Another one in the same files.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        std::fs::write(self.path("tls.key"), made.signing_key.serialize_pem()).expect("a file");
        std::fs::write(self.path("tls.crt"), made.cert.pem()).expect("a file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self) -> Tls {
        let (certificate, key) = (self.path("tls.crt"), self.path("tls.key"));
        Tls { certificate, key, authority: None, client_auth: ClientAuth::Nocert }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path("tls.crt")).expect("a certificate")
    }

    /// A client that believes this certificate, and shows it, too, if it is asked.
    fn client(&self, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate()).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let key = PrivateKeyDer::from_pem_file(self.path("tls.key")).expect("a key");
        let builder = builder.with_root_certificates(roots);
        let mut config = builder.with_client_auth_cert(vec![self.certificate()], key).expect("a client");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    }

    async fn connect(&self, server: SocketAddr, protocols: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.client(protocols)));
        let name = ServerName::try_from(NAME).expect("a name");
        connector.connect(name, TcpStream::connect(server).await?).await
    }
}

/// A listener with this certificate, and what it counts.
struct Server {
    listener: Listener,
    metrics: Arc<Metrics>,
}

impl Server {
    fn bind(scheme: Scheme, tuning: &Tuning, limits: Limits) -> Result<Self, ListenError> {
        let metrics = Arc::new(Metrics::new());
        let capacity = Arc::new(Capacity::new(limits, metrics.clone()));
        let endpoint = Endpoint { scheme, address: ListenAddress::One((Ipv4Addr::LOCALHOST, 0).into()) };
        let listener = Listener::bind(endpoint, PortUse::Alone, router(&metrics), tuning, &capacity)?;
        Ok(Self { listener, metrics })
    }

    fn start(scheme: Scheme, files: Tls, limits: Limits) -> Self {
        let tuning = Tuning { tls: Some(files), ..Tuning::default() };
        Self::bind(scheme, &tuning, limits).expect("a listener")
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }
}

fn question(id: u16) -> Vec<u8> {
    let mut octets = Packet::new(BIG, A).octets();
    octets[..2].copy_from_slice(&id.to_be_bytes());
    octets
}

/// The next message of a stream; None: it has ended.
async fn next(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

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
async fn a_client_must_show_its_certificate_where_that_is_asked() {
    let (identity, stranger) = (Identity::new(), Identity::new());
    let authority = Some(identity.path("tls.crt"));
    let files = Tls { authority, client_auth: ClientAuth::RequireAndVerify, ..identity.files() };
    let server = Server::start(Scheme::Tls, files, Limits::default());
    let asks = async |client: ClientConfig| {
        let connector = TlsConnector::from(Arc::new(client));
        let stream = TcpStream::connect(server.address()).await.ok()?;
        let mut stream = connector.connect(ServerName::try_from(NAME).ok()?, stream).await.ok()?;
        stream.write_all(&frame(&question(1))).await.ok()?;
        next(&mut stream).await
    };
    assert!(asks(identity.client(&[])).await.is_some());
    let mut roots = RootCertStore::empty();
    roots.add(identity.certificate()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let key = PrivateKeyDer::from_pem_file(stranger.path("tls.key")).expect("a key");
    let other = builder.with_root_certificates(roots).with_client_auth_cert(vec![stranger.certificate()], key);
    assert!(asks(other.expect("a client")).await.is_none());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told() {
    let identity = Identity::new();
    let check = |files: Tls, part: &str| {
        let tuning = Tuning { tls: Some(files), ..Tuning::default() };
        let error = Server::bind(Scheme::Tls, &tuning, Limits::default()).err().expect("an error").to_string();
        assert!(error.contains(part), "{error}");
    };
    check(Tls { certificate: "/nowhere".into(), ..identity.files() }, "cannot read certificates from \"/nowhere\"");
    check(Tls { key: identity.path("tls.crt"), ..identity.files() }, "cannot read a private key");
    let other = Identity::new();
    check(Tls { key: other.path("tls.key"), ..identity.files() }, "keys may not be consistent");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_read_again_when_it_changes_and_kept_when_it_is_broken() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Tls, identity.files(), Limits::default());
    let old = identity.client(&[]);
    std::fs::write(identity.path("tls.crt"), "no certificate").expect("a file");
    tokio::time::sleep(Duration::from_secs(11)).await;
    let connect = async |config: ClientConfig| {
        let stream = TcpStream::connect(server.address()).await?;
        TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).expect("a name"), stream).await
    };
    assert!(connect(old.clone()).await.is_ok(), "the old one is kept");
    identity.renew();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(connect(old).await.is_err());
    assert!(connect(identity.client(&[])).await.is_ok());
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

/// The status of a request, its cache time, and its body.
async fn request(
    identity: &Identity,
    server: SocketAddr,
    protocol: &[u8],
    request: Request<Full<Bytes>>,
) -> (StatusCode, Option<String>, Bytes) {
    let stream = TokioIo::new(identity.connect(server, &[protocol]).await.expect("TLS"));
    let response = if protocol == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let response = response.expect("a response");
    let age = response.headers().get("cache-control").map(|age| age.to_str().expect("text").to_owned());
    (response.status(), age, response.into_body().collect().await.expect("a body").to_bytes())
}

fn get(uri: &str) -> Request<Full<Bytes>> {
    Request::get(uri).header("host", NAME).body(Full::default()).expect("a request")
}

fn post(kind: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let uri = format!("https://{NAME}/dns-query");
    Request::post(uri).header("content-type", kind).header("host", NAME).body(Full::from(body)).expect("a request")
}

#[tokio::test]
async fn questions_over_https_come_by_get_and_post_and_both_versions() {
    use base64::Engine as _;
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits::default());
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(question(0));
    for protocol in [&b"h2"[..], b"http/1.1"] {
        for asked in
            [post("application/dns-message", question(0)), get(&format!("https://{NAME}/dns-query?dns={text}"))]
        {
            let (status, age, body) = request(&identity, server.address(), protocol, asked).await;
            assert_eq!((status, age.as_deref()), (StatusCode::OK, Some("max-age=30")));
            assert!(body.len() > 60_000 && body.starts_with(&[0, 0]), "{}", body.len());
        }
    }
    assert_eq!(server.metrics.dns_https_responses.with_label_values(&["https://127.0.0.1:0", "200"]).get(), 4);
}

#[tokio::test]
async fn requests_that_are_none_get_a_status() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits::default());
    let message = "application/dns-message";
    let deleted =
        Request::builder().method(Method::DELETE).uri(format!("https://{NAME}/dns-query")).body(Full::default());
    for (asked, status) in [
        (get(&format!("https://{NAME}/")), StatusCode::NOT_FOUND),
        (get(&format!("https://{NAME}/dns-query")), StatusCode::BAD_REQUEST),
        (get(&format!("https://{NAME}/dns-query?dns=!!!")), StatusCode::BAD_REQUEST),
        (post("text/plain", question(0)), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (post(message, vec![0; 70_000]), StatusCode::PAYLOAD_TOO_LARGE),
        (post(message, vec![0; 3]), StatusCode::BAD_REQUEST),
        (deleted.expect("a request"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let shown = format!("{asked:?}");
        assert_eq!(request(&identity, server.address(), b"h2", asked).await.0, status, "{shown}");
    }
}

/// A connection over QUIC.
async fn connect_quic(identity: &Identity, server: SocketAddr) -> quinn::Connection {
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(identity.client(&[b"doq"])).expect("QUIC");
    let mut endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("an endpoint");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint.connect(server, NAME).expect("an address").await.expect("a connection")
}

/// What comes back on a stream of its own.
async fn ask_quic(connection: &quinn::Connection, octets: &[u8]) -> Option<Vec<u8>> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    send.write_all(octets).await.ok()?;
    send.finish().ok()?;
    receive.read_to_end(70_000).await.ok()
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
    assert_eq!(server.metrics.dns_quic_responses.with_label_values(&["quic://127.0.0.1:0", "ok"]).get(), 300);
}

#[tokio::test]
async fn who_breaks_the_rules_of_quic_loses_the_connection() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Quic, identity.files(), Limits::default());
    let with_id = frame(&question(7));
    let twice = frame(&question(0)).repeat(2);
    for octets in [with_id, twice, vec![0], vec![0; 70_000]] {
        let connection = connect_quic(&identity, server.address()).await;
        assert_eq!(ask_quic(&connection, &octets).await, None);
        let quinn::ConnectionError::ApplicationClosed(closed) = connection.closed().await else { panic!("not closed") };
        assert_eq!(closed.error_code.into_inner(), 2, "DOQ_PROTOCOL_ERROR");
    }
}

#[tokio::test]
async fn a_stop_answers_what_was_asked() {
    let identity = Identity::new();
    for scheme in [Scheme::Tls, Scheme::Https, Scheme::Quic] {
        let server = Server::start(scheme, identity.files(), Limits::default());
        assert!(server.listener.stop(Duration::from_secs(5)).await, "{scheme:?}");
    }
}
