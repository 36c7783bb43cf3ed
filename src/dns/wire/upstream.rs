//! Questions to other servers, and their answers.

use hickory_proto::rr::rdata::NULL;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError, Restrict};

use super::reader::Reader;
use super::{EXTENDED_ERROR, HEADER, Malformed, OPT, UDP_SIZE_MAX, flag};
use crate::dns::{Class, ExtendedError, Name, Query, RData, Record, RecordType, ResponseCode};

/// DO, among the flags of OPT (RFC 3225 section 3).
const DNSSEC_OK: u16 = 0x8000;

/// Records that most sections have at most.
const FEW: u16 = 8;

/// Octets of most questions and of most replies.
const QUESTION_ROOM: usize = 512;

/// An answer of another server, parsed but not yet believed.
#[derive(Debug, Clone)]
pub struct UpstreamMessage {
    /// The id.
    pub id: u16,
    /// The question, letter case as received.
    pub question: (Name, RecordType, Class),
    /// The response code, with the upper bits of OPT.
    pub response_code: ResponseCode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
    /// AD.
    pub authentic_data: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
    /// Whether there was OPT: a server without it does not know EDNS.
    pub has_opt: bool,
    /// The first extended DNS error of OPT (RFC 8914).
    pub extended_error: Option<ExtendedError>,
}

/// Reads an answer of another server: QR set, opcode QUERY, exactly one question, and no record that is none.
pub fn parse_upstream(packet: &[u8]) -> Result<UpstreamMessage, Malformed> {
    let header = Reader::new(packet).header()?;
    if header.flags & (flag::QR | flag::OP_CODE) != flag::QR {
        return Err(Malformed::new("not an answer to a query"));
    }
    if header.questions != 1 {
        return Err(Malformed::new("not exactly one question"));
    }
    let mut decoder = BinDecoder::new(packet);
    decoder.read_slice(HEADER)?;
    let question = (Name::read(&mut decoder)?, read_u16(&mut decoder)?.into(), read_u16(&mut decoder)?.into());
    let answers = read_records(&mut decoder, header.answers)?;
    let authority = read_records(&mut decoder, header.authority)?;
    let (additional, opt) = read_additional(&mut decoder, header.additional)?;
    let has_opt = opt.is_some();
    let Opt { upper_code, extended_error } = opt.unwrap_or_default();
    let is_set = |flag| header.flags & flag != 0;
    let [_, lower_code] = header.flags.to_be_bytes();
    Ok(UpstreamMessage {
        id: header.id,
        question,
        response_code: ResponseCode::from(upper_code, lower_code & 0xf),
        authoritative: is_set(flag::AA),
        truncated: is_set(flag::TC),
        recursion_available: is_set(flag::RA),
        authentic_data: is_set(flag::AD),
        answers,
        authority,
        additional,
        has_opt,
        extended_error,
    })
}

/// An entry of a section.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
enum Entry {
    Record(Record),
    Opt(Opt),
}

/// What we want of OPT.
#[derive(Default)]
struct Opt {
    /// The upper bits of the response code.
    upper_code: u8,
    extended_error: Option<ExtendedError>,
}

fn read_records(decoder: &mut BinDecoder<'_>, count: u16) -> Result<Vec<Record>, Malformed> {
    // Beyond a few the vector grows with what is there: counts are the sender's to choose.
    let mut records = Vec::with_capacity(count.min(FEW).into());
    for _ in 0..count {
        match read_entry(decoder)? {
            Entry::Record(record) => records.push(record),
            Entry::Opt(_) => return Err(Malformed::new("OPT outside the additional section")),
        }
    }
    Ok(records)
}

fn read_additional(decoder: &mut BinDecoder<'_>, count: u16) -> Result<(Vec<Record>, Option<Opt>), Malformed> {
    let (mut records, mut opt) = (Vec::new(), None);
    for _ in 0..count {
        match read_entry(decoder)? {
            Entry::Record(record) => records.push(record),
            Entry::Opt(_) if opt.is_some() => return Err(Malformed::new("two OPT records")),
            Entry::Opt(only) => opt = Some(only),
        }
    }
    Ok((records, opt))
}

