//! A cluster of which one part stays and is asked for, and another part changes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::load::Load;
use super::super::truth::Truth;
use super::super::{PEERS, SHOP, Server, corefile, service, until};
use crate::kube_api_server::{Fault, KubeApi};

/// How long after a fault everything is as it should be.
pub const PROMPTLY: Duration = Duration::from_secs(5);

/// What is there all the time, and asked for.
const FLEET: &str = r#"
kind: Namespace
metadata: {name: fleet}
---
kind: Service
metadata: {name: flagship, namespace: fleet}
spec:
  clusterIP: 10.96.8.1
  clusterIPs: [10.96.8.1, "fd00:96::8:1"]
  ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}, {port: 9000}]
---
kind: Service
metadata: {name: escort, namespace: fleet}
spec: {clusterIP: 10.96.8.2, ports: [{name: http, port: 80}]}
---
kind: EndpointSlice
metadata: {name: escort-1, namespace: fleet, labels: {kubernetes.io/service-name: escort}}
addressType: IPv4
endpoints: [{addresses: [10.244.8.20], hostname: bow}, {addresses: [10.244.8.21]}]
ports: [{name: http, port: 8080}]
---
kind: Service
metadata: {name: boats, namespace: fleet}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
kind: EndpointSlice
metadata: {name: boats-4, namespace: fleet, labels: {kubernetes.io/service-name: boats}}
addressType: IPv4
endpoints:
- {addresses: [10.244.8.1], hostname: one}
- {addresses: [10.244.8.2], hostname: two}
- {addresses: [10.244.8.3]}
- {addresses: [10.244.8.4], hostname: four, conditions: {ready: false}}
ports: [{name: http, port: 8080}, {name: admin, port: 9090}]
---
kind: EndpointSlice
metadata: {name: boats-6, namespace: fleet, labels: {kubernetes.io/service-name: boats}}
addressType: IPv6
endpoints: [{addresses: ["fd00:244::8:1"], hostname: one}]
ports: [{name: http, port: 8080}]
---
kind: Service
metadata: {name: pilot, namespace: fleet}
spec: {type: ExternalName, externalName: www.example.org}
---
kind: Service
metadata: {name: admiral, namespace: fleet}
spec: {type: ExternalName, externalName: flagship.fleet.svc.cluster.local}
---
kind: Pod
metadata: {name: sailor, namespace: fleet}
status: {phase: Running, podIP: 10.244.8.1, podIPs: [{ip: 10.244.8.1}, {ip: "fd00:244::8:1"}]}
"#;

/// Everything that is watched, with the names of its right.
pub const WATCHED: [(&str, &str); 4] = [
    ("namespaces", "namespaces"),
    ("services", "services"),
    ("endpointslices", "endpointslices.discovery.k8s.io"),
    ("pods", "pods"),
];

/// A Corefile with all that is compared.
pub fn transferring() -> String {
    corefile("pods verified").replace("    errors\n", "    errors\n    transfer {\n        to *\n    }\n")
}

/// An API server and a server that has all of it.
pub struct Scene {
    pub api: KubeApi,
    pub server: Server,
    pub corefile: String,
}

impl Scene {
    /// Starts both.
    pub fn start() -> Self {
        Self::start_over(Self::api())
    }

    /// Starts the server over an API server.
    pub fn start_over(api: KubeApi) -> Self {
        let corefile = transferring();
        let server = Server::start(&api, &corefile);
        Self { api, server, corefile }
    }

    /// An API server with what stays, and with what [`Scene::change`] changes.
    pub fn api() -> KubeApi {
        let api = KubeApi::start();
        [FLEET, SHOP, PEERS].into_iter().for_each(|manifests| api.create_all(manifests));
        for number in 0..20 {
            api.create(service(&format!("old-{number}"), &format!("10.96.1.{number}")));
        }
        api.create(pod("old", "10.244.1.1"));
        api
    }

    /// The server survives a fault.
    #[track_caller]
    pub fn survives(&self, fault: impl FnOnce(&Self)) {
        self.survives_within(PROMPTLY, fault);
    }

    /// The same, and it may take a while.
    #[track_caller]
    pub fn survives_within(&self, patience: Duration, fault: impl FnOnce(&Self)) {
        let load = Load::start(self.server.dns(), Truth::of(&self.api, &self.corefile).answers_of("fleet"));
        fault(self);
        let over = Instant::now();
        self.is_as_it_should_be(patience);
        println!("as it should be after {:?}", over.elapsed());
        assert_eq!(load.end(), Ok(()));
        self.server.is_ready();
    }

    /// The server becomes what the API server holds.
    #[track_caller]
    pub fn is_as_it_should_be(&self, within: Duration) {
        Truth::of(&self.api, &self.corefile).becomes_that_of(&self.server, within);
    }

    /// Changes objects of all kinds: some are new, some are other than they were, some go.
    pub fn change(&self) {
        let api = &self.api;
        for number in 0..5 {
            api.create(service(&format!("new-{number}"), &format!("10.96.2.{number}")));
            api.delete("services", "shop", &format!("old-{number}"));
        }
        let address = json!({"spec": {"clusterIP": "10.96.0.81", "clusterIPs": ["10.96.0.81"]}});
        api.patch("services", "shop", "web", &address);
        api.patch("endpointslices", "shop", "peers-1", &json!({"endpoints": [{"addresses": ["10.244.0.2"]}]}));
        api.create(slice("old-7", "10.244.2.7"));
        api.create(pod("new", "10.244.1.2"));
        api.delete("pods", "shop", "old");
        api.create(json!({"kind": "Namespace", "metadata": {"name": "bank"}}));
    }

    /// Changes them while nobody can watch, and the API server forgets what happened.
    pub fn change_unwatched(&self) {
        self.api.stop();
        self.change();
        self.api.compact();
        self.api.resume();
    }

    /// Ends all watches, so that the next ones meet what was prepared.
    pub fn cut(&self) {
        self.api.stop();
        self.api.resume();
    }

    /// Lets the next watches of each resource fail.
    pub fn spoil(&self, fault: &Fault, times: usize) {
        for (plural, _) in WATCHED {
            self.api.inject("watch", plural, fault.clone(), times);
        }
    }

    /// Lets something happen while nobody can watch, and waits until all watch again.
    pub fn meanwhile(&self, happens: impl FnOnce()) {
        self.api.stop();
        let before = WATCHED.map(|(plural, _)| self.api.requests("watch", plural));
        happens();
        self.api.resume();
        for ((plural, _), before) in WATCHED.into_iter().zip(before) {
            until("it is watched again", || self.api.requests("watch", plural) > before);
        }
    }
}

/// A Pod that runs.
pub fn pod(name: &str, address: &str) -> Value {
    json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name}, "status": {"phase": "Running", "podIP": address}})
}

/// An EndpointSlice with one endpoint.
pub fn slice(service: &str, address: &str) -> Value {
    json!({
        "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": [address], "hostname": "host"}],
        "metadata": {"namespace": "shop", "name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "ports": [{"name": "http", "port": 8080}],
    })
}
