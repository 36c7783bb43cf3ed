//! Scenarios as text in dig notation: `tests/cases/**/*.case`, a folder for each directive, run without sockets. To add a
//! test, add a file.
//!
//! A file is a row of sections, each begun by a line `--- WORD`:
//!
//! | section | meaning |
//! |---|---|
//! | `corefile` | the configuration, read once, before the first query |
//! | `addresses` | this machine's, one a line |
//! | `search` | this machine's search list |
//! | `manifests [-RESOURCE...] [FILE...]` | the cluster from here on: files beside the case, and YAML; of these resources nothing is heard |
//! | `upstream [ADDRESS]` | a zone in master file form that the other servers know, or only this one; behind a query, in place of what they knew |
//! | `faults` | `NAME[@ADDRESS] TYPE FAULT` lines: what the other servers, or only that one, do instead of answering; behind a query, in place of what they did |
//! | `file NAME` | a file of this text from here on, in the folder `FOLDER` of the configuration; without text there is none |
//! | `wait SECONDS` | so much time goes by; nobody waits for it |
//! | `log` | the lines that `log` and plugins have logged since the section before, and no others |
//! | `metrics` | lines that the page of metrics has now |
//! | `query` | a comment that states the rule, `dig NAME TYPE [+option...]`, and the whole answer as dig prints it |
//!
//! A rule begins with the ids of the reference that it shows, as in `# S9, S10: …`; [`IDS`] has all of them.
//!
//! TYPE may be `IXFR=SERIAL`. Options: `+tcp`, `+norec`, `+cd`, `+ad`, `+dnssec`, `+bufsize=N`, `+edns`, `-6` (the client has an IPv6 address), `-b CLIENT`, `-c CLASS`.
//! `;; EDNS: udp N[, do][, EDE N][, NSID TEXT]` is the OPT record, and without this line there is none; `;; upstream: N` says how many
//! questions other servers got; `;; no reply` stands for an answer that never comes. Aliases are compared in their order, other records as sets unless the case says
//! `;; in this order`, the serial of an SOA not at all.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use landfall::cluster::Resource;
use landfall::config::REFERENCES;
use landfall::dns::{NSID, Transport, parse_type};
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};

use crate::dialogue::{self, ClientEdns, Question};
use crate::internet::Internet;
use crate::server::{InMemoryServer, Machine};

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
    /// None: no reply.
    answer: Option<Shown>,
    upstream: Option<usize>,
    is_ordered: bool,
}

/// An answer as far as it is compared.
#[derive(Default)]
struct Shown {
    /// The words after `;; status: `.
    status: String,
    flags: BTreeSet<String>,
    /// The words after `;; EDNS: `.
    edns: Option<String>,
    sections: [Vec<Record>; 3],
}

impl Shown {
    fn of(reply: &Message) -> Self {
        let edns = reply.edns.as_ref().map(|edns| {
            let dnssec_ok = if edns.flags().dnssec_ok { ", do" } else { "" };
            let error = match edns.option(EdnsCode::Unknown(15)) {
                Some(EdnsOption::Unknown(_, octets)) => format!(", EDE {}", u16::from_be_bytes([octets[0], octets[1]])),
                _ => String::new(),
            };
            let server_id = match edns.option(EdnsCode::NSID) {
                Some(EdnsOption::NSID(payload)) => format!(", NSID {}", String::from_utf8_lossy(payload.as_ref())),
                _ => String::new(),
            };
            format!("udp {}{dnssec_ok}{error}{server_id}", edns.max_payload())
        });
        Self {
            status: dialogue::status(reply),
            flags: dialogue::flags(reply).into_iter().map(str::to_lowercase).collect(),
            edns,
            sections: [reply.answers.clone(), reply.authorities.clone(), reply.additionals.clone()],
        }
    }

    /// The answer as a case writes it.
    fn text(&self, is_ordered: bool) -> String {
        let flags: String = self.flags.iter().map(|flag| format!(" {flag}")).collect();
        let mut lines = vec![format!(";; status: {}, flags: qr{flags}", self.status)];
        lines.extend(self.edns.as_ref().map(|edns| format!(";; EDNS: {edns}")));
        for (name, records) in ["ANSWER", "AUTHORITY", "ADDITIONAL"].into_iter().zip(&self.sections) {
            if !records.is_empty() {
                lines.push(format!(";; {name}:"));
                lines.extend(if is_ordered {
                    records.iter().map(dialogue::line).collect()
                } else {
                    comparable(records)
                });
            }
        }
        lines.join("\n")
    }
}

