//! An evil server behind the real program: what a client gets is right whatever that server sends, at once and from the cache.

mod evil;
mod message;
mod script;
mod streams;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use self::evil::Evil;
use self::message::FORGED;
use self::script::{FOREIGN, NEAR_MISSES};
use super::packet::{A, Opt, Packet};
use super::reply::read;
use super::scene::Scene;
use super::socket::{Datagrams, wait_until};
use crate::dialogue::status;

/// No TTL is shorter or longer where there is a cache, by default.
const TTL_MIN: u32 = 5;
const TTL_MAX: u32 = 3600;

/// The program, and whom it asks.
struct World {
    scene: Scene,
    evil: Evil,
}

impl World {
    fn new() -> Self {
        let evil = Evil::start();
        let forward = format!("forward . {} {{\n max_fails 0\n }}", evil.address);
        Self { scene: scene(&forward), evil }
    }

    fn client(&self) -> Client<'_> {
        Client { server: self.scene.server(), evil: &self.evil }
    }

    fn ask(&self, script: &str) -> Asked {
        self.client().ask(script)
    }

    fn ask_for(&self, name: &str) -> Asked {
        self.client().ask_for(name)
    }
}

/// Who asks; there may be several.
#[derive(Clone, Copy)]
struct Client<'a> {
    server: SocketAddr,
    evil: &'a Evil,
}

impl Client<'_> {
    /// Asks for an address, of a name of its own that begins with a script.
    fn ask(&self, script: &str) -> Asked {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name = format!("{script}.N{}.test.", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask_for(&name)
    }

    /// Asks twice; the second answer is the first one, with or without the evil server.
    fn ask_for(&self, name: &str) -> Asked {
        let first = ask(self.server, name);
        let questions = self.evil.asked(name);
        let again = ask(self.server, name);
        assert_eq!(shown(&first.answers), shown(&again.answers), "{name}");
        assert_eq!(status(&first), status(&again), "{name}");
        let pairs = first.answers.iter().zip(&again.answers);
        pairs.for_each(|(one, other)| assert!(other.ttl <= one.ttl, "{name}: {other} after {one}"));
        Asked { name: name.to_owned(), is_remembered: self.evil.asked(name) == questions, message: first }
    }
}

/// A question and what came of it.
struct Asked {
    name: String,
    message: Message,
    /// Whether the second client got its answer from the cache.
    is_remembered: bool,
}

impl Asked {
    /// The code, the answer section and the owners of the authority section; `~` stands for the question's name.
    fn check(&self, code: &str, answers: &[&str], authority: &[&str]) {
        let answers: Vec<String> = answers.iter().map(|line| line.replace('~', &self.name)).collect();
        assert_eq!((status(&self.message), shown(&self.message.answers)), (code.to_owned(), answers), "{}", self.name);
        let owners: Vec<String> = self.message.authorities.iter().map(|record| record.name.to_ascii()).collect();
        assert_eq!(owners, authority, "{}", self.name);
    }

    fn check_good(&self) {
        self.check("NOERROR", &["~ A 192.0.2.1"], &[]);
        assert!(self.is_remembered, "{}", self.name);
    }

    fn ttls(&self) -> Vec<u32> {
        self.message.answers.iter().map(|record| record.ttl).collect()
    }
}

/// A server with the cluster of [`Scene`], a cache, and this `forward`.
fn scene(forward: &str) -> Scene {
    let cluster = "kubernetes cluster.local {\n manifests MANIFESTS\n }";
    Scene::of(&format!(". {{\n bind 127.0.0.1\n {cluster}\n cache\n {forward}\n ready 127.0.0.1:0\n}}\n"))
}

/// Asks over UDP, and holds what comes back to what every answer is, whoever made it.
fn ask(server: SocketAddr, name: &str) -> Message {
    ask_with(server, &Packet::new(name, A))
}

