//! `warm_start`: a server that starts while the API server is away answers what it knew.

use std::path::Path;

use super::{PEERS, SHOP, Server, corefile, service, shop, until};
use crate::kube_api_server::KubeApi;

/// What is answered of [`shop`], also without an API server.
const KNOWN: [(&str, &str); 6] = [
    ("web.shop A", "10.96.0.80"),
    ("web.shop AAAA", "NODATA"),
    ("_http._tcp.web.shop SRV", "0 100 80 web.shop.svc.cluster.local."),
    ("one.peers.shop A", "10.244.0.1"),
    ("10.96.0.80 PTR", "web.shop.svc.cluster.local."),
    ("10.244.0.1 PTR", "one.peers.shop.svc.cluster.local."),
];

fn warm(file: &Path, more: &str) -> String {
    corefile(&format!("startup_timeout 1s\nwarm_start {} 1h\n{more}", file.display()))
}

/// Runs a server until it has written the file.
fn leave(api: &KubeApi, corefile: &str, file: &Path) {
    let _server = Server::start(api, corefile);
    until("a file", || file.exists());
}

#[test]
fn names_that_were_known_are_answered_while_the_api_is_away_and_nothing_is_denied() {
    let (api, folder) = (shop(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("cluster.json");
    leave(&api, &warm(&file, "fallthrough"), &file);
    api.stop();
    let mut server = Server::start(&api, &warm(&file, "fallthrough"));
    assert_eq!(server.process.count("warm start: names of"), 1);
    for (question, answer) in KNOWN {
        server.check(question, answer);
    }
    server.check("absent.shop A", "SERVFAIL");
    server.check("192.0.2.7 PTR", "SERVFAIL");
    // Whether this server is an endpoint, and of what, may have changed.
    server.check("cluster.local. NS", "SERVFAIL");
    server.check("ns.dns.cluster.local. A", "SERVFAIL");
    server.is_ready();
    assert_eq!(server.metric("landfall_kubernetes_stale_clusters", &[]), 1.0);
    api.delete("services", "shop", "web");
    api.create(service("new", "10.96.0.90"));
    api.resume();
    server.becomes("new.shop A", "10.96.0.90");
    server.becomes("web.shop A", "NXDOMAIN");
    until("nothing is stale", || server.metric("landfall_kubernetes_stale_clusters", &[]) == 0.0);
    api.stop();
    server.reload(&warm(&file, "fallthrough\npods verified"));
    assert_eq!(server.metric("landfall_kubernetes_stale_clusters", &[]), 0.0, "what is known is not of the file");
}

#[test]
fn a_file_is_believed_whole_or_not_at_all() {
    let (api, folder) = (shop(), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("cluster.json");
    leave(&api, &warm(&file, ""), &file);
    api.stop();
    let written = std::fs::read_to_string(&file).expect("a file");
    let check = |text: &str, labels: &str, reason: &str| {
        std::fs::write(&file, text).expect("a file");
        let mut server = Server::start_unready(&api, &warm(&file, labels));
        assert_eq!(server.process.count(reason), 1, "{reason}: {:#?}", server.process.seen);
        server.check("web.shop A", "SERVFAIL");
        assert_eq!(server.process.page("/ready").0, 503);
    };
    check(&written.replace("10.96.0.80", "10.96.0.81"), "", "its checksum is wrong");
    check(&written[..written.len() / 2], "", "its checksum is wrong");
    check("", "", "it was not written by warm_start");
    check(&written, "labels a=b", "it is of another cluster, or of other labels");
}

#[test]
fn the_file_is_a_manifest() {
    let (api, folder) = (KubeApi::start(), tempfile::tempdir().expect("a folder"));
    api.create_all(SHOP);
    api.create_all(PEERS);
    let file = folder.path().join("cluster.json");
    leave(&api, &warm(&file, ""), &file);
    let server = Server::start(&api, &corefile(&format!("manifests {}", file.display())));
    for (question, answer) in KNOWN {
        server.check(question, answer);
    }
}
