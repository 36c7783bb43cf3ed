//! DNS over HTTPS (RFC 8484), over HTTP/1.1 and HTTP/2, below TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::dns::{Transport, smallest_ttl};
use crate::listen::respond::{Packet, Responder};

/// The protocols, in the order in which they are wished for.
pub const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The path of queries (RFC 8484 section 4.1 leaves it to the server; CoreDNS's is this).
const PATH: &str = "/dns-query";
/// The media type of messages (RFC 8484 section 6).
const MESSAGE: &str = "application/dns-message";
/// Octets of a message.
const MESSAGE_BYTES_MAX: usize = u16::MAX as usize;
/// Requests of one connection at the same time.
const STREAMS_MAX: u32 = 100;
/// How long a request may take to arrive.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Answers the requests of a connection until it ends, is idle for too long, or is told to stop.
pub async fn serve<S>(
    stream: S,
    responder: Arc<Responder>,
    client: SocketAddr,
    local: SocketAddr,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(REQUEST_TIME).max_headers(64);
    let idle = responder.capacity.limits.idle_time;
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(16 << 10)
        .keep_alive_interval(idle)
        .keep_alive_timeout(REQUEST_TIME);
    let service = service_fn(move |request| {
        let responder = responder.clone();
        async move { Ok::<_, Infallible>(answer(request, &responder, client, local).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // An error is the end of one connection, and of no interest to anybody else.
    if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

/// The reply to a request: a message, or why there is none.
async fn answer(
    request: Request<Incoming>,
    responder: &Responder,
    client: SocketAddr,
    local: SocketAddr,
) -> Response<Full<Bytes>> {
    let reply = match tokio::time::timeout(REQUEST_TIME, message(request)).await {
        Ok(Ok(message)) => {
            let packet = Packet { octets: &message, client, local, transport: Transport::Tcp };
            responder.answer(packet).await.ok_or(StatusCode::BAD_REQUEST)
        }
        Ok(Err(status)) => Err(status),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    };
    let status = reply.as_ref().map_or_else(|status| *status, |_| StatusCode::OK);
    responder.capacity.metrics.dns_https_responses.with_label_values(&[responder.label(), status.as_str()]).inc();
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    if let Ok(reply) = reply {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(MESSAGE));
        // RFC 8484 section 5.1: no longer than the shortest TTL.
        if let Ok(age) = format!("max-age={}", smallest_ttl(&reply).unwrap_or(0)).parse() {
            headers.insert(CACHE_CONTROL, age);
        }
        *response.body_mut() = Full::new(Bytes::from(reply));
    }
    response
}

/// The message of a request (RFC 8484 section 4.1).
async fn message(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let query = request.uri().query().unwrap_or_default();
            let text = query.split('&').find_map(|part| part.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
            if text.len() > MESSAGE_BYTES_MAX.div_ceil(3) * 4 {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| StatusCode::BAD_REQUEST)
        }
        Method::POST => {
            let is_message =
                request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == MESSAGE.as_bytes());
            if !is_message {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect().await;
            body.map(|body| body.to_bytes().to_vec()).map_err(|error| match error.is::<LengthLimitError>() {
                true => StatusCode::PAYLOAD_TOO_LARGE,
                false => StatusCode::BAD_REQUEST,
            })
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}
