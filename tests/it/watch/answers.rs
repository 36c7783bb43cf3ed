//! A cluster is answered, as its specification says and as it changes.

use landfall::dns::Transport;
use serde_json::json;

use super::{PEERS, SHOP, Server, ask, corefile, kubeadm, service, shop};
use crate::kube_api_server::KubeApi;

/// One object of every kind that the specification of Kubernetes DNS speaks of.
const KINDS: &str = r#"
kind: Namespace
metadata: {name: spec}
---
kind: Service
metadata: {name: four, namespace: spec}
spec: {clusterIP: 10.96.1.4, ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]}
---
kind: Service
metadata: {name: six, namespace: spec}
spec: {clusterIP: "fd00:96::6", ports: [{name: http, port: 80}]}
---
kind: Service
metadata: {name: both, namespace: spec}
spec: {clusterIP: 10.96.1.5, clusterIPs: [10.96.1.5, "fd00:96::5"], ports: [{name: http, port: 80}]}
---
kind: Service
metadata: {name: 1nameless, namespace: spec}
spec: {clusterIP: 10.96.1.6, ports: [{port: 443}]}
---
kind: Service
metadata: {name: headless, namespace: spec}
spec: {clusterIP: None}
---
kind: EndpointSlice
metadata: {name: headless-4, namespace: spec, labels: {kubernetes.io/service-name: headless}}
addressType: IPv4
endpoints:
- {addresses: [10.244.0.1], hostname: one, conditions: {ready: true}}
- {addresses: [10.244.0.2], hostname: one}
- {addresses: [10.244.0.3]}
- {addresses: [10.244.0.9], hostname: nine, conditions: {ready: false}}
ports: [{name: http, port: 8080}, {name: admin, port: 9090}]
---
kind: EndpointSlice
metadata: {name: headless-6, namespace: spec, labels: {kubernetes.io/service-name: headless}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::1"], hostname: one}]
ports: [{name: http, port: 8080}]
---
kind: Service
metadata: {name: unready, namespace: spec}
spec: {clusterIP: None}
---
kind: EndpointSlice
metadata: {name: unready-4, namespace: spec, labels: {kubernetes.io/service-name: unready}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.8], hostname: eight, conditions: {ready: false}}]
ports: [{name: http, port: 8080}]
---
kind: Service
metadata: {name: outside, namespace: spec}
spec: {type: ExternalName, externalName: foo.example.com}
---
kind: Service
metadata: {name: inside, namespace: spec}
spec: {type: ExternalName, externalName: both.spec.svc.cluster.local}
"#;

fn specified() -> (KubeApi, Server) {
    let api = KubeApi::start();
    api.create_all(KINDS);
    let server = Server::start(&api, &corefile("pods insecure"));
    (api, server)
}

#[test]
fn a_service_has_its_addresses_and_they_its_name() {
    let (_api, server) = specified();
    server.check("four.spec A", "10.96.1.4");
    server.check("four.spec AAAA", "NODATA");
    server.check("six.spec AAAA", "fd00:96::6");
    server.check("six.spec A", "NODATA");
    server.check("both.spec A", "10.96.1.5");
    server.check("both.spec AAAA", "fd00:96::5");
    server.check("1nameless.spec A", "10.96.1.6");
    server.check("BoTh.sPec A", "10.96.1.5");
    server.check("absent.spec A", "NXDOMAIN");
    server.check("four.absent A", "NXDOMAIN");
    server.check("10.96.1.4 PTR", "four.spec.svc.cluster.local.");
    server.check("fd00:96::6 PTR", "six.spec.svc.cluster.local.");
    server.check("10.96.1.5 PTR", "both.spec.svc.cluster.local.");
    server.check("fd00:96::5 PTR", "both.spec.svc.cluster.local.");
    server.check("10.96.1.99 PTR", "NXDOMAIN");
    server.check("dns-version.cluster.local. TXT", "1.1.0");
    server.check("10-1-2-3.spec.pod.cluster.local. A", "10.1.2.3");
    server.check("10-1-2-3.absent.pod.cluster.local. A", "NXDOMAIN");
}

