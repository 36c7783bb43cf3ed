//! Answers: from values to octets.

use std::iter::Peekable;

use super::reader::Reader;
use super::writer::Writer;
use super::{EXTENDED_ERROR, NSID, OPT, UDP_SIZE_MAX, UDP_SIZE_PLAIN, flag};
use crate::dns::{Answer, Edns, Query, Record, Records, Transport};

/// Octets of EXTRA-TEXT at most.
const EXTRA_TEXT_MAX: usize = 64;

/// Writes the answer to a query, at most as long as transport and client allow; what does not fit is left out whole
/// records at a time, and TC is set, also for additional records, as in CoreDNS.
pub fn encode(query: &Query, answer: &Answer) -> Vec<u8> {
    let opt = query.edns.as_ref().map(|edns| Opt::new(edns, answer));
    let limit = size_limit(query) - opt.as_ref().map_or(0, Opt::length);
    let mut writer = Writer::new(&query.name);
    let written = write_sections(query, answer, limit, &mut writer);
    let mut octets = writer.octets;
    if let Some(opt) = &opt {
        opt.write(&mut octets);
    }
    write_header(query, answer, &written, opt.is_some(), &mut octets);
    octets
}

/// Octets of a message of a transfer: pointers of compressed names reach as far.
const TRANSFER_MESSAGE_BYTES: usize = 16 * 1024;

/// The messages of a transfer (RFC 5936 section 2.2), made one after another. TC is never set.
pub struct Messages {
    query: Query,
    answer: Answer,
    records: Peekable<Records>,
}

impl Messages {
    /// The messages of an answer; None: it is no transfer, and has but one.
    pub fn new(query: &Query, answer: &Answer) -> Option<Self> {
        let records = answer.as_transfer()?.records().peekable();
        Some(Self { query: query.clone(), answer: answer.clone(), records })
    }
}

impl Iterator for Messages {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let opt = self.query.edns.as_ref().map(|edns| Opt::new(edns, &self.answer));
        let opt_length = opt.as_ref().map_or(0, Opt::length);
        let mut writer = Writer::new(&self.query.name);
        writer.u16(self.query.record_type.into());
        writer.u16(self.query.class.into());
        let mut written = Written { counts: [0; 3], is_complete: true };
        while let Some(record) = self.records.peek() {
            let [count, ..] = &mut written.counts;
            // A record that is longer has a message of its own.
            let limit = if *count == 0 { usize::from(u16::MAX) } else { TRANSFER_MESSAGE_BYTES };
            if !write_record(&self.query, record, limit - opt_length, &mut writer) {
                break;
            }
            *count += 1;
            self.records.next();
        }
        if written.counts == [0; 3] {
            return None;
        }
        let mut octets = writer.octets;
        if let Some(opt) = &opt {
            opt.write(&mut octets);
        }
        write_header(&self.query, &self.answer, &written, opt.is_some(), &mut octets);
        Some(octets)
    }
}

/// The longest answer in octets.
fn size_limit(query: &Query) -> usize {
    match query.transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => usize::from(
            query.edns.as_ref().map_or(UDP_SIZE_PLAIN, |edns| edns.udp_size.clamp(UDP_SIZE_PLAIN, UDP_SIZE_MAX)),
        ),
    }
}

/// How many entries each section got, and whether that is all of them.
struct Written {
    counts: [u16; 3],
    is_complete: bool,
}

/// Writes question and records. A question always fits: its name was parsed, so it has at most 255 octets.
fn write_sections(query: &Query, answer: &Answer, limit: usize, writer: &mut Writer<'_>) -> Written {
    writer.u16(query.record_type.into());
    writer.u16(query.class.into());
    let mut written = Written { counts: [0; 3], is_complete: true };
    for (count, section) in written.counts.iter_mut().zip([&answer.answers, &answer.authority, &answer.additional]) {
        for record in section {
            if !write_record(query, record, limit, writer) {
                written.is_complete = false;
                return written;
            }
            *count += 1;
        }
    }
    written
}

