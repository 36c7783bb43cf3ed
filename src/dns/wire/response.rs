//! Answers: from values to octets.

use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::{HEADER, OPT, UDP_SIZE_MAX, UDP_SIZE_PLAIN, flag};
use crate::dns::{Answer, Query, Record, Transport};

/// The option code of extended DNS errors (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// Writes the answer to a query, at most as long as transport and client allow; what does not fit is left out whole
/// records at a time, and TC is set.
pub fn encode(query: &Query, answer: &Answer) -> Vec<u8> {
    let opt = opt_record(query, answer);
    let limit = size_limit(query) - opt.len();
    let mut octets = Vec::with_capacity(512);
    octets.extend([0; HEADER]);
    let written = write_sections(query, answer, limit, &mut octets);
    octets.extend(&opt);
    write_header(query, answer, &written, !opt.is_empty(), &mut octets);
    octets
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

fn write_sections(query: &Query, answer: &Answer, limit: usize, octets: &mut Vec<u8>) -> Written {
    let mut encoder = BinEncoder::with_offset(octets, HEADER as u32);
    encoder.set_max_size(u16::try_from(limit).unwrap_or(u16::MAX));
    // A name that was parsed can be written: it has at most 255 octets, and every limit is above that.
    let question = query
        .name
        .emit(&mut encoder)
        .and_then(|()| query.record_type.emit(&mut encoder))
        .and_then(|()| query.class.emit(&mut encoder));
    let mut written = Written { counts: [0; 3], is_complete: question.is_ok() };
    for (count, section) in written.counts.iter_mut().zip([&answer.answers, &answer.authority, &answer.additional]) {
        for record in section {
            if !written.is_complete {
                break;
            }
            match write_record(query, record, &mut encoder) {
                true => *count += 1,
                false => written.is_complete = false,
            }
        }
    }
    written
}

/// Writes a record, or nothing if there is no room for the whole of it.
fn write_record(query: &Query, record: &Record, encoder: &mut BinEncoder<'_>) -> bool {
    let start = encoder.offset();
    let is_question_name = record.name.eq_case(&query.name) && !query.name.is_root();
    let owner = match is_question_name {
        // The owner is the question's name: a pointer to it, however many records there are.
        true => encoder.emit_u16(0xc000 | HEADER as u16),
        false => record.name.emit(encoder),
    };
    let done = owner.and_then(|()| write_body(record, encoder));
    if done.is_err() {
        encoder.set_offset(start);
        encoder.trim();
    }
    done.is_ok()
}

fn write_body(record: &Record, encoder: &mut BinEncoder<'_>) -> Result<(), hickory_proto::ProtoError> {
    record.record_type().emit(encoder)?;
    record.dns_class.emit(encoder)?;
    encoder.emit_u32(record.ttl)?;
    let length = encoder.place::<u16>()?;
    record.data.emit(encoder)?;
    let size = encoder.len_since_place(&length);
    length.replace(encoder, u16::try_from(size).unwrap_or_default())
}

fn write_header(query: &Query, answer: &Answer, written: &Written, has_opt: bool, octets: &mut [u8]) {
    let flags = [
        (flag::QR, true),
        (flag::AA, answer.is_authoritative()),
        (flag::TC, answer.is_truncated() || !written.is_complete),
        (flag::RD, query.recursion_desired),
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

/// The OPT record, empty if the client sent none (RFC 6891 section 6.1.1). Options of the client are not sent back: unlike
/// CoreDNS, which returns NSID, COOKIE, KEEPALIVE and PADDING as they came.
fn opt_record(query: &Query, answer: &Answer) -> Vec<u8> {
    let Some(edns) = &query.edns else { return Vec::new() };
    let mut opt = vec![0];
    let upper_code = (u16::from(answer.response_code()) >> 4) as u8;
    opt.extend(OPT.to_be_bytes());
    opt.extend(edns.udp_size.min(UDP_SIZE_MAX).to_be_bytes());
    opt.extend([upper_code, 0, if edns.dnssec_ok { 0x80 } else { 0 }, 0]);
    let mut options = Vec::new();
    if let Some(error) = answer.extended_error() {
        let text = error.text.as_bytes();
        let text = text.get(..64).unwrap_or(text);
        options.extend(EXTENDED_ERROR.to_be_bytes());
        options.extend((2 + text.len() as u16).to_be_bytes());
        options.extend(error.code.to_be_bytes());
        options.extend(text);
    }
    opt.extend((options.len() as u16).to_be_bytes());
    opt.extend(options);
    opt
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;

    use super::*;
    use crate::dns::{Class, Edns, Name, RData, RecordType, parse_name, rdata};

    fn query(transport: Transport, udp_size: Option<u16>) -> Query {
        Query {
            id: 0x1234,
            name: parse_name("WeB.example.").unwrap(),
            record_type: RecordType::A,
            class: Class::IN,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: udp_size.map(|udp_size| Edns { udp_size, dnssec_ok: false, options: Vec::new() }),
            client: "127.0.0.1:4000".parse().unwrap(),
            local: "127.0.0.1:53".parse().unwrap(),
            transport,
            size_bytes: 0,
            depth: 0,
        }
    }

    fn addresses(name: &Name, count: u32) -> Vec<Record> {
        (0..count).map(|i| Record::from_rdata(name.clone(), 5, RData::A(rdata::A(i.into())))).collect()
    }

    fn check(count: u32, transport: Transport, udp_size: Option<u16>, limit: usize) -> Message {
        let query = query(transport, udp_size);
        let octets = encode(&query, &Answer::positive(addresses(&query.name, count)));
        assert!(octets.len() <= limit, "{} octets", octets.len());
        Message::from_vec(&octets).expect("a well-formed answer")
    }

    #[test]
    fn what_does_not_fit_is_left_out_whole_and_tc_is_set() {
        for (udp_size, limit) in [(None, 512), (Some(0), 512), (Some(800), 800), (Some(4096), 1232)] {
            let reply = check(400, Transport::Udp, udp_size, limit);
            assert!(reply.metadata.truncation);
            assert_eq!(reply.answers.len(), (limit - 12 - 17 - if udp_size.is_some() { 11 } else { 0 }) / 16);
        }
    }

    #[test]
    fn tcp_takes_everything() {
        let reply = check(4000, Transport::Tcp, None, 65535);
        assert!(!reply.metadata.truncation);
        assert_eq!(reply.answers.len(), 4000);
    }

    #[test]
    fn letter_case_comes_back_as_it_was_asked() {
        let reply = check(1, Transport::Udp, None, 512);
        assert_eq!(reply.queries[0].name.to_ascii(), "WeB.example.");
        assert_eq!(reply.answers[0].name.to_ascii(), "WeB.example.");
    }

    #[test]
    fn opt_is_there_only_if_it_was_asked_for() {
        assert!(check(1, Transport::Udp, None, 512).edns.is_none());
        assert!(check(1, Transport::Udp, Some(1232), 512).edns.is_some());
    }
}
