//! DNS over TLS, HTTPS and QUIC.
//!
//! hickory-server has listeners for them that own their accept loop: our bounds on connections and clients, our places for queries
//! that wait, and the one function that answers cannot be put into it. So TLS stands below the connections that plain TCP has, and
//! hyper and quinn below the same [`Responder`](super::respond::Responder).

mod any_certificate;
pub mod certificate;
pub mod https;
pub mod quic;
mod traffic;

pub use certificate::{Certificate, CertificateError, Version};

/// Octets of a query over HTTPS or QUIC, of which one connection may bring many at a time.
const QUERY_BYTES_MAX: usize = 4096;

/// Queries of one connection over HTTPS or QUIC at the same time.
const STREAMS_MAX: u32 = 100;
