//! Questions over QUIC (RFC 9250): one connection to a server, on which each question has a stream.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Endpoint, EndpointConfig, ReadError, ReadToEndError, RecvStream, TokioRuntime, TransportConfig,
    VarInt, WriteError,
};

use super::shared::{Protocol, invalid};
use super::stream::{Keeping, Tls};

/// RFC 9250 section 8.4.
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);

/// Octets of a message with its length at most.
const FRAME_SIZE_MAX: usize = 2 + u16::MAX as usize;

/// Octets that a connection takes before they are read.
const WINDOW: u32 = 4 << 20;

/// How long a connection lives beyond the time for which it is kept: a question may wait on it.
const GRACE: Duration = Duration::from_secs(10);

/// How one server is asked.
pub(super) struct Quic {
    server: SocketAddr,
    /// Whose certificate it must show.
    name: String,
    source: Option<IpAddr>,
    config: ClientConfig,
}

/// A connection over a socket of its own: each has another port.
#[derive(Debug)]
pub(super) struct Connection {
    connection: quinn::Connection,
    _endpoint: Endpoint,
}

impl Quic {
    /// Fails if TLS cannot be used for QUIC.
    pub fn new(server: SocketAddr, tls: &Tls, keeping: Keeping) -> io::Result<Self> {
        let crypto = QuicClientConfig::try_from(tls.connector.config().clone()).map_err(io::Error::other)?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None)
            .stream_receive_window(VarInt::from_u32(2 * FRAME_SIZE_MAX as u32))
            .receive_window(VarInt::from_u32(WINDOW))
            // RFC 9250 section 5.4: what is asked does not show in the size of a packet.
            .pad_to_mtu(true)
            .max_idle_timeout(keeping.expire.saturating_add(GRACE).try_into().ok());
        config.transport_config(Arc::new(transport));
        Ok(Self { server, name: tls.name.to_str().into_owned(), source: keeping.source, config })
    }
}

impl Protocol for Quic {
    const NAME: &'static str = "quic";

    type Connection = Connection;

    async fn connect(&self) -> io::Result<Connection> {
        let any = match self.server {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind((self.source.unwrap_or(any), 0))?;
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))?;
        let connecting = endpoint.connect_with(self.config.clone(), self.server, &self.name);
        let connection = connecting.map_err(io::Error::other)?.await?;
        Ok(Connection { connection, _endpoint: endpoint })
    }

    async fn ask(&self, Connection { connection, .. }: &Connection, question: &[u8]) -> io::Result<Vec<u8>> {
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        let (mut send, receive) = connection.open_bi().await?;
        let mut receive = Receiving(receive);
        send.write_all(&[&length.to_be_bytes(), question].concat()).await.map_err(|error| match error {
            WriteError::ConnectionLost(reason) => reason.into(),
            error => io::Error::from(error),
        })?;
        // RFC 9250 section 4.2: the end of the stream says that this was the question.
        send.finish().map_err(io::Error::other)?;
        let frame = receive.0.read_to_end(FRAME_SIZE_MAX).await.map_err(|error| match error {
            ReadToEndError::Read(ReadError::Reset(code)) => {
                invalid(format!("it gives the question up with code {code}"))
            }
            ReadToEndError::Read(ReadError::ConnectionLost(reason)) => reason.into(),
            ReadToEndError::Read(error) => error.into(),
            ReadToEndError::TooLong => invalid("its answer is longer than a DNS message can be"),
        })?;
        message(&frame).ok_or_else(|| invalid("its answer is not one message with its length"))
    }

    fn has_ended(Connection { connection, .. }: &Connection) -> bool {
        connection.close_reason().is_some()
    }
}

impl std::fmt::Debug for Quic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quic").field("server", &self.server).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A stream that is read. Whose question is over says so (RFC 9250 section 4.3.1).
struct Receiving(RecvStream);

impl Drop for Receiving {
    fn drop(&mut self) {
        // It may have been read to its end.
        let _ = self.0.stop(REQUEST_CANCELLED);
    }
}

/// The one message of a stream.
fn message(frame: &[u8]) -> Option<Vec<u8>> {
    let (length, message) = frame.split_first_chunk()?;
    (usize::from(u16::from_be_bytes(*length)) == message.len()).then(|| message.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_one_message_with_its_length() {
        assert_eq!(message(&[0, 2, 7, 8]), Some(vec![7, 8]));
        assert_eq!(message(&[0, 2, 7]), None);
        assert_eq!(message(&[0, 2, 7, 8, 9]), None);
        assert_eq!(message(&[0]), None);
        assert_eq!(message(&[]), None);
    }
}
