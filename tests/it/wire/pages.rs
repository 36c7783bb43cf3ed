//! The admin pages under clients that are many, slow or rude.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::scene::Scene;
use super::socket::PATIENCE;

/// What a request may cost in memory, for all connections of a test together.
const NOISE_KIB: usize = 16 * 1024;

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

fn ask(mut stream: &TcpStream) {
    stream.write_all(b"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request sent");
}

/// All that comes until the connection ends; a reset is an end, too.
fn rest(mut stream: &TcpStream) -> String {
    let mut octets = Vec::new();
    match stream.read_to_end(&mut octets) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection is still open: {error}"),
    }
    String::from_utf8(octets).expect("a text")
}

/// Sends a request that has no end, until nobody takes any more of it.
fn check_refused(scene: &Scene, start: &str, filler: &[u8]) {
    let before = scene.peak_kib();
    let mut streams: Vec<TcpStream> = (0..20).map(|_| connect(scene.process.admin_address())).collect();
    for stream in &mut streams {
        let _ = stream.write_all(start.as_bytes());
        // The end comes amid it, as an error.
        let _ = stream.write_all(&filler.repeat((1 << 20) / filler.len()));
        let reply = rest(stream);
        assert!(!reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    let grown = scene.peak_kib() - before;
    assert!(grown < NOISE_KIB, "{grown} KiB");
    assert_eq!(scene.process.page("/ready").0, 200);
}

#[test]
fn two_hundred_at_once_are_all_told() {
    let scene = Scene::start();
    let streams: Vec<TcpStream> = (0..200).map(|_| connect(scene.process.admin_address())).collect();
    streams.iter().for_each(ask);
    for stream in &streams {
        let reply = rest(stream);
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\nOK"), "{reply}");
    }
}

#[test]
fn slow_clients_are_cut_off_and_keep_nobody_waiting() {
    let scene = Scene::start();
    let since = Instant::now();
    // More than there are places.
    let mut slow: Vec<TcpStream> = (0..300).map(|_| connect(scene.process.admin_address())).collect();
    for stream in &mut slow {
        // The first ones have to give up their place to the last ones, maybe amid it.
        let _ = stream.write_all(b"GET /ready HTTP/1.1\r\nHost:");
    }
    assert_eq!(scene.process.page("/ready"), (200, "OK".to_owned()));
    assert!(since.elapsed() < Duration::from_secs(4), "answered after {:?}", since.elapsed());
    for stream in &slow {
        assert_eq!(rest(stream), "");
    }
    assert!(since.elapsed() < Duration::from_secs(15), "cut off after {:?}", since.elapsed());
}

#[test]
fn a_header_without_an_end_is_refused() {
    let scene = Scene::start();
    check_refused(&scene, "GET /ready HTTP/1.1\r\nHost: x\r\nX: ", b"xxxxxxxx");
    check_refused(&scene, "GET /ready HTTP/1.1\r\n", b"X-Header: value\r\n");
}

#[test]
fn a_line_without_an_end_is_refused() {
    let scene = Scene::start();
    check_refused(&scene, "GET /", b"x");
    check_refused(&scene, "", b"\0\xff");
}