fn parse_case(text: &str) -> Case {
    let mut case = Case {
        rule: String::new(),
        question: parse_dig(text.lines().find(|line| line.starts_with("dig ")).expect("a line that begins with dig")),
        answer: None,
        upstream: None,
        is_ordered: false,
    };
    let (mut answer, mut section, mut has_no_reply) = (Shown::default(), 0, false);
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(";; status: ") {
            let (status, flags) = header.split_once(", flags:").expect(";; status: CODE, flags: …");
            answer.status = status.trim().to_owned();
            answer.flags = flags.split_whitespace().filter(|flag| *flag != "qr").map(str::to_owned).collect();
        } else if let Some(count) = line.strip_prefix(";; upstream: ") {
            case.upstream = Some(count.trim().parse().expect("a number"));
        } else if let Some(edns) = line.strip_prefix(";; EDNS: ") {
            answer.edns = Some(edns.trim().to_owned());
        } else if line.starts_with(";; in this order") {
            case.is_ordered = true;
        } else if line.starts_with(";; no reply") {
            has_no_reply = true;
        } else if line.starts_with(";; ANSWER") {
            section = 0;
        } else if line.starts_with(";; AUTHORITY") {
            section = 1;
        } else if line.starts_with(";; ADDITIONAL") {
            section = 2;
        } else if let Some(comment) = line.strip_prefix("# ") {
            case.rule = comment.to_owned();
        } else if !line.trim().is_empty() && !line.starts_with("dig ") {
            answer.sections[section].push(dialogue::record(line));
        }
    }
    assert!(has_no_reply || !answer.status.is_empty(), "a case states the status");
    assert!(!case.rule.is_empty(), "a case states the rule");
    case.answer = (!has_no_reply).then_some(answer);
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
        serial: None,
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
            "+nsid" => question.edns = Some(ClientEdns { options: vec![(NSID, Vec::new())], ..edns(&mut question) }),
            "+dnssec" => question.edns = Some(ClientEdns { dnssec_ok: true, ..edns(&mut question) }),
            "-6" => {
                question.client = "[::1]:40000".parse().expect("an address");
                question.local = "[::1]:53".parse().expect("an address");
            }
            "-b" => {
                let address: IpAddr = words.next().and_then(|word| word.parse().ok()).expect("an address");
                question.client.set_ip(address);
            }
            "-c" => question.class = words.next().and_then(|class| class.parse().ok()).expect("a class"),
            _ if word.starts_with("+bufsize=") => {
                let udp_size = word.trim_start_matches("+bufsize=").parse().expect("a size");
                question.edns = Some(ClientEdns { udp_size, ..edns(&mut question) });
            }
            _ if word.starts_with("IXFR=") => {
                question.record_type = RecordType::IXFR;
                question.serial = Some(word.trim_start_matches("IXFR=").parse().expect("a serial"));
            }
            _ if question.name.is_empty() => question.name = word.to_owned(),
            _ => {
                let number = || word.strip_prefix("TYPE")?.parse::<u16>().ok().map(RecordType::from);
                let record_type = parse_type(word).or_else(number);
                question.record_type = record_type.unwrap_or_else(|| panic!("unknown word {word:?} in {line:?}"));
            }
        }
    }
    question
}

fn difference(case: &Case, reply: Option<&Message>) -> Option<String> {
    let text = |shown: Option<&Shown>| shown.map_or(";; no reply".to_owned(), |shown| shown.text(case.is_ordered));
    let (expected, found) = (text(case.answer.as_ref()), text(reply.map(Shown::of).as_ref()));
    (found != expected).then(|| format!("{found}\n;; is called for:\n{expected}"))
}

/// Aliases in their order, then all else sorted.
fn comparable(records: &[Record]) -> Vec<String> {
    let (aliases, mut others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.record_type() == RecordType::CNAME);
    others.sort_by_key(|record| dialogue::line(record));
    aliases.into_iter().chain(others).map(dialogue::line).collect()
}

fn address(text: &str) -> IpAddr {
    text.trim().parse().expect("an address")
}

/// The only server that knows the zone of a section, if there is one.
fn only(section: &Section<'_>) -> Option<IpAddr> {
    (!section.argument.is_empty()).then(|| address(section.argument))
}

