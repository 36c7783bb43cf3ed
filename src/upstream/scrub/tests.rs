//! Answers in words, and what is left of them.

use proptest::prelude::*;

use super::*;
use crate::dns::{Edns, parse_name, parse_upstream};

/// Types by their word, and by number those that are passed on unread.
const DS: u16 = 43;
const RRSIG: u16 = 46;
const NSEC: u16 = 47;

fn name(text: &str) -> Name {
    parse_name(text).unwrap()
}

fn octets(text: &str) -> Vec<u8> {
    let labels = name(text);
    let mut octets: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], label].concat()).collect();
    octets.push(0);
    octets
}

/// `OWNER TYPE [DATA]`, where data is an address, a name, or of RRSIG the number of a type and the signer.
fn record(text: &str) -> Vec<u8> {
    let fields: Vec<&str> = text.split(' ').collect();
    let target = || octets(fields[2]);
    let (code, data) = match fields[1] {
        "A" => (1, vec![192, 0, 2, 1]),
        "AAAA" => (28, vec![7; 16]),
        "CNAME" => (5, target()),
        "NS" => (2, target()),
        "MX" => (15, [vec![0, 10], target()].concat()),
        "SRV" => (33, [vec![0; 6], target()].concat()),
        "SOA" => (6, [vec![0, 0], vec![0; 20]].concat()),
        "TXT" => (16, vec![0]),
        "DNAME" => (DNAME, target()),
        "DS" => (DS, vec![1]),
        "NSEC" => (NSEC, target()),
        "RRSIG" => {
            let covered: u16 = fields[2].parse().unwrap();
            (RRSIG, [&covered.to_be_bytes()[..], &[0; 16], &octets(fields[3]), b"signature"].concat())
        }
        other => panic!("{other}"),
    };
    let head = [&octets(fields[0])[..], &u16::to_be_bytes(code), &[0, 1, 0, 0, 0, 60]].concat();
    [head, (data.len() as u16).to_be_bytes().to_vec(), data].concat()
}

/// An answer to `x.example. A` or another question.
fn message(question: (&str, RecordType), code: u8, sections: [&[&str]; 3]) -> UpstreamMessage {
    let mut packet = vec![0, 1, 0x81, 0x80 | code, 0, 1];
    sections.iter().for_each(|section| packet.extend((section.len() as u16).to_be_bytes()));
    packet.extend(octets(question.0));
    packet.extend(u16::from(question.1).to_be_bytes());
    packet.extend([0, 1]);
    sections.into_iter().flatten().for_each(|text| packet.extend(record(text)));
    parse_upstream(&packet).unwrap()
}

fn query(question: (&str, RecordType), dnssec_ok: bool) -> Query {
    let edns = Some(Edns { udp_size: 1232, dnssec_ok, options: Vec::new() });
    Query { edns, ..Query::of_our_own(name(question.0), question.1) }
}

/// What is left, in the words of [`record`] without data.
fn scrubbed(question: (&str, RecordType), dnssec_ok: bool, sections: [&[&str]; 3]) -> [Vec<String>; 3] {
    let mut message = message(question, 0, sections);
    scrub(&query(question, dnssec_ok), &mut message).unwrap();
    let text = |record: &Record| format!("{} {}", record.name, record.record_type());
    [&message.answers, &message.authority, &message.additional].map(|section| section.iter().map(text).collect())
}

fn check(question: (&str, RecordType), sections: [&[&str]; 3], expected: [&[&str]; 3]) {
    assert_eq!(scrubbed(question, false, sections), expected.map(<[&str]>::to_vec), "{sections:?}");
}

const A: (&str, RecordType) = ("x.example.", RecordType::A);

#[test]
fn the_chain_of_aliases_stays_and_is_in_order() {
    check(A, [&["X.Example. A"], &[], &[]], [&["X.Example. A"], &[], &[]]);
    let chain = ["y.net. A", "z.org. CNAME y.net.", "x.example. CNAME z.org.", "y.net. A"];
    check(A, [&chain, &[], &[]], [&["x.example. CNAME", "z.org. CNAME", "y.net. A", "y.net. A"], &[], &[]]);
}

