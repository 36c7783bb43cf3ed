//! The real binary, asked over UDP and TCP, IPv4 and IPv6: by dig where it is installed, and always by a client of our own.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use hickory_proto::op::OpCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use landfall::dns::Transport;

use crate::dialogue::{ClientEdns, Question, flags, line, status};
use crate::wire::scene::{CROWD, CROWD_SIZE, Scene};
use crate::wire::socket::ask;

/// The authority of every negative answer; the serial, which may be any, is shown as 0.
const SOA: &str = "cluster.local. 30 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 0 7200 1800 86400 30";

/// Arguments of dig; code, flags and OPT of the answer; its records of all sections in any order.
const TABLE: &[(&str, &str, &[&str])] = &[
    // Services.
    ("web.shop.svc.cluster.local A", "NOERROR aa rd, udp 1232", &["web.shop.svc.cluster.local. 30 IN A 10.96.0.80"]),
    (
        "web.shop.svc.cluster.local AAAA",
        "NOERROR aa rd, udp 1232",
        &["web.shop.svc.cluster.local. 30 IN AAAA fd00:96::80"],
    ),
    (
        "_http._tcp.web.shop.svc.cluster.local SRV",
        "NOERROR aa rd, udp 1232",
        &[
            "_http._tcp.web.shop.svc.cluster.local. 30 IN SRV 0 50 80 web.shop.svc.cluster.local.",
            "web.shop.svc.cluster.local. 30 IN A 10.96.0.80",
            "web.shop.svc.cluster.local. 30 IN AAAA fd00:96::80",
        ],
    ),
    (
        "db.shop.svc.cluster.local A",
        "NOERROR aa rd, udp 1232",
        &["db.shop.svc.cluster.local. 30 IN A 10.244.1.20", "db.shop.svc.cluster.local. 30 IN A 10.244.2.20"],
    ),
    (
        "db-0.db.shop.svc.cluster.local",
        "NOERROR aa rd, udp 1232",
        &["db-0.db.shop.svc.cluster.local. 30 IN A 10.244.1.20"],
    ),
    ("dns-version.cluster.local TXT", "NOERROR aa rd, udp 1232", &["dns-version.cluster.local. 28800 IN TXT 1.1.0"]),
    // Addresses.
    ("-x 10.96.0.80", "NOERROR aa rd, udp 1232", &["80.0.96.10.in-addr.arpa. 30 IN PTR web.shop.svc.cluster.local."]),
    (
        "-x fd00:96::80",
        "NOERROR aa rd, udp 1232",
        &[
            "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.0.d.f.ip6.arpa. 30 IN PTR web.shop.svc.cluster.local.",
        ],
    ),
    // What is not there.
    ("missing.shop.svc.cluster.local A", "NXDOMAIN aa rd, udp 1232", &[SOA]),
    ("web.missing.svc.cluster.local SRV", "NXDOMAIN aa rd, udp 1232", &[SOA]),
    ("db.shop.svc.cluster.local AAAA", "NOERROR aa rd, udp 1232", &[SOA]),
    ("web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 1232", &[SOA]),
    ("web.shop.svc.cluster.local TYPE65280", "NOERROR aa rd, udp 1232", &[SOA]),
    ("web.shop.svc.cluster.local ANY", "NOERROR aa rd, udp 1232", &[SOA]),
    ("shop.svc.cluster.local A", "NOERROR aa rd, udp 1232", &[SOA]),
    ("www.example.com A", "REFUSED rd, udp 1232", &[]),
    // Letter case.
    ("WeB.shop.SVC.cluster.local A", "NOERROR aa rd, udp 1232", &["WeB.shop.SVC.cluster.local. 30 IN A 10.96.0.80"]),
    // Flags.
    ("+norec web.shop.svc.cluster.local", "NOERROR aa, udp 1232", &["web.shop.svc.cluster.local. 30 IN A 10.96.0.80"]),
    (
        "+cd web.shop.svc.cluster.local",
        "NOERROR aa rd cd, udp 1232",
        &["web.shop.svc.cluster.local. 30 IN A 10.96.0.80"],
    ),
    ("+noad web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 1232", &[SOA]),
    // OPT.
    ("+noedns web.shop.svc.cluster.local MX", "NOERROR aa rd", &[SOA]),
    ("+noedns missing.shop.svc.cluster.local", "NXDOMAIN aa rd", &[SOA]),
    ("+bufsize=512 web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 512", &[SOA]),
    ("+bufsize=4096 web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 4096", &[SOA]),
    ("+dnssec web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 1232 do", &[SOA]),
    ("+nocookie web.shop.svc.cluster.local MX", "NOERROR aa rd, udp 1232", &[SOA]),
    ("+edns=1 +noednsneg web.shop.svc.cluster.local", "BADVERS rd, udp 512", &[]),
    ("+edns=1 +noednsneg +dnssec www.example.com MX", "BADVERS rd, udp 512", &[]),
    // Other classes, other operations.
    ("version.bind TXT CH", "NOERROR rd, udp 1232", &["version.bind. 0 CH TXT Landfall-of-a-test"]),
    ("version.server TXT CH", "REFUSED rd, udp 1232", &[]),
    ("web.shop.svc.cluster.local A CH", "REFUSED rd, udp 1232", &[]),
    ("+opcode=2 web.shop.svc.cluster.local", "NOTIMP rd", &[]),
    ("+opcode=4 web.shop.svc.cluster.local SOA", "NOTIMP rd", &[]),
    ("+opcode=5 cluster.local SOA", "NOTIMP rd", &[]),
];

