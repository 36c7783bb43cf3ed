//! DNS over HTTPS.

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use landfall::config::Scheme;
use landfall::listen::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Identity, NAME, SHORT, Server, big_and_dropped, question};
use crate::wire::packet::{A, Packet};

const MESSAGE: &str = "application/dns-message";
const AXFR: u16 = 252;

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

fn asked_by_get(message: &[u8]) -> Request<Full<Bytes>> {
    get(&format!("https://{NAME}/dns-query?dns={}", BASE64URL_NOPAD.encode(message)))
}

fn post(kind: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let uri = format!("https://{NAME}/dns-query");
    Request::post(uri).header("content-type", kind).header("host", NAME).body(Full::from(body)).expect("a request")
}

#[tokio::test]
async fn questions_over_https_come_by_get_and_post_and_both_versions() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits::default());
    for protocol in [&b"h2"[..], b"http/1.1"] {
        for asked in
            [post(MESSAGE, question(0)), post("Application/DNS-Message; a=b", question(0)), asked_by_get(&question(0))]
        {
            let (status, age, body) = request(&identity, server.address(), protocol, asked).await;
            assert_eq!((status, age.as_deref()), (StatusCode::OK, Some("max-age=30")));
            assert!(body.len() > 60_000 && body.starts_with(&[0, 0]), "{}", body.len());
        }
    }
    assert_eq!(server.metrics.dns_https_responses.with_label_values(&["https://127.0.0.1:0", "200"]).get(), 6);
}

#[tokio::test]
async fn requests_that_are_none_get_a_status() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits::default());
    let deleted =
        Request::builder().method(Method::DELETE).uri(format!("https://{NAME}/dns-query")).body(Full::default());
    for (asked, status) in [
        (get(&format!("https://{NAME}/")), StatusCode::NOT_FOUND),
        (get(&format!("https://{NAME}/dns-query")), StatusCode::BAD_REQUEST),
        (get(&format!("https://{NAME}/dns-query?dns=!!!")), StatusCode::BAD_REQUEST),
        (post("text/plain", question(0)), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (post(MESSAGE, vec![0; 70_000]), StatusCode::PAYLOAD_TOO_LARGE),
        (asked_by_get(&[0; 5_000]), StatusCode::PAYLOAD_TOO_LARGE),
        (asked_by_get(&[0; 20_000]), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (post(MESSAGE, vec![0; 3]), StatusCode::BAD_REQUEST),
        (deleted.expect("a request"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let shown = format!("{asked:?}");
        assert_eq!(request(&identity, server.address(), b"h2", asked).await.0, status, "{shown}");
    }
}

#[tokio::test]
async fn a_method_that_is_none_is_told_which_there_are() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits::default());
    let mut client = Client::connect(&identity, &server, &mut builder()).await;
    let request = Request::head(format!("https://{NAME}/dns-query")).body(Full::default()).expect("a request");
    let response = client.0.send_request(request).await.expect("a response");
    assert_eq!(response.headers()["allow"], "GET, POST");
}

#[tokio::test]
async fn what_has_no_reply_and_what_has_many_get_a_status() {
    let identity = Identity::new();
    let corefile = big_and_dropped(&identity, 2000);
    let server = Server::of(&corefile, Scheme::Https, identity.files());
    for (name, record_type, status) in [
        ("a.dropped", A, StatusCode::INTERNAL_SERVER_ERROR),
        ("big", AXFR, StatusCode::NOT_IMPLEMENTED),
        ("h7.big", A, StatusCode::OK),
    ] {
        let asked = post(MESSAGE, Packet::new(name, record_type).octets());
        assert_eq!(request(&identity, server.address(), b"h2", asked).await.0, status, "{name}");
    }
}

/// A client of HTTP/2.
struct Client(http2::SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(identity: &Identity, server: &Server, builder: &mut http2::Builder<TokioExecutor>) -> Self {
        let stream = identity.connect(server.address(), &[b"h2"]).await.expect("TLS");
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    async fn ask(&mut self) -> Response<Incoming> {
        self.0.send_request(post(MESSAGE, question(0))).await.expect("a response")
    }
}

/// HTTP/2 that says that it is there all the time.
fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(Duration::from_millis(50)).keep_alive_while_idle(true);
    builder
}

#[tokio::test]
async fn who_asks_nothing_is_closed() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits { idle_time: SHORT, ..Limits::default() });
    for (protocol, beginning) in [(&b"h2"[..], ""), (b"h2", "PRI * HT"), (b"http/1.1", ""), (b"http/1.1", "GET /d")] {
        let mut stream = identity.connect(server.address(), &[protocol]).await.expect("TLS");
        stream.write_all(beginning.as_bytes()).await.expect("a beginning");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        server.is_left().await;
    }
    let mut pinging = Client::connect(&identity, &server, &mut builder()).await;
    assert_eq!(pinging.ask().await.status(), StatusCode::OK);
    server.is_left().await;
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let identity = Identity::new();
    let server = Server::start(Scheme::Https, identity.files(), Limits { write_time: SHORT, ..Limits::default() });
    let mut client = Client::connect(&identity, &server, builder().initial_stream_window_size(10)).await;
    let _unread = client.ask().await;
    server.is_left().await;
    // What TLS holds back counts as read, so that it is the next request which does not come.
    let limits = Limits { write_time: SHORT, idle_time: SHORT, ..Limits::default() };
    let server = Server::start(Scheme::Https, identity.files(), limits);
    let mut stream = identity.connect(server.address(), &[b"http/1.1"]).await.expect("TLS");
    let head = format!("POST /dns-query HTTP/1.1\r\nhost: a\r\ncontent-type: {MESSAGE}\r\ncontent-length: ");
    let asked = [format!("{head}{}\r\n\r\n", question(0).len()).into_bytes(), question(0)].concat();
    // More than what the buffers of both kernels take.
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.write_all(&asked.repeat(1000))).await;
    server.is_left().await;
}

#[tokio::test]
async fn replies_that_wait_for_their_reader_have_a_bound() {
    let identity = Identity::new();
    let limits = Limits { octets_per_client: 100_000, ..Limits::default() };
    let server = Server::start(Scheme::Https, identity.files(), limits);
    let mut client = Client::connect(&identity, &server, builder().initial_stream_window_size(10)).await;
    let unread = client.ask().await;
    assert_eq!(unread.status(), StatusCode::OK);
    assert_eq!(client.ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.refused("octets_per_client"), 1);
    drop(unread);
    tokio::time::sleep(SHORT).await;
    assert_eq!(client.ask().await.status(), StatusCode::OK, "room is given back");
}

#[tokio::test]
async fn a_stop_waits_for_answers() {
    let identity = Identity::new();
    let server = Server::of("slow {\n forward . 192.0.2.1\n}\n", Scheme::Https, identity.files());
    let mut client = Client::connect(&identity, &server, &mut builder()).await;
    let asked = client.0.send_request(post(MESSAGE, Packet::new("a.slow", A).octets()));
    let asked = tokio::spawn(asked);
    let response = server.stops_after(asked).await.expect("no panic").expect("a response");
    assert_eq!(response.status(), StatusCode::OK);
}
