//! The tools of others, where they are installed.

use std::net::SocketAddr;
use std::process::Command;

use landfall::config::Scheme;
use landfall::listen::Limits;

use super::{Identity, Server};
use crate::wire::limits::BIG;

/// What a tool prints; None: it is not there, or too old for that.
fn run(tool: &str, option: &str, server: SocketAddr) -> Option<String> {
    let port = server.port().to_string();
    let output =
        Command::new(tool).args([&format!("@{}", server.ip()), "-p", &port, "+time=5", option, BIG, "A"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let is_there = !text.is_empty() && !text.contains("Invalid option") && !text.contains("not supported");
    if !is_there {
        eprintln!("left out: {tool} {option} is not installed");
    }
    is_there.then_some(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_and_kdig_are_answered() {
    let identity = Identity::new();
    for (tool, option, scheme) in [
        ("dig", "+tls", Scheme::Tls),
        ("dig", "+https", Scheme::Https),
        ("dig", "+https-get", Scheme::Https),
        ("kdig", "+tls", Scheme::Tls),
        ("kdig", "+https", Scheme::Https),
        ("kdig", "+quic", Scheme::Quic),
    ] {
        let server = Server::start(scheme, identity.files(), Limits::default());
        let address = server.address();
        let text = tokio::task::spawn_blocking(move || run(tool, option, address)).await.expect("no panic");
        if let Some(text) = text {
            assert!(text.lines().filter(|line| line.contains("\tA\t")).count() > 3_000, "{tool} {option}: {text}");
        }
    }
}
