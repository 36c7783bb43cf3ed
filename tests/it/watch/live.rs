//! What a real CoreDNS answered while its cluster changed, step by step, asked again of the real program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Server;
use super::recorded::{ask, names, plural, recorded_cluster, recorded_upstream};
use crate::golden::{self, Exchanged};
use crate::kube_api_server::KubeApi;

/// How long a change may take until it is in all answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files of a folder in their order.
fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// Does to the API server what the file of a step says.
fn apply(api: &KubeApi, file: &Path) {
    let (stem, text) = (stem(file), fs::read_to_string(file).expect("objects"));
    for object in serde_saphyr::from_multiple::<Value>(&text).expect("objects") {
        let plural = plural(&object).expect("a resource that is watched");
        let (namespace, name) = names(&object);
        match stem.rsplit('-').next() {
            Some("remove" | "finalize") => api.delete(plural, &namespace, &name),
            Some("delete") => {
                let terminating = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"},
                    "status": {"phase": "Terminating"}});
                drop(api.patch(plural, &namespace, &name, &terminating));
            }
            Some("status") => drop(api.patch(plural, &namespace, &name, &json!({"status": object["status"]}))),
            _ => drop(api.create(object)),
        }
    }
}

/// What still differs of a step's answers when they had their time.
fn differences(server: &Server, records: &[Exchanged], step: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let of_step = records.iter().filter(|exchanged| exchanged.step == step && !golden::is_known("live", exchanged));
    let settled = of_step.filter_map(|exchanged| {
        loop {
            let difference = golden::difference(exchanged, ask(server, exchanged).as_ref())?;
            if Instant::now() > deadline {
                return Some(format!("{step} {}: {difference}", exchanged.title()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    settled.collect()
}

#[test]
fn every_step_of_a_changing_cluster_is_answered_as_recorded() {
    let folder = golden::golden().join("answers/live");
    let api = recorded_cluster();
    let source = format!("kubeconfig {} fake", api.kubeconfig().display());
    let corefile = fs::read_to_string(folder.join("live.corefile")).expect("a Corefile");
    let corefile = golden::filled_in(&corefile, [0; 4], recorded_upstream(), &source);
    let records = golden::records(&folder.join("live.jsonl"));
    let mut steps = sorted(&folder.join("steps")).into_iter();
    let step_is_done = |step: &Path| {
        sorted(step).iter().for_each(|file| apply(&api, file));
        stem(step)
    };

    let first = step_is_done(&steps.next().expect("a step"));
    let mut server = Server::launch_with(&corefile, &[]);
    server.process.wait_until_it_answers();
    let mut failures = differences(&server, &records, &first);
    for step in steps {
        let step = step_is_done(&step);
        failures.extend(differences(&server, &records, &step));
    }
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), records.len(), failures.join("\n"));
}
