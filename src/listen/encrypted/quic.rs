//! DNS over QUIC (RFC 9250): a query on a stream of its own, with the two octets of its length.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificate::Certificate;
use crate::dns::Transport;
use crate::listen::datagrams::canonical;
use crate::listen::respond::{Packet, Responder};

/// The protocol (RFC 9250 section 4.1.1).
pub const PROTOCOLS: &[&[u8]] = &[b"doq"];

/// RFC 9250 section 8.4.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// Queries of one connection at the same time.
const STREAMS_MAX: u32 = 100;
/// How long a query may take to arrive, and its reply to be read.
const STREAM_TIME: Duration = Duration::from_secs(5);
/// Octets of a message with its length.
const MESSAGE_BYTES_MAX: usize = 2 + u16::MAX as usize;

/// What is needed to accept connections.
pub struct Acceptor {
    pub responder: Arc<Responder>,
    pub certificate: Arc<Certificate>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
}

impl Acceptor {
    /// An endpoint on a socket. Needs the runtime's context.
    pub fn endpoint(&self, socket: UdpSocket) -> io::Result<Endpoint> {
        let config = self.server_config().map_err(io::Error::other)?;
        Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
    }

    /// QUIC with the certificate as it is now.
    fn server_config(&self) -> Result<ServerConfig, quinn::crypto::rustls::NoInitialCipherSuite> {
        let crypto = QuicServerConfig::try_from(self.certificate.config())?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(STREAMS_MAX.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(64 << 10))
            .receive_window(VarInt::from_u32(1 << 20))
            .send_window(1 << 20)
            .max_idle_timeout(self.responder.capacity.limits.idle_time.try_into().ok());
        config.transport_config(Arc::new(transport));
        Ok(config)
    }

    /// Accepts connections until it is told to stop.
    pub async fn run(self, endpoint: Endpoint) {
        let acceptor = Arc::new(self);
        while let Some(Some(incoming)) = acceptor.stop.run_until_cancelled(endpoint.accept()).await {
            // A connection over the bound is refused at once, without a handshake.
            let client = canonical(incoming.remote_address());
            let Some(place) = acceptor.responder.capacity.connections.take(client.ip()) else {
                incoming.refuse();
                continue;
            };
            let serving = acceptor.clone();
            acceptor.tasks.spawn(async move {
                let _place = place;
                serving.serve(incoming, client).await;
            });
        }
        endpoint.close(NO_ERROR, b"");
        endpoint.wait_idle().await;
    }

    async fn serve(&self, incoming: Incoming, client: SocketAddr) {
        let local = SocketAddr::new(incoming.local_ip().unwrap_or(client.ip()), 0);
        let Ok(config) = self.server_config() else { return incoming.refuse() };
        let Ok(connecting) = incoming.accept_with(Arc::new(config)) else { return };
        let Ok(Ok(connection)) = timeout(STREAM_TIME, connecting).await else { return };
        let mut queries = tokio::task::JoinSet::new();
        while let Some(Ok((send, receive))) = self.stop.run_until_cancelled(connection.accept_bi()).await {
            while queries.try_join_next().is_some() {}
            let (responder, connection) = (self.responder.clone(), connection.clone());
            queries.spawn(async move { answer(&responder, &connection, send, receive, client, local).await });
        }
        // What was asked is answered.
        while queries.join_next().await.is_some() {}
        connection.close(NO_ERROR, b"");
    }
}

/// Answers the query of a stream. A client that breaks the protocol loses its connection (RFC 9250 section 4.3.3).
async fn answer(
    responder: &Responder,
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
    client: SocketAddr,
    local: SocketAddr,
) {
    let message = match timeout(STREAM_TIME, receive.read_to_end(MESSAGE_BYTES_MAX)).await {
        Ok(Ok(message)) => message,
        Ok(Err(_)) => return connection.close(PROTOCOL_ERROR, b""),
        Err(_) => return connection.close(EXCESSIVE_LOAD, b""),
    };
    let Some(octets) = query_of(&message) else { return connection.close(PROTOCOL_ERROR, b"") };
    let packet = Packet { octets, client, local, transport: Transport::Tcp };
    let reply = responder.answer(packet).await;
    let status = if reply.is_some() { "ok" } else { "dropped" };
    responder.capacity.metrics.dns_quic_responses.with_label_values(&[responder.label(), status]).inc();
    let Some(reply) = reply else { return drop(send.reset(NO_ERROR)) };
    let Ok(length) = u16::try_from(reply.len()) else { return };
    let framed = [&length.to_be_bytes()[..], &reply].concat();
    // A client that does not read holds a stream of its own connection, and not for long.
    let written = timeout(STREAM_TIME, async {
        send.write_all(&framed).await.ok()?;
        send.finish().ok()
    });
    if written.await.ok().flatten().is_none() {
        drop(send.reset(EXCESSIVE_LOAD));
    }
}

/// The query behind its length, which is all there is; its id is 0 (RFC 9250 sections 4.2 and 4.2.1).
fn query_of(message: &[u8]) -> Option<&[u8]> {
    let (length, query) = message.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    (query.len() == length && query.starts_with(&[0, 0])).then_some(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_query_with_its_length_and_the_id_zero() {
        let query = [&[0, 13, 0, 0][..], &[1; 11]].concat();
        assert_eq!(query_of(&query), Some(&query[2..]));
        assert_eq!(query_of(&query[..14]), None, "too short");
        assert_eq!(query_of(&[&query[..], &[0]].concat()), None, "too long");
        assert_eq!(query_of(&[0, 2, 0, 1]), None, "an id");
        assert_eq!(query_of(&[0]), None);
    }
}
