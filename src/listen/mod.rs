//! Packets in, packets out: our own sockets, and the limits around them.
