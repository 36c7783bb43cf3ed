//! What the evil server does: the first label of the question says it.

use super::message::{
    AD, Asked, CNAME, DNAME, FORGED, GOOD, NS, Reply, TC, TXT, address, opt, pointer, record, record_of, soa,
};
use crate::wire::packet::A;

/// Octets that arrive at the client of a datagram.
pub struct Datagram {
    pub octets: Vec<u8>,
    /// From another port than the one that was asked.
    pub is_from_elsewhere: bool,
}

/// What no question was asked for, yet leads nowhere near an answer: each is followed by the good one.
pub const NEAR_MISSES: [&str; 8] = [
    "nearmiss-id",
    "nearmiss-name",
    "nearmiss-type",
    "nearmiss-class",
    "nearmiss-qr",
    "nearmiss-opcode",
    "nearmiss-port",
    "nearmiss-noquestion",
];

/// What is said beside the good answer, and is nobody's to say.
pub const FOREIGN: [&str; 12] = [
    "foreign-sibling",
    "foreign-parent",
    "foreign-cluster",
    "foreign-type",
    "foreign-class",
    "foreign-alias",
    "foreign-dname",
    "foreign-ns",
    "foreign-soa",
    "foreign-glue",
    "foreign-additional",
    "foreign-trailing",
];

/// The datagrams that a question gets, in their order.
pub fn datagrams(asked: &Asked) -> Vec<Datagram> {
    let datagram = |octets| Datagram { octets, is_from_elsewhere: false };
    let good = || datagram(answer(asked));
    match asked.script() {
        "garbage100" => (0..100).map(|seed| datagram(garbage(asked.id, seed))).chain([good()]).collect(),
        "nearmiss-port" => {
            vec![Datagram { octets: Reply::forged(asked).octets(), is_from_elsewhere: true }, good()]
        }
        script if script.starts_with("nearmiss") => vec![datagram(near_miss(asked)), good()],
        "spoofed" => (1..=200).map(|i| datagram(Reply { id: asked.id ^ i, ..Reply::forged(asked) }.octets())).collect(),
        // What is there of the answer is not all of it.
        "truncated" | "drip" | "close" => vec![datagram(Reply::forged(asked).with_flags(TC).octets())],
        "oversized" => {
            let long = Reply::to(asked).with(0, (0..300).map(|_| address(&asked.name, FORGED)));
            vec![datagram(long.octets())]
        }
        _ => vec![good()],
    }
}

/// Octets that are no message, or one of somebody else's; those that begin with the id have nothing to go with it.
fn garbage(id: u16, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut octets: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take((seed as usize * 7) % 200)
    .collect();
    if seed.is_multiple_of(3) && octets.len() >= 4 {
        octets[..2].copy_from_slice(&id.to_be_bytes());
        octets[2] |= 0x80;
    }
    octets
}

fn near_miss(asked: &Asked) -> Vec<u8> {
    let mut forged = Reply::forged(asked);
    let [question] = &mut forged.questions[..] else { panic!("one question") };
    let end = question.len();
    match asked.script() {
        "nearmiss-id" => forged.id ^= 1,
        "nearmiss-name" => question[1] ^= 0x01,
        "nearmiss-type" => question[end - 3] = 28,
        "nearmiss-class" => question[end - 1] = 3,
        "nearmiss-qr" => forged.flags &= 0x7fff,
        "nearmiss-opcode" => forged.flags |= 0x2000,
        "nearmiss-noquestion" => forged.questions.clear(),
        "nearmiss-case" => {
            question.iter_mut().filter(|octet| octet.is_ascii_alphabetic()).for_each(|octet| *octet ^= 0x20)
        }
        other => panic!("{other}"),
    }
    forged.octets()
}

