//! T26: how long it took from a change to its answers, by the kind of the Service.

use std::time::{Duration, SystemTime};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{Server, corefile, shop};

const METRIC: &str = "coredns_kubernetes_dns_programming_duration_seconds";

/// What endpoints of three kinds of Services and of none are measured by.
const SERVICES: &str = "
kind: Service
metadata: {name: selected, namespace: shop}
spec: {clusterIP: None, selector: {app: selected}}
---
kind: Service
metadata: {name: written, namespace: shop}
spec: {clusterIP: None}
---
kind: Service
metadata: {name: address, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: address}}
";

/// A slice of a Service, changed by something that was so many seconds ago.
fn changed(service: &str, ago: u64) -> Value {
    let at = Timestamp::try_from(SystemTime::now() - Duration::from_secs(ago)).expect("a time");
    annotated(service, ago, json!({"endpoints.kubernetes.io/last-change-trigger-time": at.to_string()}))
}

/// The same, whatever the annotation says.
fn annotated(service: &str, number: u64, annotations: Value) -> Value {
    json!({
        "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": [format!("10.244.9.{number}")]}],
        "metadata": {
            "namespace": "shop", "name": format!("{service}-1"), "annotations": annotations,
            "labels": {"kubernetes.io/service-name": service},
        },
    })
}

#[test]
fn slices_are_measured_by_the_kind_of_their_service() {
    let api = shop();
    api.create_all(SERVICES);
    let server = Server::start(&api, &corefile(""));
    for (service, ago) in [("selected", 132), ("selected", 66), ("written", 66), ("orphan", 66), ("address", 8)] {
        api.create(changed(service, ago));
        if service != "orphan" {
            server.becomes(&format!("10-244-9-{ago}.{service}.shop A"), &format!("10.244.9.{ago}"));
        }
    }
    // Without the annotation, and with one that is no time.
    let invalid = json!({"endpoints.kubernetes.io/last-change-trigger-time": "yesterday"});
    for (number, annotations) in [(1, json!({})), (2, invalid)] {
        api.create(annotated("selected", number, annotations));
        server.becomes(&format!("10-244-9-{number}.selected.shop A"), &format!("10.244.9.{number}"));
    }
    let bucket = |kind: &str, most: &str| {
        let (kind, most) = (format!("service_kind=\"{kind}\""), format!("le=\"{most}\""));
        server.metric(&format!("{METRIC}_bucket"), &[&kind, &most]) as u64
    };
    let of = |kind: &str| ["65.536", "131.072", "262.144", "+Inf"].map(|most| bucket(kind, most));
    assert_eq!(of("headless_with_selector"), [0, 1, 2, 2]);
    assert_eq!(of("headless_without_selector"), [0, 1, 1, 1]);
    assert_eq!(of("cluster_ip"), [1, 1, 1, 1]);
    assert_eq!([bucket("cluster_ip", "4.096"), bucket("cluster_ip", "16.384")], [0, 1]);
}
