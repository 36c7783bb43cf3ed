//! The wire: what the real program does with packets and streams, over UDP and TCP, IPv4 and IPv6.

mod packet;
pub mod reply;
pub mod scene;
pub mod socket;

mod messages;
mod mutations;
mod routes;
mod sizes;

mod capacity;
mod encrypted;
mod limits;
mod streams;
mod transfers;
mod upstream;
mod waiting;

mod counts;
mod pages;
