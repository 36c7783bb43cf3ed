//! The real program as a process of a test: its lines, its exit code, questions to it over UDP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use landfall::dns::Transport;
use socket2::{Domain, Socket, Type};

use crate::dialogue::Question;
use crate::http;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a reply may take.
const REPLY: Duration = Duration::from_secs(10);

/// A running program. It is killed when this is dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    /// All lines so far.
    pub seen: Vec<String>,
}

impl Process {
    /// Starts the program.
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_landfall")).args(arguments))
    }

    /// Starts the server of a Corefile with so many file descriptors, and waits until it answers.
    pub fn serve_with_descriptors(corefile: &Path, descriptors: usize) -> Self {
        Self::serve_limited(corefile, &format!("-n {descriptors}"))
    }

    /// Starts the server of a Corefile below a limit of the shell (`-n 64`), and waits until it answers.
    pub fn serve_limited(corefile: &Path, limit: &str) -> Self {
        let script = format!("ulimit {limit}; exec {} \"$@\"", env!("CARGO_BIN_EXE_landfall"));
        let corefile = corefile.to_str().expect("a path");
        let mut process =
            Self::run(Command::new("sh").args(["-c", &script, "sh", "-conf", corefile, "-dns.port", "0"]));
        process.wait_until_it_answers();
        process
    }

    fn run(command: &mut Command) -> Self {
        let mut child =
            command.env_remove("RUST_LOG").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("its output"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Starts the server of a Corefile, and waits until it answers.
    pub fn serve(corefile: &Path) -> Self {
        let mut process = Self::start(&["-conf", corefile.to_str().expect("a path"), "-dns.port", "0"]);
        process.wait_until_it_answers();
        process
    }

    /// Waits until its sockets are open; names of a cluster may have to wait still.
    pub fn wait_until_it_listens(&mut self) {
        self.wait_for("Landfall-");
    }

    /// Waits until it answers all names, which `/ready` says where there is that page.
    pub fn wait_until_it_answers(&mut self) {
        self.wait_until_it_listens();
        let deadline = Instant::now() + PATIENCE;
        while self.has_admin_pages() && self.page("/ready").0 == 503 {
            assert!(Instant::now() < deadline, "it does not become ready; it said {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a line with this text; returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {text:?} came; there were {:#?}", self.seen),
            }
        }
    }

    /// How many lines with this text there were so far.
    pub fn count(&mut self, text: &str) -> usize {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().filter(|line| line.contains(text)).count()
    }

    /// Where the line of a zone says that it is served.
    pub fn dns_address(&self, zone: &str) -> SocketAddr {
        let start = format!("{zone}:");
        let line = self.seen.iter().find_map(|line| line.strip_prefix(&start)).expect("a line of the zone");
        let (port, ip) = line.split_once(" on ").expect("PORT on IP");
        SocketAddr::new(ip.parse().expect("an address"), port.parse().expect("a port"))
    }

    /// Where clients of an address family find the zones that it serves, all on one port; without `bind` that is
    /// everywhere.
    pub fn dns_address_for(&self, ip: IpAddr) -> SocketAddr {
        let of_zone = self.seen.iter().filter_map(|line| line.rsplit_once(".:"));
        let mut places = of_zone.filter_map(|(_, place)| {
            let (port, at) = place.split_once(" on ").unwrap_or((place, ""));
            (at.is_empty() || at == ip.to_string()).then_some(port.parse().ok()?)
        });
        SocketAddr::new(ip, places.next().expect("a line of a zone"))
    }

    fn has_admin_pages(&self) -> bool {
        self.seen.iter().any(|line| line.contains("the admin pages are up"))
    }

    /// Where the first admin pages are.
    pub fn admin_address(&self) -> SocketAddr {
        let line = self.seen.iter().find_map(|line| line.split_once("the admin pages are up local="));
        line.expect("a line of the admin pages").1.parse().expect("an address")
    }

    /// An admin page: status and body.
    pub fn page(&self, path: &str) -> (u16, String) {
        let response = http::get(self.admin_address(), path).expect("a response");
        (response.status, response.body)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("a shell");
        assert!(killed.success());
    }

    /// Waits for the end: exit code and what was written to standard error.
    pub fn end(&mut self) -> (Option<i32>, String) {
        let status = self.wait();
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().expect("its errors");
        stderr.read_to_string(&mut errors).expect("a text");
        self.seen.extend(self.lines.iter());
        (status.code(), errors)
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; it said {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, most times.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free on all addresses, no other test's, and below those that the system gives to clients.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("a small number");
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed)).take(1000);
    let is_free = |port: &u16| {
        ["127.0.0.1", "0.0.0.0", "::1"].iter().all(|host| {
            let address = SocketAddr::new(host.parse().expect("an address"), *port);
            let refused = [TcpListener::bind(address).err(), UdpSocket::bind(address).err()];
            refused.iter().flatten().all(|error| error.kind() != std::io::ErrorKind::AddrInUse)
        })
    };
    ports.find(is_free).expect("a free port")
}

