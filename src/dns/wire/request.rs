//! Requests: what a packet that came to a listener is.

use std::net::SocketAddr;

use super::reader::{Header, Reader};
use super::{HEADER, Malformed, OPT, UDP_SIZE_PLAIN, flag};
use crate::dns::{Edns, Query, RecordType, Transport};

/// What is to be done with a packet that came to a listener.
#[derive(Debug)]
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
/// The option code of COOKIE (RFC 7873).
const COOKIE: u16 = 10;

/// Reads a packet that came to a listener.
pub fn parse_request(packet: &[u8], client: SocketAddr, local: SocketAddr, transport: Transport) -> Request {
    let mut reader = Reader::new(packet);
    let Ok(header) = reader.header() else { return Request::Ignored };
    if header.flags & flag::QR != 0 {
        return Request::Ignored;
    }
    if header.flags >> 11 & 0xf != 0 {
        return Request::Rejected(error(&header, NOTIMP));
    }
    match parse_sections(&header, &mut reader) {
        Err(_) => Request::Rejected(error(&header, FORMERR)),
        Ok(Parsed { edns: Some((version, _)), .. }) if version != 0 => Request::Rejected(bad_version(&header, packet)),
        Ok(Parsed { name, record_type, class, edns }) => Request::Query(Query {
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
        }),
    }
}

struct Parsed {
    name: crate::dns::Name,
    record_type: RecordType,
    class: u16,
    edns: Option<(u8, Edns)>,
}

/// Reads the question and OPT; other records are passed over: an IXFR question carries an SOA, a signed one a TSIG.
fn parse_sections(header: &Header, reader: &mut Reader<'_>) -> Result<Parsed, Malformed> {
    // RFC 9619: a query has exactly one question.
    if header.questions != 1 || header.answers > 1 || header.authority > 1 || header.additional > 2 {
        return Err(Malformed::new("more than one question, or records that no query has"));
    }
    let name = reader.plain_name()?;
    let record_type = RecordType::from(reader.u16()?);
    let class = reader.u16()?;
    let is_meta = matches!(u16::from(record_type), 0 | OPT | 249 | 250);
    if is_meta {
        return Err(Malformed::new("a type that cannot be asked for"));
    }
    for _ in 0..header.answers + header.authority {
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
    Ok(Parsed { name, record_type, class, edns })
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

pub(super) fn parse_options(data: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Malformed> {
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
    let flags = flag::QR | header.flags & (0x7800 | flag::RD) | code;
    let mut octets = Vec::with_capacity(HEADER);
    for field in [header.id, flags, 0, 0, 0, 0] {
        octets.extend(field.to_be_bytes());
    }
    octets
}

/// BADVERS with the question and an OPT of version 0 (RFC 6891 section 6.1.3).
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
    octets.extend(super::UDP_SIZE_MAX.to_be_bytes());
    octets.extend([BADVERS_UPPER, 0, 0, 0, 0, 0]);
    octets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(packet: &[u8]) -> Request {
        let client = "127.0.0.1:4000".parse().unwrap();
        parse_request(packet, client, client, Transport::Udp)
    }

    /// A query for `a.` A IN with these header flags, counts and octets behind the question.
    fn packet(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut octets = vec![0xab, 0xcd];
        octets.extend(flags.to_be_bytes());
        counts.iter().for_each(|count| octets.extend(count.to_be_bytes()));
        octets.extend([1, b'a', 0, 0, 1, 0, 1]);
        octets.extend(rest);
        octets
    }

    fn opt(version: u8, options: &[u8]) -> Vec<u8> {
        let mut octets = vec![0, 0, 41, 0x04, 0xd0, 0, version, 0, 0, 0, options.len() as u8];
        octets.extend(options);
        octets
    }

    fn code(request: Request) -> Option<u8> {
        match request {
            Request::Rejected(octets) => Some(octets[3] & 0xf),
            Request::Ignored | Request::Query(_) => None,
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
            let Request::Rejected(octets) = parse(&packet(op_code << 11 | 0x0100, [1, 0, 0, 0], &[])) else { panic!() };
            assert_eq!(octets, [0xab, 0xcd, 0x81 | (op_code << 3) as u8, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn a_query_has_one_question_and_no_answers() {
        for counts in
            [[0, 0, 0, 0], [2, 0, 0, 0], [65535, 0, 0, 0], [1, 2, 0, 0], [1, 0, 2, 0], [1, 0, 0, 3], [1, 0, 0, 1]]
        {
            assert_eq!(code(parse(&packet(0, counts, &[]))), Some(1), "{counts:?}");
        }
    }

    #[test]
    fn opt_is_one_has_no_name_and_no_broken_options() {
        let one = [1, 0, 0, 1];
        let query = |rest: &[u8]| matches!(parse(&packet(0, one, rest)), Request::Query(_));
        assert!(query(&opt(0, &[])));
        assert!(query(&opt(0, &[0xfd, 0xe9, 0, 2, 1, 2])), "an unknown option");
        assert!(query(&opt(0, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8])), "a client's cookie");
        assert!(!query(&opt(0, &[0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7])), "a short cookie");
        assert!(!query(&opt(0, &[0, 3, 0, 9])), "an option past the end");
        assert!(!query(&[1, b'x', 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0]), "OPT with a name");
        assert_eq!(code(parse(&packet(0, [1, 0, 0, 2], &[opt(0, &[]), opt(0, &[])].concat()))), Some(1));
        assert_eq!(code(parse(&packet(0, [1, 1, 0, 0], &opt(0, &[])))), Some(1), "OPT as an answer");
    }

    #[test]
    fn another_version_of_edns_is_badvers() {
        let Request::Rejected(octets) = parse(&packet(0x0100, [1, 0, 0, 1], &opt(1, &[]))) else { panic!() };
        let reply = hickory_proto::op::Message::from_vec(&octets).unwrap();
        assert_eq!(reply.metadata.response_code, hickory_proto::op::ResponseCode::BADSIG, "16 has two names");
        assert_eq!(reply.edns.unwrap().version(), 0);
        assert_eq!(reply.queries.len(), 1);
    }

    #[test]
    fn every_cut_of_a_query_is_ignored_or_formerr() {
        let whole = packet(0, [1, 0, 0, 1], &opt(0, &[0, 3, 0, 0]));
        for end in 0..whole.len() {
            match parse(&whole[..end]) {
                Request::Ignored => assert!(end < 12),
                Request::Rejected(octets) => assert_eq!(octets.len(), 12),
                Request::Query(_) => panic!("{end} octets are no query"),
            }
        }
    }

    #[test]
    fn any_octet_may_stand_in_a_label() {
        let mut octets = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 0, b'.', 0xff, b'A', 0, 0, 1, 0, 1];
        let Request::Query(query) = parse(&octets) else { panic!() };
        assert_eq!(query.name.iter().next().unwrap(), [0, b'.', 0xff, b'A']);
        octets[12] = 0xc0;
        assert_eq!(code(parse(&octets)), Some(1), "a pointer in the question");
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_errors_never_amplify(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Request::Rejected(reply) = parse(&octets) {
                prop_assert!(reply.len() <= octets.len() + 11);
            }
        }

        #[test]
        fn no_mutation_of_a_query_panics(at in 0usize..30, value in any::<u8>()) {
            let mut octets = packet(0, [1, 0, 0, 1], &opt(0, &[0, 3, 0, 0]));
            let at = at % octets.len();
            octets[at] = value;
            parse(&octets);
        }
    }
}
