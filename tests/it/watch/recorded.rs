//! What a real CoreDNS answered over a real API server, asked again of the real program over the fake one.

use std::fs;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use serde_json::Value;

use super::upstream::upstream_of;
use super::{Server, process};
use crate::dialogue::Question;
use crate::golden::{self, Exchanged};
use crate::internet::Internet;
use crate::kube_api_server::{DNS, KubeApi};

/// The API server of the recordings: the manifests in the order of their numbers, those of `-status` files as patches.
pub fn recorded_cluster() -> KubeApi {
    let api = KubeApi::start();
    api.set(|settings| settings.has_service_imports = true);
    api.grant(DNS, "serviceimports.multicluster.x-k8s.io");
    api.create_all(golden::MADE_BY_THE_API_SERVER);
    let folder = golden::golden().join("cluster");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("manifests").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    // What is deleted was still served when the answers were recorded.
    files.retain(|file| {
        file.extension().is_some_and(|extension| extension == "yaml") && !file.ends_with("90-delete.yaml")
    });
    for file in &files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(file).expect("manifests");
        for object in serde_saphyr::from_multiple::<Value>(&text).expect("objects") {
            write(&api, &name, object);
        }
    }
    api
}

fn write(api: &KubeApi, file: &str, object: Value) {
    let Some(plural) = plural(&object) else { return };
    if file.ends_with("-status") {
        let (namespace, name) = names(&object);
        api.patch(plural, &namespace, &name, &serde_json::json!({"status": object["status"]}));
    } else {
        api.create(object);
    }
}

/// The resource of an object; None: of rights, and of what no DNS server of today looks at.
pub fn plural(object: &Value) -> Option<&'static str> {
    Some(match object["kind"].as_str().expect("a kind") {
        "Namespace" => "namespaces",
        "Service" => "services",
        "EndpointSlice" => "endpointslices",
        "Pod" => "pods",
        "ServiceImport" => "serviceimports",
        _ => return None,
    })
}

/// Namespace and name of an object.
pub fn names(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

/// A DNS server that knows what the one of the recordings knew.
pub fn recorded_upstream() -> std::net::SocketAddr {
    upstream_of(Internet::from_folder(&golden::golden().join("answers/zones")))
}

/// The reply to the last question of a record, over the network.
pub fn ask(server: &Server, exchanged: &Exchanged) -> Option<Message> {
    let ask = |question: &Question| process::exchange(server.process.dns_address_for(question.local.ip()), question);
    exchanged.questions().iter().map(ask).reduce(|_, last| last).flatten()
}

/// Asks what was recorded with a Corefile.
fn check(id: &str) {
    let api = recorded_cluster();
    let source = format!("kubeconfig {} fake", api.kubeconfig().display());
    let corefile = golden::corefile(id, [0; 4], recorded_upstream(), &source);
    let mut server = Server::launch_with(&corefile, &[]);
    server.process.wait_until_it_answers();
    let (mut asked, mut failures) = (0, Vec::new());
    for mut exchanged in golden::recorded(id) {
        if golden::is_known(id, &exchanged) || id == "transfer" && is_about_the_machine(&exchanged) {
            continue;
        }
        asked += 1;
        let mut reply = ask(&server, &exchanged);
        if id == "transfer" {
            exchanged.answer.retain(|row| row.1 > 0 && row.3 != "NS");
            remove_name_servers(reply.as_mut());
        }
        if let Some(difference) = golden::difference(&exchanged, reply.as_ref()) {
            failures.push(format!("{}: {difference}", exchanged.title()));
        }
    }
    assert!(failures.is_empty(), "{} of {asked} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Whether the answer depends on the addresses of the machine, which the tests do not choose.
fn is_about_the_machine(exchanged: &Exchanged) -> bool {
    exchanged.qtype == "NS" || exchanged.qname.to_ascii_lowercase().starts_with("ns.dns.")
}

/// The same in a transfer: NS records and glue, which has no TTL.
fn remove_name_servers(reply: Option<&mut Message>) {
    if let Some(reply) = reply {
        reply.answers.retain(|record| record.record_type() != RecordType::NS && record.ttl > 0);
    }
}

macro_rules! recorded {
    ($($test:ident = $id:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                check($id);
            }
        )*
    };
}

recorded! {
    the_kubeadm_corefile = "kubeadm",
    the_cluster_alone = "bare",
    verified_pods = "verified",
    endpoint_pod_names = "podnames",
    chosen_namespaces = "namespaces",
    selected_labels = "labels",
    selected_namespaces = "nslabels",
    ignored_services_without_endpoints = "nonempty",
    noendpoints = "noendpoints",
    fallthrough = "fallthrough",
    dns64 = "dns64",
    dns64_of_everything = "dns64-all",
    dns64_with_a_prefix_and_a_cache = "dns64-prefix",
    cache = "cache",
    other_domains = "domains",
    multicluster = "multicluster",
    k8s_external = "external",
    transfer = "transfer",
}

/// Where the resolver of the machine has a search list, the server walks that, too.
#[test]
fn autopath() {
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if !resolver.lines().any(|line| line.starts_with("search") || line.starts_with("domain")) {
        check("autopath");
    }
}
