//! Connections to the admin pages, within bounds.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// Octets of a request at most: a client that sends more of them is cut off before they are stored.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Connections at once. One that comes over it takes the place of the oldest: a probe is done long before it is that one,
/// and clients that say nothing cannot keep it waiting.
const CONNECTIONS_MAX: usize = 256;
/// How long a request may take to come, counted from the reply before it, and a reply to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long connections are still taken after `stop`: who has connected before it is answered.
const LAST_REQUESTS: Duration = Duration::from_millis(100);

/// Serves an address until a little after `stop`.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = Bounded { listener, open: VecDeque::new() };
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
    stream: TcpStream,
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

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.received += into.filled().len() - before;
        if self.received > REQUEST_BYTES_MAX {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        self.or_late(context, polled)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        if polled.is_ready() {
            self.deadline.as_mut().reset(Instant::now() + PATIENCE);
            self.received = 0;
        }
        self.or_late(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A client that sends octets and waits for the end; None if none comes within a time.
    async fn check(octets: &[u8], patience: Duration) -> Option<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, Router::new(), stop.clone()));
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
