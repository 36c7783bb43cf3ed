//! DNS over TLS, HTTPS and QUIC.
//!
//! hickory-server has listeners for them that own their accept loop: our bounds on connections and clients, our places for queries
//! that wait, and the one function that answers cannot be put into it. So TLS stands below the connections that plain TCP has, and
//! hyper and quinn below the same [`Responder`](super::respond::Responder).

pub mod certificate;
pub mod https;
pub mod quic;

pub use certificate::{Certificate, CertificateError};
