//! The server's own requests to /health: what they take is what an overloaded machine shows first.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::pages::Pages;
use crate::config::duration_text;
use crate::metrics::Metrics;

const INTERVAL: Duration = Duration::from_secs(1);
const SLOW: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks /health every second, while there is that page, until `stop`.
pub async fn run(server: SocketAddr, pages: Arc<ArcSwap<Pages>>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let server = reachable(server);
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if !pages.load().health {
            continue;
        }
        let started = Instant::now();
        let asked = stop.run_until_cancelled(tokio::time::timeout(TIMEOUT, ask(server))).await;
        let Some(asked) = asked else { return };
        let took = started.elapsed();
        metrics.health_request_duration_seconds.observe(took.as_secs_f64());
        if !matches!(asked, Ok(Ok(true))) {
            metrics.health_request_failures.inc();
            warn!(target: "plugin/health", "Local health request to \"http://{server}/health\" failed");
        } else if took > SLOW {
            warn!(target: "plugin/health", "Local health request to \"http://{server}/health\" took more than 1s: {}", duration_text(took));
        }
    }
}

/// Whether the page says OK.
async fn ask(server: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.take(1024).read_to_end(&mut reply).await?;
    Ok(reply.starts_with(b"HTTP/1.1 200"))
}

/// A server on all addresses is asked on the loopback.
fn reachable(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}