/// A question over TCP that dig treats as a transfer, of which it shows no more than that it failed.
const TRANSFER: &str = "cluster.local AXFR";

/// What a client shows of an answer: as in [`TABLE`].
#[derive(Debug, PartialEq)]
struct Shown {
    head: String,
    records: Vec<String>,
}

fn expected(head: &str, records: &[&str]) -> Shown {
    Shown { head: head.to_owned(), records: sorted(records.iter().map(|text| (*text).to_owned())) }
}

fn sorted(records: impl Iterator<Item = String>) -> Vec<String> {
    let mut records: Vec<String> = records.collect();
    records.sort();
    records
}

fn head(status: &str, flags: &[&str], opt: Option<(u16, bool)>) -> String {
    let flags: String = flags.iter().map(|flag| format!(" {}", flag.to_lowercase())).collect();
    let opt = opt.map(|(size, dnssec_ok)| format!(", udp {size}{}", if dnssec_ok { " do" } else { "" }));
    format!("{status}{flags}{}", opt.unwrap_or_default())
}

/// Asks all of the table everywhere.
fn check(asker: fn(&str, SocketAddr, Transport) -> Shown) {
    let scene = Scene::start();
    for server in scene.servers() {
        for transport in [Transport::Udp, Transport::Tcp] {
            for (arguments, head, records) in TABLE {
                let shown = asker(arguments, server, transport);
                assert_eq!(shown, expected(head, records), "dig {arguments} at {server} over {transport:?}");
            }
        }
    }
}

/// dig itself.
fn dig(arguments: &str, server: SocketAddr, transport: Transport) -> Shown {
    let text = run_dig(arguments, server, transport);
    let after = |start: &str| text.lines().find_map(|line| line.split_once(start)).map(|(_, after)| after);
    let status = after("status: ").and_then(|rest| rest.split(',').next()).unwrap_or_else(|| panic!("{text}"));
    let flags = after(";; flags: qr").and_then(|rest| rest.split(';').next()).unwrap_or_else(|| panic!("{text}"));
    let opt = after("; EDNS: version: 0, flags:").and_then(|rest| rest.split_once("; udp: ")).map(|(flags, size)| {
        // RFC 6891 section 6.2.3: less than 512 means 512.
        (size.trim().parse::<u16>().expect("a size").max(512), flags.trim() == "do")
    });
    let records = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
    Shown {
        head: head(status, &flags.split_whitespace().collect::<Vec<_>>(), opt),
        records: sorted(records.map(as_line)),
    }
}

/// A record as dig prints it, with single blanks, without quotes, and with the serial of an SOA as 0.
fn as_line(record: &str) -> String {
    let record = record.replace('"', "");
    let mut words: Vec<&str> = record.split_whitespace().collect();
    if words[3] == "SOA" {
        words[6] = "0";
    }
    words.join(" ")
}

fn run_dig(arguments: &str, server: SocketAddr, transport: Transport) -> String {
    let over = if transport == Transport::Tcp { "+tcp" } else { "+notcp" };
    let output = Command::new("dig")
        .args([&format!("@{}", server.ip()), "-p", &server.port().to_string(), "+tries=1", "+time=10"])
        .args(arguments.split(' '))
        .arg(over)
        .output()
        .expect("dig");
    String::from_utf8(output.stdout).expect("a text")
}

