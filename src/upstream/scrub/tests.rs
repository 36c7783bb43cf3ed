//! Answers in words, and what is left of them.

use proptest::prelude::*;

use super::*;
use crate::dns::{Edns, RData, parse_name, parse_upstream};

/// Types by their word, and by number those that are passed on unread.
const DNAME: u16 = 39;
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
    check(A, [&["x.example. A"], &[], &[]], [&["x.example. A"], &[], &[]]);
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
    let beside = ["net. NS a.net.", "example. NS x.example.", "example. SOA", "y.example. SOA", "x.example. A"];
    check(A, [&["x.example. A"], &beside, &[]], [&["x.example. A"], &[], &[]]);
}

#[test]
fn nothing_of_the_additional_section_stays() {
    let additional = ["a.net. A", "x.example. A", "x.example. TXT", "kubernetes.default.svc.cluster.local. A"];
    for question in ["A", "MX", "SRV", "NS", "ANY"] {
        let answer = format!("x.example. {question} kubernetes.default.svc.cluster.local.");
        let answers: &[&str] = if question == "ANY" { &[] } else { &[&answer] };
        let [_, _, left] = scrubbed(
            ("x.example.", question.parse().unwrap()),
            true,
            [answers, &["x.example. NS a.net."], &additional],
        );
        assert!(left.is_empty(), "{question}: {left:?}");
    }
}

#[test]
fn names_equal_to_the_question_have_its_letters() {
    let mut message = message(A, 0, [&["X.EXAMPLE. CNAME Y.Net.", "y.net. A"], &[], &[]]);
    scrub(&query(("x.eXample.", RecordType::A), false), &mut message).unwrap();
    let names: Vec<String> = message.answers.iter().map(|record| record.name.to_ascii()).collect();
    assert_eq!(names, ["x.eXample.", "y.net."]);
}

#[test]
fn a_failure_has_no_data() {
    for code in [1, 2, 4, 5, 6, 9] {
        let mut message = message(A, code, [&["x.example. A"], &["example. SOA"], &["x.example. A"]]);
        assert_eq!(scrub(&query(A, true), &mut message), Ok(()));
        assert_eq!((message.answers, message.authority, message.additional), Default::default(), "{code}");
    }
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
    let scrubbed = |length: usize| {
        let aliases: Vec<String> = (0..length).rev().map(|i| format!("{i}.c. CNAME {}.c.", i + 1)).collect();
        let aliases: Vec<&str> = aliases.iter().map(String::as_str).collect();
        let question = ("0.c.", RecordType::A);
        let mut message = message(question, 0, [&aliases, &[], &[]]);
        scrub(&query(question, false), &mut message).map(|()| message.answers.len())
    };
    assert_eq!(scrubbed(16), Ok(16));
    assert_eq!(scrubbed(17), Err(Unusable::TooLong));
}

#[test]
fn a_dname_stays_beside_the_alias_that_it_made() {
    let made = ["x.example. CNAME x.net.", "example. DNAME net.", "x.net. A"];
    check(A, [&made, &[], &[]], [&["example. DNAME", "x.example. CNAME", "x.net. A"], &[], &[]]);
    let asked = ("x.example.", RecordType::CNAME);
    check(asked, [&made, &[], &[]], [&["example. DNAME", "x.example. CNAME"], &[], &[]]);
    let signed = ["example. RRSIG 39 example.", "com. RRSIG 39 com.", "x.example. CNAME x.net.", "example. DNAME net."];
    let [answers, ..] = scrubbed(A, true, [&signed, &[], &[]]);
    assert_eq!(answers, ["example. DNAME", "example. RRSIG", "x.example. CNAME"]);
    for (dname, target) in [
        ("example. DNAME org.", "x.net."),
        ("example. DNAME net.", "y.net."),
        ("example. DNAME net.", "a.x.net."),
        ("x.example. DNAME net.", "net."),
        ("com. DNAME net.", "x.net."),
        ("a.x.example. DNAME net.", "net."),
        (". DNAME net.", "x.net."),
    ] {
        let alias = format!("x.example. CNAME {target}");
        check(A, [&[dname, &alias], &[], &[]], [&["x.example. CNAME"], &[], &[]]);
    }
}