#[test]
fn what_nobody_asked_for_goes() {
    let foreign = [
        "example. A",
        "www.x.example. A",
        "kubernetes.default.svc.cluster.local. A",
        "x.example. AAAA",
        "x.example. TXT",
        "x.example. NS ns.example.",
        "x.example. SOA",
        "other. CNAME x.example.",
        "net. DNAME example.",
        "x.example. DNAME net.",
        "x.example. RRSIG 1 example.",
    ];
    let with = |foreign: &[&'static str]| [&["x.example. A"], foreign].concat();
    check(A, [&with(&foreign), &[], &[]], [&["x.example. A"], &[], &[]]);
    check(
        A,
        [&["x.example. A"], &["net. NS a.net.", "y.example. SOA", "example. A", "example. TXT"], &[]],
        [&["x.example. A"], &[], &[]],
    );
    check(A, [&["x.example. A"], &[], &["ns.example. A", "x.example. A"]], [&["x.example. A"], &[], &[]]);
}

#[test]
fn an_alias_beside_another_or_beside_data_leads_nowhere() {
    check(
        A,
        [&["x.example. CNAME a.", "x.example. CNAME b.", "a. A", "b. A"], &[], &[]],
        [&["x.example. CNAME", "a. A"], &[], &[]],
    );
    check(A, [&["x.example. CNAME a.", "x.example. A", "a. A"], &[], &[]], [&["x.example. A"], &[], &[]]);
}

#[test]
fn a_chain_has_an_end() {
    let aliases: Vec<String> = (0..40).map(|i| format!("{i}.c. CNAME {}.c.", i + 1)).collect();
    let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let [answers, ..] = scrubbed(("0.c.", RecordType::A), false, [&aliases, &[], &[]]);
    assert_eq!(answers.len(), ALIASES_MAX);
}

#[test]
fn a_dname_stays_beside_the_alias_that_it_made() {
    let answers = ["example. DNAME net.", "x.example. CNAME x.net.", "x.net. A"];
    check(A, [&answers, &[], &[]], [&["example. DNAME", "x.example. CNAME", "x.net. A"], &[], &[]]);
}

#[test]
fn a_question_for_aliases_or_for_anything_is_not_followed() {
    let answers = ["x.example. CNAME a.", "a. A", "x.example. TXT"];
    check(("x.example.", RecordType::CNAME), [&answers, &[], &[]], [&["x.example. CNAME"], &[], &[]]);
    let all: [&str; 2] = ["x.example. CNAME", "x.example. TXT"];
    check(("x.example.", RecordType::ANY), [&answers, &[], &[]], [&all, &[], &[]]);
}

#[test]
fn zones_of_the_chain_may_speak_in_the_authority_section() {
    let authority = ["example. NS ns.net.", ". SOA", "net. SOA", "org. SOA", "y.example. NS ns.net."];
    check(
        A,
        [&["x.example. CNAME y.org."], &authority, &[]],
        [&["x.example. CNAME"], &["example. NS", ". SOA", "org. SOA"], &[]],
    );
}

#[test]
fn addresses_come_along_only_for_hosts_that_are_named() {
    let additional = ["a.net. A", "a.net. AAAA", "a.net. TXT", "b.net. A", "ns.org. A"];
    for question in ["MX", "SRV"] {
        let answer = format!("x.example. {question} A.net.");
        check(
            ("x.example.", question.parse().unwrap()),
            [&[&answer], &["example. NS ns.org."], &additional],
            [&[&format!("x.example. {question}")], &["example. NS"], &["a.net. A", "a.net. AAAA", "ns.org. A"]],
        );
    }
}

#[test]
fn proofs_and_signatures_are_for_those_who_set_do() {
    let answers = [
        "x.example. CNAME y.org.",
        "x.example. RRSIG 5 example.",
        "x.example. RRSIG 1 example.",
        "y.org. A",
        "y.org. RRSIG 1 org.",
    ];
    let authority = [
        "example. NS ns.example.",
        "example. RRSIG 2 example.",
        "x.example. DS",
        "a.example. NSEC z.example.",
        "a.example. RRSIG 47 example.",
        "a.net. NSEC z.net.",
        "a.net. RRSIG 47 net.",
        "a.org. NSEC z.org.",
        "a.org. RRSIG 47 org.",
        "a.example. RRSIG 16 example.",
    ];
    let additional = ["ns.example. A", "ns.example. RRSIG 1 example.", "ns.example. RRSIG 16 example."];
    let sections: [&[&str]; 3] = [&answers, &authority, &additional];
    check(A, sections, [&["x.example. CNAME", "y.org. A"], &["example. NS"], &["ns.example. A"]]);
    let [answers, authority, additional] = scrubbed(A, true, sections);
    assert_eq!(answers, ["x.example. CNAME", "x.example. RRSIG", "y.org. A", "y.org. RRSIG"]);
    assert_eq!(
        authority,
        [
            "example. NS",
            "example. RRSIG",
            "x.example. DS",
            "a.example. NSEC",
            "a.example. RRSIG",
            "a.org. NSEC",
            "a.org. RRSIG"
        ]
    );
    assert_eq!(additional, ["ns.example. A", "ns.example. RRSIG"]);
}

#[test]
fn records_of_other_classes_go_and_ttls_are_believed_within_reason() {
    for (ttl, believed) in [(0, 0), (60, 60), (86_400, 86_400), (86_401, 86_400), (1 << 31, 86_400), (u32::MAX, 86_400)]
    {
        let mut message = message(A, 0, [&["x.example. A", "x.example. A"], &[], &[]]);
        message.answers[0].dns_class = Class::CH;
        message.answers[1].ttl = ttl;
        scrub(&query(A, false), &mut message).unwrap();
        assert_eq!(message.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [believed]);
    }
}

#[test]
fn a_name_that_does_not_exist_has_no_data() {
    let denied = |answers: &[&str]| scrub(&query(A, false), &mut message(A, 3, [answers, &["example. SOA"], &[]]));
    assert_eq!(denied(&[]), Ok(()));
    assert_eq!(denied(&["x.example. CNAME y.example."]), Ok(()));
    assert_eq!(denied(&["other. A"]), Ok(()));
    assert_eq!(denied(&["x.example. A"]), Err(Unusable::Contradiction));
    assert_eq!(denied(&["x.example. CNAME y.example.", "y.example. A"]), Err(Unusable::Contradiction));
}

#[test]
fn aliases_in_a_circle_are_no_answer() {
    let check = |answers: &[&str], expected| {
        assert_eq!(scrub(&query(A, false), &mut message(A, 0, [answers, &[], &[]])), expected, "{answers:?}");
    };
    check(&["x.example. CNAME x.example."], Err(Unusable::Circle));
    check(&["x.example. CNAME y.", "y. CNAME x.example."], Err(Unusable::Circle));
    check(&["x.example. CNAME y.", "y. CNAME z.", "z. CNAME y."], Err(Unusable::Circle));
    check(&["x.example. CNAME y.", "z. CNAME z."], Ok(()));
}

proptest! {
    #[test]
    fn what_is_left_hangs_together_and_stays_what_it_is(
        records in prop::collection::vec((0usize..5, 0usize..5, 0usize..6), 0..12),
        dnssec_ok in any::<bool>(),
    ) {
        let names = ["x.example.", "a.", "b.", "example.", "net."];
        let text = |(owner, target, kind): (usize, usize, usize)| {
            let (owner, target) = (names[owner], names[target]);
            match kind {
                0 | 1 => format!("{owner} CNAME {target}"),
                2 => format!("{owner} A"),
                3 => format!("{owner} NS {target}"),
                4 => format!("{owner} SOA"),
                _ => format!("{owner} RRSIG 1 {target}"),
            }
        };
        let texts: Vec<String> = records.into_iter().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let query = query(A, dnssec_ok);
        let mut message = message(A, 0, [&texts, &texts, &texts]);
        prop_assume!(scrub(&query, &mut message).is_ok());
        let mut known = vec![name(A.0)];
        for record in &message.answers {
            prop_assert!(known.contains(&record.name), "{:?}", message.answers);
            known.extend(alias_target(record).cloned());
        }
        prop_assert!(message.authority.iter().all(|record| known.iter().any(|name| record.name.zone_of(name))));
        let hosts: Vec<&Name> = message.answers.iter().chain(&message.authority).filter_map(host_of).collect();
        prop_assert!(message.additional.iter().all(|record| hosts.contains(&&record.name)));
        let mut again = message.clone();
        scrub(&query, &mut again).unwrap();
        prop_assert_eq!(
            [again.answers, again.authority, again.additional],
            [message.answers, message.authority, message.additional]
        );
    }
}