fn ask_with(server: SocketAddr, packet: &Packet) -> Message {
    let client = Datagrams::to(server);
    let request = packet.octets();
    client.send(&request);
    let octets = client.next();
    let question = 12..12 + packet.name.len() + 4;
    assert_eq!(octets[question.clone()], request[question], "the question comes back, letter case included");
    assert_eq!((&octets[..2], octets[2] & 0xf9, octets[3] & 0x70), (&request[..2], 0x81, 0x00), "id, QR, RD, no Z, AD");
    assert!(!octets.windows(FORGED.len()).any(|window| window == FORGED), "{octets:x?}");
    let message = read(&octets);
    assert!(message.additionals.is_empty(), "{message}");
    let records = message.answers.iter().chain(&message.authorities);
    records.for_each(|record| assert!(record.ttl <= TTL_MAX && u16::from(record.dns_class) == 1, "{record}"));
    message
}

/// Records in words, without TTL.
fn shown(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| format!("{} {} {}", record.name.to_ascii(), record.record_type(), record.data))
        .collect()
}

#[test]
fn no_wrong_datagram_is_an_answer_or_keeps_one_away() {
    let world = World::new();
    let client = world.client();
    std::thread::scope(|clients| {
        for script in ["garbage100", "good"].iter().chain(&NEAR_MISSES) {
            clients.spawn(move || (0..5).for_each(|_| client.ask(script).check_good()));
        }
    });
}

#[test]
fn an_answer_in_other_letters_is_none() {
    let world = World::new();
    for _ in 0..3 {
        world.ask("nearmiss-case").check_good();
    }
}

#[test]
fn a_question_under_forged_answers_is_asked_over_tcp() {
    let world = World::new();
    world.ask("spoofed").check_good();
    assert_eq!(world.evil.asked_over_streams(), 1);
}

#[test]
fn what_is_not_whole_comes_over_tcp() {
    let world = World::new();
    for (script, questions) in [("truncated", 1), ("oversized", 2)] {
        world.ask(script).check_good();
        assert_eq!(world.evil.asked_over_streams(), questions, "{script}");
    }
}

#[test]
fn nothing_foreign_is_in_an_answer_or_remembered() {
    let world = World::new();
    for script in FOREIGN {
        world.ask(script).check_good();
    }
    world.ask("authentic").check_good();
    for name in ["victim.test.", "sibling.test.", "test.", "evil."] {
        world.ask_for(name).check_good();
        assert_eq!(world.evil.asked(name), 1, "nothing of {name} was remembered before");
    }
    world.ask_for("web.shop.svc.cluster.local.").check("NOERROR", &["~ A 10.96.0.80"], &[]);
    world.ask_for("kubernetes.default.svc.cluster.local.").check("NXDOMAIN", &[], &["cluster.local."]);
}

#[test]
fn a_denial_is_that_of_the_zone_of_the_name() {
    let world = World::new();
    world.ask("denial").check("NXDOMAIN", &[], &["test."]);
    world.ask("foreign-denial").check("NXDOMAIN", &[], &[]);
    world.ask("contradiction").check("SERVFAIL", &[], &[]);
    world.ask("failure").check("SERVFAIL", &[], &[]);
}

