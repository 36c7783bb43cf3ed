//! What a reply has to be, whatever was asked; read by hickory-proto.

use hickory_proto::op::Message;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use crate::dialogue::status;

/// Octets of a header.
const HEADER: usize = 12;

/// Reads a reply, of which nothing may be left over.
pub fn read(octets: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(octets);
    let message = Message::read(&mut decoder).unwrap_or_else(|error| panic!("{error}: {octets:x?}"));
    assert!(decoder.is_empty(), "octets behind the last record: {octets:x?}");
    message
}

/// What came back in one line: `silence`, or the code and how many records each section has, OPT as a word.
pub fn verdict(request: &[u8], reply: Option<&[u8]>) -> String {
    let Some(octets) = reply else { return "silence".to_owned() };
    let message = check(request, octets);
    let [answers, authority, additional] =
        [&message.answers, &message.authorities, &message.additionals].map(|records| records.len());
    let opt = if message.edns.is_some() { " OPT" } else { "" };
    format!("{} {answers} {authority} {additional}{opt}", status(&message))
}

/// Asserts what is true of every reply, and reads it.
fn check(request: &[u8], octets: &[u8]) -> Message {
    let message = read(octets);
    assert_eq!(octets[..2], request[..2], "the id comes back");
    let [asked, replied] = [request, octets].map(|octets| u16::from_be_bytes([octets[2], octets[3]]));
    assert_eq!(replied & 0x8000, 0x8000, "QR");
    assert_eq!(replied & 0x7900, asked & 0x7900, "opcode and RD come back");
    assert_eq!(replied & 0x00e0, 0, "no RA, Z, AD");
    match message.queries.len() {
        0 => assert_eq!(octets.len(), HEADER, "an error without a question is a header and nothing else"),
        _ => {
            let end = HEADER + question_length(request);
            assert_eq!(octets[HEADER..end], request[HEADER..end], "the question comes back, letter case included");
        }
    }
    if octets.len() > request.len() {
        assert_eq!(message.queries.len(), 1, "an error never amplifies");
    }
    message
}

/// Octets of the first question: a name without pointers, type and class.
fn question_length(message: &[u8]) -> usize {
    let mut at = HEADER;
    while message[at] != 0 {
        at += 1 + usize::from(message[at]);
    }
    at + 1 + 4 - HEADER
}