#[test]
fn a_question_for_aliases_or_for_anything_is_not_followed() {
    let answers = ["x.example. CNAME a.", "a. A", "x.example. TXT"];
    check(("x.example.", RecordType::CNAME), [&answers, &[], &[]], [&["x.example. CNAME"], &[], &[]]);
    let all: [&str; 2] = ["x.example. CNAME", "x.example. TXT"];
    check(("x.example.", RecordType::ANY), [&answers, &[], &[]], [&all, &[], &[]]);
}

#[test]
fn a_denial_has_the_soa_of_the_last_name() {
    let check = |answers: &[&str], authority: &[&str], expected: &[&str]| {
        for code in [0, 3] {
            let mut message = message(A, code, [answers, authority, &[]]);
            scrub(&query(A, false), &mut message).unwrap();
            let owners: Vec<String> = message.authority.iter().map(|record| record.name.to_ascii()).collect();
            assert_eq!(owners, expected, "{code} {authority:?}");
        }
    };
    check(&[], &["net. SOA", "x.example. NS a.", "example. SOA"], &["example."]);
    check(&[], &[". SOA", "example. SOA", "example. SOA", "y.example. SOA"], &["example."]);
    check(&[], &["net. SOA", "a.x.example. SOA", "example. NS a."], &[]);
    check(&["x.example. CNAME y.org."], &["example. SOA", "org. SOA"], &["org."]);
    check(&["x.example. CNAME y.org."], &["example. SOA"], &[]);
}

#[test]
fn a_referral_is_for_those_who_ask_for_one() {
    let zones = ["example. NS a.", ". NS b.", "example. NS c.", "example. DS", "net. NS d.", "a.x.example. NS e."];
    let check = |record_type, recursion_desired, code, authority: &[&str], expected: usize| {
        let question = ("x.example.", record_type);
        let mut message = message(question, code, [&[], authority, &[]]);
        scrub(&Query { recursion_desired, ..query(question, false) }, &mut message).unwrap();
        let owners: Vec<String> = message.authority.iter().map(|record| record.name.to_ascii()).collect();
        assert_eq!(owners, vec!["example."; expected], "{record_type} {recursion_desired} {code}");
    };
    check(RecordType::A, false, 0, &zones, 2);
    check(RecordType::NS, true, 0, &zones, 2);
    check(RecordType::A, true, 0, &zones, 0);
    check(RecordType::A, false, 3, &zones, 0);
    check(RecordType::A, false, 0, &[&zones[..], &["example. SOA"]].concat(), 1);
}

#[test]
fn proofs_and_signatures_are_for_those_who_set_do() {
    let answers = [
        "x.example. CNAME y.org.",
        "x.example. RRSIG 5 example.",
        "x.example. RRSIG 1 example.",
        "y.org. RRSIG 1 org.",
        "y.org. A",
    ];
    let authority = [
        "example. NS ns.example.",
        "example. RRSIG 2 example.",
        "x.example. DS",
        "a.example. NSEC z.example.",
        "b.example. RRSIG 47 example.",
        "a.example. RRSIG 47 example.",
        "a.net. NSEC z.net.",
        "a.net. RRSIG 47 net.",
        "a.org. NSEC z.org.",
        "a.org. RRSIG 47 org.",
        "a.example. RRSIG 16 example.",
    ];
    let sections: [&[&str]; 3] = [&answers, &authority, &[]];
    check(A, sections, [&["x.example. CNAME", "y.org. A"], &[], &[]]);
    let [answers, authority, _] = scrubbed(A, true, sections);
    assert_eq!(answers, ["x.example. CNAME", "x.example. RRSIG", "y.org. A", "y.org. RRSIG"]);
    assert_eq!(authority, ["a.example. NSEC", "a.example. RRSIG", "a.org. NSEC", "a.org. RRSIG"]);
}

#[test]
fn a_referral_says_whether_the_zone_below_is_signed() {
    let authority = ["example. RRSIG 43 .", "example. DS", "x.example. DS", "example. NS a."];
    let question = ("x.example.", RecordType::NS);
    let [_, left, _] = scrubbed(question, true, [&[], &authority, &[]]);
    assert_eq!(left, ["example. NS", "example. DS", "example. RRSIG"]);
    let [_, left, _] = scrubbed(question, false, [&[], &authority, &[]]);
    assert_eq!(left, ["example. NS"]);
}

