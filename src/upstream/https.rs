//! Questions over HTTPS (RFC 8484): one HTTP/2 connection to a server, on which all questions go out side by side.
//!
//! HTTP/1.1 is not spoken: RFC 8484 section 5.2 recommends HTTP/2 as the least, and one question at a time is what TLS is
//! for.

use std::io;
use std::net::{IpAddr, SocketAddr};

use data_encoding::BASE64URL_NOPAD;
use h2::client::{Builder, SendRequest};
use http::{Method, Request, Response, StatusCode, header};
use tokio::task::AbortHandle;

use super::Upstream;
use super::shared::{Protocol, invalid};
use super::stream::{Tls, connect};
use super::tls::HTTP_2;
use crate::config::directive::DohMethod;

const MEDIA_TYPE: &str = "application/dns-message";

/// Where servers answer that say nothing else, as in CoreDNS.
const PATH: &str = "/dns-query";

/// Octets of a message at most, as over TCP.
const SIZE_MAX: usize = u16::MAX as usize;

/// Octets that a connection takes before they are read: many answers at a time.
const WINDOW: u32 = 4 << 20;

/// Octets of the head of a response at most.
const HEAD_SIZE_MAX: u32 = 16 * 1024;

/// How one server is asked.
#[derive(Debug)]
pub(super) struct Https {
    server: SocketAddr,
    tls: Tls,
    source: Option<IpAddr>,
    method: DohMethod,
    /// `https://dns.example.org/dns-query`
    target: String,
}

/// A connection, which lasts as long as somebody has it.
#[derive(Debug)]
pub(super) struct Connection {
    requests: SendRequest<io::Cursor<Vec<u8>>>,
    driver: AbortHandle,
}

impl Https {
    /// As a server wants to be asked.
    pub fn new(upstream: &Upstream, tls: Tls, source: Option<IpAddr>, method: DohMethod) -> Self {
        let server = upstream.address;
        let host = match (&upstream.server_name, server.ip()) {
            (Some(name), _) => name.to_string(),
            (None, IpAddr::V4(address)) => address.to_string(),
            (None, IpAddr::V6(address)) => format!("[{address}]"),
        };
        let port = if server.port() == 443 { String::new() } else { format!(":{}", server.port()) };
        let path = if upstream.path.is_empty() { PATH } else { &upstream.path };
        Self { server, tls, source, method, target: format!("https://{host}{port}{path}") }
    }
}

impl Protocol for Https {
    const NAME: &'static str = "https";

    type Connection = Connection;

    async fn connect(&self) -> io::Result<Connection> {
        let stream = connect(self.server, self.source).await?;
        let stream = self.tls.connector.connect(self.tls.name.clone(), stream).await?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP_2) {
            return Err(invalid("the server does not speak HTTP/2"));
        }
        let mut builder = Builder::new();
        builder.enable_push(false).max_header_list_size(HEAD_SIZE_MAX).initial_connection_window_size(WINDOW);
        let (requests, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        // Its errors are those of the questions on it.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Connection { requests, driver })
    }

    async fn ask(&self, connection: &Connection, question: &[u8]) -> io::Result<Vec<u8>> {
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

    fn has_ended(connection: &Connection) -> bool {
        connection.driver.is_finished()
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