/// The server of a file, before its first query.
fn server(sections: &[Section<'_>], before: usize, files: &str) -> InMemoryServer {
    let mut internet = Internet::default();
    let mut machine = Machine::default();
    for (index, section) in sections.iter().enumerate() {
        match section.word {
            "upstream" if index < before => internet.add_zone_of(only(section), &section.text),
            "faults" if index < before => section.text.lines().for_each(|line| internet.add_fault(line)),
            "addresses" => machine.addresses.extend(section.text.split_whitespace().map(address)),
            "search" => machine.search.extend(section.text.split_whitespace().map(str::to_owned)),
            _ => {}
        }
    }
    let corefile = &sections.iter().find(|section| section.word == "corefile").expect("a Corefile").text;
    InMemoryServer::on_machine(&corefile.replace("FOLDER", files), internet, &machine)
}

/// Makes the cluster what the files of a section (paths below `tests/cases`) and the section itself say; `-endpointslices` and the like are unheard.
fn set_cluster(server: &InMemoryServer, section: &Section<'_>) {
    let (mut unheard, mut texts) = (Vec::new(), Vec::new());
    for word in section.argument.split_whitespace() {
        match word.strip_prefix('-') {
            Some(plural) => unheard.extend(Resource::ALL.into_iter().filter(|resource| resource.plural() == plural)),
            None => texts.push(std::fs::read_to_string(folder().join(word)).expect("a file beside the case")),
        }
    }
    texts.push(section.text.clone());
    server.set_cluster_but(&texts.join("\n---\n"), &unheard);
}

/// Writes the file of a section, or removes it.
fn set_file(folder: &Path, section: &Section<'_>) {
    let path = folder.join(section.argument);
    match section.word {
        "file" if section.text.trim().is_empty() => std::fs::remove_file(path).expect("a file that goes"),
        "file" => {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, &section.text).expect("a file");
        }
        _ => {}
    }
}

/// The lines that `log` and plugins logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

impl Logged {
    /// The lines since the last time.
    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("no panic")).join("\n")
    }
}

impl<S: Subscriber> Layer<S> for Logged {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() == "query" || metadata.target().starts_with("plugin/") {
            let mut line = format!("[{}] ", metadata.level());
            event.record(&mut |field: &Field, value: &dyn Debug| {
                if field.name() == "message" {
                    line.push_str(&format!("{value:?}"));
                }
            });
            self.0.lock().expect("no panic").push(line);
        }
    }
}

/// Asks the queries of a file; returns how many there were, and what is wrong with the answers, or the log.
async fn run(path: &Path, logged: &Logged) -> (usize, Vec<String>) {
    logged.take();
    let text = std::fs::read_to_string(path).expect("a case file");
    let sections = sections(&text);
    let files = tempfile::tempdir().expect("a folder");
    // What stands before the first query is there when the server starts.
    let first_query = sections.iter().position(|section| section.word == "query").unwrap_or_default();
    sections[..first_query].iter().for_each(|section| set_file(files.path(), section));
    let server = server(&sections, first_query, &files.path().display().to_string());
    let (mut asked, mut wrong) = (0, Vec::new());
    for (index, section) in sections.iter().enumerate() {
        match section.word {
            "manifests" => set_cluster(&server, section),
            "wait" => {
                let seconds = section.argument.parse().expect("a number of seconds");
                tokio::time::sleep(Duration::from_secs(seconds)).await;
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
                let place = format!("{}:{}: {}", path.display(), section.line, case.rule);
                wrong.extend(difference.map(|difference| format!("{place}\n{difference}")));
            }
            "metrics" => {
                let page = server.metrics_page();
                let missing =
                    section.text.lines().filter(|line| !line.is_empty() && !page.lines().any(|of| of == *line));
                wrong.extend(missing.map(|line| format!("{}:{}: no metric {line}", path.display(), section.line)));
            }
            "log" => {
                let (found, expected) = (logged.take(), section.text.trim());
                let place = format!("{}:{}", path.display(), section.line);
                wrong.extend((found != expected).then(|| format!("{place}: the log is\n{found}\n;; not\n{expected}")));
            }
            "file" => set_file(files.path(), section),
            "upstream" if index > first_query => server.set_upstream(only(section), &section.text),
            "faults" if index > first_query => server.set_faults(&section.text),
            "corefile" | "upstream" | "faults" | "addresses" | "search" => {}
            other => panic!("{}:{}: unknown section {other:?}", path.display(), section.line),
        }
    }
    assert!(asked > 0, "{} asks nothing", path.display());
    (asked, wrong)
}

fn files() -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of cases") {
            let path = entry.expect("an entry").path();
            match path.extension() {
                Some(extension) if extension == "case" => files.push(path),
                None if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    files
}

