//! What a real CoreDNS answered over a real API server, asked again of the real program over the fake one.

use std::fs;

use serde_json::Value;

use super::{Server, process};
use crate::golden::{self, Exchanged};
use crate::kube_api_server::KubeApi;

/// The API server of the recordings: the manifests in the order of their numbers, those of `-status` files as patches.
fn recorded_cluster() -> KubeApi {
    let api = KubeApi::start();
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
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (namespace, name) = (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    let plural = match object["kind"].as_str().expect("a kind") {
        "Namespace" => "namespaces",
        "Service" => "services",
        "EndpointSlice" => "endpointslices",
        "Pod" => "pods",
        // Rights, and what no DNS server of today looks at.
        _ => return,
    };
    if file.ends_with("-status") {
        api.patch(plural, &namespace, &name, &serde_json::json!({"status": object["status"]}));
    } else {
        api.create(object);
    }
}

/// Whether the cluster alone can answer.
fn needs_no_upstream(exchanged: &Exchanged) -> bool {
    let is_in_cluster = exchanged.qname.to_ascii_lowercase().ends_with("cluster.local.");
    let has_address = |kind: &str| exchanged.answer.iter().any(|row| row.3 == kind);
    !exchanged.via_cache && (is_in_cluster || has_address("PTR")) && !has_address("CNAME")
}

/// Asks what was recorded with a Corefile; at least so many questions.
fn check(id: &str, at_least: usize) {
    let api = recorded_cluster();
    let source = format!("kubeconfig {} fake", api.kubeconfig().display());
    let upstream = "127.0.0.1:9".parse().expect("an address");
    let corefile = golden::corefile(id, [0; 4], upstream, &source).replace(" ::1", "");
    let mut server = Server::launch_with(&corefile, &[]);
    server.process.wait_until_it_answers();
    server.becomes_ready();
    let zone = if id == "bare" { "cluster.local." } else { "." };
    let dns = server.process.dns_address(zone);
    let (mut asked, mut failures) = (0, Vec::new());
    for exchanged in
        golden::recorded(id).iter().filter(|exchanged| needs_no_upstream(exchanged) && !golden::is_known(exchanged))
    {
        asked += 1;
        let reply = process::exchange(dns, &exchanged.question());
        if let Some(difference) = golden::difference(exchanged, reply.as_ref()) {
            failures.push(format!("{} {}: {difference}", exchanged.qname, exchanged.qtype));
        }
    }
    assert!(asked >= at_least, "only {asked} need no upstream");
    assert!(failures.is_empty(), "{} of {asked} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_cluster_alone_is_answered_as_recorded() {
    check("bare", 180);
}

#[test]
fn the_kubeadm_corefile_answers_as_recorded() {
    check("kubeadm", 300);
}

#[test]
fn verified_pods_are_answered_as_recorded() {
    check("verified", 50);
}

#[test]
fn selected_labels_are_answered_as_recorded() {
    check("labels", 10);
}

#[test]
fn selected_namespaces_are_answered_as_recorded() {
    check("nslabels", 10);
    check("namespaces", 30);
}
