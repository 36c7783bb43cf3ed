//! The real binary, asked over UDP and TCP, IPv4 and IPv6: by dig where it is installed, and always by a client of our own.
