//! The real program with a cluster, and what can be seen of it from outside.

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use crate::process::Process;

/// A Service with an address of each family.
pub const WEB: &str = "web.shop.svc.cluster.local.";

/// A headless Service with more addresses than any datagram holds.
pub const CROWD: &str = "crowd.shop.svc.cluster.local.";
pub const CROWD_SIZE: usize = 400;

/// Endpoints of one slice, as Kubernetes cuts them.
const SLICE_SIZE: usize = 100;

const CLUSTER: &str = "\
kind: Namespace
metadata: {name: shop}
---
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.80, clusterIPs: [10.96.0.80, 'fd00:96::80'], ports: [{name: http, port: 80, protocol: TCP}]}
---
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, ports: [{name: postgres, port: 5432, protocol: TCP}]}
---
kind: EndpointSlice
metadata: {name: db-v4, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.244.1.20], hostname: db-0}, {addresses: [10.244.2.20], hostname: db-1}]
ports: [{name: postgres, port: 5432, protocol: TCP}]
---
kind: Service
metadata: {name: crowd, namespace: shop}
spec: {clusterIP: None, ports: [{name: http, port: 80, protocol: TCP}]}
";

const COREFILE: &str = "\
cluster.local 10.in-addr.arpa 0.0.d.f.ip6.arpa {
  BIND
  kubernetes cluster.local 10.in-addr.arpa 0.0.d.f.ip6.arpa {
    manifests MANIFESTS
    ttl 30
  }
  prometheus 127.0.0.1:0
  ready 127.0.0.1:0
}
bind {
  BIND
  chaos Landfall-of-a-test
}
";

/// A running server.
pub struct Scene {
    pub process: Process,
    _folder: tempfile::TempDir,
}

impl Scene {
    /// A cluster and `chaos` for version.bind, on loopback.
    pub fn start() -> Self {
        Self::of(&on_loopback())
    }

    /// The same with so many file descriptors.
    pub fn with_descriptors(descriptors: usize) -> Self {
        Self::new(&on_loopback(), |file| Process::serve_with_descriptors(file, descriptors))
    }

    /// The same on all addresses.
    pub fn on_all_addresses() -> Self {
        Self::of(&COREFILE.replace("BIND", ""))
    }

    /// The server of a Corefile; MANIFESTS stands for the cluster.
    pub fn of(corefile: &str) -> Self {
        Self::new(corefile, Process::serve)
    }

    fn new(corefile: &str, serve: impl FnOnce(&Path) -> Process) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, manifests) = (folder.path().join("Corefile"), folder.path().join("cluster.yaml"));
        std::fs::write(&manifests, CLUSTER.to_owned() + &crowd()).expect("manifests");
        let corefile = corefile.replace("MANIFESTS", manifests.to_str().expect("a path"));
        std::fs::write(&file, corefile).expect("a Corefile");
        Self { process: serve(&file), _folder: folder }
    }

    /// Where it answers: 127.0.0.1 first, then ::1.
    pub fn servers(&self) -> Vec<SocketAddr> {
        let lines = self.process.seen.iter().filter_map(|line| line.split_once(".:")).map(|(_, address)| address);
        let mut servers: Vec<SocketAddr> = lines
            .map(|address| {
                let (port, ip) = address.split_once(" on ").unwrap_or((address, "127.0.0.1"));
                SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"))
            })
            .collect();
        servers.sort();
        servers.dedup();
        servers
    }

    /// The first of [`Scene::servers`].
    pub fn server(&self) -> SocketAddr {
        *self.servers().first().expect("a server")
    }

    /// The value of a line of /metrics.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.process.page("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("the metric");
        value.parse().expect("a number")
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("its descriptors").count()
    }

    /// Memory in KiB.
    pub fn resident_kib(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most memory that it ever had, in KiB.
    pub fn peak_kib(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Time of the processor that it has used, in clock ticks of a hundredth of a second.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("its state");
        let behind_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
        let time = behind_name.split(' ').skip(11).take(2);
        time.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    fn status(&self, line: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its status");
        let value = status.lines().find_map(|text| text.strip_prefix(line)).expect("its memory");
        value.trim_end_matches("kB").trim().parse().expect("a number")
    }
}

fn on_loopback() -> String {
    COREFILE.replace("BIND", if has_ipv6() { "bind 127.0.0.1 ::1" } else { "bind 127.0.0.1" })
}

/// Says it where there is no IPv6.
pub fn has_ipv6() -> bool {
    match UdpSocket::bind("[::1]:0") {
        Ok(_) => true,
        Err(error) => {
            eprintln!("IPv6 is left out: ::1 cannot be bound: {error}");
            false
        }
    }
}

fn crowd() -> String {
    let mut text = String::new();
    for first in (0..CROWD_SIZE).step_by(SLICE_SIZE) {
        write!(
            text,
            "---\nkind: EndpointSlice\n\
             metadata: {{name: crowd-{first}, namespace: shop, labels: {{kubernetes.io/service-name: crowd}}}}\n\
             addressType: IPv4\nports: [{{name: http, port: 80, protocol: TCP}}]\nendpoints:\n"
        )
        .expect("a text");
        for i in first..(first + SLICE_SIZE).min(CROWD_SIZE) {
            writeln!(text, "- {{addresses: [10.245.{}.{}]}}", i / 250, 1 + i % 250).expect("a text");
        }
    }
    text
}
