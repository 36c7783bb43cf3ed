//! DNS over HTTPS (RFC 8484), over HTTP/1.1 and HTTP/2, below TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Buf, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::traffic::{Traffic, Wait};
use super::{QUERY_BYTES_MAX, STREAMS_MAX};
use crate::dns::{Request, Transport, smallest_ttl};
use crate::listen::capacity::Place;
use crate::listen::connection::last_queries;
use crate::listen::respond::{Packet, Responder, Times};

/// The protocols, in the order in which they are wished for.
pub const PROTOCOLS: &[&[u8]] = &[HTTP_2, b"http/1.1"];
const HTTP_2: &[u8] = b"h2";

/// The path of queries (RFC 8484 section 4.1 leaves it to the server; CoreDNS's is this).
const PATH: &str = "/dns-query";
/// The media type of messages (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";
/// Octets of what stands before a body. No query that is asked by GET is longer.
const HEADERS_BYTES_MAX: u32 = 16 << 10;
/// Octets that are taken from a connection before they are read.
const WINDOW_BYTES: u32 = 64 << 10;

/// A connection and its client.
pub struct Connection {
    responder: Arc<Responder>,
    client: SocketAddr,
    local: SocketAddr,
    times: Times,
    traffic: Arc<Traffic>,
}

/// The octets of a reply. They hold their room until they have left.
struct Octets {
    octets: Vec<u8>,
    sent: usize,
    _room: Option<Arc<Place>>,
}

impl Connection {
    /// A connection that begins.
    pub fn new(responder: Arc<Responder>, client: SocketAddr, local: SocketAddr) -> Self {
        Self { times: responder.times(), traffic: Arc::new(Traffic::new()), responder, client, local }
    }

    /// Answers requests until the client ends it, is idle or does not read for too long, or until `stop`; what was asked before
    /// `stop` is answered.
    pub async fn serve(self, stream: TlsStream<TcpStream>, stop: &CancellationToken) {
        let builder = builder(stream.get_ref().1.alpn_protocol() == Some(HTTP_2));
        let (traffic, times) = (Arc::clone(&self.traffic), self.times);
        let connection = Arc::new(self);
        let service = service_fn(move |request| {
            let connection = Arc::clone(&connection);
            async move { Ok::<_, Infallible>(connection.reply(request).await) }
        });
        let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut last_queries = pin!(last_queries(stop));
        let mut ending = None;
        loop {
            let (_, deadline) = traffic.deadline(times, ending);
            // A reply that begins to leave meanwhile brings it forward.
            let look = deadline.min(Instant::now() + times.write);
            tokio::select! {
                // An error is the end of one connection, and of no interest to anybody else.
                _ = serving.as_mut() => return,
                () = &mut last_queries, if ending.is_none() => {}
                () = sleep_until(look) => match traffic.deadline(times, ending) {
                    (_, deadline) if deadline > Instant::now() => continue,
                    (Wait::Request, _) if ending.is_none() => {}
                    (Wait::Request | Wait::Reader, _) => return,
                },
            }
            serving.as_mut().graceful_shutdown();
            ending = Some(Instant::now());
        }
    }

    /// The reply to a request: a message, or why there is none.
    async fn reply(&self, request: hyper::Request<Incoming>) -> Response<Full<Octets>> {
        let _visit = self.traffic.begin();
        let reply = self.answer(request).await;
        let status = reply.as_ref().map_or_else(|status| *status, |_| StatusCode::OK);
        let label = self.responder.label();
        self.responder.capacity.metrics.dns_https_responses.with_label_values(&[label, status.as_str()]).inc();
        let (octets, room) = reply.map(|(octets, room)| (octets, Some(room))).unwrap_or_default();
        // RFC 8484 section 5.1: no longer than the shortest TTL.
        let age = HeaderValue::try_from(format!("max-age={}", smallest_ttl(&octets).unwrap_or(0)));
        let mut response = Response::new(Full::new(Octets { octets, sent: 0, _room: room }));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Ok(age) = age
            && status == StatusCode::OK
        {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESSAGE));
            headers.insert(CACHE_CONTROL, age);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response
    }

    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<(Vec<u8>, Arc<Place>), StatusCode> {
        let message = self.message(request).await?;
        let packet = Packet { octets: &message, client: self.client, local: self.local, transport: Transport::Tcp };
        let reply = self.responder.answer(packet).await.ok_or_else(|| match packet.parse() {
            Request::Ignored => StatusCode::BAD_REQUEST,
            // CoreDNS's, where a plugin drops a query.
            Request::Rejected(_) | Request::Query(_) => StatusCode::INTERNAL_SERVER_ERROR,
        })?;
        // A transfer of several messages has no form here.
        if reply.more.is_some_and(|mut more| more.next().is_some()) {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        let room = Arc::new(self.room(reply.message.len())?);
        self.traffic.send(&room);
        Ok((reply.message, room))
    }

    /// The message of a request (RFC 8484 section 4.1).
    async fn message(&self, request: hyper::Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
        if request.uri().path() != PATH {
            return Err(StatusCode::NOT_FOUND);
        }
        match *request.method() {
            Method::GET => message_of_query(request.uri().query().unwrap_or_default()),
            Method::POST => {
                if !request.headers().get(CONTENT_TYPE).is_some_and(is_message) {
                    return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
                }
                let _room = self.room(QUERY_BYTES_MAX)?;
                let body = Limited::new(request.into_body(), QUERY_BYTES_MAX).collect();
                match timeout(self.times.read, body).await {
                    Ok(Ok(body)) => Ok(body.to_bytes().to_vec()),
                    Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
                    Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
                    Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
                }
            }
            _ => Err(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Room for octets on their way.
    fn room(&self, octets: usize) -> Result<Place, StatusCode> {
        let room = self.responder.capacity.octets.take_many(self.client.ip(), octets);
        room.ok_or(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// HTTP with its bounds.
fn builder(is_http_2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().max_headers(64).max_buf_size(HEADERS_BYTES_MAX as usize);
    builder
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADERS_BYTES_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    // TLS has agreed on one of them; looking for it in what is sent could wait for ever.
    if is_http_2 { builder.http2_only() } else { builder.http1_only() }
}

fn message_of_query(query: &str) -> Result<Vec<u8>, StatusCode> {
    let text = query.split('&').find_map(|part| part.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
    let message = BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if message.len() > QUERY_BYTES_MAX { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(message) }
}

/// Whether that is the media type of messages, with or without parameters.
fn is_message(kind: &HeaderValue) -> bool {
    let kind = kind.to_str().unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(MESSAGE))
}

impl Buf for Octets {
    fn remaining(&self) -> usize {
        self.octets.len() - self.sent
    }

    fn chunk(&self) -> &[u8] {
        self.octets.get(self.sent..).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        self.sent += count;
    }
}
