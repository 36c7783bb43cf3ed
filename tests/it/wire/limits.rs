//! Bounds and deadlines of streams: a listener in this process, with short ones.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use landfall::config::Scheme;
use landfall::config::directive::{Fallthrough, Hosts as Config, HostsLine};
use landfall::dns::parse_name;
use landfall::listen::{Capacity, Endpoint, Limits, ListenAddress, Listener, PortUse, Tuning};
use landfall::metrics::Metrics;
use landfall::plugin::hosts::Hosts;
use landfall::plugin::{Pipeline, Router, Zone};
use tokio::runtime::Runtime;

use super::packet::{A, Packet};
use super::socket::{Stream, frame, wait_until};

const SHORT: Duration = Duration::from_millis(300);

/// A name whose answer is nearly 64 KiB.
pub const BIG: &str = "big.example.";

/// A listener, the runtime that it lives on, and what it counts.
struct Server {
    listener: Listener,
    metrics: Arc<Metrics>,
    runtime: Runtime,
}

impl Server {
    fn start(limits: Limits) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let _context = runtime.enter();
        let metrics = Arc::new(Metrics::new());
        let address = ListenAddress::One((Ipv4Addr::LOCALHOST, 0).into());
        let endpoint = Endpoint { scheme: Scheme::Dns, address };
        let capacity = Arc::new(Capacity::new(limits, metrics.clone()));
        let listener = Listener::bind(endpoint, PortUse::Alone, router(&metrics), &Tuning::default(), &capacity)
            .expect("a free port");
        drop(_context);
        Self { listener, metrics, runtime }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_address()
    }

    fn refused(&self, bound: &str) -> u64 {
        self.metrics.landfall_queries_refused.with_label_values(&[bound]).get()
    }

    fn connections(&self) -> i64 {
        self.metrics.landfall_tcp_connections.get()
    }
}

/// One name with many addresses.
pub fn router(metrics: &Arc<Metrics>) -> Arc<Router> {
    let name = parse_name(BIG).expect("a name");
    let addresses = (0..4000u32).map(|number| Ipv4Addr::from(0x0a00_0000 | number).into());
    let config = Config {
        file: "/dev/null".into(),
        zones: vec![parse_name(".").expect("a name")],
        inline: addresses.map(|address| HostsLine { address, names: vec![name.clone()] }).collect(),
        ttl: 30,
        no_reverse: true,
        reload: Duration::ZERO,
        fallthrough: Fallthrough::default(),
        fallthrough_unsupported: false,
    };
    let pipeline = Pipeline { hosts: Some(Arc::new(Hosts::new(config, metrics.clone()))), ..Pipeline::default() };
    let apex = parse_name(".").expect("a name");
    Arc::new(Router::new(vec![Zone { apex, block: 0, pipeline: Arc::new(pipeline), prometheus: None }], None))
}

fn client(last: u8) -> std::net::IpAddr {
    [127, 0, 0, last].into()
}

#[test]
fn a_silent_connection_is_closed() {
    let server = Server::start(Limits { idle_time: SHORT, ..Limits::default() });
    let since = Instant::now();
    let mut silent = Stream::to(server.address());
    assert_eq!(silent.next(), None);
    assert!(since.elapsed() >= SHORT, "closed after {:?}", since.elapsed());
    let mut asking = Stream::to(server.address());
    assert!(asking.is_served());
    assert_eq!(asking.next(), None);
    wait_until("both are forgotten", || server.connections() == 0);
}

#[test]
fn a_question_puts_the_idle_end_off() {
    let server = Server::start(Limits { idle_time: SHORT, ..Limits::default() });
    let (since, mut stream) = (Instant::now(), Stream::to(server.address()));
    while since.elapsed() < 2 * SHORT {
        assert!(stream.is_served(), "closed after {:?}", since.elapsed());
        assert!(!stream.is_closed(SHORT / 10));
        stream.0.set_read_timeout(Some(super::socket::PATIENCE)).expect("a timeout");
    }
}

