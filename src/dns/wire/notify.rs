//! Word that a zone has changed (RFC 1996).

use hickory_proto::op::{Message, MessageType, OpCode, Query as Question};

use super::flag;
use super::reader::Reader;
use crate::dns::{Name, RecordType, ResponseCode};

/// The opcode NOTIFY in a header's flags.
const NOTIFY: u16 = 4 << 11;

/// Writes the message that a zone has changed.
pub fn encode_notify(id: u16, zone: &Name) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Question::query(zone.clone(), RecordType::SOA));
    // A question of one name always fits.
    message.to_vec().unwrap_or_default()
}

/// The response code of the reply to such a message; None: it is no such reply.
pub fn notify_reply(id: u16, packet: &[u8]) -> Option<ResponseCode> {
    let header = Reader::new(packet).header().ok()?;
    let is_reply = header.id == id && header.flags & (flag::QR | flag::OP_CODE) == flag::QR | NOTIFY;
    let [_, low] = header.flags.to_be_bytes();
    is_reply.then(|| ResponseCode::from(0, low & 0xf))
}
