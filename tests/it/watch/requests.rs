//! What the API server is asked, by whom, and how it is found.

use std::collections::BTreeSet;

use super::{Server, corefile, shop};
use crate::kube_api_server::KubeApi;

fn check_parameter(api: &KubeApi, plural: &str, name: &str, expected: &str) {
    assert_eq!(api.parameters(plural, name), BTreeSet::from([expected.to_owned()]), "{name} of {plural}");
}

#[test]
fn pods_are_asked_for_only_if_they_are_verified_and_only_those_that_live() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("pods insecure"));
    assert!(api.parameters("pods", "fieldSelector").is_empty(), "nobody asks for Pods");
    server.reload(&corefile("pods verified"));
    let alive = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown";
    check_parameter(&api, "pods", "fieldSelector", alive);
    server.check("10-244-0-1.shop.pod.cluster.local. A", "NXDOMAIN");
    let pod = |phase: &str| {
        api.create_all(&format!(
            "{{kind: Pod, metadata: {{name: one, namespace: shop}}, status: {{phase: {phase}, podIP: 10.244.0.1}}}}"
        ));
    };
    pod("Running");
    server.becomes("10-244-0-1.shop.pod.cluster.local. A", "10.244.0.1");
    pod("Succeeded");
    server.becomes("10-244-0-1.shop.pod.cluster.local. A", "NXDOMAIN");
}

#[test]
fn labels_select_services_slices_and_pods_but_not_namespaces() {
    let api = shop();
    let mut server = Server::start(&api, &corefile("pods verified\nlabels fleet=blue"));
    for plural in ["services", "endpointslices", "pods"] {
        check_parameter(&api, plural, "labelSelector", "fleet=blue");
    }
    check_parameter(&api, "namespaces", "labelSelector", "");
    server.check("web.shop A", "NXDOMAIN");
    let patch = serde_json::json!({"metadata": {"labels": {"fleet": "blue"}}});
    api.patch("services", "shop", "web", &patch);
    server.becomes("web.shop A", "10.96.0.80");
    // Another selector is another cluster.
    server.reload(&corefile("labels fleet=red"));
    server.check("web.shop A", "NXDOMAIN");
}

#[test]
fn namespaces_are_chosen_by_name_or_label_without_asking_otherwise() {
    let api = shop();
    let server = Server::start(&api, &corefile("namespaces shop bank"));
    check_parameter(&api, "namespaces", "labelSelector", "");
    check_parameter(&api, "services", "fieldSelector", "");
    server.check("web.shop A", "10.96.0.80");
    api.create_all("{kind: Service, metadata: {name: web, namespace: hidden}, spec: {clusterIP: 10.96.0.7}}");
    api.create_all("{kind: Namespace, metadata: {name: hidden}}");
    api.create_all("{kind: Service, metadata: {name: web, namespace: bank}, spec: {clusterIP: 10.96.0.8}}");
    api.create_all("{kind: Namespace, metadata: {name: bank}}");
    server.becomes("web.bank A", "10.96.0.8");
    server.check("web.hidden A", "NXDOMAIN");
    server.check("10.96.0.7 PTR", "NXDOMAIN");
}

#[test]
fn without_endpoints_no_slices_are_asked_for() {
    let api = shop();
    let server = Server::start(&api, &corefile("noendpoints"));
    assert_eq!(api.requests("watch", "endpointslices") + api.requests("list", "endpointslices"), 0);
    server.is_ready();
    server.check("web.shop A", "10.96.0.80");
    server.check("peers.shop A", "NXDOMAIN");
}

#[test]
fn a_kubeconfig_may_be_named_in_the_corefile_with_its_context() {
    let api = shop();
    let lines = format!("kubeconfig {} fake", api.kubeconfig().display());
    let mut server = Server::launch_with(&corefile(&lines), &[]);
    server.process.wait_until_it_answers();
    server.check("web.shop A", "10.96.0.80");
    server.is_ready();
}

#[test]
fn the_arguments_win_over_the_corefile() {
    let api = shop();
    let server = Server::start(&api, &corefile("kubeconfig /no/such/file nowhere"));
    server.check("web.shop A", "10.96.0.80");
}

#[test]
fn a_client_certificate_is_shown_over_tls() {
    let api = KubeApi::start_with_tls();
    api.create_all(super::SHOP);
    let server = Server::start(&api, &corefile(""));
    server.check("web.shop A", "10.96.0.80");
    server.is_ready();
    api.create(super::service("new", "10.96.0.90"));
    server.becomes("new.shop A", "10.96.0.90");
}
