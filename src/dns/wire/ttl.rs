//! How long a message may be kept.

use hickory_proto::op::Message;

/// The smallest TTL of the answer and authority sections of a message; None: it has no record, or cannot be read.
pub fn smallest_ttl(message: &[u8]) -> Option<u32> {
    let message = Message::from_vec(message).ok()?;
    message.answers.iter().chain(&message.authorities).map(|record| record.ttl).min()
}