fn read_entry(decoder: &mut BinDecoder<'_>) -> Result<Entry, Malformed> {
    let name = Name::read(decoder)?;
    let record_type = RecordType::from(read_u16(decoder)?);
    let class = read_u16(decoder)?;
    let ttl = decoder.read_u32()?.unverified();
    let length = read_u16(decoder)?;
    if record_type == RecordType::OPT {
        let options = decoder.read_slice(length.into())?.unverified();
        let [upper_code, ..] = ttl.to_be_bytes();
        return Ok(Entry::Opt(Opt { upper_code, extended_error: read_extended_error(options) }));
    }
    let mut record = Record::from_rdata(name, ttl, read_data(decoder, record_type, length)?);
    record.dns_class = class.into();
    Ok(Entry::Record(record))
}

/// The first extended error of the options. Options that are broken spoil nothing: none of them is needed.
fn read_extended_error(options: &[u8]) -> Option<ExtendedError> {
    let (code, text) = split_options(options)
        .filter(|(code, _)| *code == EXTENDED_ERROR)
        .find_map(|(_, option)| option.split_first_chunk())?;
    let text = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
    Some(ExtendedError { code: u16::from_be_bytes(*code), text })
}

/// The options of OPT with their codes, until one is broken (RFC 6891 section 6.1.2).
fn split_options(options: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(options);
    std::iter::from_fn(move || {
        if reader.is_at_end() {
            return None;
        }
        let (code, length) = (reader.u16().ok()?, reader.u16().ok()?);
        Some((code, reader.take(length.into()).ok()?))
    })
}

/// The first option of a code, of the options of OPT.
pub fn opt_option(options: &[u8], code: u16) -> Option<&[u8]> {
    split_options(options).find_map(|(found, option)| (found == code).then_some(option))
}

/// OPT of a message (RFC 6891 section 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptRecord<'a> {
    /// The upper bits of the response code.
    pub upper_code: u8,
    /// The options, as octets.
    pub options: &'a [u8],
}

/// OPT of a message, which is read no further than to it. None: there is none before the message is broken.
pub fn opt_record(packet: &[u8]) -> Option<OptRecord<'_>> {
    let mut reader = Reader::new(packet);
    let header = reader.header().ok()?;
    for _ in 0..header.questions {
        reader.skip_name().ok()?;
        reader.take(4).ok()?;
    }
    let records = [header.answers, header.authority, header.additional].map(u32::from).iter().sum();
    for _ in 0..records {
        reader.skip_name().ok()?;
        let record_type = reader.u16().ok()?;
        let [_, _, upper_code, _, _, _] = reader.take(6).ok()?.first_chunk()?;
        let length = reader.u16().ok()?;
        let options = reader.take(length.into()).ok()?;
        if record_type == OPT {
            return Some(OptRecord { upper_code: *upper_code, options });
        }
    }
    None
}

/// Reads what we look into, and what may hold compressed names (RFC 3597 section 4); everything else goes on octet for
/// octet, whatever a parser of ours would think of it.
fn read_data(decoder: &mut BinDecoder<'_>, record_type: RecordType, length: u16) -> Result<RData, Malformed> {
    use RecordType::{A, AAAA, CNAME, MX, NAPTR, NS, PTR, SOA, SRV, TXT};
    match u16::from(record_type) {
        // RFC 6895 section 3.1: types of questions, and of records about the message itself.
        0 | 128..=255 => Err(Malformed::new("a record of a type that no record has")),
        _ if matches!(record_type, A | AAAA | CNAME | MX | NAPTR | NS | PTR | SOA | SRV | TXT) => {
            Ok(RData::read(decoder, record_type, Restrict::new(length))?)
        }
        _ => {
            let mut rdata = NULL::new();
            rdata.anything = decoder.read_slice(length.into())?.unverified().to_vec();
            Ok(RData::Unknown { code: record_type, rdata })
        }
    }
}

/// The value of a record's data, which holds no compressed names.
pub fn data_of_octets(record_type: RecordType, octets: &[u8]) -> Result<RData, Malformed> {
    let length = u16::try_from(octets.len()).map_err(|_| Malformed::new("more than 65535 octets"))?;
    let mut decoder = BinDecoder::new(octets);
    let data = read_data(&mut decoder, record_type, length)?;
    if decoder.is_empty() { Ok(data) } else { Err(Malformed::new("it is longer than its fields")) }
}

