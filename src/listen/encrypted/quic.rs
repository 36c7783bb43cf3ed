//! DNS over QUIC (RFC 9250): a query on a stream of its own, with the two octets of its length.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Endpoint, EndpointConfig, Incoming, ReadError, ReadToEndError, RecvStream, SendStream, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::certificate::Certificate;
use super::{QUERY_BYTES_MAX, STREAMS_MAX};
use crate::dns::{Query, Request, Transport};
use crate::listen::capacity::Place;
use crate::listen::connection::last_queries;
use crate::listen::datagrams::canonical;
use crate::listen::respond::{Packet, Responder, Times};

/// The protocol (RFC 9250 section 4.1.1).
pub const PROTOCOLS: &[&[u8]] = &[b"doq"];

/// RFC 9250 section 8.4.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
const UNSPECIFIED_ERROR: VarInt = VarInt::from_u32(5);

/// The EDNS option edns-tcp-keepalive (RFC 7828).
const KEEPALIVE: u16 = 11;
/// Octets that one connection may send before they are read, and that wait for its client to acknowledge them.
const WINDOW_BYTES: u32 = 256 << 10;
/// Octets of a query with its length.
const FRAME_BYTES_MAX: usize = 2 + QUERY_BYTES_MAX;

/// What is needed to accept connections.
pub struct Acceptor {
    pub responder: Arc<Responder>,
    pub certificate: Arc<Certificate>,
    pub stop: CancellationToken,
}

impl Acceptor {
    /// An endpoint on a socket. Needs the runtime's context.
    pub fn endpoint(&self, socket: UdpSocket) -> io::Result<Endpoint> {
        let mut config = self.server_config(self.responder.times()).map_err(io::Error::other)?;
        // Those who come are let in or turned away at once, so that few wait, and with little.
        config.max_incoming(1024).incoming_buffer_size(16 << 10).incoming_buffer_size_total(4 << 20);
        Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
    }

    /// QUIC with the certificate as it is now.
    fn server_config(&self, times: Times) -> Result<ServerConfig, quinn::crypto::rustls::NoInitialCipherSuite> {
        let crypto = QuicServerConfig::try_from(self.certificate.config())?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(STREAMS_MAX.into())
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .stream_receive_window(VarInt::from_u32(2 * QUERY_BYTES_MAX as u32))
            .receive_window(VarInt::from_u32(WINDOW_BYTES))
            .send_window(WINDOW_BYTES.into())
            // A client may be silent while its query waits; one that is idle is seen below.
            .max_idle_timeout((times.idle + self.responder.capacity.limits.query_time).try_into().ok());
        config.transport_config(Arc::new(transport));
        // Bounds and access lists go by the address that a connection began with.
        config.migration(false);
        Ok(config)
    }

    /// Accepts connections until a little after it is told to stop; those that are there end by themselves.
    pub async fn run(self, endpoint: Endpoint) {
        let acceptor = Arc::new(self);
        let connections = TaskTracker::new();
        let port = endpoint.local_addr().map_or(0, |local| local.port());
        let mut last_queries = pin!(last_queries(&acceptor.stop));
        loop {
            let incoming = tokio::select! {
                incoming = endpoint.accept() => incoming,
                () = &mut last_queries => break,
            };
            let Some(incoming) = incoming else { break };
            let client = canonical(incoming.remote_address());
            let places = &acceptor.responder.capacity.connections;
            // Nobody is to take scarce places in the name of others (RFC 9000 section 8.1).
            if !incoming.remote_address_validated() && places.is_scarce(client.ip()) {
                // An error would mean that the address is validated.
                let _ = incoming.retry();
                continue;
            }
            // A connection over the bound is refused at once, without a handshake.
            let Some(place) = places.take(client.ip()) else {
                incoming.refuse();
                continue;
            };
            let acceptor = Arc::clone(&acceptor);
            connections.spawn(async move {
                let _place = place;
                acceptor.serve(incoming, client, port).await;
            });
        }
        endpoint.set_server_config(None);
        connections.close();
        connections.wait().await;
        endpoint.close(NO_ERROR, b"");
        endpoint.wait_idle().await;
    }

    /// Answers on a connection until the client ends it, asks nothing for too long, or until it is told to stop.
    async fn serve(&self, incoming: Incoming, client: SocketAddr, port: u16) {
        let times = self.responder.times();
        let local = SocketAddr::new(incoming.local_ip().unwrap_or(client.ip()).to_canonical(), port);
        let Ok(config) = self.server_config(times) else { return incoming.refuse() };
        let Ok(connecting) = incoming.accept_with(Arc::new(config)) else { return };
        let Ok(Ok(connection)) = timeout(times.read, connecting).await else { return };
        let peer = Arc::new(Peer { responder: Arc::clone(&self.responder), connection, client, local, times });
        let most = self.responder.capacity.limits.queries_per_connection;
        let mut queries = JoinSet::new();
        let mut last_queries = pin!(last_queries(&self.stop));
        loop {
            tokio::select! {
                stream = peer.connection.accept_bi(), if queries.len() < most => match stream {
                    Ok((send, receive)) => {
                        let peer = Arc::clone(&peer);
                        queries.spawn(async move { peer.answer(send, receive).await });
                    }
                    // Nobody is left to be answered.
                    Err(_) => return,
                },
                _ = queries.join_next(), if !queries.is_empty() => {}
                () = sleep(times.idle), if queries.is_empty() => break,
                () = &mut last_queries => break,
            }
        }
        // What was asked is answered.
        while queries.join_next().await.is_some() {}
        peer.connection.close(NO_ERROR, b"");
    }
}

