//! What the real program refuses: connections over its bounds, clients that do not read.

use std::io::Write;
use std::time::{Duration, Instant};

use landfall::dns::Transport;
use landfall::listen::Limits;

use super::packet::{A, Packet};
use super::scene::{CROWD, Scene, WEB};
use super::socket::{Stream, ask, frame, wait_until};

#[test]
fn one_client_has_so_many_connections_and_others_are_served() {
    let scene = Scene::start();
    let (server, bound) = (scene.server(), Limits::default().connections_per_client);
    let mut held: Vec<Stream> = (0..bound).map(|_| Stream::to(server)).collect();
    assert!(held.iter_mut().all(Stream::is_served));
    let refused_at = Instant::now();
    for _ in 0..20 {
        assert!(!Stream::to(server).is_served(), "one connection too many");
    }
    assert!(refused_at.elapsed() < Duration::from_secs(2), "refused at once");
    let other = [127, 0, 0, 2].into();
    assert!(Stream::from_to(other, server).is_served(), "another client");
    assert!(ask(server, Transport::Udp, &Packet::new(WEB, A).octets()).is_some(), "the same client over UDP");
    assert_eq!(scene.metric("landfall_queries_refused_total{bound=\"connections_per_client\"}"), 20);
    drop(held.pop());
    wait_until("the place is free again", || Stream::to(server).is_served());
    assert!(held.iter_mut().all(Stream::is_served), "who was served still is");
}

#[test]
fn who_never_reads_is_given_up_and_costs_no_more_than_a_buffer() {
    const CLIENTS: usize = 3;
    let scene = Scene::start();
    assert!(Stream::to(scene.server()).is_served());
    let before = scene.peak_kib();
    let requests = frame(&Packet::new(CROWD, A).octets()).repeat(1000);
    let stuck: Vec<Stream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = Stream::connect([127, 0, 0, 1].into(), scene.server(), |socket| {
                socket.set_recv_buffer_size(4096).expect("an option");
            });
            stream.0.set_write_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            // As much as the server and the system between take; the answers to all of it would be hundreds of MiB.
            while stream.0.write(&requests).is_ok_and(|count| count > 0) {}
            stream
        })
        .collect();
    assert!(Stream::from_to([127, 0, 0, 2].into(), scene.server()).is_served(), "another client");
    wait_until("the connections are closed", || scene.metric("landfall_tcp_connections") == 0);
    let grown = scene.peak_kib() - before;
    assert!(grown < 16 * 1024, "{grown} KiB for {CLIENTS} clients");
    drop(stuck);
}

#[test]
fn without_file_descriptors_datagrams_are_answered_and_streams_when_there_are_some_again() {
    let mut scene = Scene::with_descriptors(64);
    let server = scene.server();
    let held: Vec<Stream> = (0..80).map(|_| Stream::to(server)).collect();
    scene.process.wait_for("cannot accept connections");
    let before = scene.ticks();
    for _ in 0..100 {
        assert!(ask(server, Transport::Udp, &Packet::new(WEB, A).octets()).is_some());
    }
    assert!(!Stream::to(server).is_closed(Duration::from_secs(1)), "it waits to be accepted");
    let spent = scene.ticks() - before;
    assert!(spent < 50, "{spent} hundredths of a second of work in one second");
    drop(held);
    wait_until("streams are served again", || Stream::to(server).is_served());
    scene.process.signal("TERM");
    assert_eq!(scene.process.end().0, Some(0));
    let told = scene.process.seen.iter().filter(|line| line.contains("cannot accept connections")).count();
    assert_eq!(told, 1, "{:#?}", scene.process.seen);
}