/// Writes a record, or nothing if there is no room for the whole of it.
fn write_record(query: &Query, record: &Record, limit: usize, writer: &mut Writer<'_>) -> bool {
    let start = writer.octets.len();
    // A pointer is longer than the root.
    let is_of_question = record.name.eq_case(&query.name) && !query.name.is_root();
    let done = writer.record(record, is_of_question);
    let fits = done.is_ok() && writer.octets.len() <= limit;
    if !fits {
        writer.truncate(start);
    }
    fits
}

fn write_header(query: &Query, answer: &Answer, written: &Written, has_opt: bool, octets: &mut [u8]) {
    let flags = [
        (flag::QR, true),
        (flag::AA, answer.is_authoritative()),
        (flag::TC, answer.is_truncated() || !written.is_complete),
        (flag::RD, answer.recursion_desired().unwrap_or(query.recursion_desired)),
        (flag::RA, answer.is_recursion_available()),
        (flag::AD, answer.is_authentic_data()),
        (flag::CD, query.checking_disabled),
    ];
    let flags: u16 = flags.into_iter().filter_map(|(bit, is_set)| is_set.then_some(bit)).sum();
    let code = u16::from(answer.response_code()) & 0xf;
    let [answers, authority, additional] = written.counts;
    let fields = [query.id, flags | code, 1, answers, authority, additional + u16::from(has_opt)];
    for (place, field) in octets.chunks_exact_mut(2).zip(fields) {
        place.copy_from_slice(&field.to_be_bytes());
    }
}

/// The flags that a message has, in the words and the order of CoreDNS's log.
pub fn flag_words(message: &[u8]) -> String {
    let Ok(header) = Reader::new(message).header() else { return String::new() };
    let words = [
        ("qr", flag::QR),
        ("aa", flag::AA),
        ("tc", flag::TC),
        ("rd", flag::RD),
        ("ra", flag::RA),
        ("ad", flag::AD),
        ("cd", flag::CD),
    ];
    let words: Vec<&str> =
        words.into_iter().filter_map(|(word, bit)| (header.flags & bit != 0).then_some(word)).collect();
    words.join(",")
}

/// Our OPT record: the client's size and DO come back, nothing else of it does. Unlike CoreDNS, which returns
/// COOKIE, KEEPALIVE and PADDING as they came: the client's cookie alone is no valid answer (RFC 7873 section 5.2.3).
struct Opt<'a> {
    udp_size: u16,
    upper_code: u8,
    dnssec_ok: bool,
    error: Option<(u16, &'a str)>,
    server_id: Option<&'a str>,
}

impl<'a> Opt<'a> {
    fn new(edns: &Edns, answer: &'a Answer) -> Self {
        let [_, code] = (u16::from(answer.response_code()) >> 4).to_be_bytes();
        let error = answer.extended_error().map(|error| (error.code, cut(&error.text)));
        Self {
            udp_size: edns.udp_size,
            upper_code: code,
            dnssec_ok: edns.dnssec_ok,
            error,
            server_id: answer.server_id(),
        }
    }

    /// Octets of the record.
    fn length(&self) -> usize {
        11 + self.options_length()
    }

    fn options_length(&self) -> usize {
        self.error.map_or(0, |(_, text)| 6 + text.len()) + self.server_id.map_or(0, |server_id| 4 + server_id.len())
    }

