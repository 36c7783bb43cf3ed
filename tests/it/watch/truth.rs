//! What the objects of the API server answer: a server in memory over them, and nothing that came over a watch.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use landfall::dns::Transport;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Server, short};
use crate::dialogue::{self, Question};
use crate::internet::Internet;
use crate::kube_api_server::KubeApi;
use crate::process;
use crate::server::{InMemoryServer, Machine};

/// A question, and its short answer.
pub type Answered = (Question, String);

/// The answers of a cluster as it is at one moment.
pub struct Truth {
    server: InMemoryServer,
    objects: Vec<Value>,
    runtime: Runtime,
}

impl Truth {
    /// The answers that a Corefile makes of what the API server holds now.
    pub fn of(api: &KubeApi, corefile: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let objects = api.manifests();
        let manifests: Vec<String> = objects.iter().map(Value::to_string).collect();
        let server = runtime.block_on(async {
            let corefile = corefile.replace(".:0 {", ".:53 {");
            InMemoryServer::on_machine(&corefile, Internet::default(), &Machine::default())
        });
        server.set_cluster(&manifests.join("\n---\n"));
        Self { server, objects, runtime }
    }

    /// All names and types that the objects of a namespace make known, with their answers.
    pub fn answers_of(&self, namespace: &str) -> Vec<Answered> {
        self.answers(|object| object["metadata"]["namespace"] == namespace)
    }

    fn answers(&self, is_wanted: impl Fn(&Value) -> bool) -> Vec<Answered> {
        let questions: BTreeSet<_> =
            self.objects.iter().filter(|object| is_wanted(object)).flat_map(names_and_types).collect();
        let answered = questions.into_iter().map(|(name, record_type)| {
            let question = question(&name, record_type, Transport::Udp);
            let answer = short(self.ask(&question));
            (question, answer)
        });
        answered.collect()
    }

    fn ask(&self, question: &Question) -> Option<Message> {
        self.runtime.block_on(self.server.ask(question))
    }

    /// Waits until a server has the same: its zone, and what is not in a zone, Pods and addresses.
    #[track_caller]
    pub fn becomes_that_of(&self, server: &Server, within: Duration) {
        let deadline = Instant::now() + within;
        let transfer = question("cluster.local.", RecordType::AXFR, Transport::Tcp);
        let expected = zone(self.ask(&transfer));
        assert!(expected.len() > 2, "{expected:?}");
        until_nothing_differs(deadline, || {
            let found = zone(process::exchange(server.dns(), &transfer));
            let (missing, surplus) = (expected.difference(&found), found.difference(&expected));
            let differing: Vec<String> =
                missing.map(|line| format!("- {line}")).chain(surplus.map(|line| format!("+ {line}"))).collect();
            (!differing.is_empty()).then(|| differing.join("\n"))
        });
        let is_in_no_zone = |(question, _): &&Answered| {
            question.record_type == RecordType::PTR || question.name.ends_with(".pod.cluster.local.")
        };
        for (question, expected) in self.answers(|_| true).iter().filter(is_in_no_zone) {
            until_nothing_differs(deadline, || {
                let found = short(process::exchange(server.dns(), question));
                (found != *expected).then(|| format!("{}: {found}, not {expected}", question.name))
            });
        }
    }
}

#[track_caller]
fn until_nothing_differs(deadline: Instant, difference: impl Fn() -> Option<String>) {
    while let Some(difference) = difference() {
        assert!(Instant::now() < deadline, "the API server says otherwise:\n{difference}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The records of a transfer, but for those that depend on the machine: name servers and their addresses.
fn zone(reply: Option<Message>) -> BTreeSet<String> {
    let records = reply.map(|reply| reply.answers).unwrap_or_default();
    let of_cluster = records.iter().filter(|record| record.record_type() != RecordType::NS && record.ttl > 0);
    of_cluster.map(dialogue::line).collect()
}

fn question(name: &str, record_type: RecordType, transport: Transport) -> Question {
    process::question("127.0.0.1:53".parse().expect("an address"), name, record_type, transport)
}

/// The names that an object makes known, each with the types that somebody asks for.
fn names_and_types(object: &Value) -> Vec<(String, RecordType)> {
    use RecordType::{A, AAAA, CNAME, PTR, SRV, TXT};
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let of_types = |name: String, types: &[RecordType]| -> Vec<(String, RecordType)> {
        types.iter().map(|record_type| (name.clone(), *record_type)).collect()
    };
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut known = Vec::new();
    let add_address = |address: &Value, known: &mut Vec<_>| {
        if let Ok(address) = text(address).parse::<IpAddr>() {
            known.push((Name::from(address).to_ascii(), PTR));
        }
    };
    match object["kind"].as_str().expect("a kind") {
        "Namespace" => known.extend(of_types(format!("{name}.svc.cluster.local."), &[A])),
        "Service" => {
            let service = format!("{name}.{namespace}.svc.cluster.local.");
            for port in items(&object["spec"]["ports"]) {
                let protocol = text(&port["protocol"]).to_lowercase();
                known.extend(of_types(format!("_{}._{protocol}.{service}", text(&port["name"])), &[SRV]));
            }
            items(&object["spec"]["clusterIPs"]).iter().for_each(|address| add_address(address, &mut known));
            known.extend(of_types(service, &[A, AAAA, SRV, CNAME, TXT]));
        }
        "EndpointSlice" => {
            let service = text(&object["metadata"]["labels"]["kubernetes.io/service-name"]);
            for endpoint in items(&object["endpoints"]) {
                let hostname = text(&endpoint["hostname"]);
                if !hostname.is_empty() {
                    known.extend(of_types(format!("{hostname}.{service}.{namespace}.svc.cluster.local."), &[A, AAAA]));
                }
                items(&endpoint["addresses"]).iter().for_each(|address| add_address(address, &mut known));
            }
        }
        "Pod" => {
            let label = text(&object["status"]["podIP"]).replace(['.', ':'], "-");
            known.extend(of_types(format!("{label}.{namespace}.pod.cluster.local."), &[A]));
        }
        other => panic!("no names of {other:?}"),
    }
    known
}