/// The same question by hickory-proto and a socket of our own.
fn twin(arguments: &str, server: SocketAddr, transport: Transport) -> Shown {
    let question = parse(arguments, server, transport).octets(4711);
    let reply = ask(server, transport, &question).expect("a reply");
    let message = crate::wire::reply::read(&reply);
    let opt = message.edns.as_ref().map(|edns| (edns.max_payload(), edns.flags().dnssec_ok));
    let records = message.answers.iter().chain(&message.authorities).chain(&message.additionals);
    Shown { head: head(&status(&message), &flags(&message), opt), records: sorted(records.map(line)) }
}

/// The question of a dig command.
fn parse(arguments: &str, server: SocketAddr, transport: Transport) -> Question {
    let mut question = Question {
        name: ".".to_owned(),
        record_type: RecordType::A,
        class: DNSClass::IN,
        op_code: OpCode::Query,
        flags: vec!["rd".to_owned(), "ad".to_owned()],
        edns: None,
        client: server,
        local: server,
        transport,
        serial: None,
    };
    let cookie = vec![(10, vec![7; 8])];
    let mut edns = Some(ClientEdns { udp_size: 1232, dnssec_ok: false, version: 0, options: cookie });
    let mut words = arguments.split(' ');
    while let Some(word) = words.next() {
        match word.strip_prefix('+') {
            Some(option) => apply(option, &mut question, &mut edns),
            None if word == "-x" => {
                let address: IpAddr = words.next().expect("an address").parse().expect("an address");
                (question.name, question.record_type) = (Name::from(address).to_ascii(), RecordType::PTR);
            }
            None if word == "CH" => question.class = DNSClass::CH,
            None if word.contains('.') => question.name = format!("{word}."),
            None => {
                question.record_type = match word.strip_prefix("TYPE") {
                    Some(number) => RecordType::from(number.parse::<u16>().expect("a number")),
                    None => word.parse().expect("a type"),
                }
            }
        }
    }
    question.edns = edns;
    question
}

/// An option of dig without its plus.
fn apply(option: &str, question: &mut Question, edns: &mut Option<ClientEdns>) {
    let (word, number) = option.split_once('=').unwrap_or((option, "0"));
    let number: u16 = number.parse().expect("a number");
    match (word, edns.as_mut()) {
        ("norec", _) => question.flags.retain(|flag| flag != "rd"),
        ("noad", _) => question.flags.retain(|flag| flag != "ad"),
        ("cd", _) => question.flags.push("cd".to_owned()),
        ("opcode", _) => question.op_code = OpCode::from_u8(u8::try_from(number).expect("four bits")),
        ("noedns", _) => *edns = None,
        ("edns", Some(edns)) => edns.version = u8::try_from(number).expect("an octet"),
        ("bufsize", Some(edns)) => edns.udp_size = number,
        ("dnssec", Some(edns)) => edns.dnssec_ok = true,
        ("nocookie", Some(edns)) => edns.options.clear(),
        // How dig goes on after an answer.
        ("noednsneg", _) => {}
        _ => panic!("+{option} is not known here"),
    }
}

fn has_dig() -> bool {
    let has_dig = Command::new("dig").arg("-v").output().is_ok();
    if !has_dig {
        eprintln!("dig is not installed: hickory-proto asks the same questions in the test beside this one");
    }
    has_dig
}

#[test]
fn dig_gets_what_the_table_says() {
    if has_dig() {
        check(dig);
    }
}

#[test]
fn a_client_of_our_own_gets_it_too() {
    check(twin);
}

#[test]
fn what_is_cut_over_udp_is_whole_when_it_is_asked_for_again_over_tcp() {
    let scene = Scene::start();
    let name = CROWD.trim_end_matches('.');
    for server in scene.servers() {
        assert_eq!(twin(name, server, Transport::Udp).head, "NOERROR aa tc rd, udp 1232");
        assert_eq!(twin(name, server, Transport::Tcp).records.len(), CROWD_SIZE);
        // dig does so by itself.
        assert!(!has_dig() || dig(name, server, Transport::Udp).records.len() == CROWD_SIZE);
    }
}

#[test]
fn zones_are_not_transferred() {
    let scene = Scene::start();
    for server in scene.servers() {
        assert_eq!(twin(TRANSFER, server, Transport::Tcp), expected("REFUSED rd, udp 1232", &[]));
        assert!(!has_dig() || run_dig(TRANSFER, server, Transport::Tcp).contains("; Transfer failed."));
    }
}
