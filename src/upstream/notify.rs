//! Word to other servers that a zone has changed (RFC 1996).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::dns::{Name, ResponseCode, encode_notify, mnemonic, notify_reply};

/// How often a server is told, and how long it has for its answer each time.
const ATTEMPTS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a server was not told.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// It could not be reached.
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    /// It says no.
    #[error("it answers {}", mnemonic(*.0))]
    Refused(ResponseCode),
    /// It did not answer.
    #[error("no answer")]
    Timeout,
}

/// Tells a server that a zone has changed, from `source` if that is given.
pub async fn notify(zone: &Name, server: SocketAddr, source: Option<IpAddr>) -> Result<(), NotifyError> {
    let unspecified = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((source.unwrap_or(unspecified), 0)).await?;
    socket.connect(server).await?;
    let mut outcome = Err(NotifyError::Timeout);
    for _ in 0..ATTEMPTS {
        outcome = attempt(&socket, zone).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn attempt(socket: &UdpSocket, zone: &Name) -> Result<(), NotifyError> {
    let id = rand::random();
    socket.send(&encode_notify(id, zone)).await?;
    let reply = async {
        let mut octets = [0; 512];
        loop {
            let length = socket.recv(&mut octets).await?;
            // Whatever else comes is not for us.
            if let Some(code) = notify_reply(id, octets.get(..length).unwrap_or_default()) {
                return Ok(code);
            }
        }
    };
    match timeout(PATIENCE, reply).await {
        Ok(Ok(ResponseCode::NoError)) => Ok(()),
        Ok(Ok(code)) => Err(NotifyError::Refused(code)),
        Ok(Err(cause)) => Err(NotifyError::Connect(cause)),
        Err(_) => Err(NotifyError::Timeout),
    }
}