fn read_u16(decoder: &mut BinDecoder<'_>) -> Result<u16, Malformed> {
    Ok(decoder.read_u16()?.unverified())
}

impl From<DecodeError> for Malformed {
    fn from(error: DecodeError) -> Self {
        Self::new(error.to_string())
    }
}

/// Writes the question of a client as we ask it of another server: RD, CD and DO are the client's, options are those of
/// [`Query::upstream_options`], everything else is ours. The id is 0 until somebody sends it; OPT is the end.
pub fn encode_question(query: &Query) -> Vec<u8> {
    let mut octets = encode_without_opt(query, 1);
    octets.push(0);
    let flags = if query.dnssec_ok() { DNSSEC_OK } else { 0 };
    [OPT, UDP_SIZE_MAX, 0, flags].iter().for_each(|number| octets.extend(number.to_be_bytes()));
    let sizes = query.upstream_options.iter().map(|(_, data)| data.len() + 4);
    // Options that are too many for any message are left out.
    let size = u16::try_from(sizes.sum::<usize>()).unwrap_or_default();
    octets.extend(size.to_be_bytes());
    for (code, data) in query.upstream_options.iter().filter(|_| size > 0) {
        octets.extend(code.to_be_bytes());
        octets.extend((data.len() as u16).to_be_bytes());
        octets.extend_from_slice(data);
    }
    octets
}

/// The same without OPT, for servers that do not know EDNS (RFC 6891 section 6.2.2).
pub fn encode_question_without_edns(query: &Query) -> Vec<u8> {
    encode_without_opt(query, 0)
}

