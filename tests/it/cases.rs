//! Scenarios as text in dig notation: `tests/cases/*.case`, run without sockets. To add a test, add a file.
//!
//! A file is a row of sections, each begun by a line `--- WORD`:
//!
//! | section | meaning |
//! |---|---|
//! | `corefile` | the configuration, read once, before the first query |
//! | `manifests [FILE]` | the cluster from here on: YAML, or a file beside the case |
//! | `upstream` | a zone in master file form that the other servers know |
//! | `faults` | `NAME TYPE FAULT` lines: what the other servers do instead of answering |
//! | `query` | a comment that states the rule, `dig NAME TYPE [+option...]`, and the whole answer as dig prints it |
//!
//! Options: `+tcp`, `+norec`, `+cd`, `+ad`, `+dnssec`, `+bufsize=N`, `+edns`, `-6` (the client has an IPv6 address), `-c CLASS`.
//! `;; upstream: N` says how many questions other servers got. Aliases are compared in their order, other records as sets, the serial of an SOA not at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use landfall::dns::Transport;

use crate::dialogue::{self, ClientEdns, Question};
use crate::internet::Internet;
use crate::server::InMemoryServer;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// A section with the line of the file that it begins on.
struct Section<'a> {
    line: usize,
    word: &'a str,
    argument: &'a str,
    text: String,
}

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("--- ") {
            let (word, argument) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
            sections.push(Section { line: index + 1, word, argument, text: String::new() });
        } else if let Some(section) = sections.last_mut() {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    sections
}

/// A query and the answer that is called for.
struct Case {
    rule: String,
    question: Question,
    status: String,
    flags: BTreeSet<String>,
    sections: [Vec<Record>; 3],
    upstream: Option<usize>,
}

fn parse_case(text: &str) -> Case {
    let mut case = Case {
        rule: String::new(),
        question: parse_dig(text.lines().find(|line| line.starts_with("dig ")).expect("a line that begins with dig")),
        status: String::new(),
        flags: BTreeSet::new(),
        sections: Default::default(),
        upstream: None,
    };
    let mut section = 0;
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(";; status: ") {
            let (status, flags) = header.split_once(", flags:").expect(";; status: CODE, flags: …");
            case.status = status.trim().to_owned();
            case.flags = flags.split_whitespace().filter(|flag| *flag != "qr").map(str::to_uppercase).collect();
        } else if let Some(count) = line.strip_prefix(";; upstream: ") {
            case.upstream = Some(count.trim().parse().expect("a number"));
        } else if line.starts_with(";; ANSWER") {
            section = 0;
        } else if line.starts_with(";; AUTHORITY") {
            section = 1;
        } else if line.starts_with(";; ADDITIONAL") {
            section = 2;
        } else if let Some(comment) = line.strip_prefix("# ") {
            case.rule = comment.to_owned();
        } else if !line.trim().is_empty() && !line.starts_with("dig ") {
            case.sections[section].push(dialogue::record(line));
        }
    }
    assert!(!case.status.is_empty(), "a case states the status");
    case
}

fn parse_dig(line: &str) -> Question {
    let mut words = line.split_whitespace().skip(1);
    let mut question = Question {
        name: String::new(),
        record_type: RecordType::A,
        class: DNSClass::IN,
        op_code: OpCode::Query,
        flags: vec!["rd".to_owned()],
        edns: None,
        client: "127.0.0.1:40000".parse().expect("an address"),
        local: "127.0.0.1:53".parse().expect("an address"),
        transport: Transport::Udp,
    };
    let edns = |question: &mut Question| {
        question
            .edns
            .get_or_insert(ClientEdns { udp_size: 1232, dnssec_ok: false, version: 0, options: Vec::new() })
            .clone()
    };
    while let Some(word) = words.next() {
        match word {
            "+tcp" => question.transport = Transport::Tcp,
            "+norec" => question.flags.retain(|flag| flag != "rd"),
            "+cd" => question.flags.push("cd".to_owned()),
            "+ad" => question.flags.push("ad".to_owned()),
            "+edns" => question.edns = Some(edns(&mut question)),
            "+dnssec" => question.edns = Some(ClientEdns { dnssec_ok: true, ..edns(&mut question) }),
            "-6" => {
                question.client = "[::1]:40000".parse().expect("an address");
                question.local = "[::1]:53".parse().expect("an address");
            }
            "-c" => question.class = words.next().and_then(|class| class.parse().ok()).expect("a class"),
            _ if word.starts_with("+bufsize=") => {
                let udp_size = word.trim_start_matches("+bufsize=").parse().expect("a size");
                question.edns = Some(ClientEdns { udp_size, ..edns(&mut question) });
            }
            _ if question.name.is_empty() => question.name = word.to_owned(),
            _ => question.record_type = word.parse().unwrap_or_else(|_| panic!("unknown word {word:?} in {line:?}")),
        }
    }
    question
}

