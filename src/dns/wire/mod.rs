//! Octets to values and back (RFC 1035 section 4, RFC 6891).
//!
//! Everything that comes from the network is parsed here, once: requests into [`Request`], answers of other servers
//! into [`UpstreamMessage`]. Nothing here panics, whatever the octets are, and the work is bounded by their number.

mod notify;
mod reader;
mod request;
mod response;
mod signature;
mod ttl;
mod upstream;
mod writer;

pub use notify::{encode_notify, notify_reply};
pub use reader::plain_name_at;
pub use request::{Request, parse_request};
pub use response::{Messages, encode, flag_words};
pub use signature::{Signature, parse_signature};
pub use ttl::smallest_ttl;
pub use upstream::{
    OptRecord, UpstreamMessage, data_of_octets, encode_question, encode_question_without_edns, opt_option, opt_record,
    parse_upstream,
};

/// Octets that are not a DNS message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {reason}")]
pub struct Malformed {
    /// What is wrong with them.
    pub reason: String,
}

impl Malformed {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// The largest datagram that we send (RFC 9715): it passes every path without fragments.
const UDP_SIZE_MAX: u16 = 1232;

/// What a client takes that sent no OPT (RFC 1035 section 4.2.1).
const UDP_SIZE_PLAIN: u16 = 512;

/// Flag bits of the third and fourth octet.
mod flag {
    pub const QR: u16 = 0x8000;
    pub const OP_CODE: u16 = 0x7800;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

/// The type of OPT (RFC 6891 section 6.1.1).
const OPT: u16 = 41;

/// The option code of the name of a server (RFC 5001).
pub const NSID: u16 = 3;

/// The option code of extended DNS errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;
