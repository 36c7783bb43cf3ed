//! Requests: what a packet that came to a listener is.

use std::net::SocketAddr;
use std::sync::Arc;

use super::reader::{Header, Reader};
use super::{HEADER, Malformed, OPT, UDP_SIZE_PLAIN, flag};
use crate::dns::{Edns, Metadata, Name, Query, RecordType, Transport};

/// What is to be done with a packet that came to a listener.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most packets are queries, and each is moved once")]
pub enum Request {
    /// Nothing: an answer (QR=1) or too short to answer.
    Ignored,
    /// Refused before its question was looked at: these octets go back (FORMERR, NOTIMP, BADVERS).
    Rejected(Vec<u8>),
    /// A question to be answered.
    Query(Query),
}

const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;
/// BADVERS is 16: the OPT record carries the 1 above the four bits of the header (RFC 6891 section 6.1.3).
const BADVERS_UPPER: u8 = 1;
/// OPT and a signature.
const ADDITIONAL_MAX: u16 = 2;
/// The option code of COOKIE (RFC 7873).
const COOKIE: u16 = 10;

/// Reads a packet that came to a listener.
pub fn parse_request(packet: &[u8], client: SocketAddr, local: SocketAddr, transport: Transport) -> Request {
    let mut reader = Reader::new(packet);
    let Ok(header) = reader.header() else { return Request::Ignored };
    if header.flags & flag::QR != 0 {
        return Request::Ignored;
    }
    if header.flags & flag::OP_CODE != 0 {
        return Request::Rejected(error(&header, NOTIMP));
    }
    match parse_sections(&header, &mut reader) {
        Err(_) => Request::Rejected(error(&header, FORMERR)),
        Ok(Parsed { edns: Some((version, _)), .. }) if version != 0 => Request::Rejected(bad_version(&header, packet)),
        Ok(Parsed { name, record_type, class, serial, edns }) => Request::Query(Query {
            id: header.id,
            name,
            record_type,
            class: class.into(),
            recursion_desired: header.flags & flag::RD != 0,
            checking_disabled: header.flags & flag::CD != 0,
            authentic_data: header.flags & flag::AD != 0,
            edns: edns.map(|(_, edns)| edns),
            client,
            local,
            transport,
            size_bytes: packet.len(),
            depth: 0,
            serial,
            metadata: Metadata::default(),
            budget: Arc::default(),
            may_wait: true,
            upstream_options: Vec::new(),
            explanation: None,
        }),
    }
}

struct Parsed {
    name: Name,
    record_type: RecordType,
    class: u16,
    serial: Option<u32>,
    edns: Option<(u8, Edns)>,
}

/// Reads the question and OPT. Other additional records are passed over (a signed query carries a TSIG), and so are
/// octets behind the last record, as in CoreDNS.
fn parse_sections(header: &Header, reader: &mut Reader<'_>) -> Result<Parsed, Malformed> {
    // RFC 9619: a query has exactly one question.
    if header.questions != 1 {
        return Err(Malformed::new("not exactly one question"));
    }
    let name = reader.plain_name()?;
    let record_type = RecordType::from(reader.u16()?);
    let class = reader.u16()?;
    // RFC 6895 section 3.1: OPT, TKEY and TSIG are about a message; 0 is nothing.
    if matches!(u16::from(record_type), 0 | OPT | 249 | 250) {
        return Err(Malformed::new("a type that cannot be asked for"));
    }
    // RFC 1995 section 3: an IXFR question carries the client's SOA.
    let authority_max = u16::from(record_type == RecordType::IXFR);
    if header.answers != 0 || header.authority > authority_max || header.additional > ADDITIONAL_MAX {
        return Err(Malformed::new("records that no query has"));
    }
    let mut serial = None;
    for _ in 0..header.authority {
        serial = parse_serial(reader.clone());
        if parse_record(reader)?.is_some() {
            return Err(Malformed::new("OPT outside the additional section"));
        }
    }
    let mut edns = None;
    for _ in 0..header.additional {
        if let Some(opt) = parse_record(reader)?
            && edns.replace(opt).is_some()
        {
            return Err(Malformed::new("two OPT records"));
        }
    }
    Ok(Parsed { name, record_type, class, serial, edns })
}

