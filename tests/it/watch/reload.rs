//! Another Corefile changes how the cluster is answered, not whether it is known.

use super::{Asking, Server, corefile, service, shop, until};

#[test]
fn a_reload_keeps_the_watch() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("ttl 30"));
    let requests = |plural: &str| (api.lists(plural), api.requests("watch", plural));
    let resources = ["namespaces", "services", "endpointslices"];
    let before = resources.map(requests);
    let (asking, absent) = (Asking::start(&server, "peers.shop A"), Asking::start(&server, "absent.shop A"));
    for ttl in 31..36 {
        server.reload(&corefile(&format!("ttl {ttl}\nnamespace_labels tier=front\npods insecure")));
        server.check("web.shop A", "10.96.0.80");
        server.is_ready();
    }
    asking.end("10.244.0.1");
    absent.end("NXDOMAIN");
    assert_eq!(resources.map(requests), before);
    api.create(service("new", "10.96.0.90"));
    server.becomes("new.shop A", "10.96.0.90");
}

#[test]
fn a_reload_while_the_api_is_gone_keeps_what_is_known() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("ttl 30"));
    api.stop();
    server.process.wait_for("cannot watch; what is known is served");
    let asking = Asking::start(&server, "peers.shop A");
    for lines in ["ttl 60", "compare 5m", "apiserver_qps 10\napiserver_burst 20"] {
        server.reload(&corefile(lines));
        server.check("absent.shop A", "NXDOMAIN");
        server.is_ready();
    }
    asking.end("10.244.0.1");
}

#[test]
fn a_reload_that_watches_otherwise_begins_anew_and_forgets_nothing() {
    let api = shop();
    let mut server = Server::start(&api, &corefile(""));
    for lines in ["compare 5m", "compare 5m\napiserver_qps 10\napiserver_burst 20"] {
        let before = api.requests("watch", "services");
        let (asking, absent) = (Asking::start(&server, "peers.shop A"), Asking::start(&server, "absent.shop A"));
        server.reload(&corefile(lines));
        until("it is watched anew", || api.requests("watch", "services") > before);
        asking.end("10.244.0.1");
        absent.end("NXDOMAIN");
        server.is_ready();
    }
}

#[test]
fn a_reload_that_wants_another_resource_serves_the_old_until_it_is_listed() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("pods insecure"));
    let asking = Asking::start(&server, "peers.shop A");
    server.reload(&corefile("pods verified"));
    asking.end("10.244.0.1");
    server.is_ready();
    server.check("10-244-0-1.shop.pod.cluster.local. A", "NXDOMAIN");
}

#[test]
fn a_reload_that_wants_another_resource_forgets_nothing_while_the_api_is_gone() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("pods insecure"));
    api.stop();
    let asking = Asking::start(&server, "peers.shop A");
    server.reload(&corefile("pods verified\nstartup_timeout 1s"));
    asking.end("10.244.0.1");
    server.check("web.shop A", "10.96.0.80");
    server.check("absent.shop A", "NXDOMAIN");
    server.check("10-244-0-1.shop.pod.cluster.local. A", "SERVFAIL");
    server.is_unready("kubernetes: pods (");
    api.delete("services", "shop", "web");
    api.resume();
    server.becomes_ready();
    server.check("10-244-0-1.shop.pod.cluster.local. A", "NXDOMAIN");
    server.becomes("web.shop A", "NXDOMAIN");
}

#[test]
fn zones_that_a_reload_adds_and_takes_away_leave_the_cluster_alone() {
    let api = shop();
    let mut server = Server::start(&api, &corefile(""));
    let lists = api.lists("services");
    let acme = "acme.local:0 {\n    bind 127.0.0.1\n    hosts /dev/null {\n        1.1.1.1 abc.acme.local\n    }\n}\n";
    server.reload(&(corefile("") + acme));
    server.check("abc.acme.local. A", "1.1.1.1");
    server.reload(&corefile(""));
    server.check("abc.acme.local. A", "SERVFAIL");
    server.check("web.shop A", "10.96.0.80");
    assert_eq!(api.lists("services"), lists);
}

#[test]
fn a_reload_that_wants_more_of_the_same_objects_forgets_nothing_while_the_api_is_gone() {
    let api = shop();
    api.create_all(
        "{kind: EndpointSlice, metadata: {name: peers-2, namespace: shop, labels: {kubernetes.io/service-name: peers}},
          addressType: IPv4, endpoints: [{addresses: [10.244.0.2], zone: east}], ports: [{name: http, port: 8080}]}",
    );
    let mut server = Server::start(&api, &corefile("ttl 30"));
    server.check("10-244-0-2.peers.shop A", "10.244.0.2");
    api.stop();
    let asking = Asking::start(&server, "peers.shop A");
    server.reload(&corefile("zonal\nstartup_timeout 1s"));
    asking.end("10.244.0.1, 10.244.0.2");
    // Nobody knows yet which endpoints are in the zone.
    server.check("web.shop A", "10.96.0.80");
    server.check("absent.shop A", "NXDOMAIN");
    server.check("absent.peers.shop A", "SERVFAIL");
    api.resume();
    server.becomes("east.pin._zone.peers.shop A", "10.244.0.2");
    server.becomes("absent.peers.shop A", "NXDOMAIN");
}