#[test]
fn aliases_end_and_lead_to_what_they_may() {
    let world = World::new();
    for circle in ["cname-self", "cname-loop", "cname-long"] {
        world.ask(circle).check("SERVFAIL", &[], &[]);
    }
    let link = |i: usize| if i == 0 { "~".to_owned() } else { format!("link{i}.test.") };
    let mut chain: Vec<String> = (0..10).map(|i| format!("{} CNAME {}", link(i), link(i + 1))).collect();
    chain.push("link10.test. A 192.0.2.1".to_owned());
    let asked = world.ask("cname-chain");
    asked.check("NOERROR", &chain.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    assert!(asked.is_remembered);
    let ours = ["~ CNAME web.shop.svc.cluster.local.", "web.shop.svc.cluster.local. A 10.96.0.80"];
    world.ask("cname-ours").check("NOERROR", &ours, &[]);
    world.ask("cname-denied").check("NOERROR", &ours, &[]);
    world.ask("cname-renamed").check("NOERROR", &ours, &[]);
}

#[test]
fn a_dname_comes_along_only_with_the_alias_that_it_made() {
    let world = World::new();
    let right = world.ask("dname-right");
    let types: Vec<String> = right.message.answers.iter().map(|record| record.record_type().to_string()).collect();
    assert_eq!(
        (status(&right.message), types),
        ("NOERROR".to_owned(), ["DNAME", "CNAME", "A"].map(str::to_owned).to_vec())
    );
    world.ask("dname-wrong").check("NOERROR", &["~ CNAME y.net.", "y.net. A 192.0.2.1"], &[]);
}

#[test]
fn ttls_are_within_bounds() {
    let world = World::new();
    for (script, ttl) in [("ttl0", TTL_MIN), ("ttl-high", TTL_MAX), ("ttl-max", TTL_MAX)] {
        let asked = world.ask(script);
        asked.check_good();
        assert_eq!(asked.ttls(), [ttl], "{script}");
    }
    assert_eq!(world.ask("ttl-mixed").ttls(), [7, 7]);
}

#[test]
fn a_server_that_comes_and_goes_costs_no_answer() {
    let (steady, flapping) = (Evil::start(), Evil::start());
    let forward = format!("forward . {} {} {{\n read_timeout 300ms\n }}", flapping.address, steady.address);
    let world = World { scene: scene(&forward), evil: steady };
    for i in 0..20 {
        flapping.set_down(i % 4 < 2);
        world.ask("good").check("NOERROR", &["~ A 192.0.2.1"], &[]);
    }
}

#[test]
fn a_server_that_failed_is_probed_as_the_directive_says() {
    let away = Evil::start();
    away.set_down(true);
    let options = "read_timeout 100ms\n health_check 10ms no_rec domain probe.test";
    let scene = scene(&format!("forward . {} {{\n {options}\n }}", away.address));
    assert_eq!(status(&ask(scene.server(), "away.test.")), "SERVFAIL");
    wait_until("it is probed", || away.asked("probe.test.") > 1);
    assert!(away.asked_without_recursion() > 1);
    away.set_down(false);
    wait_until("it is back", || status(&ask(scene.server(), "good.back.test.")) == "NOERROR");
}

#[test]
fn all_servers_may_be_away_and_come_back() {
    let (one, other) = (Evil::start(), Evil::start());
    let forward = format!("forward . {} {} {{\n read_timeout 300ms\n }}", one.address, other.address);
    let world = World { scene: scene(&forward), evil: one };
    world.ask_for("known.test.").check("NOERROR", &["~ A 192.0.2.1"], &[]);
    [&world.evil, &other].iter().for_each(|server| server.set_down(true));
    for i in 0..2 {
        let request = Packet::new(&format!("away{i}.test."), A).with_opt(Opt::default());
        let reply = ask_with(world.scene.server(), &request);
        assert_eq!(status(&reply), "SERVFAIL");
        let edns = reply.edns.expect("OPT comes back");
        let Some(EdnsOption::Unknown(_, error)) = edns.option(EdnsCode::Unknown(15)) else { panic!("no EDE") };
        assert!([22, 23].contains(&error[1]), "{error:?}");
    }
    let known = ask(world.scene.server(), "known.test.");
    assert_eq!(shown(&known.answers), ["known.test. A 192.0.2.1"], "what is remembered holds");
    let web = ask(world.scene.server(), "web.shop.svc.cluster.local.");
    assert_eq!(shown(&web.answers), ["web.shop.svc.cluster.local. A 10.96.0.80"], "so does the cluster");
    other.set_down(false);
    let mut count = 0;
    wait_until("a server that is back is asked", || {
        count += 1;
        status(&ask(world.scene.server(), &format!("back{count}.test."))) == "NOERROR"
    });
}
