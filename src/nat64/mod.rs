//! IPv4 addresses inside IPv6 addresses (RFC 6052), and which of them may be made (RFC 6147, RFC 8215).

mod policy;
mod prefix;

pub use policy::{is_excluded, may_translate};
pub use prefix::{InvalidPrefix, Prefix};
