//! The program as a child, and what the system says of its memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to become ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server of a cluster.
pub struct Server {
    child: Child,
    pub dns: SocketAddr,
    ready: SocketAddr,
    _folder: TempDir,
}

impl Server {
    /// Starts the server of the cluster of an API server; `lines` are further ones of the directive.
    pub fn start(api: SocketAddr, lines: &str) -> Self {
        let (dns, ready) = (free_address(), free_address());
        let corefile = format!(
            "cluster.local.:{} in-addr.arpa.:{} {{\n    bind {}\n    errors\n    ready {ready}\n    kubernetes cluster.local in-addr.arpa {{\n        endpoint http://{api}\n        {lines}\n    }}\n}}\n",
            dns.port(),
            dns.port(),
            dns.ip()
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Corefile");
        fs::write(&file, corefile).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        let child = command.arg("-conf").arg(&file).stdout(Stdio::null()).spawn().unwrap();
        Self { child, dns, ready, _folder: folder }
    }

    /// Waits until everything was listed; returns when it was.
    pub fn wait_until_ready(&self) -> Instant {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_ready() {
            assert!(Instant::now() < deadline, "it does not become ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        Instant::now()
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.ready) else { return false };
        let mut response = String::new();
        let request = b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).and_then(|()| stream.read_to_string(&mut response)).is_ok()
            && response.starts_with("HTTP/1.1 200")
    }

    /// Its memory now, in MB: 1,000,000 octets.
    pub fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most that it had since [`Self::forget_peak`].
    pub fn peak(&self) -> f64 {
        self.status("VmHWM:")
    }

    /// Begins to look for the peak anew.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    fn status(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
