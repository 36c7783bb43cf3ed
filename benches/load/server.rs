//! Servers as children, each on the same core, and what the system says of them.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::SERVER_CORE;
use super::question::Name;

/// How long a server may take to answer its first question; valgrind is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a server is started with: its own ports, and files of its configuration, which are there as long as it runs.
#[derive(Debug)]
pub struct Place {
    pub address: SocketAddr,
    folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { address: free_address(), folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    child: Child,
    place: Place,
}

impl Server {
    /// Starts a command line of the shell on the servers' core, and waits until it answers.
    pub fn start(command: &str, place: Place) -> Self {
        let child = Command::new("sh")
            .args(["-c", &format!("exec taskset -c {SERVER_CORE} {command}")])
            // What one worker is to Go.
            .env("GOMAXPROCS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(place.folder.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, place };
        server.wait_until_it_answers(command);
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.place.address
    }

    /// A question is not asked twice: each one costs, and it is counted what they cost.
    fn wait_until_it_answers(&mut self, command: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let (deadline, mut reply, mut message) = (Instant::now() + PATIENCE, [0; 1232], Vec::new());
        let name = Name::random();
        name.ask(1, &mut message);
        let _ = socket.send(&message);
        loop {
            match socket.recv(&mut reply) {
                Ok(length) if name.is_answered_by(1, &reply[..length]) => return,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                _ if Instant::now() < deadline => {}
                _ => panic!("it does not answer: {command}\n{}", self.complaints()),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("it ended with {status}: {command}\n{}", self.complaints());
            }
            thread::sleep(Duration::from_millis(100));
            let _ = socket.send(&message);
        }
    }

    fn complaints(&self) -> String {
        fs::read_to_string(self.place.folder.path().join("stderr")).unwrap_or_default()
    }

    /// The time that its threads have had on the core. To the nanosecond, while utime and stime of `stat` are in ticks.
    pub fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let times = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
        Duration::from_nanos(times.filter_map(|times| times.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Place {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "it is not there any more");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
        std::mem::replace(&mut self.place, Place::new())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first line that a program says of its version; None: it is not installed.
pub fn version(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().next().unwrap_or_default().to_owned())
}
