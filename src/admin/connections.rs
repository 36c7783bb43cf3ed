//! Connections to the admin pages, within bounds.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};
use tokio_util::sync::CancellationToken;

use super::pages::Pages;

/// Octets of a request at most: a client that sends more of them is cut off before they are stored.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Connections at once. One that comes over it takes the place of the oldest: a probe is done long before it is that one,
/// and clients that say nothing cannot keep it waiting.
const CONNECTIONS_MAX: usize = 256;
/// How long a request may take to come, counted from the reply before it, and a reply to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long connections are still taken after `stop`: who has connected before it is answered.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

/// TLS as it is when a connection begins.
#[derive(Clone)]
pub struct Tls(pub Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Serves an address until a little after `stop`.
pub(super) async fn serve(listener: TcpListener, pages: Arc<ArcSwap<Pages>>, router: Router, stop: CancellationToken) {
    let listener = Bounded { listener, pages, open: VecDeque::new() };
    let end = async {
        stop.cancelled().await;
        sleep(LAST_REQUESTS).await;
    };
    tokio::select! {
        biased;
        // Serving never ends: errors of single connections end these.
        _ = async { axum::serve(listener, router).await } => {}
        () = end => {}
    }
}

struct Bounded {
    listener: TcpListener,
    pages: Arc<ArcSwap<Pages>>,
    /// The connections in the order in which they came; one that loses its end here ends, too.
    open: VecDeque<oneshot::Sender<()>>,
}

impl Bounded {
    fn place(&mut self) -> oneshot::Receiver<()> {
        self.open.retain(|connection| !connection.is_closed());
        while self.open.len() >= CONNECTIONS_MAX {
            self.open.pop_front();
        }
        let (connection, place) = oneshot::channel();
        self.open.push_back(connection);
        place
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, client)) => {
                    let stream = match &self.pages.load().tls {
                        None => Stream::Plain(stream),
                        Some(Tls(config)) => Stream::Handshake(Box::new(TlsAcceptor::from(config()).accept(stream))),
                    };
                    let (deadline, place) = (Box::pin(sleep(PATIENCE)), Some(self.place()));
                    return (Connection { stream, deadline, received: 0, place }, client);
                }
                // Out of file descriptors, most likely: it passes, or others say so.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its client keeps it waiting. Only what is written puts the end off: a request that
/// comes octet by octet has no more time than any other.
struct Connection {
    stream: Stream,
    deadline: Pin<Box<Sleep>>,
    /// Octets since the last reply.
    received: usize,
    /// None if another connection has it.
    place: Option<oneshot::Receiver<()>>,
}

impl Connection {
    fn has_lost_its_place(&mut self, context: &mut Context<'_>) -> bool {
        if self.place.as_mut().is_some_and(|place| Pin::new(place).poll(context).is_ready()) {
            self.place = None;
        }
        self.place.is_none()
    }

    fn or_late<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Pending if self.has_lost_its_place(context) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Poll::Pending => self.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into())),
            ready => ready,
        }
    }
}

/// Octets, perhaps below TLS. Reading and writing go on with the handshake, so nobody else waits for it.
enum Stream {
    Plain(TcpStream),
    Handshake(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Both directions of a stream.
trait Octets: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Octets for S {}

impl Stream {
    /// The stream once its handshake is over.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Octets>>> {
        if let Self::Handshake(handshake) = self {
            let stream = ready!(Pin::new(handshake).poll(context))?;
            *self = Self::Tls(Box::new(stream));
        }
        Poll::Ready(match self {
            Self::Plain(stream) => Ok(Pin::new(stream)),
            Self::Tls(stream) => Ok(Pin::new(stream)),
            Self::Handshake(_) => Err(io::ErrorKind::NotConnected.into()),
        })
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = match self.stream.poll_open(context) {
            Poll::Ready(open) => open?.poll_read(context, into),
            Poll::Pending => Poll::Pending,
        };
        self.received += into.filled().len() - before;
        if self.received > REQUEST_BYTES_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.or_late(context, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match self.stream.poll_open(context) {
            Poll::Ready(open) => open?.poll_write(context, octets),
            Poll::Pending => Poll::Pending,
        };
        if polled.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + PATIENCE);
            self.received = 0;
        }
        self.or_late(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_open(context))?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.stream.poll_open(context))?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use axum::routing::get;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    use super::*;

    /// A server with a certificate for `localhost`, and how a client begins that believes it.
    fn tls() -> (Tls, TlsConnector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let server = server.expect("TLS").with_no_client_auth();
        let server = Arc::new(server.with_single_cert(vec![made.cert.der().clone()], key).expect("a server"));
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("an authority");
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let client = client.expect("TLS").with_root_certificates(roots).with_no_client_auth();
        (Tls(Arc::new(move || server.clone())), TlsConnector::from(Arc::new(client)))
    }

    #[tokio::test]
    async fn a_page_may_be_over_tls_and_nobody_waits_for_a_handshake() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let (tls, connector) = tls();
        let pages = Arc::new(ArcSwap::from_pointee(Pages { tls: Some(tls), ..Pages::default() }));
        let router = Router::new().route("/", get(|| async { "x".repeat(100_000) }));
        tokio::spawn(serve(listener, pages, router, stop.clone()));
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let _silent = TcpStream::connect(address).await.expect("a connection");
        let mut plain = TcpStream::connect(address).await.expect("a connection");
        plain.write_all(request).await.expect("octets that are no TLS");
        let client = TcpStream::connect(address).await.expect("a connection");
        let name = "localhost".try_into().expect("a name");
        let mut client = connector.connect(name, client).await.expect("TLS");
        client.write_all(request).await.expect("a request");
        let mut reply = String::new();
        client.read_to_string(&mut reply).await.expect("a reply");
        assert!(reply.starts_with("HTTP/1.1 200") && reply.ends_with(&"x".repeat(100_000)));
        let mut reply = Vec::new();
        let _ = plain.read_to_end(&mut reply).await;
        assert!(!reply.starts_with(b"HTTP"), "{reply:?}");
        stop.cancel();
    }

    /// A client that sends octets and waits for the end; None if none comes within a time.
    async fn check(octets: &[u8], patience: Duration) -> Option<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Arc::default(), Router::new(), stop.clone()));
        let mut client = TcpStream::connect(address).await.expect("a connection");
        // The end may come amid it.
        let _ = client.write_all(octets).await;
        let ended = tokio::time::timeout(patience, client.read_to_end(&mut Vec::new())).await;
        stop.cancel();
        ended.ok().map(drop)
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_cut_off_in_time() {
        assert!(check(b"GET / HTTP/1.1\r\nHost:", 2 * PATIENCE).await.is_some(), "the connection is still open");
    }

    #[tokio::test]
    async fn a_client_that_says_too_much_is_cut_off_at_once() {
        let long = [b"GET / HTTP/1.1\r\nHost:", &[b'x'; 2 * REQUEST_BYTES_MAX][..]].concat();
        assert!(check(&long, PATIENCE / 2).await.is_some(), "the connection is still open");
    }
}