#[tokio::test(start_paused = true)]
async fn every_case_is_answered_as_it_says() {
    let (mut asked, mut wrong) = (0, Vec::new());
    let logged = Logged::default();
    // All tasks are of this thread.
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(logged.clone()));
    let files = files();
    for path in files.clone() {
        // A file that cannot be run is one of those that failed.
        let name = path.display().to_string();
        let logged = logged.clone();
        match tokio::spawn(async move { run(&path, &logged).await }).await {
            Ok((queries, differences)) => {
                asked += queries;
                wrong.extend(differences);
            }
            Err(_) => wrong.push(format!("{name}: see above")),
        }
    }
    println!("{asked} queries in {} files", files.len());
    assert!(wrong.is_empty(), "{} are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What the specification of Kubernetes DNS (S), the tests of Kubernetes (E, CM) and of CoreDNS (T) ask for; 2.5 is a
/// table of what CoreDNS says of odd objects.
const IDS: &str = "\
    S1 S2 S3 S4 S5 S6 S7 S8 S9 S10 S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 \
    E1 E2 E3 E4 E5 E6 E6b E6c E7 E8 E9 E10 E11 CM1 CM2 CM3 \
    T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T12 T13 T14 T15 T16 T17 T18 T19 T20 T21 T22 T23 T24 2.5 \
    M1 M2 M3 M4 M5 M6 M7 M8 M9 M10 M11";

/// Ids without a case, and why. Those of Kubernetes' tests that need kubelet alone (/etc/hosts, dnsConfig) have no id; that a
/// restored ConfigMap counts (CM1, CM2) is a reload, see watch/upstream.rs.
const WITHOUT_CASE: [(&str, &str); 7] = [
    ("T11", "a kubeconfig needs an API server: see watch"),
    ("T25", "several `kubernetes` in one block need a plugin that CoreDNS does not ship"),
    ("T26", "a metric is no answer: see watch/programming.rs"),
    ("T27", "a reload needs a process: see lifecycle.rs"),
    ("T28", "an API server that goes away needs one: see watch/chaos"),
    ("T29", "options of EDNS in the log need a plugin that CoreDNS does not ship"),
    ("T30", "ConfigMaps of kube-dns are not translated"),
];

#[test]
fn every_id_of_the_reference_has_a_case() {
    let mut shown = BTreeSet::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a case file");
        for section in sections(&text).iter().filter(|section| section.word == "query") {
            let rule = parse_case(&section.text).rule;
            let ids = rule.split_once(": ").map_or("", |(ids, _)| ids);
            shown.extend(ids.split(", ").map(str::to_owned));
        }
    }
    let missing: Vec<_> = IDS.split_whitespace().filter(|id| !shown.contains(*id)).collect();
    assert!(missing.is_empty(), "no rule names {missing:?}");
    let known: Vec<_> = WITHOUT_CASE.iter().filter(|(id, _)| shown.contains(*id)).collect();
    assert!(known.is_empty(), "there is a case now of {known:?}");
}

/// Directives of which there is nothing to see without sockets, signals or pages, and where they are shown.
const WITHOUT_FOLDER: [(&str, &str); 11] = [
    ("bind", "wire/routes.rs"),
    ("debug", "lifecycle.rs"),
    ("health", "lifecycle.rs"),
    ("loop", "lifecycle.rs"),
    ("multisocket", "lifecycle.rs"),
    ("pprof", "lifecycle.rs"),
    ("prometheus", "lifecycle.rs"),
    ("ready", "lifecycle.rs"),
    ("reload", "watch/imports.rs"),
    ("timeouts", "wire/encrypted/tls.rs"),
    ("tls", "wire/encrypted/certificates.rs"),
];

#[test]
fn every_directive_has_cases() {
    for directive in REFERENCES.iter().map(|known| known.name).chain(["import"]) {
        let has_folder = folder().join(directive).is_dir();
        match WITHOUT_FOLDER.iter().find(|(name, _)| *name == directive) {
            None => assert!(has_folder, "{directive} has no cases"),
            Some((_, file)) => {
                let text = std::fs::read_to_string(folder().join("../it").join(file)).expect("a test file");
                assert!(!has_folder && text.contains(directive), "{directive} is not in {file}");
            }
        }
    }
}

#[test]
fn a_case_that_is_wrong_fails() {
    let case = parse_case(
        "# a rule\ndig x.example. A\n;; status: NOERROR, flags: qr aa rd\n;; ANSWER:\nx.example. 5 IN A 10.0.0.1\n",
    );
    let mut reply = Message::from_vec(&case.question.octets(7)).expect("a message");
    reply.metadata.authoritative = true;
    assert!(difference(&case, Some(&reply)).is_some());
    reply.answers.push(dialogue::record("x.example. 5 IN A 10.0.0.1"));
    assert_eq!(difference(&case, Some(&reply)), None);
}
