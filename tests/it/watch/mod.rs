//! The real program over the fake API server: what the cluster is, is answered, and what fails is survived.
//!
//! A test writes into [`KubeApi`] what users and controllers would, and asks over UDP. Questions and replies are short
//! texts, see [`Server::check`].

mod answers;
mod chaos;
mod faults;
mod imports;
mod live;
mod load;
mod lost;
mod metrics;
mod programming;
mod recorded;
mod reload;
mod requests;
mod rights;
mod truth;
mod unsynced;
mod upstream;
mod warm;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, Record, RecordType};
use landfall::dns::Transport;
use serde_json::{Value, json};

use crate::dialogue;
use crate::kube_api_server::KubeApi;
use crate::process::{self, Process};

/// How long a test waits for something that is to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// A Service with one address and one port, in a namespace.
const SHOP: &str = "
kind: Namespace
metadata: {name: shop, labels: {tier: front}}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.80, ports: [{name: http, port: 80}]}
";

/// A headless Service with one endpoint, in the same namespace.
const PEERS: &str = "
kind: Service
metadata: {name: peers, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
kind: EndpointSlice
metadata: {name: peers-1, namespace: shop, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
endpoints: [{addresses: [10.244.0.1], hostname: one}]
ports: [{name: http, port: 8080}]
";

/// An API server with [`SHOP`] and [`PEERS`].
fn shop() -> KubeApi {
    let api = KubeApi::start();
    api.create_all(SHOP);
    api.create_all(PEERS);
    api
}

/// A Service with one address.
fn service(name: &str, address: &str) -> Value {
    json!({
        "kind": "Service", "metadata": {"namespace": "shop", "name": name},
        "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80}]},
    })
}

/// The Corefile of kubeadm as it is, but on free ports of the loopback, forwarding to one server.
fn kubeadm(upstream: SocketAddr) -> String {
    include_str!("../../../config/kubeadm.corefile")
        .replace(".:53 {", ".:0 {\n    bind 127.0.0.1")
        .replace("health {", "health 127.0.0.1:0 {")
        .replace("    ready\n", "    ready 127.0.0.1:0\n")
        .replace("prometheus :9153", "prometheus 127.0.0.1:0")
        .replace("/etc/resolv.conf", &upstream.to_string())
}

/// A Corefile without upstream servers, with these lines in `kubernetes`.
fn corefile(lines: &str) -> String {
    format!(
        ".:0 {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:0
    prometheus 127.0.0.1:0
    hosts /dev/null {{
        192.0.2.1 www.example.org
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        {lines}
    }}
}}
"
    )
}

/// The program, watching.
struct Server {
    process: Process,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts it, and waits until it answers for the cluster.
    fn start(api: &KubeApi, corefile: &str) -> Self {
        let mut server = Self::launch(api, corefile);
        server.process.wait_until_it_answers();
        server
    }

    /// Starts it, and waits until its sockets are open, whether it knows the cluster or not.
    fn start_unready(api: &KubeApi, corefile: &str) -> Self {
        let mut server = Self::launch(api, corefile);
        server.process.wait_until_it_listens();
        server
    }

    /// Starts it, and waits for the admin pages only.
    fn launch(api: &KubeApi, corefile: &str) -> Self {
        let kubeconfig = api.kubeconfig().to_str().expect("a path");
        Self::launch_with(corefile, &["--kubeconfig", kubeconfig, "--context", "fake"])
    }

    fn launch_with(corefile: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("Corefile");
        std::fs::write(&file, corefile).expect("a Corefile");
        let conf = ["-conf", file.to_str().expect("a path")];
        let mut process = Process::start(&[&conf[..], arguments].concat());
        process.wait_for("the admin pages are up");
        Self { process, folder }
    }

    /// Puts another Corefile in place of this one, and has it read.
    fn reload(&mut self, corefile: &str) {
        let (next, file): (PathBuf, PathBuf) = (self.folder.path().join("next"), self.folder.path().join("Corefile"));
        std::fs::write(&next, corefile).expect("a Corefile");
        std::fs::rename(next, file).expect("a Corefile");
        self.process.signal("USR1");
        self.process.wait_for("[INFO] Reloading complete");
    }

