//! Questions over HTTPS (RFC 8484): one HTTP/2 connection to a server, on which all questions go out side by side.
//!
//! HTTP/1.1 is not spoken: RFC 8484 section 5.2 recommends HTTP/2 as the least, and one question at a time is what TLS is
//! for.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;
use h2::client::{Builder, SendRequest};
use http::{Method, Request, Response, StatusCode, header};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Upstream;
use super::reply::Question;
use super::stream::{Keeping, Tls, connect};
use super::tls::HTTP_2;
use crate::config::directive::DohMethod;
use crate::metrics::{Counter, Metrics};

const MEDIA_TYPE: &str = "application/dns-message";

/// Where servers answer that say nothing else, as in CoreDNS.
const PATH: &str = "/dns-query";

/// Octets of a message at most, as over TCP.
const SIZE_MAX: usize = u16::MAX as usize;

/// Octets of the head of a response at most.
const HEAD_SIZE_MAX: u32 = 16 * 1024;

/// The connection to one server.
#[derive(Debug)]
pub(super) struct Https {
    server: SocketAddr,
    tls: Tls,
    keeping: Keeping,
    method: DohMethod,
    /// `https://dns.example.org/dns-query`
    target: String,
    kept: Mutex<Option<Kept>>,
    hits: Counter,
    misses: Counter,
    mismatches: Counter,
}

/// A connection that was used lately.
#[derive(Debug)]
struct Kept {
    connection: Arc<Connection>,
    used: Instant,
}

/// A connection, which lasts as long as somebody has it.
#[derive(Debug)]
struct Connection {
    requests: SendRequest<io::Cursor<Vec<u8>>>,
    begun: Instant,
    driver: AbortHandle,
}

impl Https {
    /// No connection yet.
    pub fn new(upstream: &Upstream, tls: Tls, keeping: Keeping, method: DohMethod, metrics: &Metrics) -> Self {
        let server = upstream.address;
        let to = server.to_string();
        let labels = ["forward", &to, "https"];
        let host = match (&upstream.server_name, server.ip()) {
            (Some(name), _) => name.to_string(),
            (None, IpAddr::V4(address)) => address.to_string(),
            (None, IpAddr::V6(address)) => format!("[{address}]"),
        };
        let port = if server.port() == 443 { String::new() } else { format!(":{}", server.port()) };
        let path = if upstream.path.is_empty() { PATH } else { &upstream.path };
        Self {
            server,
            tls,
            keeping,
            method,
            target: format!("https://{host}{port}{path}"),
            kept: Mutex::default(),
            hits: metrics.proxy_conn_cache_hits.with_label_values(&labels),
            misses: metrics.proxy_conn_cache_misses.with_label_values(&labels),
            mismatches: metrics.landfall_upstream_mismatches.with_label_values(&[&to]),
        }
    }

    /// Asks, and waits for the reply without end.
    pub async fn ask(&self, question: Question, _budget: &crate::dns::Budget) -> io::Result<Vec<u8>> {
        if let Some(connection) = self.take() {
            self.hits.inc();
            match self.ask_over(&connection, &question).await {
                // A server may close a connection whenever it likes, which says nothing of it; what it says counts.
                Err(error) if error.kind() != io::ErrorKind::InvalidData => {}
                outcome => return outcome,
            }
        }
        self.misses.inc();
        let connection = Arc::new(self.connect().await?);
        self.keep(&connection);
        self.ask_over(&connection, &question).await
    }

    async fn ask_over(&self, connection: &Arc<Connection>, question: &Question) -> io::Result<Vec<u8>> {
        let _asked = Asked { https: self, connection, at: Instant::now() };
        let reply = self.request(connection, question.octets()).await?;
        if !question.is_answered_by(&reply) {
            self.mismatches.inc();
            return Err(invalid("the reply belongs to another question"));
        }
        self.keep(connection);
        Ok(reply)
    }

    async fn request(&self, connection: &Connection, question: &[u8]) -> io::Result<Vec<u8>> {
        let request = Request::builder().header(header::ACCEPT, MEDIA_TYPE);
        let request = match self.method {
            DohMethod::Post => request
                .method(Method::POST)
                .uri(&self.target)
                .header(header::CONTENT_TYPE, MEDIA_TYPE)
                .header(header::CONTENT_LENGTH, question.len()),
            DohMethod::Get => {
                let sign = if self.target.contains('?') { '&' } else { '?' };
                request.uri(format!("{}{sign}dns={}", self.target, BASE64URL_NOPAD.encode(question)))
            }
        };
        let request = request.body(()).map_err(io::Error::other)?;
        let mut requests = connection.requests.clone().ready().await.map_err(io::Error::other)?;
        let has_body = self.method == DohMethod::Post;
        let (response, mut body) = requests.send_request(request, !has_body).map_err(io::Error::other)?;
        if has_body {
            body.send_data(io::Cursor::new(question.to_vec()), true).map_err(io::Error::other)?;
        }
        read(response.await.map_err(io::Error::other)?).await
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = connect(self.server, self.keeping.source).await?;
        let stream = self.tls.connector.connect(self.tls.name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP_2) {
            return Err(invalid("it does not speak HTTP/2"));
        }
        let mut builder = Builder::new();
        builder.enable_push(false).max_header_list_size(HEAD_SIZE_MAX);
        let (requests, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        // Its errors are those of the questions on it.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Connection { requests, begun: Instant::now(), driver })
    }

    /// The connection that was used last, unless its time is over.
    fn take(&self) -> Option<Arc<Connection>> {
        let now = Instant::now();
        let mut kept = self.lock();
        let is_fresh = |kept: &Kept| {
            let is_young = self.keeping.max_age.is_none_or(|max| now.duration_since(kept.connection.begun) < max);
            is_young && now.duration_since(kept.used) < self.keeping.expire && !kept.connection.driver.is_finished()
        };
        *kept = kept.take().filter(is_fresh);
        kept.as_ref().map(|kept| kept.connection.clone())
    }

    /// Of several that were made at once, the youngest is kept.
    fn keep(&self, connection: &Arc<Connection>) {
        let mut kept = self.lock();
        if kept.as_ref().is_none_or(|kept| kept.connection.begun <= connection.begun) {
            *kept = Some(Kept { connection: connection.clone(), used: Instant::now() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is over. If nothing has come on its connection since it was asked, that may be dead, and is not kept.
struct Asked<'a> {
    https: &'a Https,
    connection: &'a Arc<Connection>,
    at: Instant,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut kept = self.https.lock();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.connection, self.connection) && kept.used < self.at) {
            *kept = None;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The message in a response.
async fn read(response: Response<h2::RecvStream>) -> io::Result<Vec<u8>> {
    if response.status() != StatusCode::OK {
        return Err(invalid(format!("it answers with HTTP status {}", response.status())));
    }
    let media_type = response.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if !media_type.is_some_and(|media_type| media_type.starts_with(MEDIA_TYPE.as_bytes())) {
        return Err(invalid("it answers with something else than a DNS message"));
    }
    let (mut body, mut message) = (response.into_body(), Vec::new());
    while let Some(part) = body.data().await {
        let part = part.map_err(io::Error::other)?;
        if message.len() + part.len() > SIZE_MAX {
            return Err(invalid("its answer is longer than a DNS message can be"));
        }
        message.extend_from_slice(&part);
        body.flow_control().release_capacity(part.len()).map_err(io::Error::other)?;
    }
    Ok(message)
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}
