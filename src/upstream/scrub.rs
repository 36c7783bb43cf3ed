//! What of another server's answer is believed.
//!
//! Pure: a message in, the records that belong to the question out. Everything else is dropped, whoever sent it: records
//! of other names, of other classes, of types that nobody asked for.

use std::collections::HashSet;

use crate::dns::{Class, Name, Query, RData, Record, RecordType, ResponseCode, UpstreamMessage, parse_signature};

/// Aliases in a row at most; what is behind them is dropped.
const ALIASES_MAX: usize = 16;

/// No answer is good for longer.
const TTL_MAX: u32 = 24 * 60 * 60;

/// The type of DNAME (RFC 6672).
const DNAME: u16 = 39;

/// The answer says of a name both that it does not exist and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer denies a name and has data of it")]
pub struct Contradiction;

/// Leaves in a message only what belongs to the question:
///
/// - answer: the chain of aliases that begins at the name asked for, and the type asked for at its end;
/// - authority: SOA and NS of zones that hold one of these names, and with DO the proofs of these zones;
/// - additional: addresses of the names that the other two point to.
///
/// Signatures are left only beside what they sign, and only if the client set DO.
pub fn scrub(query: &Query, message: &mut UpstreamMessage) -> Result<(), Contradiction> {
    let UpstreamMessage { answers, authority, additional, .. } = message;
    for section in [&mut *answers, &mut *authority, &mut *additional] {
        section.retain(|record| record.dns_class == Class::IN);
        section.iter_mut().for_each(|record| record.ttl = believed_ttl(record.ttl));
    }
    let chain = Chain::follow(query, answers);
    chain.sort_out_answers(answers);
    chain.sort_out_authority(authority);
    sort_out_additional(query, answers, authority, additional);
    let is_denied = message.response_code == ResponseCode::NXDomain;
    let has_data = message.answers.iter().any(|record| chain.is_data(record));
    if is_denied && has_data { Err(Contradiction) } else { Ok(()) }
}

/// RFC 2181 section 8: a TTL with the highest bit set is 0.
fn believed_ttl(ttl: u32) -> u32 {
    if ttl > i32::MAX.unsigned_abs() { 0 } else { ttl.min(TTL_MAX) }
}

/// The names that an answer leads through.
struct Chain<'a> {
    query: &'a Query,
    /// The name asked for, then the target of each alias; never empty.
    names: Vec<Name>,
}

impl<'a> Chain<'a> {
    /// Follows the aliases of an answer as far as they lead, and never around in a circle.
    fn follow(query: &'a Query, answers: &[Record]) -> Self {
        let mut names = Vec::new();
        let mut next = Some(&query.name);
        while let Some(name) = next.take() {
            let at_name = || answers.iter().filter(|record| record.name == *name);
            let is_end = matches!(query.record_type, RecordType::ANY | RecordType::CNAME)
                || at_name().any(|record| record.record_type() == query.record_type);
            names.push(name.clone());
            if !is_end && names.len() <= ALIASES_MAX {
                next = at_name().find_map(alias_target).filter(|target| !names.contains(target));
            }
        }
        Self { query, names }
    }

    /// Aliases come before what they lead to, whatever the order was: many clients read an answer only once.
    fn sort_out_answers(&self, answers: &mut Vec<Record>) {
        answers.retain(|record| self.place(record).is_some());
        answers.sort_by_cached_key(|record| self.place(record));
    }

    /// At which name of the chain a record has its place in the answer; None: nowhere.
    fn place(&self, record: &Record) -> Option<usize> {
        let last = self.names.len() - 1;
        let record_type = self.type_or_covered(record)?;
        if u16::from(record_type) == DNAME && record_type != self.query.record_type {
            let is_above = |name: &Name| record.name.zone_of(name) && record.name != *name;
            return self.names.iter().take(last).position(is_above);
        }
        let place = self.names.iter().position(|name| record.name == *name)?;
        let belongs = match place == last {
            true => record_type == self.query.record_type || self.query.record_type == RecordType::ANY,
            // A second alias of the same name leads nowhere.
            false => {
                record_type == RecordType::CNAME
                    && alias_target(record).is_none_or(|target| self.names.get(place + 1) == Some(target))
            }
        };
        belongs.then_some(place)
    }

