//! The whole: configuration to running server. The only module that knows all others.
//!
//! [`run`] is the life of the process. [`assemble`] makes routers of a configuration, `generation` is what a reload
//! makes new, `server` is what stays: sockets, admin pages, clusters that did not change.

pub mod assemble;
mod clusters;
pub mod explain;
mod generation;
mod interfaces;
mod log;
mod open_files;
mod places;
mod reload;
mod run;
mod server;
mod signal;
pub mod wanted;

pub use run::{Access, Options, run};