/// Header and question, in a buffer that has room for the reply, too.
fn encode_without_opt(query: &Query, additional: u16) -> Vec<u8> {
    let mut octets = Vec::with_capacity(QUESTION_ROOM);
    let is_set = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
    let flags = is_set(query.recursion_desired, flag::RD) | is_set(query.checking_disabled, flag::CD);
    [0, flags, 1, 0, 0, additional].iter().for_each(|number| octets.extend(number.to_be_bytes()));
    for label in query.name.iter() {
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
    }
    octets.push(0);
    octets.extend(u16::from(query.record_type).to_be_bytes());
    octets.extend(u16::from(query.class).to_be_bytes());
    octets
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Question};
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use proptest::prelude::*;

    use super::*;
    use crate::dns::rdata;

    /// Header, then the question `a.` A IN.
    fn packet(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut octets = vec![0xab, 0xcd];
        octets.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend([1, b'a', 0, 0, 1, 0, 1]);
        octets.extend(rest);
        octets
    }

    /// A record of the question's name.
    fn record(record_type: u16, data: &[u8]) -> Vec<u8> {
        let mut octets = vec![0xc0, 12];
        octets.extend(record_type.to_be_bytes());
        octets.extend([0, 1, 0, 0, 0, 60]);
        octets.extend((data.len() as u16).to_be_bytes());
        octets.extend(data);
        octets
    }

    const OPT_RECORD: [u8; 11] = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0];

    /// Reads an answer section of one record.
    fn answer(record_type: u16, data: &[u8]) -> Result<RData, Malformed> {
        let message = parse_upstream(&packet(0x8180, [1, 1, 0, 0], &record(record_type, data)))?;
        Ok(message.answers.into_iter().next().unwrap().data)
    }

    #[test]
    fn an_answer_is_read_with_its_flags_and_sections() {
        let rest = [&record(1, &[192, 0, 2, 1])[..], &record(2, &[0xc0, 12]), &record(1, &[192, 0, 2, 2]), &OPT_RECORD]
            .concat();
        let message = parse_upstream(&packet(0x86a3, [1, 1, 1, 2], &rest)).unwrap();
        let name = Name::from_ascii("a.").unwrap();
        assert_eq!((message.id, message.question), (0xabcd, (name.clone(), RecordType::A, Class::IN)));
        assert_eq!(message.response_code, ResponseCode::from(1, 3), "OPT has the upper bits");
        assert!(message.authoritative && message.truncated && message.recursion_available && message.authentic_data);
        assert_eq!(message.answers, [Record::from_rdata(name.clone(), 60, RData::A(rdata::A::new(192, 0, 2, 1)))]);
        assert_eq!(message.authority, [Record::from_rdata(name.clone(), 60, RData::NS(rdata::NS(name)))]);
        assert_eq!(message.additional.len(), 1);
    }

    #[test]
    fn options_of_rules_go_to_other_servers_and_those_of_clients_stay_here() {
        let of_client =
            crate::dns::Edns { udp_size: 4096, dnssec_ok: true, options: vec![(65002, b"client".to_vec())] };
        let upstream_options = vec![(8, vec![0, 1, 24, 0, 192, 0, 2]), (65001, b"abc".to_vec())];
        let question = Query::of_our_own(Name::from_ascii("a.").unwrap(), RecordType::A);
        let query = Query { edns: Some(of_client), upstream_options: upstream_options.clone(), ..question };
        let octets = encode_question(&query);
        let options: Vec<u8> = upstream_options
            .iter()
            .flat_map(|(code, data)| [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat())
            .collect();
        let length = (options.len() as u16).to_be_bytes();
        assert!(octets.ends_with(&[&[0, 0, 41, 4, 208, 0, 0, 0x80, 0][..], &length, &options].concat()), "{octets:?}");
    }

    #[test]
    fn only_an_answer_to_one_question_is_an_answer() {
        assert!(parse_upstream(&packet(0x8180, [1, 0, 0, 0], &[])).is_ok());
        for (flags, questions) in [(0x0180, 1), (0xa180, 1), (0x8180, 0), (0x8180, 2)] {
            assert!(parse_upstream(&packet(flags, [questions, 0, 0, 0], &[])).is_err(), "{flags:x} {questions}");
        }
    }

    #[test]
    fn counts_are_true_and_opt_is_one_in_its_place() {
        let address = record(1, &[192, 0, 2, 1]);
        let two = [OPT_RECORD, OPT_RECORD].concat();
        for (counts, rest) in [
            ([1, 2, 0, 0], &address[..]),
            ([1, 65535, 65535, 65535], &address),
            ([1, 1, 0, 0], &OPT_RECORD),
            ([1, 0, 1, 0], &OPT_RECORD),
            ([1, 0, 0, 2], &two),
        ] {
            assert!(parse_upstream(&packet(0x8180, counts, rest)).is_err(), "{counts:?}");
        }
    }

    #[test]
    fn an_extended_error_comes_along_and_broken_options_do_not_matter() {
        let check = |options: &[u8], expected: Option<(u16, &str)>| {
            let opt = [&OPT_RECORD[..9], &[0, options.len() as u8], options].concat();
            let message = parse_upstream(&packet(0x8182, [1, 0, 0, 1], &opt)).unwrap();
            let found = message.extended_error.as_ref().map(|error| (error.code, error.text.as_str()));
            assert_eq!((message.has_opt, found), (true, expected), "{options:?}");
        };
        check(&[], None);
        check(&[0, 15, 0, 4, 0, 22, b'h', b'i'], Some((22, "hi")));
        check(&[0, 3, 0, 1, b'x', 0, 15, 0, 3, 0, 9, b'\n'], Some((9, "")));
        check(&[0, 15, 0, 1, 0], None);
        check(&[0, 15, 0, 9, 0, 22], None);
        assert!(!parse_upstream(&packet(0x8182, [1, 0, 0, 0], &[])).unwrap().has_opt);
    }

    #[test]
    fn records_that_are_none_spoil_the_message() {
        for (record_type, data) in [
            (1, &[192, 0, 2][..]),
            (1, &[192, 0, 2, 1, 0]),
            (1, &[]),
            (28, &[0; 4]),
            (5, &[0xc0]),
            (5, &[0xc0, 31]),
            (5, &[0xff, 0xff]),
            (16, &[5, b'x']),
            (0, &[1]),
            (250, &[1]),
            (255, &[1]),
        ] {
            assert!(answer(record_type, data).is_err(), "type {record_type} {data:?}");
        }
    }

    #[test]
    fn what_we_do_not_look_into_goes_on_octet_for_octet() {
        // HTTPS with a broken parameter, CAA, DNAME, an empty APL, a type that nobody knows.
        for (record_type, data) in [(65, &[0, 1, 0, 0, 1, 0][..]), (257, &[0]), (39, &[0]), (42, &[]), (65280, &[1, 2])]
        {
            let RData::Unknown { code, rdata } = answer(record_type, data).unwrap() else { panic!("{record_type}") };
            assert_eq!((u16::from(code), rdata.anything.as_slice()), (record_type, data));
        }
    }

    #[test]
    fn a_name_is_no_longer_than_a_name_may_be() {
        let labels = |count: usize| [[1, b'x']].repeat(count).concat();
        let name = |count| [&labels(count)[..], &[0xc0, 12]].concat();
        assert!(answer(5, &name(126)).is_ok());
        assert!(answer(5, &name(127)).is_err());
    }

    /// What hickory-proto writes.
    fn model(query: &Query, has_edns: bool) -> Vec<u8> {
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = query.recursion_desired;
        message.metadata.checking_disabled = query.checking_disabled;
        let mut question = Question::query(query.name.clone(), query.record_type);
        question.set_query_class(query.class);
        message.add_query(question);
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_SIZE_MAX).set_dnssec_ok(query.dnssec_ok());
        for (code, data) in &query.upstream_options {
            edns.options_mut().insert(EdnsOption::Unknown(*code, data.clone()));
        }
        message.edns = has_edns.then_some(edns);
        message.to_vec().unwrap()
    }

    #[test]
    fn opt_is_found_behind_other_records() {
        let address = record(1, &[192, 0, 2, 1]);
        let opt = [&OPT_RECORD[..10], &[6, 0, 10, 0, 2, 1, 2]].concat();
        let check = |counts: [u16; 4], rest: &[u8], expected: Option<&[u8]>| {
            let packet = packet(0x8180, counts, rest);
            assert_eq!(
                opt_record(&packet).map(|opt| (opt.upper_code, opt.options)),
                expected.map(|options| (1, options))
            );
        };
        check([1, 1, 0, 1], &[&address[..], &opt].concat(), Some(&[0, 10, 0, 2, 1, 2]));
        check([1, 0, 0, 2], &[&opt[..], &address].concat(), Some(&[0, 10, 0, 2, 1, 2]));
        check([1, 1, 0, 0], &address, None);
        check([1, 1, 0, 1], &address, None);
        check([1, 0, 0, 1], &opt[..16], None);
        assert_eq!(opt_option(&[0, 10, 0, 2, 1, 2], 10), Some(&[1, 2][..]));
        assert_eq!(opt_option(&[0, 3, 0, 0, 0, 10, 0, 1, 5], 10), Some(&[5][..]));
        assert_eq!(opt_option(&[0, 3, 0, 9, 0, 10, 0, 1, 5], 10), None);
    }

    #[test]
    fn options_that_fit_into_no_message_are_left_out() {
        let question = Query::of_our_own(Name::from_ascii("a.").unwrap(), RecordType::A);
        let query = Query { upstream_options: vec![(1, vec![0; 40_000]); 2], ..question.clone() };
        assert_eq!(encode_question(&query), encode_question(&question));
    }

    proptest! {
        #[test]
        fn a_question_is_what_hickory_makes_of_it(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..30), 0..8),
            (record_type, class) in (any::<u16>(), any::<u16>()),
            (recursion_desired, checking_disabled, dnssec_ok) in any::<(bool, bool, bool)>(),
            upstream_options in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..4),
        ) {
            let mut name = Name::from_labels(labels).unwrap();
            name.set_fqdn(true);
            let edns = crate::dns::Edns { udp_size: 512, dnssec_ok, options: Vec::new() };
            let query = Query {
                class: class.into(),
                recursion_desired,
                checking_disabled,
                edns: Some(edns),
                upstream_options,
                ..Query::of_our_own(name, record_type.into())
            };
            prop_assert_eq!(encode_question(&query), model(&query, true));
            prop_assert_eq!(encode_question_without_edns(&query), model(&query, false));
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse_upstream(&octets);
        }

        #[test]
        fn no_mutation_of_an_answer_panics(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
            let rest = [&record(5, &[1, b'b', 0xc0, 12])[..], &record(6, &[0; 22]), &record(1, &[192, 0, 2, 2]), &OPT_RECORD].concat();
            let mut octets = packet(0x8180, [1, 1, 1, 2], &rest);
            for (at, value) in changes {
                let at = at % octets.len();
                octets[at] = value;
            }
            let _ = parse_upstream(&octets);
            octets.truncate(octets.len() / 2);
            let _ = parse_upstream(&octets);
        }
    }
}
