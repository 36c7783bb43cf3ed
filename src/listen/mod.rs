//! Packets in, packets out: our own sockets, and the limits around them.

mod respond;

pub use respond::respond;
