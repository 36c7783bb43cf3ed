//! Corefiles as people have them (`tests/corefiles/real`) and small ones that try the grammar (`tests/corefiles/probes`):
//! each gets the verdict that CoreDNS 1.13 gave, or is refused by the name of what is not built.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use landfall::config::corefile::{CorefileError, Loaded, Surroundings, read};
use landfall::config::yaml;
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corefiles")
}

/// Files and variables as they were when CoreDNS gave its verdicts.
struct Recorded;

impl Surroundings for Recorded {
    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/resolv.conf") => Ok("nameserver 192.0.2.53\nsearch example.org\n".to_owned()),
            Some("MyCorefile" | "generated-config/custom-server-block.server") => Ok("# nothing\n".to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn matching(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn variable(&self, name: &str) -> Option<String> {
        ["POD_IP", "MY_HOST_IP"].contains(&name).then(|| "127.0.0.1".to_owned())
    }
}

/// What node-local caches put in before CoreDNS sees the file.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("__PILLAR__DNS__DOMAIN__", "cluster.local"),
    ("__PILLAR__CLUSTER__DNS__", "192.0.2.10"),
    ("__PILLAR__DNS__SERVER__", "192.0.2.10"),
    ("__PILLAR__LOCAL__DNS__", "127.0.0.1"),
    ("__PILLAR__UPSTREAM__SERVERS__", "192.0.2.53"),
];

/// A file with CoreDNS's verdict.
#[derive(Clone)]
struct Sample {
    name: String,
    text: String,
    is_accepted: bool,
    message: String,
}

/// The rows of a table of verdicts: the file, `columns` that do not matter here, the verdict, the message.
fn samples(table: &str, columns: usize) -> Vec<Sample> {
    let table = folder().join(table);
    let rows = std::fs::read_to_string(&table).expect("the table of verdicts");
    rows.lines()
        .skip(1)
        .map(|row| {
            let mut cells = row.split('\t');
            let name = cells.next().expect("a file name").to_owned();
            let cells: Vec<&str> = cells.collect();
            let text = std::fs::read_to_string(table.with_file_name(&name)).expect("the file of a row");
            let text = PLACEHOLDERS.iter().fold(text, |text, (name, value)| text.replace(name, value));
            let is_fragment = cells.first() == Some(&"override-fragment");
            Sample {
                name,
                text: if is_fragment { format!(".:53 {{\n{text}\n}}") } else { text },
                is_accepted: cells[columns] == "accept",
                message: cells.get(columns + 1).unwrap_or(&"").to_string(),
            }
        })
        .collect()
}

/// The samples of `corners.txt`.
fn corners() -> Vec<Sample> {
    let text = std::fs::read_to_string(folder().join("corners.txt")).expect("the corners");
    let sections = text.split("\n--- ").skip(1);
    let sample = |section: &str| {
        let (head, text) = section.split_once('\n').expect("a head");
        let words: Vec<&str> = head.split(' ').collect();
        // Its last line has no end.
        let text = text.strip_suffix('\u{2402}').map_or_else(|| format!("{text}\n"), str::to_owned);
        Sample {
            name: words[0].to_owned(),
            text: text.replace('\u{240d}', "\r"),
            is_accepted: words[1] == "accept",
            message: words.get(2).map_or(String::new(), |line| format!("Corefile:{line} - ")),
        }
    };
    sections.map(sample).collect()
}

/// Files that CoreDNS accepts, and a directive of each that is refused by name.
const LEFT_OUT: [(&str, &str); 2] =
    [("005-openshift-dnsnameresolver.corefile", "ocp_dnsnameresolver"), ("172-etcd-external-4544.corefile", "etcd")];

/// Whether the verdict is CoreDNS's, and if not, why.
fn compare(sample: &Sample, result: Result<Loaded, Vec<CorefileError>>) -> Result<(), String> {
    let errors = match result {
        Ok(_) if sample.is_accepted => return Ok(()),
        Ok(_) => return Err(format!("accepted; CoreDNS says {:?}", sample.message)),
        Err(errors) => errors,
    };
    let texts = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if sample.is_accepted {
        return Err(format!("refused; CoreDNS accepts it: {texts}"));
    }
    // CoreDNS stops at its first error; it must be among ours, on its line.
    let line = sample.message.split_once("Corefile:").and_then(|(_, rest)| rest.split_once(" - "));
    let line: Option<usize> = line.and_then(|(line, _)| line.parse().ok());
    match line.is_none_or(|line| errors.iter().any(|error| error.line == line)) {
        true => Ok(()),
        false => Err(format!("refused, but not for {:?}: {texts}", sample.message)),
    }
}

/// All samples get CoreDNS's verdict, but for those with a directive that is left out.
fn check_all(samples: &[Sample]) {
    let mut wrong = Vec::new();
    for sample in samples {
        let result = read(&sample.text, "Corefile", &Recorded);
        let verdict = match LEFT_OUT.iter().find(|(name, _)| *name == sample.name) {
            None => compare(sample, result),
            Some((_, directive)) => refuses(directive, &result),
        };
        if let Err(why) = verdict {
            wrong.push(format!("{}: {why}", sample.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} verdicts are wrong:\n{}", wrong.len(), samples.len(), wrong.join("\n"));
}

/// Whether that directive is all that is wrong.
fn refuses(directive: &str, result: &Result<Loaded, Vec<CorefileError>>) -> Result<(), String> {
    let expected = format!("unknown directive {directive:?}: this server leaves it out");
    match result {
        Err(errors) if errors.iter().all(|error| error.what.contains(&expected)) => Ok(()),
        other => Err(format!("{directive} is to be refused by its name, not {other:?}")),
    }
}

#[test]
fn real_corefiles_get_the_verdict_of_coredns() {
    check_all(&samples("real/INDEX.tsv", 1));
}

/// The same surroundings, with `--migrate`.
struct Migrating;

impl Surroundings for Migrating {
    fn read(&self, path: &Path) -> io::Result<String> {
        Recorded.read(path)
    }

    fn matching(&self, pattern: &str) -> Vec<PathBuf> {
        Recorded.matching(pattern)
    }

    fn variable(&self, name: &str) -> Option<String> {
        Recorded.variable(name)
    }

    fn migrates(&self) -> bool {
        true
    }
}

#[test]
fn what_only_old_releases_took_is_read_with_migrate() {
    let is_old = |sample: &Sample| {
        let errors = read(&sample.text, "Corefile", &Recorded).err().unwrap_or_default();
        errors.iter().any(|error| error.what.contains("removed it") && error.what.contains("--migrate"))
    };
    let old: Vec<Sample> = samples("real/INDEX.tsv", 1).into_iter().filter(is_old).collect();
    assert!(old.len() >= 15, "{}", old.len());
    // One puts a type rule behind the answer rule of a name, which no release takes.
    for sample in old.iter().filter(|sample| !sample.name.starts_with("078-")) {
        let migrated = read(&sample.text, "Corefile", &Migrating);
        assert_eq!(compare(&Sample { is_accepted: true, ..sample.clone() }, migrated), Ok(()), "{}", sample.name);
    }
}

#[test]
fn probes_of_the_grammar_get_the_verdict_of_coredns() {
    check_all(&samples("probes/EXPECTED.tsv", 0));
}

#[test]
fn corners_of_the_grammar_get_the_verdict_of_coredns() {
    check_all(&corners());
}

#[test]
fn expressions_of_views_get_the_verdict_of_coredns() {
    let text = std::fs::read_to_string(folder().join("expressions.txt")).expect("the expressions");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (verdict, expression) = line.split_once(' ').expect("a verdict and an expression");
        let corefile = format!(". {{\nview v {{\nexpr {expression}\n}}\n}}\n");
        let read = read(&corefile, "Corefile", &Recorded);
        assert_eq!(read.is_ok(), verdict == "accept", "{line}: {read:?}");
        let errors = read.err().unwrap_or_default();
        assert!(errors.iter().all(|error| error.line == 3), "{errors:?}");
    }
}

#[test]
fn a_configuration_is_read_as_it_was_written_as_a_corefile_and_as_yaml() {
    let mut count = 0;
    for sample in samples("real/INDEX.tsv", 1).into_iter().chain(samples("probes/EXPECTED.tsv", 0)).chain(corners()) {
        let Ok(Loaded { config, hash, .. }) = read(&sample.text, "Corefile", &Recorded) else { continue };
        let written = config.to_corefile().unwrap_or_else(|words| panic!("{}: {words:?}", sample.name)).text;
        let again = read(&written, "Corefile", &Recorded).unwrap_or_else(|errors| panic!("{errors:?}\n{written}"));
        assert_eq!(again.config, config, "{}: {written}", sample.name);
        assert_eq!(again.hash, hash);
        let yaml = yaml::write(&config).expect("YAML");
        let again = yaml::read(&yaml, "x.yaml", &Recorded).unwrap_or_else(|errors| panic!("{errors:?}\n{yaml}"));
        assert_eq!(again.config, config, "{}: {yaml}", sample.name);
        count += 1;
    }
    assert!(count > 140, "{count}");
}

/// What the program prints for arguments, with nobody who reads its standard output; and how it ends.
fn run_unread(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    // It reads its input only now: by then nobody reads its output.
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_closed_output_is_no_failure_of_check() {
    assert_eq!(run_unread(&["check", "-"], ". {\nwhoami\n}\n"), (Some(0), String::new()));
    let (code, text) = run_unread(&["check", "stdin"], "a.org:99999 {\ncache 0\n}\n");
    assert_eq!((code, text.lines().count()), (Some(1), 2), "{text}");
    assert!(text.lines().all(|line| line.starts_with("stdin:")), "{text}");
}

const WORDS: &str = r#". example.org:53 a, { } " \ # (s) import s * errors cache forward kubernetes dns64 hosts template log
    class 30 -1 5s 1.2.3.4 10.0.0.0/8 ::/0 64:ff9b::/96 {$POD_IP} {%X%} {$ prefix match [ fallthrough prefetch success
    tls://1.1.1.1 /etc/resolv.conf é reload health lameduck consolidate"#;

fn texts() -> impl Strategy<Value = String> {
    let known = prop::sample::select(WORDS.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned);
    let word = prop_oneof![4 => known, 1 => "\\PC{0,6}"];
    let blank = prop::sample::select(vec!["", " ", " ", "\n", "\r\n", "\u{feff}", "\u{a0}"]);
    prop::collection::vec((word, blank), 0..60)
        .prop_map(|words| words.into_iter().map(|(word, blank)| word + blank).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic_or_hang(text in texts()) {
        if let Err(errors) = read(&text, "Corefile", &Recorded) {
            prop_assert!(!errors.is_empty());
        }
    }
}
