//! All integration tests in one binary: it links once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails; clippy sees only the functions marked as tests"
)]

mod answers;
mod cases;
mod corefile;
mod demo;
mod dialogue;
mod dig;
mod documentation;
mod explain;
mod exposition;
mod golden;
mod http;
mod internet;
mod kube_api;
mod layering;
mod lifecycle;
mod process;
mod server;
mod starters;
mod watch;
mod wire;

#[path = "../kube_api/mod.rs"]
mod kube_api_server;