    /// Whether a record of the answer is more than an alias on the way.
    fn is_data(&self, record: &Record) -> bool {
        match self.query.record_type {
            RecordType::ANY => record.record_type() != RecordType::CNAME,
            record_type => record.record_type() == record_type,
        }
    }

    fn sort_out_authority(&self, authority: &mut Vec<Record>) {
        let apexes = self.apexes(authority);
        authority.retain(|record| {
            let dnssec_ok = self.query.dnssec_ok();
            match self.type_or_covered(record) {
                Some(RecordType::SOA | RecordType::NS) => self.is_in(&record.name),
                Some(RecordType::DS) => dnssec_ok && self.is_in(&record.name),
                Some(RecordType::NSEC | RecordType::NSEC3) => {
                    dnssec_ok && apexes.iter().any(|apex| apex.zone_of(&record.name))
                }
                _ => false,
            }
        });
    }

    /// The zones of the chain that the authority section speaks for: NSEC and NSEC3 have names beside those of the chain.
    fn apexes(&self, authority: &[Record]) -> Vec<Name> {
        let apex = |record: &Record| match record.record_type() {
            RecordType::SOA | RecordType::NS => Some(record.name.clone()),
            _ => parse_signature(record).map(|signature| signature.signer),
        };
        let mut apexes: Vec<Name> = authority.iter().filter_map(apex).filter(|apex| self.is_in(apex)).collect();
        apexes.sort_unstable();
        apexes.dedup();
        apexes
    }

    /// Whether any name of the chain is in a zone.
    fn is_in(&self, apex: &Name) -> bool {
        self.names.iter().any(|name| apex.zone_of(name))
    }

    fn type_or_covered(&self, record: &Record) -> Option<RecordType> {
        type_or_covered(self.query, record)
    }
}

/// The type that decides whether a record belongs: its own, or the one that it signs. None: a signature nobody wants.
fn type_or_covered(query: &Query, record: &Record) -> Option<RecordType> {
    let is_wanted_itself = matches!(query.record_type, RecordType::RRSIG | RecordType::ANY);
    match record.record_type() {
        RecordType::RRSIG if !is_wanted_itself => {
            parse_signature(record).filter(|_| query.dnssec_ok()).map(|signature| signature.covered)
        }
        record_type => Some(record_type),
    }
}

fn sort_out_additional(query: &Query, answers: &[Record], authority: &[Record], additional: &mut Vec<Record>) {
    let targets: HashSet<&Name> = answers.iter().chain(authority).filter_map(host_of).collect();
    additional.retain(|record| {
        let is_address = matches!(type_or_covered(query, record), Some(RecordType::A | RecordType::AAAA));
        is_address && targets.contains(&record.name)
    });
}

fn alias_target(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// The host that a record points to, whose addresses a client wants next.
fn host_of(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::SRV(srv) => Some(&srv.target),
        RData::MX(mx) => Some(&mx.exchange),
        RData::NS(ns) => Some(&ns.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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
        check(A, [&["x.example. CNAME a.", "a. CNAME x.example."], &[], &[]], [&["x.example. CNAME"], &[], &[]]);
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
        for (ttl, believed) in [(0, 0), (60, 60), (86_400, 86_400), (86_401, 86_400), (u32::MAX / 2, 86_400)] {
            assert_eq!(believed_ttl(ttl), believed);
        }
        assert_eq!((believed_ttl(1 << 31), believed_ttl(u32::MAX)), (0, 0));
        let mut message = message(A, 0, [&["x.example. A", "x.example. A"], &[], &[]]);
        message.answers[0].dns_class = Class::CH;
        message.answers[1].ttl = u32::MAX;
        scrub(&query(A, false), &mut message).unwrap();
        assert_eq!(message.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_data() {
        let denied = |answers: &[&str]| scrub(&query(A, false), &mut message(A, 3, [answers, &["example. SOA"], &[]]));
        assert_eq!(denied(&[]), Ok(()));
        assert_eq!(denied(&["x.example. CNAME y.example."]), Ok(()));
        assert_eq!(denied(&["other. A"]), Ok(()));
        assert_eq!(denied(&["x.example. A"]), Err(Contradiction));
        assert_eq!(denied(&["x.example. CNAME y.example.", "y.example. A"]), Err(Contradiction));
    }
}