fn difference(case: &Case, reply: Option<&Message>) -> Option<String> {
    let Some(reply) = reply else { return Some("no reply".to_owned()) };
    let flags: BTreeSet<String> = dialogue::flags(reply).into_iter().map(str::to_owned).collect();
    if (dialogue::status(reply), &flags) != (case.status.clone(), &case.flags) {
        return Some(format!("{} {flags:?}, called for {} {:?}", dialogue::status(reply), case.status, case.flags));
    }
    let found = [&reply.answers, &reply.authorities, &reply.additionals];
    for ((name, found), expected) in ["answer", "authority", "additional"].into_iter().zip(found).zip(&case.sections) {
        if comparable(found) != comparable(expected) {
            return Some(format!("{name}: {:#?}, called for {:#?}", comparable(found), comparable(expected)));
        }
    }
    None
}

/// Aliases in their order, then all else sorted.
fn comparable(records: &[Record]) -> Vec<String> {
    let (aliases, mut others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.record_type() == RecordType::CNAME);
    others.sort_by_key(|record| dialogue::line(record));
    aliases.into_iter().chain(others).map(dialogue::line).collect()
}

/// Runs a file; returns how many queries it held.
async fn run(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).expect("a case file");
    let sections = sections(&text);
    let mut internet = Internet::default();
    for section in &sections {
        match section.word {
            "upstream" => internet.add_zone(&section.text),
            "faults" => section.text.lines().for_each(|line| internet.add_fault(line)),
            _ => {}
        }
    }
    let corefile = &sections.iter().find(|section| section.word == "corefile").expect("a Corefile").text;
    let server = InMemoryServer::new(corefile, internet);
    let mut asked = 0;
    for section in &sections {
        match section.word {
            "manifests" if section.argument.is_empty() => server.set_cluster(&section.text),
            "manifests" => {
                let file = path.with_file_name(section.argument);
                server.set_cluster(
                    &std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())),
                );
            }
            "query" => {
                let case = parse_case(&section.text);
                let before = server.upstream_queries();
                let reply = server.ask(&case.question).await;
                asked += 1;
                let queries = server.upstream_queries() - before;
                let difference = difference(&case, reply.as_ref()).or_else(|| {
                    let expected = case.upstream.filter(|expected| *expected != queries)?;
                    Some(format!("{queries} questions to other servers, called for {expected}"))
                });
                if let Some(difference) = difference {
                    panic!("{}:{}: {}: {difference}", path.display(), section.line, case.rule);
                }
            }
            "corefile" | "upstream" | "faults" => {}
            other => panic!("{}:{}: unknown section {other:?}", path.display(), section.line),
        }
    }
    assert!(asked > 0, "{} asks nothing", path.display());
    asked
}

#[tokio::test(start_paused = true)]
async fn every_case_is_answered_as_it_says() {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "case"))
        .collect();
    files.sort();
    let (mut asked, mut failed) = (0, Vec::new());
    for path in &files {
        match tokio::spawn({
            let path = path.clone();
            async move { run(&path).await }
        })
        .await
        {
            Ok(queries) => asked += queries,
            Err(_) => failed.push(path.file_name().expect("a name").to_string_lossy().into_owned()),
        }
    }
    println!("{asked} queries in {} files", files.len());
    assert!(failed.is_empty(), "these failed, see above: {failed:?}");
}

#[test]
fn a_case_that_is_wrong_fails() {
    let case = parse_case(
        "# a rule\ndig x.example. A\n;; status: NOERROR, flags: qr aa rd\n;; ANSWER:\nx.example. 5 IN A 10.0.0.1\n",
    );
    let mut reply = Message::from_vec(&case.question.octets(7)).expect("a message");
    reply.metadata.authoritative = true;
    assert!(difference(&case, Some(&reply)).is_some_and(|difference| difference.starts_with("answer")));
    reply.answers.push(dialogue::record("x.example. 5 IN A 10.0.0.1"));
    assert_eq!(difference(&case, Some(&reply)), None);
}
