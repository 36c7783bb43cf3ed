//! Octets to values and back (RFC 1035 section 4, RFC 6891).
//!
//! Everything that comes from the network is parsed here, once: requests into [`Request`], answers of other servers
//! into [`UpstreamMessage`]. Nothing here panics, whatever the octets are.

use std::net::SocketAddr;

use super::{Answer, Query, Record, ResponseCode, Transport};

/// What is to be done with a packet that came to a listener.
#[derive(Debug)]
pub enum Request {
    /// Nothing: an answer (QR=1) or too short to answer.
    Ignored,
    /// Refused before its question was looked at: these octets go back (FORMERR, NOTIMP, BADVERS).
    Rejected(Vec<u8>),
    /// A question to be answered.
    Query(Query),
}

/// Octets that are not a DNS message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {reason}")]
pub struct Malformed {
    /// What is wrong with them.
    pub reason: String,
}

/// An answer of another server, parsed but not yet believed.
#[derive(Debug, Clone)]
pub struct UpstreamMessage {
    /// The id.
    pub id: u16,
    /// The question, letter case as received.
    pub question: (super::Name, super::RecordType, super::Class),
    /// The response code, with the upper bits of OPT.
    pub response_code: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
    /// AD.
    pub authentic_data: bool,
    /// The sections, OPT left out.
    pub answers: Vec<Record>,
    /// See [`UpstreamMessage::answers`].
    pub authority: Vec<Record>,
    /// See [`UpstreamMessage::answers`].
    pub additional: Vec<Record>,
    /// Options of OPT as (code, octets).
    pub options: Vec<(u16, Vec<u8>)>,
}

/// Reads a packet that came to a listener.
pub fn parse_request(packet: &[u8], client: SocketAddr, local: SocketAddr, transport: Transport) -> Request {
    let _ = (packet, client, local, transport);
    Request::Ignored
}

/// Writes the answer to a query, at most as long as transport and client allow; what does not fit is left out whole
/// records at a time, and TC is set.
pub fn encode(query: &Query, answer: &Answer) -> Vec<u8> {
    let _ = (query, answer);
    Vec::new()
}

/// Reads an answer of another server.
pub fn parse_upstream(packet: &[u8]) -> Result<UpstreamMessage, Malformed> {
    let _ = packet;
    Err(Malformed { reason: "not built yet".to_owned() })
}
