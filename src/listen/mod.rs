//! Packets in, packets out: our own sockets, and the limits around them.
//!
//! A [`Listener`] serves one [`ListenAddress`] over UDP and TCP; all listeners of a server share one [`Capacity`].
//! [`respond`] is the same without sockets. What a query means is decided by the [`Router`](crate::plugin::Router),
//! which can be replaced while the sockets stay open.

mod listener;

mod address;
mod capacity;
mod respond;

mod datagrams;
mod udp;

mod connection;
mod encrypted;
mod frames;
mod tcp;

pub use address::{BindError, Endpoint, ListenAddress, PortUse};
pub use capacity::{Capacity, Limits};
pub use encrypted::{Certificate, CertificateError};
pub use listener::{Change, ListenError, Listener, Tuning};
pub use respond::{Reply, respond};
