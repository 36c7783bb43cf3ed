//! Queries that wait for another server: they hold nobody up, and there is a bound on them.

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsCode;
use landfall::dns::Transport;
use landfall::listen::Limits;

use super::packet::{A, Opt, Packet};
use super::reply::read;
use super::scene::Scene;
use super::socket::{Datagrams, Stream, ask, wait_until};
use crate::dialogue::status;

/// Another server on loopback: it answers NOERROR without records, and names below `slow.` only when it may.
struct Upstream {
    address: SocketAddr,
    may_answer: Arc<AtomicBool>,
    /// Questions that wait.
    held: Arc<AtomicUsize>,
    /// Questions for names below `fast.`, ever.
    asked: Arc<AtomicUsize>,
    is_gone: Arc<AtomicBool>,
}

impl Upstream {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(5))).expect("a timeout");
        let upstream = Self {
            address: socket.local_addr().expect("an address"),
            may_answer: Arc::default(),
            held: Arc::default(),
            asked: Arc::default(),
            is_gone: Arc::default(),
        };
        let Self { may_answer, held, asked, is_gone, .. } = &upstream;
        let (may_answer, held, asked, is_gone) = (may_answer.clone(), held.clone(), asked.clone(), is_gone.clone());
        std::thread::spawn(move || {
            let (mut waiting, mut octets) = (Vec::new(), [0; 4096]);
            while !is_gone.load(Ordering::Relaxed) {
                if let Ok((length, client)) = socket.recv_from(&mut octets) {
                    let (name, reply) = reply(&octets[..length]);
                    let name = name.to_ascii_lowercase();
                    asked.fetch_add(usize::from(name.ends_with(".fast.")), Ordering::Relaxed);
                    waiting.push(((name.ends_with(".slow."), reply), client));
                }
                let may_answer = may_answer.load(Ordering::Relaxed);
                waiting.retain(|((is_slow, reply), client)| {
                    let is_held = *is_slow && !may_answer;
                    is_held || socket.send_to(reply, client).is_err()
                });
                held.store(waiting.len(), Ordering::Relaxed);
            }
        });
        upstream
    }

    /// From now on it answers everything.
    fn release(&self) {
        self.may_answer.store(true, Ordering::Relaxed);
    }

    fn wait_for(&self, queries: usize) {
        wait_until("the queries reach the other server", || self.held.load(Ordering::Relaxed) >= queries);
    }

    /// A server that forwards everything to it, whatever the client came over, but not the name `marker.` of our sockets.
    fn scene(&self) -> Scene {
        let forward = format!(
            ". {{\n bind 127.0.0.1\n forward . {} {{\n prefer_udp\n }}\n prometheus 127.0.0.1:0\n}}\n",
            self.address
        );
        Scene::of(&(forward + "marker {\n bind 127.0.0.1\n whoami\n}\n"))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }
}

/// The name of a question, and the reply.
fn reply(question: &[u8]) -> (String, Vec<u8>) {
    let question = Message::from_vec(question).expect("a question");
    let name = question.queries[0].name.to_ascii();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.add_query(question.queries[0].clone());
    reply.edns = question.edns.map(|_| Edns::new());
    (name, reply.to_vec().expect("a reply"))
}

fn slow(number: u16) -> Vec<u8> {
    Packet { id: number, ..Packet::new(&format!("n{number}.slow."), A) }.octets()
}

fn fast(number: u16) -> Vec<u8> {
    Packet { id: number, ..Packet::new(&format!("n{number}.fast."), A) }.octets()
}

fn id(reply: &[u8]) -> u16 {
    u16::from_be_bytes([reply[0], reply[1]])
}

#[test]
fn fast_answers_overtake_slow_ones() {
    let upstream = Upstream::start();
    let scene = upstream.scene();
    let mut stream = Stream::to(scene.server());
    stream.send(&slow(1000));
    upstream.wait_for(1);
    (0..100).for_each(|number| stream.send(&fast(number)));
    let overtook: HashSet<u16> = (0..100).map(|_| id(&stream.next().expect("a reply"))).collect();
    assert_eq!(overtook, (0..100).collect());
    upstream.release();
    assert_eq!(stream.next().map(|reply| id(&reply)), Some(1000));
}

#[test]
fn a_connection_with_its_share_in_flight_is_not_read_until_one_is_answered() {
    let bound = u16::try_from(Limits::default().queries_per_connection).expect("a small number");
    let upstream = Upstream::start();
    let scene = upstream.scene();
    let mut stream = Stream::to(scene.server());
    (0..bound).for_each(|number| stream.send(&slow(number)));
    upstream.wait_for(usize::from(bound));
    stream.send(&fast(1000));
    assert!(!stream.is_closed(Duration::from_millis(200)), "it waits its turn");
    assert!(Stream::to(scene.server()).is_served(), "another connection");
    stream.0.set_read_timeout(Some(super::socket::PATIENCE)).expect("a timeout");
    upstream.release();
    let answered: HashSet<u16> = (0..=bound).map(|_| id(&stream.next().expect("a reply"))).collect();
    assert_eq!(answered.len(), usize::from(bound) + 1, "none is lost");
}