#[test]
fn a_named_port_is_a_name_and_one_without_a_name_is_none() {
    let (_api, server) = specified();
    server.check("_http._tcp.four.spec SRV", "0 100 80 four.spec.svc.cluster.local.");
    server.check("_dns._udp.four.spec SRV", "0 100 53 four.spec.svc.cluster.local.");
    server.check("_dns._tcp.four.spec SRV", "NXDOMAIN");
    server.check("_http._tcp.six.spec SRV", "0 100 80 six.spec.svc.cluster.local.");
    server.check("_https._tcp.1nameless.spec SRV", "NXDOMAIN");
}

#[test]
fn a_headless_service_is_its_ready_endpoints() {
    let (_api, server) = specified();
    server.check("headless.spec A", "10.244.0.1, 10.244.0.2, 10.244.0.3");
    server.check("headless.spec AAAA", "fd00:244::1");
    server.check("one.headless.spec A", "10.244.0.1, 10.244.0.2");
    server.check("one.headless.spec AAAA", "fd00:244::1");
    server.check("10-244-0-3.headless.spec A", "10.244.0.3");
    server.check("nine.headless.spec A", "NXDOMAIN");
    server.check("unready.spec A", "NXDOMAIN");
    server.check("unready.spec AAAA", "NXDOMAIN");
    server.check(
        "_admin._tcp.headless.spec SRV",
        "0 33 9090 10-244-0-3.headless.spec.svc.cluster.local., 0 33 9090 one.headless.spec.svc.cluster.local.",
    );
    server.check("10.244.0.1 PTR", "one.headless.spec.svc.cluster.local.");
    server.check("fd00:244::1 PTR", "one.headless.spec.svc.cluster.local.");
    server.check("10.244.0.9 PTR", "NXDOMAIN");
}

#[test]
fn an_external_name_is_an_alias() {
    let (_api, server) = specified();
    server.check("outside.spec CNAME", "foo.example.com.");
    server.check("inside.spec A", "both.spec.svc.cluster.local., 10.96.1.5");
    server.check("inside.spec AAAA", "both.spec.svc.cluster.local., fd00:96::5");
}

#[test]
fn the_kubeadm_corefile_answers_over_udp_and_tcp() {
    let api = shop();
    let server = Server::start(&api, &kubeadm("127.0.0.1:9".parse().expect("an address")));
    let check = |question: &str, expected: &str| {
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(ask(server.dns(), question, transport), expected, "{question}");
        }
    };
    check("web.shop A", "10.96.0.80");
    check("peers.shop A", "10.244.0.1");
    check("_http._tcp.web.shop SRV", "0 100 80 web.shop.svc.cluster.local.");
    check("_http._tcp.peers.shop SRV", "0 100 8080 one.peers.shop.svc.cluster.local.");
    check("10.96.0.80 PTR", "web.shop.svc.cluster.local.");
    check("absent.shop A", "NXDOMAIN");
    server.is_ready();
    assert_eq!(server.process.page("/health"), (200, "OK".to_owned()));
}

#[test]
fn what_is_created_and_deleted_shows_without_a_restart() {
    let api = shop();
    let server = Server::start(&api, &corefile("namespaces shop"));
    server.check("new.shop A", "NXDOMAIN");
    api.create(service("new", "10.96.0.222"));
    server.becomes("new.shop A", "10.96.0.222");
    server.check("10.96.0.222 PTR", "new.shop.svc.cluster.local.");
    api.create(json!({
        "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": ["172.17.0.222"]}],
        "metadata": {"namespace": "shop", "name": "new-1", "labels": {"kubernetes.io/service-name": "new"}},
        "ports": [{"name": "http", "port": 8080}],
    }));
    server.becomes("172-17-0-222.new.shop A", "172.17.0.222");
    api.delete("services", "shop", "new");
    server.becomes("new.shop A", "NXDOMAIN");
    server.check("10.96.0.222 PTR", "NXDOMAIN");
    server.check("172-17-0-222.new.shop A", "NXDOMAIN");
    server.check("172.17.0.222 PTR", "NXDOMAIN");
    api.create(service("new", "10.96.0.223"));
    server.becomes("new.shop A", "10.96.0.223");
    server.check("172.17.0.222 PTR", "172-17-0-222.new.shop.svc.cluster.local.");
    server.check("10.96.0.222 PTR", "NXDOMAIN");
}

