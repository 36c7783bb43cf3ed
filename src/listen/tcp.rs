//! TCP: who may connect.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::connection::{Connection, last_queries};
use super::datagrams::canonical;
use super::respond::Responder;

/// How long nobody is accepted after an error that is not of one connection: most often there is no file descriptor.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// How often such errors are logged.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Accepts connections until a little after `stop`; `tasks` waits for them. No error ends it.
pub(super) async fn accept(
    listener: TcpListener,
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
                    let connection = Connection::new(Arc::clone(&responder), canonical(client));
                    let stop = stop.clone();
                    tasks.spawn(async move {
                        let _place = place;
                        connection.serve(stream, &stop).await;
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
