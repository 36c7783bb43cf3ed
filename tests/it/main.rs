//! All integration tests in one binary: it links once.

mod cases;
mod corefile;
mod dialogue;
mod golden;
mod http;
mod internet;
mod kube_api;
mod layering;
mod server;

#[path = "../kube_api/mod.rs"]
mod kube_api_server;
