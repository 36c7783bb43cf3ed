//! Streams: messages are found however they arrive, and every one of them is answered.

use std::collections::HashSet;
use std::io::Read;
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;

use super::packet::{A, Packet};
use super::reply::verdict;
use super::scene::{CROWD, Scene, WEB};
use super::socket::{Stream, frame, wait_until};

/// How much memory may come and go without a cause.
const NOISE_KIB: usize = 8 * 1024;

fn web(id: u16) -> Vec<u8> {
    Packet { id, ..Packet::new(WEB, A) }.octets()
}

/// Sends these pieces, one write each; the replies to the ids have to come in any order.
fn check(pieces: &[&[u8]], ids: &[u16]) {
    let scene = Scene::start();
    for server in scene.servers() {
        let mut stream = Stream::to(server);
        pieces.iter().for_each(|piece| stream.write(piece));
        let mut missing: HashSet<u16> = ids.iter().copied().collect();
        while !missing.is_empty() {
            let reply = stream.next().expect("a reply");
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            assert!(missing.remove(&id), "{id} was not asked, or is answered twice");
            assert_eq!(verdict(&web(id), Some(&reply)), "NOERROR 1 0 0");
        }
        assert!(stream.is_served(), "the next message is found, too");
    }
}

#[test]
fn a_message_may_come_octet_by_octet() {
    check(&frame(&web(1)).chunks(1).collect::<Vec<_>>(), &[1]);
}

#[test]
fn a_length_may_be_split_from_its_message_and_in_itself() {
    let framed = frame(&web(1));
    check(&[&framed[..2], &framed[2..]], &[1]);
    check(&[&framed[..1], &framed[1..]], &[1]);
}

#[test]
fn two_messages_may_come_in_one_segment() {
    check(&[&[frame(&web(1)), frame(&web(2))].concat()], &[1, 2]);
    let (one, two) = (frame(&web(1)), frame(&web(2)));
    let ragged = [&one[..], &two[..5]].concat();
    check(&[&ragged, &two[5..]], &[1, 2]);
}

#[test]
fn five_hundred_queries_at_once_are_all_answered() {
    let ids: Vec<u16> = (0..500).collect();
    check(&[&ids.iter().flat_map(|id| frame(&web(*id))).collect::<Vec<u8>>()], &ids);
}

#[test]
fn a_length_without_room_for_a_header_ends_the_connection() {
    let scene = Scene::start();
    for server in scene.servers() {
        for length in 0..12 {
            let mut stream = Stream::to(server);
            stream.write(&[frame(&web(1)), frame(&vec![0; length]), frame(&web(2))].concat());
            let reply = stream.next().expect("what came before is answered");
            assert_eq!(verdict(&web(1), Some(&reply)), "NOERROR 1 0 0");
            assert_eq!(stream.next(), None, "{length} octets");
        }
    }
}

#[test]
fn a_message_that_never_ends_is_not_answered() {
    let scene = Scene::start();
    let mut stream = Stream::to(scene.server());
    stream.write(&frame(&web(1))[..20]);
    stream.0.shutdown(Shutdown::Write).expect("half a connection");
    assert_eq!(stream.next(), None);
}

#[test]
fn who_asks_and_says_goodbye_is_answered_first() {
    let scene = Scene::start();
    let mut stream = Stream::to(scene.server());
    (0..50).for_each(|id| stream.send(&web(id)));
    stream.0.shutdown(Shutdown::Write).expect("half a connection");
    let ids: HashSet<u8> = (0..50).map(|_| stream.next().expect("a reply")[1]).collect();
    assert_eq!(ids.len(), 50);
    assert_eq!(stream.0.read(&mut [0; 1]).expect("an end without a reset"), 0);
}

#[test]
fn a_long_conversation_costs_no_memory() {
    let scene = Scene::start();
    let mut stream = Stream::to(scene.server());
    let batch: Vec<u8> = (0..500).flat_map(|id| frame(&web(id))).collect();
    let mut before = 0;
    for round in 0..20 {
        if round == 1 {
            before = scene.resident_kib();
        }
        stream.write(&batch);
        (0..500).for_each(|_| assert!(stream.next().is_some()));
    }
    assert!(scene.resident_kib() < before + NOISE_KIB, "{before} KiB became {}", scene.resident_kib());
}

#[test]
fn a_reset_amid_an_answer_leaves_nothing_behind() {
    let scene = Scene::start();
    let mut stream = Stream::to(scene.server());
    assert!(stream.is_served());
    let before = scene.descriptors();
    let request = frame(&Packet::new(CROWD, A).octets()).repeat(3);
    for _ in 0..300 {
        let mut stream = Stream::to(scene.server());
        stream.write(&request);
        SockRef::from(&stream.0).set_linger(Some(Duration::ZERO)).expect("an option");
    }
    wait_until("no connection is left but one", || scene.metric("landfall_tcp_connections") <= 1);
    // A connection to the admin pages may be open, or not yet closed.
    wait_until("the descriptors are given back", || scene.descriptors() <= before + 1);
    assert!(Stream::to(scene.server()).is_served());
    assert_eq!(scene.metric("coredns_panics_total"), 0);
}

#[test]
fn urgent_data_disturbs_nobody() {
    let scene = Scene::start();
    let mut stream = Stream::to(scene.server());
    SockRef::from(&stream.0).send_out_of_band(&[7]).expect("an octet sent");
    assert!(stream.is_served());
    assert!(Stream::to(scene.server()).is_served());
}
