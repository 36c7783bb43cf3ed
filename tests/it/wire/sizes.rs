//! How long a reply may be: over UDP what the client takes, and never more than 1232 octets (RFC 9715).

use hickory_proto::op::Message;
use landfall::dns::Transport;

use super::packet::{A, Opt, Packet};
use super::reply::read;
use super::scene::{CROWD, CROWD_SIZE, Scene};
use super::socket::ask;

/// Octets of OPT without options.
const OPT_BYTES: usize = 11;

/// Octets of an address record whose owner is a pointer.
const RECORD_BYTES: usize = 16;

/// Asks for more addresses than fit.
fn crowd(scene: &Scene, transport: Transport, udp_size: Option<u16>) -> (usize, Message) {
    let mut packet = Packet::new(CROWD, A);
    if let Some(udp_size) = udp_size {
        packet = packet.with_opt(Opt { udp_size, ..Opt::default() });
    }
    let octets = ask(scene.server(), transport, &packet.octets()).expect("a reply");
    (octets.len(), read(&octets))
}

fn check(scene: &Scene, udp_size: Option<u16>, limit: usize) {
    let (length, reply) = crowd(scene, Transport::Udp, udp_size);
    assert!(length <= limit, "{udp_size:?}: {length} octets");
    let opt = if udp_size.is_some() { OPT_BYTES } else { 0 };
    let question = Packet::new(CROWD, A).octets().len();
    assert!(reply.metadata.truncation, "{udp_size:?}: TC");
    assert_eq!(reply.answers.len(), (limit - question - opt) / RECORD_BYTES, "{udp_size:?}: as many as fit");
    assert_eq!(reply.edns.is_some(), udp_size.is_some());
}

#[test]
fn a_datagram_is_as_long_as_the_client_takes_and_1232_octets_at_most() {
    let scene = Scene::start();
    check(&scene, None, 512);
    for (udp_size, limit) in [(0, 512), (512, 512), (800, 800), (1231, 1231), (1232, 1232), (1233, 1232), (4096, 1232)]
    {
        check(&scene, Some(udp_size), limit);
    }
    check(&scene, Some(65535), 1232);
}

#[test]
fn over_tcp_the_answer_is_whole_whatever_size_is_said() {
    let scene = Scene::start();
    for udp_size in [None, Some(512), Some(4096)] {
        let (_, reply) = crowd(&scene, Transport::Tcp, udp_size);
        assert!(!reply.metadata.truncation);
        let mut addresses: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), CROWD_SIZE);
    }
}