#[test]
fn a_burst_of_changes_is_followed_to_its_end() {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    for number in 0..1000 {
        api.create(service(&format!("svc-{}", number % 500), &format!("10.97.{}.{}", number / 250, number % 250)));
    }
    for number in (0..500).step_by(20) {
        api.delete("services", "shop", &format!("svc-{number}"));
    }
    api.create(service("last", "10.96.0.90"));
    server.becomes("last.shop A", "10.96.0.90");
    for number in 0..500 {
        let address = format!("10.97.{}.{}", (number + 500) / 250, number % 250);
        let expected = if number % 20 == 0 { "NXDOMAIN" } else { address.as_str() };
        server.check(&format!("svc-{number}.shop A"), expected);
        server.check(&format!("10.97.{}.{} PTR", number / 250, number % 250), "NXDOMAIN");
    }
}

#[test]
fn a_slice_may_come_before_its_service() {
    let api = KubeApi::start();
    api.create_all(SHOP);
    let server = Server::start(&api, &corefile(""));
    let (_, slice) = PEERS.split_once("---").expect("two objects");
    api.create_all(slice);
    api.create(service("later", "10.96.0.90"));
    server.becomes("later.shop A", "10.96.0.90");
    server.check("peers.shop A", "NXDOMAIN");
    server.check("10.244.0.1 PTR", "NXDOMAIN");
    api.create_all(PEERS);
    server.becomes("one.peers.shop A", "10.244.0.1");
    server.check("10.244.0.1 PTR", "one.peers.shop.svc.cluster.local.");
}

#[test]
fn a_live_service_may_become_another_kind() {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    let become_alias = |name: &str| {
        api.patch(
            "services",
            "shop",
            "web",
            &json!({"spec": {"type": "ExternalName", "externalName": name, "clusterIP": null, "clusterIPs": null}}),
        )
    };
    become_alias("foo.example.com");
    server.becomes("web.shop CNAME", "foo.example.com.");
    server.check("10.96.0.80 PTR", "NXDOMAIN");
    become_alias("bar.example.com");
    server.becomes("web.shop CNAME", "bar.example.com.");
    let address = json!({"type": "ClusterIP", "externalName": null, "clusterIP": "10.96.0.81"});
    api.patch("services", "shop", "web", &json!({"spec": address}));
    server.becomes("web.shop A", "10.96.0.81");
    server.check("web.shop CNAME", "NODATA");
}

#[test]
fn a_service_that_is_created_again_has_its_new_address_only() {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    api.delete("services", "shop", "web");
    api.create(service("web", "10.96.0.82"));
    server.becomes("web.shop A", "10.96.0.82");
    server.check("10.96.0.80 PTR", "NXDOMAIN");
    server.check("10.96.0.82 PTR", "web.shop.svc.cluster.local.");
}

#[test]
fn the_labels_of_a_namespace_say_whether_it_is_served() {
    let api = shop();
    let server = Server::start(&api, &corefile("namespace_labels tier=front"));
    let relabel = |tier: &str| {
        api.patch("namespaces", "", "shop", &json!({"metadata": {"labels": {"tier": tier}}}));
    };
    server.check("web.shop A", "10.96.0.80");
    relabel("back");
    server.becomes("web.shop A", "NXDOMAIN");
    server.check("10.96.0.80 PTR", "NXDOMAIN");
    server.check("10.244.0.1 PTR", "NXDOMAIN");
    relabel("front");
    server.becomes("web.shop A", "10.96.0.80");
    server.check("10.244.0.1 PTR", "one.peers.shop.svc.cluster.local.");
}

#[test]
fn a_namespace_that_ends_takes_its_names_with_it() {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    server.check("shop A", "NODATA");
    api.delete_namespace("shop");
    server.becomes("shop A", "NXDOMAIN");
    server.becomes("web.shop A", "NXDOMAIN");
    server.becomes("peers.shop A", "NXDOMAIN");
}
