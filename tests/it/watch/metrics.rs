//! The watch can be watched.

use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Server, corefile, service, shop};

const PROGRAMMING: &str = "coredns_kubernetes_dns_programming_duration_seconds";

/// An EndpointSlice of `peers`, changed by something that was so long ago; None: its annotation is none.
fn slice(name: &str, ago: Option<Duration>, labels: Value) -> Value {
    let at = ago.map(|ago| Timestamp::try_from(SystemTime::now() - ago).expect("a time").to_string());
    let ago = ago.unwrap_or_default().as_secs();
    let mut slice = json!({
        "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": [format!("10.244.9.{ago}")]}],
        "metadata": {"namespace": "shop", "name": name, "labels": labels, "annotations": {
            "endpoints.kubernetes.io/last-change-trigger-time": at.unwrap_or("yesterday".to_owned()),
        }},
    });
    if slice["metadata"]["labels"].is_null() {
        slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": "peers"});
    }
    slice
}

/// A Service of each kind that is measured.
const SERVICES: &str = "
{kind: Service, metadata: {name: chosen, namespace: shop}, spec: {clusterIP: None, selector: {app: a}}}
---
{kind: Service, metadata: {name: virtual, namespace: shop}, spec: {clusterIP: 10.96.0.99, ports: [{port: 80}]}}
";

#[test]
fn the_time_from_a_change_to_its_answer_is_measured() {
    let api = shop();
    api.create_all(SERVICES);
    let of = |service: &str| json!({"kubernetes.io/service-name": service});
    // What is listed says nothing of how long it took.
    api.create(slice("listed", Some(Duration::from_secs(100)), of("chosen")));
    let server = Server::start(&api, &corefile(""));
    api.create(slice("watched", Some(Duration::from_secs(132)), of("chosen")));
    server.becomes("10-244-9-132.chosen.shop A", "10.244.9.132");
    api.create(slice("watched", Some(Duration::from_secs(66)), of("chosen")));
    server.becomes("10-244-9-66.chosen.shop A", "10.244.9.66");
    api.create(slice("watched", None, of("chosen")));
    server.becomes("10-244-9-0.chosen.shop A", "10.244.9.0");
    api.create(slice("orphan", Some(Duration::from_secs(9)), of("absent")));
    api.create(slice("cluster", Some(Duration::from_secs(8)), of("virtual")));
    // It has no selector.
    api.create(slice("hand-made", Some(Duration::from_secs(7)), Value::Null));
    server.becomes("10-244-9-7.peers.shop A", "10.244.9.7");
    let bucket = |kind: &str, most: &str| {
        let (kind, most) = (format!("service_kind=\"{kind}\""), format!("le=\"{most}\""));
        server.metric(&format!("{PROGRAMMING}_bucket"), &[&kind, &most])
    };
    let headless = ["65.536", "131.072", "262.144", "+Inf"].map(|most| bucket("headless_with_selector", most));
    assert_eq!(headless, [0.0, 1.0, 2.0, 2.0]);
    let cluster_ip = ["4.096", "8.192", "16.384", "+Inf"].map(|most| bucket("cluster_ip", most));
    assert_eq!((cluster_ip[0], cluster_ip[2], cluster_ip[3]), (0.0, 1.0, 1.0));
    assert_eq!(["4.096", "+Inf"].map(|most| bucket("headless_without_selector", most)), [0.0, 1.0]);
}

#[test]
fn requests_lists_objects_and_failures_are_counted() {
    let api = shop();
    let server = Server::start(&api, &corefile(""));
    let host = format!("host=\"{}\"", api.address());
    let requests = |code: &str| {
        let code = format!("code=\"{code}\"");
        server.metric("coredns_kubernetes_rest_client_requests_total", &[&host, "method=\"GET\"", &code])
    };
    assert!(requests("200") >= 3.0);
    let durations = "coredns_kubernetes_rest_client_request_duration_seconds_count";
    assert!(server.metric(durations, &[&host, "verb=\"GET\""]) >= 3.0);
    for resource in ["namespaces", "services", "endpointslices"] {
        let resource = format!("resource=\"{resource}\"");
        assert_eq!(server.metric("landfall_watch_lists_total", &["reason=\"start\"", &resource]) as u64, 1);
        assert!(server.metric("landfall_watch_last_event_timestamp_seconds", &[&resource]) > 1e9);
        assert!(server.metric("landfall_watch_last_bookmark_timestamp_seconds", &[&resource]) > 1e9);
        assert!(server.metric("landfall_watch_watches_total", &[&resource]) >= 1.0);
        assert!(server.metric("landfall_watch_staleness_seconds", &[&resource]) < 1.0);
    }
    let services = || server.metric("landfall_watch_objects", &["resource=\"services\""]) as u64;
    assert_eq!(services(), 2);
    api.create(service("new", "10.96.0.90"));
    server.becomes("new.shop A", "10.96.0.90");
    assert_eq!(services(), 3);
    assert!(server.metric("landfall_watch_failures_total", &[]) < 1.0);
    api.stop();
    super::until("failures", || server.metric("landfall_watch_failures_total", &["resource=\"services\""]) > 1.0);
    assert!(requests("<error>") >= 1.0);
    super::until("staleness", || server.metric("landfall_watch_staleness_seconds", &["resource=\"services\""]) > 1.0);
}