/// A connection and its client.
struct Peer {
    responder: Arc<Responder>,
    connection: quinn::Connection,
    client: SocketAddr,
    local: SocketAddr,
    times: Times,
}

impl Peer {
    /// Answers the query of a stream. A client that breaks the protocol loses its connection (RFC 9250 section 4.3.3), and all other
    /// trouble is that of the stream.
    async fn answer(&self, mut send: SendStream, mut receive: RecvStream) {
        let code = self.exchange(&mut send, &mut receive).await.err().unwrap_or(NO_ERROR);
        let label = [self.responder.label(), &format!("{:#x}", code.into_inner())];
        self.responder.capacity.metrics.dns_quic_responses.with_label_values(&label).inc();
        match code {
            NO_ERROR => {}
            PROTOCOL_ERROR => self.connection.close(code, b""),
            // Either may be closed already.
            _ => drop((send.reset(code), receive.stop(code))),
        }
    }

    /// Reads a query, and writes the messages of its answer; or the code with which the stream ends.
    async fn exchange(&self, send: &mut SendStream, receive: &mut RecvStream) -> Result<(), VarInt> {
        let frame = self.read(receive).await?;
        let octets = query_of(&frame).ok_or(PROTOCOL_ERROR)?;
        let packet = Packet { octets, client: self.client, local: self.local, transport: Transport::Tcp };
        if keeps_alive(packet) {
            return Err(PROTOCOL_ERROR);
        }
        let reply = self.responder.answer(packet).await.ok_or(UNSPECIFIED_ERROR)?;
        let mut more = reply.more;
        let mut next = Some(reply.message);
        while let Some(message) = next {
            let length = u16::try_from(message.len()).map_err(|_| UNSPECIFIED_ERROR)?;
            let _room = self.room(message.len())?;
            self.write(send, &[&length.to_be_bytes()[..], &message].concat()).await?;
            next = more.as_mut().and_then(Iterator::next);
            if next.is_none() {
                send.finish().map_err(|_| REQUEST_CANCELLED)?;
                // The end of the connection would take with it what the client does not have yet. A client that has ended it has all.
                let _ = timeout(self.times.write, send.stopped()).await.map_err(|_| EXCESSIVE_LOAD)?;
            }
        }
        Ok(())
    }

    async fn read(&self, receive: &mut RecvStream) -> Result<Vec<u8>, VarInt> {
        let _room = self.room(FRAME_BYTES_MAX)?;
        let read = timeout(self.times.read, receive.read_to_end(FRAME_BYTES_MAX)).await;
        read.map_err(|_| EXCESSIVE_LOAD)?.map_err(|error| match error {
            ReadToEndError::TooLong => EXCESSIVE_LOAD,
            ReadToEndError::Read(ReadError::Reset(_)) => REQUEST_CANCELLED,
            ReadToEndError::Read(_) => UNSPECIFIED_ERROR,
        })
    }

    /// A client that does not read holds a stream of its own connection, and not for long.
    async fn write(&self, send: &mut SendStream, octets: &[u8]) -> Result<(), VarInt> {
        let written = timeout(self.times.write, send.write_all(octets)).await;
        written.map_err(|_| EXCESSIVE_LOAD)?.map_err(|_| REQUEST_CANCELLED)
    }

    /// Room for octets on their way.
    fn room(&self, octets: usize) -> Result<Place, VarInt> {
        self.responder.capacity.octets.take_many(self.client.ip(), octets).ok_or(EXCESSIVE_LOAD)
    }
}

/// The query behind its length, which is all there is; its id is 0 (RFC 9250 sections 4.2 and 4.2.1).
fn query_of(message: &[u8]) -> Option<&[u8]> {
    let (length, query) = message.split_at_checked(2)?;
    let length = usize::from(u16::from_be_bytes(length.try_into().ok()?));
    (query.len() == length && query.starts_with(&[0, 0])).then_some(query)
}

/// Whether a query has edns-tcp-keepalive, which no query here may have (RFC 9250 section 5.5.2).
fn keeps_alive(packet: Packet<'_>) -> bool {
    let Request::Query(Query { edns: Some(edns), .. }) = packet.parse() else { return false };
    edns.options.iter().any(|(code, _)| *code == KEEPALIVE)
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