    fn dns(&self) -> SocketAddr {
        self.process.dns_address(".")
    }

    /// The short reply to a short question: `web.shop A`, where a name without a dot at its end is below
    /// `svc.cluster.local.`, and an address stands for its reverse name.
    fn reply(&self, question: &str) -> String {
        ask(self.dns(), question, Transport::Udp)
    }

    /// A short reply is the data of the answer section in order, NODATA, or a response code.
    #[track_caller]
    fn check(&self, question: &str, expected: &str) {
        assert_eq!(self.reply(question), expected, "{question}");
    }

    /// The reply may take a while to become so.
    #[track_caller]
    fn becomes(&self, question: &str, expected: &str) {
        let (deadline, mut reply) = (Instant::now() + PATIENCE, self.reply(question));
        while reply != expected {
            assert!(Instant::now() < deadline, "{question} stays {reply:?}, it was to become {expected:?}");
            std::thread::sleep(Duration::from_millis(10));
            reply = self.reply(question);
        }
    }

    /// The sum of the metrics with a name and all these parts in their labels.
    fn metric(&self, name: &str, parts: &[&str]) -> f64 {
        let (_, text) = self.process.page("/metrics");
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        let wanted = lines.filter(|(labels, _)| {
            (labels.is_empty() || labels.starts_with('{')) && parts.iter().all(|part| labels.contains(part))
        });
        wanted.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    #[track_caller]
    fn is_ready(&self) {
        assert_eq!(self.process.page("/ready"), (200, "OK".to_owned()));
    }

    /// The body begins with the plugin, the resource that is missing, and perhaps why.
    #[track_caller]
    fn is_unready(&self, beginning: &str) {
        let (code, body) = self.process.page("/ready");
        assert!(code == 503 && body.starts_with(beginning), "{code} {body:?}, not {beginning:?}");
    }

    fn becomes_ready(&self) {
        until("/ready", || self.process.page("/ready").0 == 200);
    }
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ask(dns: SocketAddr, question: &str, transport: Transport) -> String {
    let (name, record_type) = question.split_once(' ').expect("a name and a type");
    let name = match name.parse::<IpAddr>() {
        Ok(address) => Name::from(address).to_ascii(),
        Err(_) if name.ends_with('.') => name.to_owned(),
        Err(_) => format!("{name}.svc.cluster.local."),
    };
    let record_type: RecordType = record_type.parse().expect("a type");
    short(process::exchange(dns, &process::question(dns, &name, record_type, transport)))
}

fn short(reply: Option<Message>) -> String {
    let Some(reply) = reply else { return "no reply".to_owned() };
    let mut records: Vec<&Record> = reply.answers.iter().collect();
    // Aliases come first, and the order of others means nothing.
    records.sort_by_key(|record| (record.record_type() != RecordType::CNAME, record.data.to_string()));
    let data: Vec<String> = records.iter().map(|record| record.data.to_string()).collect();
    match dialogue::status(&reply).as_str() {
        "NOERROR" if data.is_empty() => "NODATA".to_owned(),
        "NOERROR" => data.join(", "),
        code => code.to_owned(),
    }
}

/// Asks one question without a pause until it is told to stop.
struct Asking {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, BTreeSet<String>)>,
}

impl Asking {
    fn start(server: &Server, question: &'static str) -> Self {
        let (stop, dns) = (Arc::new(AtomicBool::new(false)), server.dns());
        let asking = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let (mut count, mut replies) = (0, BTreeSet::new());
                while count < 10 || !stop.load(Ordering::Relaxed) {
                    replies.insert(ask(dns, question, Transport::Udp));
                    count += 1;
                }
                (count, replies)
            }
        });
        Self { stop, asking }
    }

    /// All replies were this one.
    #[track_caller]
    fn end(self, expected: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (count, replies) = self.asking.join().expect("replies");
        assert_eq!(replies, BTreeSet::from([expected.to_owned()]), "of {count}");
    }
}