#[test]
fn a_client_over_its_share_is_refused_at_once_and_others_are_served() {
    let bound = u16::try_from(Limits::default().queries_per_client).expect("a small number");
    let upstream = Upstream::start();
    let scene = upstream.scene();
    let client = Datagrams::to(scene.server());
    for number in 0..bound {
        client.send(&slow(number));
        // As many as the buffers of sockets hold.
        if number % 64 == 63 {
            upstream.wait_for(usize::from(number) + 1);
        }
    }
    let since = Instant::now();
    client.send(&Packet { id: 5000, ..Packet::new("n5000.slow.", A) }.with_opt(Opt::default()).octets());
    let refused = read(&client.next());
    assert!(since.elapsed() < Duration::from_secs(1), "refused after {:?}", since.elapsed());
    assert_eq!((refused.metadata.id, refused.metadata.response_code), (5000, ResponseCode::Refused));
    let error: Vec<u8> =
        refused.edns.expect("OPT").option(EdnsCode::Unknown(15)).expect("EDE").try_into().expect("octets");
    assert_eq!(error, [&[0, 0][..], b"too many queries in flight"].concat());
    for number in 5001..5100 {
        client.send(&slow(number));
        assert_eq!(read(&client.next()).metadata.response_code, ResponseCode::Refused);
    }
    let other = Datagrams::from_to([127, 0, 0, 2].into(), scene.server());
    other.send(&fast(1));
    assert_eq!(read(&other.next()).metadata.response_code, ResponseCode::NoError, "another client");
    assert_eq!(upstream.held.load(Ordering::Relaxed), usize::from(bound), "nobody is asked for what is refused");
    assert_eq!(scene.metric("landfall_queries_refused_total{bound=\"queries_per_client\"}"), 100);
    upstream.release();
    let answered: HashSet<u16> = (0..bound).map(|_| id(&client.next())).collect();
    assert_eq!(answered.len(), usize::from(bound), "none is lost");
    wait_until("no query is left", || scene.metric("landfall_queries_in_flight") == 0);
}

/// Whether the system says that nobody listens.
fn is_refused(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a route");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    socket.send(&fast(1)).expect("a query sent");
    socket.recv(&mut [0; 512]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[test]
fn what_is_in_flight_when_the_server_stops_is_answered() {
    let upstream = Upstream::start();
    let mut scene = upstream.scene();
    let (client, mut stream) = (Datagrams::to(scene.server()), Stream::to(scene.server()));
    client.send(&slow(1));
    stream.send(&slow(2));
    upstream.wait_for(2);
    scene.process.signal("TERM");
    scene.process.wait_for("Shutting down");
    wait_until("nobody's queries are taken and left lying", || is_refused(scene.server()));
    upstream.release();
    let reply = client.next();
    assert_eq!((id(&reply), read(&reply).metadata.response_code), (1, ResponseCode::NoError));
    assert_eq!(stream.next().map(|reply| id(&reply)), Some(2));
    assert_eq!(scene.process.end().0, Some(0));
}

#[test]
fn what_is_refused_by_its_header_class_or_type_never_leaves_the_server() {
    let upstream = Upstream::start();
    let scene = upstream.scene();
    let packet = || Packet::new("www.fast.", A);
    let mut requests: Vec<(Packet, &str)> =
        (1..16).map(|op_code: u16| (Packet { flags: op_code << 11, ..packet() }, "NOTIMP")).collect();
    requests.extend([0, 2, 3, 4, 254, 255].map(|class| (Packet { class, ..packet() }, "REFUSED")));
    requests.extend([251, 252].map(|record_type| (Packet { record_type, ..packet() }, "REFUSED")));
    requests.extend([0, 41, 249, 250].map(|record_type| (Packet { record_type, ..packet() }, "FORMERR")));
    requests.push((Packet { counts: [0, 0, 0, 0], ..packet() }, "FORMERR"));
    requests.push((packet().with_opt(Opt { version: 1, ..Opt::default() }), "BADVERS"));
    requests.push((Packet { flags: 0x8000, ..packet() }, "silence"));
    for transport in [Transport::Udp, Transport::Tcp] {
        for (packet, expected) in &requests {
            let reply = ask(scene.server(), transport, &packet.octets());
            let code = reply.map_or("silence".to_owned(), |reply| status(&read(&reply)));
            assert_eq!(code, *expected, "{packet:?} over {transport:?}");
        }
    }
    assert_eq!(upstream.asked.load(Ordering::Relaxed), 0);
    let client = Datagrams::to(scene.server());
    client.send(&fast(1));
    assert_eq!(id(&client.next()), 1);
    assert_eq!(upstream.asked.load(Ordering::Relaxed), 1, "this one does");
}