#[test]
fn a_denial_of_anything_is_proven_too() {
    let authority =
        ["example. RRSIG 6 example.", "example. SOA", "x.example. NSEC z.example.", "x.example. RRSIG 47 example."];
    let [_, left, _] = scrubbed(("x.example.", RecordType::ANY), true, [&[], &authority, &[]]);
    assert_eq!(left, ["example. SOA", "example. RRSIG", "x.example. NSEC", "x.example. RRSIG"]);
}

#[test]
fn records_of_one_name_and_type_have_one_ttl() {
    let answers = ["x.example. CNAME y.", "y. A", "x.example. RRSIG 5 example.", "y. A", "y. RRSIG 1 ."];
    let mut message = message(A, 0, [&answers, &[], &[]]);
    message.answers.iter_mut().zip([9, 7, 5, 3, 100_000]).for_each(|(record, ttl)| record.ttl = ttl);
    scrub(&query(A, true), &mut message).unwrap();
    assert_eq!(message.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [5, 5, 3, 3, 3]);
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
        records in prop::collection::vec((0usize..6, 0usize..6, 0usize..9, 0u32..4), 0..12),
        (dnssec_ok, recursion_desired, asked) in (any::<bool>(), any::<bool>(), 0usize..5),
        code in prop::sample::select(vec![0u8, 0, 3, 2]),
    ) {
        let names = ["x.example.", "a.", "x.net.", "example.", "net.", "b.a."];
        let text = |(owner, target, kind, _): (usize, usize, usize, u32)| {
            let (owner, target) = (names[owner], names[target]);
            match kind {
                0 | 1 => format!("{owner} CNAME {target}"),
                2 => format!("{owner} A"),
                3 => format!("{owner} NS {target}"),
                4 => format!("{owner} SOA"),
                5 => format!("{owner} DNAME {target}"),
                6 => format!("{owner} NSEC {target}"),
                7 => format!("{owner} RRSIG 47 {target}"),
                _ => format!("{owner} RRSIG 1 {target}"),
            }
        };
        let texts: Vec<String> = records.iter().copied().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let types = [RecordType::A, RecordType::NS, RecordType::CNAME, RecordType::ANY, RecordType::from(DNAME)];
        let question = (A.0, types[asked]);
        let query = Query { recursion_desired, ..query(question, dnssec_ok) };
        let mut message = message(question, code, [&texts, &texts, &texts]);
        let ttls = records.iter().map(|(.., ttl)| *ttl).cycle();
        message.answers.iter_mut().chain(&mut message.authority).zip(ttls).for_each(|(record, ttl)| record.ttl = ttl);
        prop_assume!(scrub(&query, &mut message).is_ok());
        let mut known = vec![name(A.0)];
        for record in &message.answers {
            let is_above = record.record_type() == RecordType::DNAME
                || parse_signature(record).is_some_and(|signature| signature.covered == RecordType::DNAME);
            let is_known = known.contains(&record.name) || is_above && known.iter().any(|name| record.name.zone_of(name));
            prop_assert!(is_known, "{:?}", message.answers);
            if let RData::CNAME(target) = &record.data {
                known.push(target.0.clone());
            }
        }
        prop_assert!(message.additional.is_empty());
        for section in [&message.answers, &message.authority] {
            for record in section {
                let same = |other: &&Record| other.name == record.name && other.record_type() == record.record_type();
                let is_sole = record.record_type() == RecordType::RRSIG;
                prop_assert!(is_sole || section.iter().filter(same).all(|other| other.ttl == record.ttl), "{section:?}");
                prop_assert!(dnssec_ok || asked == 3 || record.record_type() != RecordType::RRSIG);
            }
        }
        let soas = message.authority.iter().filter(|record| record.record_type() == RecordType::SOA);
        prop_assert!(soas.count() <= 1);
        let mut again = message.clone();
        scrub(&query, &mut again).unwrap();
        prop_assert_eq!([again.answers, again.authority], [message.answers, message.authority]);
    }
}
