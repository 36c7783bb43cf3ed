//! `landfall demo`: a cluster that is built in, and what to ask of it.

use std::fmt::Write as _;
use std::net::{Ipv6Addr, UdpSocket};
use std::process::ExitCode;

use super::DemoArguments;
use crate::app::{Access, Options};
use crate::config::corefile::Source;

const COREFILE: &str = include_str!("../../config/demo/Corefile");
pub const CLUSTER: &str = include_str!("../../config/demo/cluster.yaml");

/// What can be asked, and what it shows; behind the colon, what is in the answer.
const QUESTIONS: [(&str, &str); 9] = [
    ("web.shop.svc.cluster.local A", "A Service has one address for all that is behind it: 10.96.0.80"),
    ("web.shop.svc.cluster.local AAAA", "And one of the other family, if it is dual-stack: fd00:96::80"),
    ("db.shop.svc.cluster.local A", "A headless Service has the addresses of its ready Pods: 10.244.1.20 10.244.2.20"),
    ("db-0.db.shop.svc.cluster.local AAAA", "And each Pod a name below it: fd00:244:1::20"),
    ("_http._tcp.web.shop.svc.cluster.local SRV", "The port of a Service by its name: 80 web.shop.svc.cluster.local."),
    ("-x 10.96.0.80", "The name of an address: web.shop.svc.cluster.local."),
    ("10-244-1-5.shop.pod.cluster.local A", "A Pod by its address, because there is such a Pod: 10.244.1.5"),
    (
        "www.example.com AAAA",
        "DNS64: only an A record exists, and the client can reach it through NAT64: 2001:db8:64::c000:250",
    ),
    (
        "payments.shop.svc.cluster.local AAAA",
        "An alias out of the cluster, resolved to its end, DNS64 included: pay.example.com. 2001:db8:64::c633:6407",
    ),
];

/// The Corefile of the built-in cluster.
pub fn source() -> Source {
    // `localhost` without IPv6 is rare, but no reason to show nothing.
    let has_v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let text = if has_v6 { COREFILE.to_owned() } else { COREFILE.replace("bind 127.0.0.1 ::1", "bind 127.0.0.1") };
    Source::Text { name: "config/demo/Corefile".to_owned(), text }
}

/// Answers queries for the built-in cluster until it is told to stop.
pub fn run(arguments: DemoArguments) -> ExitCode {
    let access = Access { built_in: Some(CLUSTER), ..Access::default() };
    crate::app::run(&Options {
        corefile: source(),
        port: arguments.port,
        migrates: false,
        pidfile: None,
        quiet: true,
        access,
        greeting: Some(greeting),
    })
}

/// The commands to try, each with what it shows.
fn greeting(port: u16) -> String {
    let mut text = format!(
        "A small cluster answers on 127.0.0.1 and [::1], port {port}, until Ctrl-C. Ask it from another terminal:\n"
    );
    for (question, shows) in QUESTIONS {
        // Writing to a string does not fail.
        let _ = write!(text, "\n# {shows}\ndig @127.0.0.1 -p {port} +noall +answer {question}\n");
    }
    text
}
