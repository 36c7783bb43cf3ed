//! The objects of a cluster, by their numbers, as an API server has them.

use std::net::Ipv4Addr;

/// How much there is of what.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub services: usize,
    /// Endpoints of each Service, in one EndpointSlice.
    pub endpoints: usize,
    pub pods: usize,
}

/// Namespaces that the Services are spread over.
const NAMESPACES: usize = 100;

impl Size {
    /// How many objects of a resource there are.
    pub fn count(&self, resource: &str) -> usize {
        match resource {
            "namespaces" => NAMESPACES,
            "services" | "endpointslices" => self.services,
            _ => self.pods,
        }
    }

    /// The name of a Service below `svc.cluster.local.`, as a client asks for it.
    pub fn name(&self, service: usize) -> String {
        format!("svc-{service}.ns-{}", service % NAMESPACES)
    }

    /// The address that a Service has at first.
    pub fn first_address(&self, service: usize) -> Ipv4Addr {
        address(10, 0x60_0000 + service)
    }

    pub fn namespace(&self, index: usize) -> String {
        format!(
            r#"{{"metadata":{{"name":"ns-{index}","resourceVersion":"1","labels":{{"kubernetes.io/metadata.name":"ns-{index}"}}}}}}"#
        )
    }

    pub fn service(&self, index: usize, address: Ipv4Addr, revision: u64) -> String {
        let namespace = index % NAMESPACES;
        format!(
            r#"{{"metadata":{{"name":"svc-{index}","namespace":"ns-{namespace}","uid":"{index:032x}","resourceVersion":"{revision}","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"svc-{index}","team":"payments"}},"managedFields":[{{"manager":"kubectl","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{{"f:metadata":{{"f:labels":{{".":{{}},"f:app":{{}}}}}},"f:spec":{{"f:ports":{{}},"f:selector":{{}},"f:type":{{}}}}}}}}]}},"spec":{{"ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}],"selector":{{"app":"svc-{index}"}},"clusterIP":"{address}","clusterIPs":["{address}"],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"}},"status":{{"loadBalancer":{{}}}}}}"#
        )
    }

    pub fn slice(&self, index: usize) -> String {
        let namespace = index % NAMESPACES;
        let endpoint = |number: usize| {
            let (address, node, zone) = (address(11, number), number % 5000, number % 3);
            format!(
                r#"{{"addresses":["{address}"],"conditions":{{"ready":true,"serving":true,"terminating":false}},"nodeName":"node-{node}","zone":"eu-west-1{zone}","targetRef":{{"kind":"Pod","namespace":"ns-{namespace}","name":"svc-{index}-7f8d9c6b5d-{number:05x}","uid":"{number:08x}-aaaa-bbbb-cccc-0123456789ab"}}}}"#
            )
        };
        let endpoints: Vec<String> = (0..self.endpoints).map(|at| endpoint(index * self.endpoints + at)).collect();
        let endpoints = endpoints.join(",");
        format!(
            r#"{{"metadata":{{"name":"svc-{index}-x{index:04x}","generateName":"svc-{index}-","namespace":"ns-{namespace}","uid":"{index:032x}","resourceVersion":"1","generation":3,"creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"svc-{index}","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"svc-{index}"}},"annotations":{{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T00:00:00Z"}}}},"addressType":"IPv4","endpoints":[{endpoints}],"ports":[{{"name":"http","port":8080,"protocol":"TCP"}}]}}"#
        )
    }

    pub fn pod(&self, index: usize) -> String {
        let (service, node, address) = (index / self.endpoints, index % 5000, address(11, index));
        let namespace = service % NAMESPACES;
        let environment: Vec<String> =
            (0..20).map(|number| format!(r#"{{"name":"E{number}","value":"{:040}"}}"#, number)).collect();
        let environment = environment.join(",");
        format!(
            r#"{{"metadata":{{"name":"svc-{service}-7f8d9c6b5d-{index:05x}","namespace":"ns-{namespace}","uid":"{index:032x}","resourceVersion":"1","labels":{{"app":"svc-{service}","app.kubernetes.io/name":"svc-{service}","team":"payments","pod-template-hash":"7f8d9c6b5d","version":"v1"}}}},"spec":{{"nodeName":"node-{node}","containers":[{{"name":"main","image":"registry.example.com/team/app:v1.2.3","env":[{environment}],"resources":{{"limits":{{"cpu":"1"}}}}}}]}},"status":{{"phase":"Running","podIP":"{address}","podIPs":[{{"ip":"{address}"}}],"conditions":[{{"type":"Ready","status":"True"}}]}}}}"#
        )
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each octet is one")]
fn address(first: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(first, (number >> 16) as u8, (number >> 8) as u8, number as u8)
}