/// The serial of an SOA record; None: it is no such record.
fn parse_serial(mut reader: Reader<'_>) -> Option<u32> {
    reader.skip_name().ok()?;
    let record_type = RecordType::from(reader.u16().ok()?);
    // Class, TTL and length.
    reader.take(8).ok().filter(|_| record_type == RecordType::SOA)?;
    reader.skip_name().ok()?;
    reader.skip_name().ok()?;
    Some(u32::from_be_bytes(reader.take(4).ok()?.try_into().ok()?))
}

/// Reads a record; returns version and content if it is OPT.
fn parse_record(reader: &mut Reader<'_>) -> Result<Option<(u8, Edns)>, Malformed> {
    let is_root = reader.skip_name()?;
    let record_type = reader.u16()?;
    let class = reader.u16()?;
    let [_, version] = reader.u16()?.to_be_bytes();
    let flags = reader.u16()?;
    let length = usize::from(reader.u16()?);
    let data = reader.take(length)?;
    if record_type != OPT {
        return Ok(None);
    }
    if !is_root {
        return Err(Malformed::new("OPT with a name"));
    }
    let options = parse_options(data)?;
    Ok(Some((version, Edns { udp_size: class.max(UDP_SIZE_PLAIN), dnssec_ok: flags & 0x8000 != 0, options })))
}

