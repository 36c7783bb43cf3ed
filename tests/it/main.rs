//! All integration tests in one binary: it links once.

mod cases;
mod dialogue;
mod golden;
mod internet;
mod layering;
mod server;
