//! ServiceImports: of both versions of their API, of none, and without the right to read them; and how often is asked.

use super::{SHOP, Server, corefile, shop, until};
use crate::kube_api_server::{DNS, KubeApi};

const IMPORTS: &str = "serviceimports.multicluster.x-k8s.io";

/// An import with an address, and a headless one with an endpoint in another cluster.
const FLEET: &str = "
kind: ServiceImport
metadata: {name: web, namespace: shop}
spec: {type: ClusterSetIP, ips: [10.112.0.80], ports: [{name: http, port: 80}]}
---
kind: ServiceImport
metadata: {name: peers, namespace: shop}
spec: {type: Headless, ports: [{name: http, port: 80}]}
---
kind: EndpointSlice
metadata: {name: peers-east, namespace: shop, labels: {multicluster.kubernetes.io/service-name: peers, multicluster.kubernetes.io/source-cluster: east}}
addressType: IPv4
endpoints: [{addresses: [10.244.7.1], hostname: one}]
ports: [{name: http, port: 8080}]
";

/// An API server with the CRD, whose objects the server may read.
fn fleet() -> KubeApi {
    let api = shop();
    api.set(|settings| settings.has_service_imports = true);
    api.grant(DNS, IMPORTS);
    api.create_all(FLEET);
    api
}

fn corefile_of_set(lines: &str) -> String {
    let lines = format!("multicluster clusterset.local\n{lines}");
    corefile(&lines).replace("kubernetes cluster.local", "kubernetes cluster.local clusterset.local")
}

#[test]
fn imports_are_listed_and_watched() {
    let api = fleet();
    let server = Server::start(&api, &corefile_of_set(""));
    server.is_ready();
    server.check("web.shop.svc.clusterset.local. A", "10.112.0.80");
    server.check("web.shop A", "10.96.0.80");
    server.check("peers.shop.svc.clusterset.local. A", "10.244.7.1");
    server.check("one.east.peers.shop.svc.clusterset.local. A", "10.244.7.1");
    server.check("_http._tcp.web.shop.svc.clusterset.local. SRV", "0 100 80 web.shop.svc.clusterset.local.");

    api.delete("serviceimports", "shop", "web");
    server.becomes("web.shop.svc.clusterset.local. A", "NXDOMAIN");
    api.create_all(FLEET);
    server.becomes("web.shop.svc.clusterset.local. A", "10.112.0.80");
    api.patch("serviceimports", "shop", "web", &serde_json::json!({"spec": {"ips": ["10.112.0.81"]}}));
    server.becomes("web.shop.svc.clusterset.local. A", "10.112.0.81");
    api.delete("endpointslices", "shop", "peers-east");
    server.becomes("peers.shop.svc.clusterset.local. A", "NXDOMAIN");
}

#[test]
fn imports_are_asked_for_only_if_there_is_a_cluster_set() {
    let api = fleet();
    let mut server = Server::start(&api, &corefile("labels fleet=blue"));
    assert!(api.parameters("serviceimports", "watch").is_empty(), "nobody asks for ServiceImports");
    server.reload(&corefile_of_set("labels fleet=blue"));
    server.becomes("web.shop.svc.clusterset.local. A", "10.112.0.80");
    assert_eq!(api.parameters("serviceimports", "labelSelector").into_iter().collect::<Vec<_>>(), [""]);
}

#[test]
fn an_older_version_of_the_api_will_do() {
    let api = fleet();
    api.set(|settings| settings.absent_version = Some("v1beta1"));
    let mut server = Server::start(&api, &corefile_of_set(""));
    server.check("web.shop.svc.clusterset.local. A", "10.112.0.80");
    server.is_ready();
    assert_eq!(server.process.count("does not have this resource"), 0, "{:#?}", server.process.seen);
    // The CRD is replaced by a newer one.
    api.set(|settings| settings.absent_version = Some("v1alpha1"));
    api.stop();
    api.resume();
    api.patch("serviceimports", "shop", "web", &serde_json::json!({"spec": {"ips": ["10.112.0.81"]}}));
    server.becomes("web.shop.svc.clusterset.local. A", "10.112.0.81");
}

#[test]
fn an_api_that_is_not_there_costs_its_own_names_until_it_is() {
    let api = shop();
    api.grant(DNS, IMPORTS);
    api.create_all(FLEET);
    let mut server = Server::start_unready(&api, &corefile_of_set("startup_timeout 1s"));
    server.check("web.shop A", "10.96.0.80");
    server.check("absent.shop A", "NXDOMAIN");
    server.check("web.shop.svc.clusterset.local. A", "SERVFAIL");
    server.check("shop.svc.clusterset.local. A", "NODATA");
    server.is_unready("kubernetes: serviceimports (404 absent)");
    server.process.wait_for("the API server does not have this resource resource=serviceimports");
    api.set(|settings| settings.has_service_imports = true);
    server.becomes("web.shop.svc.clusterset.local. A", "10.112.0.80");
    server.becomes_ready();
}

#[test]
fn a_right_that_is_missing_is_told() {
    let api = fleet();
    api.revoke(DNS, IMPORTS);
    let mut server = Server::start_unready(&api, &corefile_of_set("startup_timeout 1s"));
    server.check("web.shop.svc.clusterset.local. A", "SERVFAIL");
    server.check("web.shop A", "10.96.0.80");
    server.process.wait_for("may not read: the role lacks list and watch on this resource resource=serviceimports");
}

#[test]
fn the_api_server_is_asked_as_often_as_is_wanted() {
    let api = KubeApi::start();
    api.create_all(SHOP);
    let lines = "apiserver_qps 10\napiserver_burst 1\napiserver_max_inflight 1";
    let server = Server::start(&api, &corefile(lines));
    server.check("web.shop A", "10.96.0.80");
    // The version and a list, each of three resources: five of them waited for a tenth of a second more than the one before.
    let waits = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds";
    until("requests have waited", || server.metric(&format!("{waits}_count"), &[]) >= 6.0);
    let waited = server.metric(&format!("{waits}_sum"), &[]);
    assert!(waited > 0.5, "{waited}");
}