/// What is answered in the end, and over streams.
pub fn answer(asked: &Asked) -> Vec<u8> {
    let name = asked.name.as_str();
    let (good, to) = (Reply::good(asked), Reply::to(asked));
    let alias = |owner: &str, target: &str| pointer(owner, CNAME, target);
    let reply = match asked.script() {
        "foreign-sibling" => good.with(0, [address("sibling.test.", FORGED), address("victim.test.", FORGED)]),
        "foreign-parent" => good.with(0, [address("test.", FORGED), address(".", FORGED)]).with(1, [soa("test.")]),
        "foreign-cluster" => {
            let forged = || {
                [
                    address("kubernetes.default.svc.cluster.local.", FORGED),
                    address("web.shop.svc.cluster.local.", FORGED),
                ]
            };
            good.with(0, forged()).with(1, forged()).with(2, forged())
        }
        "foreign-type" => good.with(0, [record(name, TXT, b"\x04evil"), record(name, 28, &[6; 16])]),
        "foreign-class" => good.with(0, [record_of(name, A, 3, 300, &FORGED), record_of(name, A, 254, 300, &FORGED)]),
        "foreign-alias" => {
            good.with(0, [alias(name, "victim.test."), alias("victim.test.", name), address("victim.test.", FORGED)])
        }
        "foreign-dname" => good.with(0, [pointer("test.", DNAME, "evil."), pointer(".", DNAME, "evil.")]),
        "foreign-ns" => good
            .with(1, [pointer("test.", NS, "ns.evil."), pointer(".", NS, "ns.evil."), pointer(name, NS, "ns.evil.")]),
        "foreign-soa" => good.with(1, [soa("test."), soa("."), soa("victim.test.")]),
        "foreign-glue" => {
            good.with(1, [pointer("test.", NS, "victim.test.")]).with(2, [address("victim.test.", FORGED)])
        }
        "foreign-additional" => good.with(2, [address(name, FORGED), address("victim.test.", FORGED), opt(22)]),
        "foreign-denial" => {
            Reply { flags: to.flags | 3, ..to }.with(1, [soa("victim.test."), pointer("test.", NS, "ns.evil.")])
        }
        "denial" => Reply { flags: to.flags | 3, ..to }.with(1, [soa("test."), soa("."), soa("victim.test.")]),
        "contradiction" => Reply { flags: to.flags | 3, ..Reply::forged(asked) }.with(1, [soa("test.")]),
        "failure" => Reply { flags: to.flags | 2, ..Reply::forged(asked) },
        "authentic" => good.with_flags(AD),
        "cname-self" => to.with(0, [alias(name, name), address(name, FORGED)].into_iter().take(1)),
        "cname-loop" => to.with(0, [alias(name, "b.test."), alias("b.test.", "c.test."), alias("c.test.", "b.test.")]),
        "cname-chain" => to.with(0, chain(name, 10)),
        "cname-long" => to.with(0, chain(name, 30)),
        "cname-ours" => {
            to.with(0, [alias(name, "web.shop.svc.cluster.local."), address("web.shop.svc.cluster.local.", FORGED)])
        }
        "cname-renamed" => {
            let (ours, renamed) = ("web.shop.svc.cluster.local.", "web.shop.svc.evil.");
            let dname = pointer("cluster.local.", DNAME, "evil.");
            to.with(0, [alias(name, ours), dname, alias(ours, renamed), address(renamed, FORGED)])
        }
        "cname-denied" => {
            let denied = Reply { flags: to.flags | 3, ..to };
            denied.with(0, [alias(name, "web.shop.svc.cluster.local.")]).with(1, [soa("cluster.local."), soa(".")])
        }
        "dname-right" => {
            let target = format!("{}evil.", name.strip_suffix("test.").expect("a name below test."));
            to.with(0, [alias(name, &target), address(&target, GOOD), pointer("test.", DNAME, "evil.")])
        }
        "dname-wrong" => to.with(0, [pointer("test.", DNAME, "evil."), alias(name, "y.net."), address("y.net.", GOOD)]),
        "ttl0" => to.with(0, [record_of(name, A, 1, 0, &GOOD)]),
        "ttl-high" => to.with(0, [record_of(name, A, 1, 1 << 31, &GOOD)]),
        "ttl-max" => to.with(0, [record_of(name, A, 1, u32::MAX, &GOOD)]),
        "ttl-mixed" => to.with(0, [record_of(name, A, 1, 900, &GOOD), record_of(name, A, 1, 7, &[192, 0, 2, 2])]),
        _ => good,
    };
    let mut octets = reply.octets();
    if asked.script() == "foreign-trailing" {
        octets.extend(address("victim.test.", FORGED));
    }
    octets
}

/// So many aliases in a row, the last one first, and an address at their end.
fn chain(name: &str, length: usize) -> Vec<Vec<u8>> {
    let link = |i: usize| if i == 0 { name.to_owned() } else { format!("link{i}.test.") };
    let aliases = (0..length).rev().map(|i| pointer(&link(i), CNAME, &link(i + 1)));
    [address(&link(length), GOOD)].into_iter().chain(aliases).collect()
}