/// Asks over UDP, once; None if no reply comes in time.
pub fn ask(server: SocketAddr, name: &str, record_type: RecordType) -> Option<Message> {
    exchange(server, &question(server, name, record_type, Transport::Udp))
}

/// The question of a client that can do nothing special.
pub fn question(server: SocketAddr, name: &str, record_type: RecordType, transport: Transport) -> Question {
    Question {
        name: name.to_owned(),
        record_type,
        class: DNSClass::IN,
        op_code: OpCode::Query,
        flags: vec!["rd".to_owned()],
        edns: None,
        client: client_address(server),
        local: server,
        transport,
        serial: None,
    }
}

/// Sends a question as its transport says; None if no reply comes in time.
pub fn exchange(server: SocketAddr, question: &Question) -> Option<Message> {
    let octets = question.octets(4711);
    match question.transport {
        Transport::Udp => {
            let reply = exchange_datagrams(SocketAddr::new(question.client.ip(), 0), server, &octets)?;
            Some(Message::from_vec(&reply).expect("a message"))
        }
        Transport::Tcp => exchange_frames(connect(question.client.ip(), server)?, &octets),
    }
}

fn client_address(server: SocketAddr) -> SocketAddr {
    if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }.parse().expect("an address")
}

fn exchange_datagrams(client: SocketAddr, server: SocketAddr, octets: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind(client).expect("a socket");
    socket.set_read_timeout(Some(REPLY)).expect("a timeout");
    socket.send_to(octets, server).expect("a question sent");
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).ok()?;
    reply.truncate(length);
    Some(reply)
}

fn connect(client: IpAddr, server: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(client, 0).into()).expect("the client's address");
    socket.connect(&server.into()).ok()?;
    Some(socket.into())
}

/// Of a transfer, all messages as one.
fn exchange_frames(mut stream: TcpStream, octets: &[u8]) -> Option<Message> {
    stream.set_read_timeout(Some(REPLY)).expect("a timeout");
    let length = u16::try_from(octets.len()).expect("a short question").to_be_bytes();
    stream.write_all(&[&length, octets].concat()).ok()?;
    let mut reply = read_frame(&mut stream)?;
    while is_unfinished_transfer(&reply) {
        reply.answers.extend(read_frame(&mut stream)?.answers);
    }
    Some(reply)
}

fn read_frame(stream: &mut TcpStream) -> Option<Message> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(Message::from_vec(&reply).expect("a message"))
}

/// Whether the SOA that ends a transfer is still to come.
fn is_unfinished_transfer(reply: &Message) -> bool {
    let is_transfer = reply.queries.iter().any(|query| matches!(query.query_type, RecordType::AXFR | RecordType::IXFR));
    let is_soa = |record: Option<&Record>| record.is_some_and(|record| record.record_type() == RecordType::SOA);
    is_transfer && is_soa(reply.answers.first()) && (reply.answers.len() < 2 || !is_soa(reply.answers.last()))
}
