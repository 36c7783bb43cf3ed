//! `landfall demo`: every command that it prints works as printed.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use hickory_proto::rr::{Name, RecordType};

use crate::process::{Process, ask, free_port};

/// A command with the line above it.
struct Printed {
    shows: String,
    command: String,
}

/// The demo on a port that is free, and what it prints.
fn start() -> (Process, Vec<Printed>) {
    let port = free_port().to_string();
    let mut process = Process::start(&["demo", "-dns.port", &port]);
    process.wait_for("payments.shop.svc.cluster.local AAAA");
    let mut printed = Vec::new();
    for pair in process.seen.windows(2) {
        if let (Some(shows), true) = (pair[0].strip_prefix("# "), pair[1].starts_with("dig ")) {
            printed.push(Printed { shows: shows.to_owned(), command: pair[1].clone() });
        }
    }
    (process, printed)
}

/// What the line promises: the words behind its last colon and blank.
fn promises(shows: &str) -> Vec<&str> {
    shows.rsplit_once(": ").expect("WHAT: ANSWER").1.split(' ').collect()
}

/// The question of a dig command.
fn parse(command: &str) -> (SocketAddr, Name, RecordType) {
    let mut words = command.split_whitespace().skip(1);
    let (mut server, mut port, mut name, mut record_type) = (None, 53, None, RecordType::A);
    while let Some(word) = words.next() {
        match word {
            "-p" => port = words.next().expect("a port").parse().expect("a port"),
            "-x" => {
                let address: IpAddr = words.next().expect("an address").parse().expect("an address");
                (name, record_type) = (Some(Name::from(address)), RecordType::PTR);
            }
            _ if word.starts_with('+') => {}
            _ if word.starts_with('@') => server = Some(word[1..].parse::<IpAddr>().expect("an address")),
            _ if name.is_none() => name = Some(Name::from_ascii(format!("{word}.")).expect("a name")),
            _ => record_type = word.parse().expect("a type"),
        }
    }
    (SocketAddr::new(server.expect("a server"), port), name.expect("a name"), record_type)
}

#[test]
fn every_printed_command_gets_what_its_line_promises() {
    let (_process, printed) = start();
    assert!(printed.len() >= 6, "a handful of commands");
    for Printed { shows, command } in &printed {
        let (server, name, record_type) = parse(command);
        let v6 = SocketAddr::new("::1".parse().expect("an address"), server.port());
        for server in [server, v6] {
            let reply = ask(server, &name.to_ascii(), record_type).unwrap_or_else(|| panic!("{command}: no reply"));
            let answer: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
            let words: Vec<&str> = answer.iter().flat_map(|data| data.split(' ')).collect();
            for promise in promises(shows) {
                assert!(words.contains(&promise), "{command} at {server}: {shows}\n{answer:?}");
            }
        }
    }
}

#[test]
fn dig_shows_it_too() {
    if Command::new("dig").arg("-v").output().is_err() {
        eprintln!("dig is not installed: hickory-proto asks the same questions in the test beside this one");
        return;
    }
    let (_process, printed) = start();
    for Printed { shows, command } in &printed {
        let output = Command::new("sh").args(["-c", command]).output().expect("a shell");
        let text = String::from_utf8(output.stdout).expect("a text");
        assert!(output.status.success(), "{command}: {text}");
        for promise in promises(shows) {
            assert!(text.split_whitespace().any(|word| word == promise), "{command}: {shows}\n{text}");
        }
    }
}