    fn write(&self, octets: &mut Vec<u8>) {
        octets.push(0);
        octets.extend(OPT.to_be_bytes());
        octets.extend(self.udp_size.to_be_bytes());
        octets.extend([self.upper_code, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        octets.extend((self.options_length() as u16).to_be_bytes());
        if let Some((code, text)) = self.error {
            octets.extend(EXTENDED_ERROR.to_be_bytes());
            octets.extend((2 + text.len() as u16).to_be_bytes());
            octets.extend(code.to_be_bytes());
            octets.extend(text.as_bytes());
        }
        if let Some(server_id) = self.server_id {
            octets.extend(NSID.to_be_bytes());
            octets.extend((server_id.len() as u16).to_be_bytes());
            octets.extend(server_id.as_bytes());
        }
    }
}

/// The text, or as much of it as fits, whole characters at a time.
fn cut(text: &str) -> &str {
    let end = (0..=EXTRA_TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::opt::EdnsCode;
    use proptest::prelude::*;

    use super::*;
    use crate::dns::{Class, Metadata, Name, RData, RecordType, ResponseCode, parse_name, rdata};

    fn query(transport: Transport, udp_size: Option<u16>) -> Query {
        Query {
            id: 0x1234,
            name: parse_name("WeB.example.").unwrap(),
            record_type: RecordType::A,
            class: Class::IN,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: udp_size.map(|udp_size| Edns {
                udp_size,
                dnssec_ok: false,
                options: vec![(3, vec![]), (10, vec![7; 8])],
            }),
            client: "127.0.0.1:4000".parse().unwrap(),
            local: "127.0.0.1:53".parse().unwrap(),
            transport,
            size_bytes: 0,
            depth: 0,
            serial: None,
            metadata: Metadata::default(),
            budget: Arc::default(),
            may_wait: true,
            upstream_options: Vec::new(),
            explanation: None,
        }
    }

    fn name(text: &str) -> Name {
        parse_name(text).unwrap()
    }

    fn addresses(name: &Name, count: u32) -> Vec<Record> {
        (0..count).map(|i| Record::from_rdata(name.clone(), 5, RData::A(rdata::A(i.into())))).collect()
    }

    fn reply(query: &Query, answer: &Answer) -> Message {
        Message::from_vec(&encode(query, answer)).expect("a well-formed answer")
    }

    fn check_limit(count: u32, transport: Transport, udp_size: Option<u16>, limit: usize) -> Message {
        let query = query(transport, udp_size);
        let octets = encode(&query, &Answer::positive(addresses(&query.name, count)));
        assert!(octets.len() <= limit, "{} octets", octets.len());
        Message::from_vec(&octets).expect("a well-formed answer")
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_tc_is_set() {
        for (udp_size, limit) in [(None, 512), (Some(512), 512), (Some(800), 800), (Some(4096), 1232)] {
            let reply = check_limit(400, Transport::Udp, udp_size, limit);
            assert!(reply.metadata.truncation);
            assert_eq!(reply.answers.len(), (limit - 12 - 17 - if udp_size.is_some() { 11 } else { 0 }) / 16);
        }
    }

    #[test]
    fn tcp_takes_64_kib() {
        let whole = check_limit(4000, Transport::Tcp, None, 65535);
        assert!(!whole.metadata.truncation && whole.answers.len() == 4000);
        let cut = check_limit(5000, Transport::Tcp, None, 65535);
        assert!(cut.metadata.truncation && cut.answers.len() == (65535 - 12 - 17) / 16);
    }

    #[test]
    fn answers_come_before_authority_and_that_before_additional_records() {
        let query = query(Transport::Udp, None);
        let answer = |counts: [u32; 3]| {
            let [answers, authority, additional] = counts.map(|count| addresses(&query.name, count));
            Answer::positive(answers).with_authority(authority).with_additional(additional)
        };
        for (counts, kept) in [([1, 2, 3], [1, 2, 3]), ([20, 20, 1], [20, 10, 0]), ([10, 10, 20], [10, 10, 10])] {
            let reply = reply(&query, &answer(counts));
            assert_eq!(
                [reply.answers.len(), reply.authorities.len(), reply.additionals.len()].map(|len| len as u32),
                kept
            );
            assert_eq!(reply.metadata.truncation, counts != kept);
        }
    }

    #[test]
    fn flags_are_the_answers_and_rd_and_cd_the_querys() {
        for bits in 0..64u8 {
            let is_set = |bit: u8| bits >> bit & 1 != 0;
            let query = Query {
                recursion_desired: is_set(0),
                checking_disabled: is_set(1),
                authentic_data: !is_set(4),
                ..query(Transport::Udp, None)
            };
            let answer = Answer::relayed(ResponseCode::NXDomain, is_set(2), is_set(3))
                .with_authentic_data(is_set(4))
                .with_truncated(is_set(5));
            let octets = encode(&query, &answer);
            let expected = [(0, flag::RD), (1, flag::CD), (2, flag::AA), (3, flag::RA), (4, flag::AD), (5, flag::TC)];
            let expected: u16 = expected.into_iter().filter_map(|(bit, flag)| is_set(bit).then_some(flag)).sum();
            assert_eq!(u16::from_be_bytes([octets[2], octets[3]]), flag::QR | expected | 3);
        }
    }

    #[test]
    fn flags_have_words() {
        assert_eq!(flag_words(&encode(&query(Transport::Udp, None), &Answer::positive(Vec::new()))), "qr,aa,rd");
        assert_eq!(flag_words(&[0xff; 12]), "qr,aa,tc,rd,ra,ad,cd");
        assert_eq!(flag_words(&[0; 12]), "");
    }

    #[test]
    fn letter_case_comes_back_as_it_was_asked() {
        let query = query(Transport::Udp, None);
        let answers = vec![
            Record::from_rdata(query.name.clone(), 5, RData::CNAME(rdata::CNAME(name("wEb.EXAMPLE.")))),
            Record::from_rdata(name("web.example."), 5, RData::PTR(rdata::PTR(name("x.WeB.example.")))),
        ];
        let reply = reply(&query, &Answer::positive(answers.clone()));
        assert_eq!(reply.queries[0].name.to_ascii(), "WeB.example.");
        let text = |records: &[Record]| {
            records.iter().map(|record| format!("{} {}", record.name, record.data)).collect::<Vec<_>>()
        };
        assert_eq!(text(&reply.answers), text(&answers));
    }

    #[test]
    fn opt_is_there_only_if_it_was_asked_for() {
        assert!(check_limit(1, Transport::Udp, None, 512).edns.is_none());
        for size in [512, 1232, 4096, 65535] {
            let edns = check_limit(1, Transport::Udp, Some(size), 512).edns.unwrap();
            assert_eq!((edns.max_payload(), edns.version(), edns.flags().dnssec_ok), (size, 0, false));
            assert!(edns.options().as_ref().is_empty(), "options of the client do not come back");
        }
    }

    #[test]
    fn do_comes_back() {
        let mut query = query(Transport::Udp, Some(1232));
        query.edns.as_mut().unwrap().dnssec_ok = true;
        let edns = reply(&query, &Answer::refused()).edns.unwrap();
        assert!(edns.flags().dnssec_ok && edns.flags().z == 0);
    }

    #[test]
    fn an_extended_error_is_for_those_who_know_opt() {
        let answer = Answer::serv_fail("").with_extended_error(22, "ü".repeat(100));
        assert!(reply(&query(Transport::Udp, None), &answer).edns.is_none());
        let edns = reply(&query(Transport::Udp, Some(512)), &answer).edns.unwrap();
        let option: Vec<u8> = edns.option(EdnsCode::Unknown(EXTENDED_ERROR)).unwrap().try_into().unwrap();
        assert_eq!(option, [&[0, 22], "ü".repeat(32).as_bytes()].concat());
    }

    #[test]
    fn a_response_code_of_more_than_four_bits_is_split() {
        let reply = reply(&query(Transport::Udp, Some(512)), &Answer::relayed(ResponseCode::from(1, 7), false, false));
        assert_eq!(reply.metadata.response_code, ResponseCode::from(1, 7));
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_can_be_read_within_the_limit(
            labels in prop::collection::vec("[a-zA-Z0-9-]{1,20}", 0..8),
            owners in prop::collection::vec((0usize..8, any::<bool>()), 0..100),
            udp_size in prop::option::of(any::<u16>()),
        ) {
            let mut query = query(Transport::Udp, udp_size);
            query.name = Name::from_labels(labels.iter().map(String::as_bytes)).unwrap();
            let answers = owners.iter().map(|(skipped, is_alias)| {
                let owner = Name::from_labels(labels.iter().skip(*skipped).map(String::as_bytes)).unwrap();
                let data = match is_alias {
                    true => RData::CNAME(rdata::CNAME(query.name.clone())),
                    false => RData::SRV(rdata::SRV::new(0, 100, 80, query.name.clone())),
                };
                Record::from_rdata(owner, 5, data)
            });
            let answer = Answer::positive(answers.collect());
            let octets = encode(&query, &answer);
            let limit = usize::from(udp_size.unwrap_or(512).clamp(512, 1232));
            prop_assert!(octets.len() <= limit);
            let reply = Message::from_vec(&octets).unwrap();
            prop_assert_eq!(&reply.answers[..], &answer.answers[..reply.answers.len()]);
            prop_assert_eq!(reply.metadata.truncation, reply.answers.len() < answer.answers.len());
            prop_assert_eq!(&reply.queries[0].name, &query.name);
        }
    }
}
