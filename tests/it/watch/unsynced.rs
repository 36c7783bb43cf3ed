//! What was not heard of yet is SERVFAIL, never NXDOMAIN, and keeps nobody else waiting.

use std::time::{Duration, Instant};

use landfall::dns::Transport;

use super::{Server, ask, corefile, shop};
use crate::kube_api_server::{Fault, KubeApi};

/// The questions that a cluster alone can answer, and their answers in [`shop`].
const KNOWN: [(&str, &str); 5] = [
    ("web.shop A", "10.96.0.80"),
    ("peers.shop A", "10.244.0.1"),
    ("shop A", "NODATA"),
    ("10.96.0.80 PTR", "web.shop.svc.cluster.local."),
    ("10.244.0.1 PTR", "one.peers.shop.svc.cluster.local."),
];

/// Starts the program while nothing that it has to list is to be had from the API server.
fn without(api: &KubeApi, silent: &[&'static str], lines: &str) -> Server {
    for plural in silent {
        api.inject("watch", plural, Fault::SilenceAfterHead, usize::MAX);
    }
    Server::start_unready(api, &corefile(&format!("startup_timeout 1s\n{lines}")))
}

fn check_unsynced(lines: &str) {
    let api = shop();
    api.stop();
    let server = without(&api, &[], lines);
    for (question, _) in KNOWN {
        server.check(question, "SERVFAIL");
    }
    server.check("absent.shop A", "SERVFAIL");
    server.check("192.0.2.7 PTR", "SERVFAIL");
    server.check("www.example.org. A", "192.0.2.1");
    server.is_unready("kubernetes: namespaces (");
    api.resume();
    server.becomes_ready();
    for (question, answer) in KNOWN {
        server.check(question, answer);
    }
}

#[test]
fn before_the_api_is_heard_its_names_are_servfail_and_others_are_answered() {
    std::thread::scope(|scope| {
        scope.spawn(|| check_unsynced(""));
        scope.spawn(|| check_unsynced("fallthrough"));
    });
}

#[test]
fn a_resource_that_is_missing_makes_only_what_depends_on_it_fail() {
    let check = |silent: &'static str, expected: &[(&str, &str)]| {
        let api = shop();
        let server = without(&api, &[silent], "pods verified");
        for (question, answer) in expected {
            assert_eq!(server.reply(question), *answer, "{question} without {silent}");
        }
        server.is_unready(&format!("kubernetes: {silent} ("));
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check("namespaces", &KNOWN.map(|(question, _)| (question, "SERVFAIL"))));
        scope.spawn(|| {
            let services = [("web.shop A", "SERVFAIL"), ("10.96.0.80 PTR", "SERVFAIL"), ("shop A", "NODATA")];
            check("services", &services);
        });
        scope.spawn(|| {
            let slices = [
                ("web.shop A", "10.96.0.80"),
                ("10.96.0.80 PTR", "web.shop.svc.cluster.local."),
                ("web.shop AAAA", "NODATA"),
                ("absent.shop A", "NXDOMAIN"),
                ("one.absent.shop A", "NXDOMAIN"),
                ("peers.shop A", "SERVFAIL"),
                ("one.peers.shop A", "SERVFAIL"),
                ("one.web.shop A", "SERVFAIL"),
                ("_http._tcp.peers.shop SRV", "SERVFAIL"),
                ("10.244.0.1 PTR", "SERVFAIL"),
            ];
            check("endpointslices", &slices);
        });
        scope.spawn(|| {
            let pods = [
                ("peers.shop A", "10.244.0.1"),
                ("absent.shop A", "NXDOMAIN"),
                ("10.96.9.9 PTR", "NXDOMAIN"),
                ("10-244-0-1.shop.pod.cluster.local. A", "SERVFAIL"),
                ("10-244-0-1.absent.pod.cluster.local. A", "NXDOMAIN"),
            ];
            check("pods", &pods);
        });
    });
}

#[test]
fn names_wait_for_the_first_sync_but_not_for_ever_and_others_not_at_all() {
    let api = shop();
    api.stop();
    let started = Instant::now();
    let mut server = Server::start_unready(&api, &corefile("startup_timeout 2s"));
    server.check("www.example.org. A", "192.0.2.1");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    server.is_unready("kubernetes: namespaces (");
    server.check("web.shop A", "SERVFAIL");
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(5), "{waited:?}");
    server.process.wait_for("[INFO] plugin/kubernetes: waiting for Kubernetes API");
    server.process.wait_for("[WARNING] plugin/kubernetes: serving with unsynced Kubernetes API");
}

#[test]
fn names_that_wait_are_answered_when_the_api_is_heard() {
    let api = shop();
    api.stop();
    let mut server = Server::start_unready(&api, &corefile("startup_timeout 1h"));
    let dns = server.dns();
    let asking = std::thread::spawn(move || ask(dns, "web.shop A", Transport::Udp));
    server.process.wait_for("waiting for Kubernetes API");
    api.resume();
    assert_eq!(asking.join().expect("a reply"), "10.96.0.80");
    server.check("peers.shop A", "10.244.0.1");
    server.becomes_ready();
    assert_eq!(server.process.count("unsynced"), 0);
}
