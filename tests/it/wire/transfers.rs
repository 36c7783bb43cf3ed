//! Whole zones: streams of messages, and word that a zone has changed.

use std::net::UdpSocket;
use std::process::Command;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::RecordType;

use super::packet::Packet;
use super::scene::{Scene, WEB};
use super::socket::{PATIENCE, Stream, ask};
use landfall::dns::Transport;

const AXFR: u16 = 252;
const REFUSED: u8 = 5;

/// Records of the zone `big.`; more than 60 messages of them.
const RECORDS: usize = 40_000;

/// How much memory may come and go without a cause.
const NOISE_KIB: usize = 8 * 1024;

/// A server of a big zone, for whoever `to` says.
fn scene(folder: &tempfile::TempDir, to: &str) -> Scene {
    let file = folder.path().join("db.big");
    let text = "$TTL 60\n@ SOA ns admin 1 7200 1800 86400 5\n@ NS ns\n$GENERATE 1-39998 host-$ A 192.0.2.1\n";
    std::fs::write(&file, text).expect("a zone");
    Scene::of(&format!(
        "big cluster.local {{\n bind 127.0.0.1\n file {} big {{\n reload 0\n }}\n transfer {{\n to {to}\n }}\n kubernetes {{\n manifests MANIFESTS\n }}\n prometheus 127.0.0.1:0\n ready 127.0.0.1:0\n}}\n",
        file.display()
    ))
}

fn transfer(id: u16) -> Vec<u8> {
    Packet { id, ..Packet::new("big.", AXFR) }.octets()
}

/// The records of a transfer, message by message, until the SOA comes again; other replies are passed over.
fn records(stream: &mut Stream, id: u16) -> Vec<RecordType> {
    let mut types = Vec::new();
    while types.len() < 2 || types.last() != Some(&RecordType::SOA) {
        let message = Message::from_vec(&stream.next().expect("a message")).expect("a well-formed message");
        if message.metadata.id == id {
            assert!(message.metadata.authoritative && !message.metadata.truncation && !message.answers.is_empty());
            types.extend(message.answers.iter().map(|record| record.record_type()));
        }
    }
    types
}

#[test]
fn a_zone_takes_as_many_messages_as_it_needs() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = scene(&folder, "*");
    let before = scene.peak_kib();
    let mut stream = Stream::to(scene.server());
    stream.send(&transfer(1));
    let types = records(&mut stream, 1);
    assert_eq!((types.len(), types[0]), (RECORDS + 1, RecordType::SOA));
    assert!(stream.is_served(), "the connection goes on");
    let grown = scene.peak_kib() - before;
    assert!(grown < NOISE_KIB, "{grown} KiB for a zone that is in memory already");
}

#[test]
fn who_does_not_read_costs_nothing_and_delays_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = scene(&folder, "*");
    let mut stuck: Vec<Stream> = (0..10).map(|_| Stream::to(scene.server())).collect();
    let before = scene.peak_kib();
    stuck.iter_mut().for_each(|stream| (0..3).for_each(|id| stream.send(&transfer(id))));
    let mut reading = Stream::to(scene.server());
    reading.send(&transfer(7));
    reading.send(&Packet { id: 8, ..Packet::new(WEB, 1) }.octets());
    assert_eq!(records(&mut reading, 7).len(), RECORDS + 1);
    let grown = scene.peak_kib() - before;
    assert!(grown < 2 * NOISE_KIB, "{grown} KiB for clients that do not read");
}

#[test]
fn only_who_may_have_it_gets_a_zone() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = scene(&folder, "192.0.2.1");
    for transport in [Transport::Udp, Transport::Tcp] {
        let reply = ask(scene.server(), transport, &transfer(1)).expect("a reply");
        assert_eq!(reply[3] & 0xf, REFUSED, "{transport:?}");
    }
}

#[test]
fn servers_are_notified_when_the_zone_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _scene = scene(&folder, &socket.local_addr().expect("an address").to_string());
    let mut octets = [0; 512];
    let (length, server) = socket.recv_from(&mut octets).expect("word of the zone");
    let message = Message::from_vec(&octets[..length]).expect("a well-formed message");
    assert_eq!(message.metadata.op_code, OpCode::Notify);
    assert_eq!(
        (message.queries[0].name().to_ascii(), message.queries[0].query_type()),
        ("big.".to_owned(), RecordType::SOA)
    );
    octets[2] |= 0x80;
    socket.send_to(&octets[..length], server).expect("a reply");
}

#[test]
fn dig_gets_a_zone() {
    let folder = tempfile::tempdir().expect("a folder");
    let scene = scene(&folder, "*");
    let port = scene.server().port().to_string();
    let arguments = ["@127.0.0.1", "-p", &port, "+noall", "+answer", "big.", "AXFR"];
    let Ok(output) = Command::new("dig").args(arguments).output() else {
        return eprintln!("dig is not installed");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(';') && !line.is_empty()).collect();
    assert_eq!(lines.len(), RECORDS + 1, "{}", String::from_utf8_lossy(&output.stderr));
}