#[test]
fn a_message_that_drips_is_given_up() {
    let server = Server::start(Limits { message_time: SHORT, ..Limits::default() });
    let (since, mut stream) = (Instant::now(), Stream::to(server.address()));
    // At this pace the whole message would take far longer.
    let framed = frame(&Packet::new(&"x.".repeat(100), A).octets());
    let dripped =
        framed.iter().take_while(|octet| stream.0.write_all(&[**octet]).is_ok() && !stream.is_closed(SHORT / 10));
    let dripped = dripped.count();
    assert!(dripped < framed.len(), "the whole message was taken");
    assert!(since.elapsed() >= SHORT, "closed after {:?}", since.elapsed());
}

#[test]
fn many_that_drip_keep_nobody_else_from_being_served() {
    let server = Server::start(Limits { message_time: SHORT, ..Limits::default() });
    let mut slow: Vec<Stream> = (0..90).map(|_| Stream::to(server.address())).collect();
    slow.iter_mut().for_each(|stream| stream.write(&[0, 40, 1]));
    assert!(Stream::from_to(client(2), server.address()).is_served());
    wait_until("they are closed", || server.connections() <= 1);
}

#[test]
fn who_does_not_read_is_given_up() {
    let server = Server::start(Limits { write_time: SHORT, ..Limits::default() });
    let small = |socket: &socket2::Socket| socket.set_recv_buffer_size(4096).expect("an option");
    let mut stream = Stream::connect(client(1), server.address(), small);
    assert!(stream.is_served());
    // More than the system's buffers take.
    stream.0.set_write_timeout(Some(SHORT)).expect("a timeout");
    // It ends with an error at the latest when the connection is closed.
    let _ = stream.0.write_all(&frame(&Packet::new(BIG, A).octets()).repeat(500));
    wait_until("the connection is closed", || server.connections() == 0);
}

#[test]
fn more_answers_than_the_buffer_holds_come_as_fast_as_they_are_read() {
    // No deadline is to be what keeps it going.
    let long = Duration::from_secs(600);
    let server = Server::start(Limits { write_time: long, idle_time: long, ..Limits::default() });
    let mut stream = Stream::to(server.address());
    stream.write(&frame(&Packet::new(BIG, A).octets()).repeat(50));
    stream.0.shutdown(std::net::Shutdown::Write).expect("half a connection");
    for number in 0..50 {
        assert!(stream.next().is_some_and(|reply| reply.len() > 60_000), "reply {number}");
    }
    assert_eq!(stream.next(), None);
}

#[test]
fn connections_have_a_bound_for_each_client_and_one_for_all() {
    let server = Server::start(Limits { connections: 5, connections_per_client: 3, ..Limits::default() });
    let connect = |last| Stream::from_to(client(last), server.address());
    let mut held: Vec<Stream> = [1, 1, 1].map(connect).into();
    assert!(held.iter_mut().all(Stream::is_served));
    assert!(!connect(1).is_served(), "a fourth of one client");
    held.extend([2, 2].map(connect));
    assert!(held.iter_mut().all(Stream::is_served));
    assert!(!connect(3).is_served(), "a sixth of all");
    assert_eq!((server.refused("connections_per_client"), server.refused("connections")), (1, 1));
    held.truncate(4);
    wait_until("a place is free", || connect(3).is_served());
}

#[test]
fn what_was_asked_before_the_stop_is_answered() {
    for _ in 0..10 {
        let server = Server::start(Limits::default());
        let mut streams: Vec<Stream> = (0..20).map(|_| Stream::to(server.address())).collect();
        streams.iter_mut().for_each(|stream| stream.send(&Packet::new(BIG, A).octets()));
        let Server { listener, runtime, .. } = server;
        assert!(runtime.block_on(listener.stop(super::socket::PATIENCE)));
        let answered = streams.iter_mut().filter_map(Stream::next).count();
        assert_eq!(answered, streams.len());
    }
}
