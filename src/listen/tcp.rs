//! TCP: who may connect, and what is spoken then.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::{Connection, last_queries};
use super::datagrams::canonical;
use super::encrypted::{Certificate, https};
use super::respond::Responder;

/// How long nobody is accepted after an error that is not of one connection: most often there is no file descriptor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How often such errors are logged.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// What is spoken on connections.
#[derive(Clone)]
pub(super) enum Spoken {
    /// DNS.
    Plain,
    /// DNS below TLS.
    Tls(Arc<Certificate>),
    /// DNS in HTTP below TLS.
    Https(Arc<Certificate>),
}

impl Spoken {
    /// Answers on a connection.
    async fn serve(self, responder: Arc<Responder>, stream: TcpStream, client: SocketAddr, stop: &CancellationToken) {
        let (certificate, is_https) = match self {
            Self::Plain => return Connection::new(responder, client).serve(stream, stop).await,
            Self::Tls(certificate) => (certificate, false),
            Self::Https(certificate) => (certificate, true),
        };
        let Ok(local) = stream.local_addr().map(canonical) else { return };
        let _ = stream.set_nodelay(true);
        let handshake = TlsAcceptor::from(certificate.config()).accept(stream);
        let handshake = tokio::time::timeout(responder.times().read, handshake);
        let agreed = tokio::select! {
            biased;
            agreed = handshake => agreed,
            () = last_queries(stop) => return,
        };
        // A client that cannot agree on TLS, or takes too long for it, is none.
        let Ok(Ok(stream)) = agreed else { return };
        match is_https {
            true => https::Connection::new(responder, client, local).serve(stream, stop).await,
            false => Connection::new(responder, client).serve_tls(stream, local, stop).await,
        }
    }
}

/// Accepts connections until a little after `stop`; `tasks` waits for them. No error ends it.
pub(super) async fn accept(
    listener: TcpListener,
    spoken: Spoken,
    responder: Arc<Responder>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let mut warned: Option<Instant> = None;
    let mut last_queries = pin!(last_queries(&stop));
    loop {
        let accepted = tokio::select! {
            // Those who have connected already are not reset.
            biased;
            accepted = listener.accept() => accepted,
            () = &mut last_queries => return,
        };
        match accepted {
            Ok((stream, client)) => {
                // A connection over the bound is closed at once.
                if let Some(place) = responder.capacity.connections.take(canonical(client).ip()) {
                    let (spoken, responder, stop) = (spoken.clone(), Arc::clone(&responder), stop.clone());
                    tasks.spawn(async move {
                        let _place = place;
                        spoken.serve(responder, stream, canonical(client), &stop).await;
                    });
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if warned.is_none_or(|warned| warned.elapsed() > WARN_INTERVAL) {
                    warn!(%error, "cannot accept connections");
                    warned = Some(Instant::now());
                }
                stop.run_until_cancelled(tokio::time::sleep(ERROR_PAUSE)).await;
            }
        }
    }
}

/// accept(2): errors of the network that the new connection already has are told here.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
