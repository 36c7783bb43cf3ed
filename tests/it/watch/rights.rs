//! A right that is missing costs what depends on it, is told once, and may be granted later.

use super::{Server, corefile, shop};
use crate::kube_api_server::DNS;

const SLICES: &str = "endpointslices.discovery.k8s.io";

#[test]
fn a_right_that_is_missing_costs_what_depends_on_it_until_it_is_granted() {
    std::thread::scope(|scope| {
        scope.spawn(check_slices);
        scope.spawn(check_pods);
    });
}

/// Services are answered without their slices, headless ones are not.
fn check_slices() {
    let api = shop();
    api.revoke(DNS, SLICES);
    let mut server = Server::start_unready(&api, &corefile("startup_timeout 1s"));
    server.check("web.shop A", "10.96.0.80");
    server.check("_http._tcp.web.shop SRV", "0 100 80 web.shop.svc.cluster.local.");
    server.check("10.96.0.80 PTR", "web.shop.svc.cluster.local.");
    server.check("absent.shop A", "NXDOMAIN");
    server.check("peers.shop A", "SERVFAIL");
    server.check("one.peers.shop A", "SERVFAIL");
    server.check("10.244.0.1 PTR", "SERVFAIL");
    assert_eq!(server.process.page("/ready"), (503, "kubernetes: endpointslices (403 forbidden)".to_owned()));
    let words =
        "may not read EndpointSlices: the ClusterRole lacks list and watch on endpointslices of discovery.k8s.io";
    server.process.wait_for(words);

    api.grant(DNS, SLICES);
    server.becomes("peers.shop A", "10.244.0.1");
    server.check("10.244.0.1 PTR", "one.peers.shop.svc.cluster.local.");
    server.is_ready();
    server.process.wait_for("[INFO] watching again");
    assert_eq!(server.process.count("may not read"), 1, "{:#?}", server.process.seen);
    let unready = "Plugins not ready: \"kubernetes: endpointslices (403 forbidden)\"";
    assert_eq!(server.process.count(unready), 1, "{:#?}", server.process.seen);
}

/// Only names of Pods need Pods.
fn check_pods() {
    let api = shop();
    api.create_all("{kind: Pod, metadata: {name: one, namespace: shop}, status: {phase: Running, podIP: 10.244.0.1}}");
    api.revoke(DNS, "pods");
    let mut server = Server::start_unready(&api, &corefile("startup_timeout 1s\npods verified"));
    server.check("peers.shop A", "10.244.0.1");
    server.check("absent.shop A", "NXDOMAIN");
    server.check("10-244-0-1.shop.pod.cluster.local. A", "SERVFAIL");
    server.is_unready("kubernetes: pods (403 forbidden)");
    let told = "may not read: the role lacks list and watch on this resource resource=pods";
    server.process.wait_for(told);
    api.grant(DNS, "pods");
    server.becomes("10-244-0-1.shop.pod.cluster.local. A", "10.244.0.1");
    server.check("10-244-0-2.shop.pod.cluster.local. A", "NXDOMAIN");
    server.is_ready();
}

#[test]
fn a_right_that_is_taken_away_later_takes_nothing_with_it() {
    let api = shop();
    let mut server = Server::start(&api, &corefile(""));
    api.revoke(DNS, "services");
    api.stop();
    api.resume();
    server.process.wait_for("resource=services");
    server.check("web.shop A", "10.96.0.80");
    server.check("absent.shop A", "NXDOMAIN");
    server.is_ready();
}