fn parse_options(data: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Malformed> {
    let mut reader = Reader::new(data);
    let mut options = Vec::new();
    while !reader.is_at_end() {
        let code = reader.u16()?;
        let length = usize::from(reader.u16()?);
        let value = reader.take(length)?;
        // RFC 7873 section 5.2.2: 8 octets of the client, or 16 to 40 with the server's.
        if code == COOKIE && length != 8 && !(16..=40).contains(&length) {
            return Err(Malformed::new("COOKIE of an impossible length"));
        }
        options.push((code, value.to_vec()));
    }
    Ok(options)
}

/// A header that says no; id, opcode and RD are the query's.
fn error(header: &Header, code: u16) -> Vec<u8> {
    let flags = flag::QR | header.flags & (flag::OP_CODE | flag::RD) | code;
    let mut octets = Vec::with_capacity(HEADER);
    for field in [header.id, flags, 0, 0, 0, 0] {
        octets.extend(field.to_be_bytes());
    }
    octets
}

/// BADVERS with the question and an OPT of version 0 (RFC 6891 section 6.1.3); its size is 0 as CoreDNS has it, which
/// means 512.
fn bad_version(header: &Header, packet: &[u8]) -> Vec<u8> {
    let mut octets = error(header, 0);
    let mut reader = Reader::new(packet);
    if reader.header().is_ok() && reader.skip_name().is_ok() && reader.take(4).is_ok() {
        let end = packet.len() - reader.rest();
        octets.extend(packet.get(HEADER..end).unwrap_or_default());
        octets.splice(4..6, 1u16.to_be_bytes());
    }
    octets.splice(10..12, 1u16.to_be_bytes());
    octets.push(0);
    octets.extend(OPT.to_be_bytes());
    octets.extend([0, 0, BADVERS_UPPER, 0, 0, 0, 0, 0]);
    octets
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, ResponseCode};
    use proptest::prelude::*;

    use super::*;

    fn parse(packet: &[u8]) -> Request {
        let client = "127.0.0.1:4000".parse().unwrap();
        parse_request(packet, client, client, Transport::Udp)
    }

    /// A query for `a.` A IN with these header flags, counts and octets behind the question.
    fn packet(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        question(flags, counts, &[1, b'a', 0], 1, 1, rest)
    }

    fn question(flags: u16, counts: [u16; 4], name: &[u8], record_type: u16, class: u16, rest: &[u8]) -> Vec<u8> {
        let mut octets = vec![0xab, 0xcd];
        octets.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend(name);
        octets.extend(record_type.to_be_bytes());
        octets.extend(class.to_be_bytes());
        octets.extend(rest);
        octets
    }

    fn opt(version: u8, options: &[u8]) -> Vec<u8> {
        let mut octets = vec![0, 0, 41, 0x04, 0xd0, 0, version, 0, 0];
        octets.extend((options.len() as u16).to_be_bytes());
        octets.extend(options);
        octets
    }

    fn option(code: u16, length: usize) -> Vec<u8> {
        [&code.to_be_bytes()[..], &(length as u16).to_be_bytes(), &vec![7; length]].concat()
    }

    fn query(packet: &[u8]) -> Query {
        match parse(packet) {
            Request::Query(query) => query,
            other => panic!("{other:?}"),
        }
    }

    /// Asserts FORMERR as a bare header with id and RD.
    fn check_formerr(packet: &[u8]) {
        let Request::Rejected(reply) = parse(packet) else { panic!("{packet:x?} is no FORMERR") };
        assert_eq!(reply, [0xab, 0xcd, 0x80 | packet[2] & 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    fn check_name(labels: &[&[u8]], is_name: bool) {
        let mut name: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], *label].concat()).collect();
        name.push(0);
        let packet = question(0, [1, 0, 0, 0], &name, 1, 1, &[]);
        match is_name {
            true => assert!(query(&packet).name.iter().eq(labels.iter().copied())),
            false => check_formerr(&packet),
        }
    }

    #[test]
    fn an_answer_is_never_answered() {
        for low in 0..=0x7fff {
            assert!(matches!(parse(&packet(0x8000 | low, [1, 0, 0, 0], &[])), Request::Ignored));
        }
    }

    #[test]
    fn only_queries_are_known() {
        for op_code in 1..16 {
            let Request::Rejected(reply) = parse(&packet(op_code << 11 | 0x0100, [9, 9, 9, 9], &[])) else { panic!() };
            assert_eq!(reply, [0xab, 0xcd, 0x81 | (op_code << 3) as u8, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn flags_that_queries_do_not_have_are_ignored() {
        for flags in (0..0x8000).filter(|flags| flags & 0x7800 == 0) {
            let query = query(&packet(flags, [1, 0, 0, 0], &[]));
            assert_eq!(query.recursion_desired, flags & 0x0100 != 0);
            assert_eq!(query.authentic_data, flags & 0x0020 != 0);
            assert_eq!(query.checking_disabled, flags & 0x0010 != 0);
        }
    }

    #[test]
    fn a_query_has_one_question_and_no_answers() {
        for counts in [
            [0, 0, 0, 0],
            [2, 0, 0, 0],
            [65535, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 0, 1, 0],
            [1, 0, 0, 3],
            [1, 0, 0, 1],
            [0, 0, 0, 1],
        ] {
            check_formerr(&packet(0x0100, counts, &[]));
        }
    }

    #[test]
    fn a_transfer_may_say_what_the_client_has() {
        let soa = [&[0, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22, 0, 0, 1, 2, 3, 4][..], &[0; 16]].concat();
        let found = query(&question(0, [1, 0, 1, 0], &[0], 251, 1, &soa));
        assert_eq!((found.record_type, found.serial), (RecordType::IXFR, Some(0x0102_0304)));
        check_formerr(&packet(0, [1, 0, 1, 0], &soa));
        check_formerr(&question(0, [1, 0, 1, 0], &[0], 251, 1, &opt(0, &[])));
    }

    #[test]
    fn every_type_and_class_survives_but_those_of_the_message_itself() {
        for number in 0..=u16::MAX {
            let packet = question(0, [1, 0, 0, 0], &[1, b'a', 0], number, number, &[]);
            match number {
                0 | 41 | 249 | 250 => check_formerr(&packet),
                _ => {
                    let query = query(&packet);
                    assert_eq!((u16::from(query.record_type), u16::from(query.class)), (number, number));
                }
            }
        }
    }

    #[test]
    fn opt_is_one_and_has_no_name() {
        let edns = query(&packet(0, [1, 0, 0, 1], &opt(0, &[]))).edns.unwrap();
        assert_eq!(edns, Edns { udp_size: 1232, dnssec_ok: false, options: Vec::new() });
        let with_signature = [opt(0, &[]), vec![0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]].concat();
        assert!(query(&packet(0, [1, 0, 0, 2], &with_signature)).edns.is_some());
        check_formerr(&packet(0, [1, 0, 0, 2], &[opt(0, &[]), opt(0, &[])].concat()));
        check_formerr(&packet(0, [1, 0, 0, 1], &[1, b'x', 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]));
        check_formerr(&packet(0, [1, 0, 0, 1], &[0xc0, 12, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn a_size_below_512_means_512() {
        for (said, meant) in [(0u16, 512), (511, 512), (512, 512), (1232, 1232), (4096, 4096), (65535, 65535)] {
            let mut octets = opt(0, &[]);
            octets.splice(3..5, said.to_be_bytes());
            assert_eq!(query(&packet(0, [1, 0, 0, 1], &octets)).edns.unwrap().udp_size, meant);
        }
    }

    #[test]
    fn unknown_options_and_flags_are_taken_and_broken_options_are_not() {
        let with = |options: &[u8]| packet(0, [1, 0, 0, 1], &opt(0, options));
        assert_eq!(query(&with(&option(65001, 2))).edns.unwrap().options, [(65001, vec![7, 7])]);
        assert_eq!(query(&with(&option(3, 0).repeat(300))).edns.unwrap().options.len(), 300);
        let mut flags = opt(0, &[]);
        flags.splice(7..9, [0xff, 0xff]);
        assert!(query(&packet(0, [1, 0, 0, 1], &flags)).dnssec_ok());
        check_formerr(&with(&[0, 3, 0]));
        check_formerr(&with(&[0, 3, 0, 9]));
        for length in 0..60 {
            match length {
                8 | 16..=40 => assert_eq!(query(&with(&option(10, length))).edns.unwrap().options.len(), 1),
                _ => check_formerr(&with(&option(10, length))),
            }
        }
    }

    #[test]
    fn another_version_of_edns_is_badvers() {
        for version in [1, 100, 255] {
            let packet = packet(0x0100, [1, 0, 0, 1], &opt(version, &option(3, 0)));
            let Request::Rejected(reply) = parse(&packet) else { panic!() };
            let reply = Message::from_vec(&reply).unwrap();
            assert_eq!(reply.metadata.response_code, ResponseCode::BADSIG, "16 has two names");
            assert_eq!(reply.edns.unwrap().version(), 0);
            assert_eq!((reply.queries.len(), reply.answers.len()), (1, 0));
        }
    }

    #[test]
    fn every_cut_of_a_query_is_ignored_or_formerr() {
        let whole = packet(0, [1, 0, 0, 1], &opt(0, &option(3, 5)));
        for end in 0..whole.len() {
            match end {
                0..12 => assert!(matches!(parse(&whole[..end]), Request::Ignored)),
                _ => check_formerr(&whole[..end]),
            }
        }
        query(&whole);
        query(&[&whole[..], b"more"].concat());
    }

    #[test]
    fn a_name_is_any_octets_within_the_lengths() {
        check_name(&[], true);
        check_name(&[&[0, b'.', b'\\', 0xff, b'A', b' ', b'"']], true);
        check_name(&[&[b'x'; 63], b"*", b"wEb"], true);
        for octet in 0..=255 {
            check_name(&[&[octet], &[octet, b'-']], true);
        }
        check_name(&[b"x" as &[u8]; 127], true);
        check_name(&[b"x" as &[u8]; 128], false);
        let long: &[u8] = &[b'x'; 63];
        check_name(&[long, long, long, &[b'x'; 61]], true);
        check_name(&[long, long, long, &[b'x'; 62]], false);
        check_name(&[&[b'x'; 64]], false);
    }

    #[test]
    fn a_question_has_nothing_to_point_to() {
        for name in [[0xc0, 0], [0xc0, 12], [0xc0, 13], [0xff, 0xff], [0x40, 0], [0x80, 0]] {
            check_formerr(&question(0, [1, 0, 0, 0], &name, 1, 1, &[]));
        }
    }

    #[test]
    fn a_record_points_backwards_or_nowhere() {
        for (owner, is_name) in [([0xc0, 12], true), ([0xc0, 0], false), ([0xc0, 19], false), ([0xff, 0xff], false)] {
            let record = [&owner[..], &[0, 1, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
            assert_eq!(matches!(parse(&packet(0, [1, 0, 0, 1], &record)), Request::Query(_)), is_name, "{owner:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_no_error_amplifies(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Request::Rejected(reply) = parse(&octets) {
                prop_assert!(reply.len() <= octets.len());
                prop_assert_eq!(&reply[..2], &octets[..2]);
            }
        }

        #[test]
        fn a_mutated_query_is_none_an_error_or_a_query(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4)) {
            let mut octets = packet(0x0100, [1, 0, 0, 1], &opt(0, &[option(3, 0), option(10, 8)].concat()));
            for (at, value) in changes {
                let at = at % octets.len();
                octets[at] = value;
            }
            if let Request::Rejected(reply) = parse(&octets) {
                prop_assert!(reply.len() <= octets.len());
                let code = Message::from_vec(&reply).unwrap().metadata.response_code;
                prop_assert!(matches!(code, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADSIG));
            }
        }
    }
}
