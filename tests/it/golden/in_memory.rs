//! The recordings without a cluster: its manifests, and packets that are function calls.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{MADE_BY_THE_API_SERVER, corefile, difference, golden, is_known, recorded};
use crate::internet::Internet;
use crate::server::{InMemoryServer, Machine};

/// The files of the cluster in their order, and what the API server makes by itself.
fn cluster() -> String {
    let entries = std::fs::read_dir(golden().join("cluster")).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("a file"));
    texts.chain([MADE_BY_THE_API_SERVER.to_owned()]).collect::<Vec<_>>().join("\n---\n")
}

/// The machine of the recordings: what a server said of itself depends on it.
fn machine(id: &str) -> Machine {
    let addresses = if id == "transfer" { vec!["10.244.0.53".parse().expect("an address")] } else { Vec::new() };
    Machine { addresses, search: Vec::new() }
}

/// Asks all records of a Corefile.
async fn check(id: &str) {
    let upstream = SocketAddr::from(([127, 0, 0, 9], 53));
    let corefile = corefile(id, [53, 8181, 8080, 9153], upstream, "");
    let internet = Internet::from_folder(&golden().join("answers/zones"));
    let server = InMemoryServer::on_machine(&corefile, internet, &machine(id));
    server.set_cluster(&cluster());
    let (mut asked, mut failures) = (0, Vec::new());
    for exchanged in recorded(id) {
        let mut reply = None;
        for question in exchanged.questions() {
            reply = server.ask(&question).await;
        }
        asked += 1;
        match difference(&exchanged, reply.as_ref()) {
            Some(difference) if !is_known(id, &exchanged) => {
                failures.push(format!("{}: {difference}", exchanged.title()));
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} of {asked} differ:\n{}", failures.len(), failures.join("\n"));
}

macro_rules! golden {
    ($($test:ident = $id:literal),* $(,)?) => {
        const ASKED: &[&str] = &[$($id),*];
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                check($id).await;
            }
        )*
    };
}

golden! {
    kubeadm = "kubeadm",
    bare = "bare",
    pods_verified = "verified",
    endpoint_pod_names = "podnames",
    namespaces = "namespaces",
    labels = "labels",
    namespace_labels = "nslabels",
    ignore_empty_service = "nonempty",
    noendpoints = "noendpoints",
    dns64 = "dns64",
    dns64_translate_all = "dns64-all",
    dns64_prefix_and_cache = "dns64-prefix",
    cache = "cache",
    domains = "domains",
    multicluster = "multicluster",
    autopath = "autopath",
    k8s_external = "external",
    fallthrough = "fallthrough",
    transfer = "transfer",
}

#[test]
fn every_recording_is_asked() {
    let files = std::fs::read_dir(golden().join("answers/public")).expect("a folder");
    let name = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let recorded: BTreeSet<String> = files.map(|entry| name(entry.expect("a file").path())).collect();
    assert_eq!(recorded, ASKED.iter().map(|id| (*id).to_owned()).collect());
}
