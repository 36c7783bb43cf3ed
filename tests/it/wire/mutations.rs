//! Thousands of queries with something wrong in each, always the same ones.

use landfall::dns::Transport;

use super::packet::{A, Opt, Packet};
use super::reply::verdict;
use super::scene::{CROWD, Scene, WEB};
use super::socket::{Datagrams, Stream};

const COUNT: usize = 3000;

/// The seed; a failing request is shown as a whole.
const SEED: u64 = 0x1a4d_fa11;

/// Random numbers that are the same every time (xorshift64).
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn octet(&mut self) -> u8 {
        self.roll(256) as u8
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let cookie = Opt { options: vec![(10, vec![7; 8]), (3, Vec::new()), (12, vec![0; 30])], ..Opt::default() };
    let signature = [0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0];
    let mut signed = Packet::new(WEB, A).with_opt(Opt::default());
    signed.counts[3] += 1;
    signed.rest.extend(signature);
    [
        Packet::new(WEB, A),
        Packet::new(WEB, 255).with_opt(Opt::default()),
        Packet::new("_http._tcp.web.shop.svc.cluster.local.", 33).with_opt(cookie.clone()),
        Packet::new("80.0.96.10.in-addr.arpa.", 12),
        Packet::new("missing.shop.svc.cluster.local.", 28).with_opt(cookie),
        Packet::new(CROWD, A).with_opt(Opt { udp_size: 65535, flags: 0x8000, ..Opt::default() }),
        Packet { class: 3, ..Packet::new("version.bind.", 16) },
        signed,
    ]
    .iter()
    .map(Packet::octets)
    .collect()
}

/// Does something wrong to a message.
fn mutate(octets: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.roll(octets.len());
    match dice.roll(9) {
        0 => octets[at] ^= 1 << dice.roll(8),
        1 => octets[at] = dice.octet(),
        2 => octets.truncate(at),
        // Counts.
        3 => {
            let place = 4 + 2 * dice.roll(4);
            let count = [0u16, 1, 2, 3, 65535][dice.roll(5)];
            octets.splice(place..place + 2, count.to_be_bytes());
        }
        // A pointer, to anywhere.
        4 => {
            let target = 0xc000 | dice.roll(octets.len() + 20) as u16;
            let end = (at + 2).min(octets.len());
            octets.splice(at..end, target.to_be_bytes());
        }
        // A part twice, a part less.
        5 => {
            let end = at + dice.roll(octets.len() - at + 1);
            let part = octets[at..end].to_vec();
            octets.extend(part);
        }
        6 => {
            let end = at + dice.roll((octets.len() - at).min(8) + 1);
            octets.drain(at..end);
        }
        // Label lengths and kinds.
        7 => octets[at] = [63, 64, 0x80, 0xc0, 0xff, 0][dice.roll(6)],
        _ => octets.extend((0..dice.roll(40)).map(|_| dice.0 as u8)),
    }
}

/// Requests with one to three mistakes, or none at all.
fn requests() -> Vec<Vec<u8>> {
    let (seeds, mut dice) = (seeds(), Dice(SEED));
    let mut requests = Vec::new();
    for number in 0..COUNT {
        let mut octets = seeds[number % seeds.len()].clone();
        for _ in 0..1 + dice.roll(3) {
            // Lengths of 12 and more, so that further mistakes have room.
            if octets.len() >= 12 {
                mutate(&mut octets, &mut dice);
            }
        }
        requests.push(octets);
    }
    // Random octets: a header that asks, then anything.
    for length in 0..500 {
        let mut octets: Vec<u8> = (0..length).map(|_| dice.octet()).collect();
        if let Some(flags) = octets.get_mut(2) {
            *flags &= 0x07;
        }
        requests.push(octets);
    }
    requests
}

/// The verdicts that a request may get, by its header alone.
fn allowed(request: &[u8]) -> &'static [&'static str] {
    match request {
        octets if octets.len() < 12 || octets[2] & 0x80 != 0 => &["silence"],
        octets if octets[2] & 0x78 != 0 => &["NOTIMP"],
        octets if octets[4..6] != [0, 1] => &["FORMERR"],
        _ => &["FORMERR", "BADVERS", "REFUSED", "NOERROR", "NXDOMAIN"],
    }
}

fn check(scene: &Scene, requests: &[Vec<u8>], transport: Transport, ask: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) {
    for request in requests {
        let reply = ask(request);
        let verdict = verdict(request, reply.as_deref());
        let word = verdict.split(' ').next().expect("a word");
        assert!(allowed(request).contains(&word), "{verdict} over {transport:?} to {request:x?}");
    }
    assert_eq!(scene.metric("coredns_panics_total"), 0);
}

#[test]
fn a_mutated_query_is_ignored_an_error_or_answered_over_udp() {
    let scene = Scene::start();
    for server in scene.servers() {
        let client = Datagrams::to(server);
        check(&scene, &requests(), Transport::Udp, &mut |request| client.ask(request));
    }
}

#[test]
fn and_gets_the_same_verdict_over_tcp() {
    let scene = Scene::start();
    let mut requests = requests();
    // These close the connection.
    requests.retain(|request| request.len() >= 12);
    let mut stream = Stream::to(scene.server());
    check(&scene, &requests, Transport::Tcp, &mut |request| stream.ask(request));
    let client = Datagrams::to(scene.server());
    for request in &requests {
        let code = |reply: Option<Vec<u8>>| reply.map(|octets| (octets[0], octets[1], octets[3] & 0xf));
        assert_eq!(code(client.ask(request)), code(stream.ask(request)), "{request:x?}");
    }
}
