//! Which reply belongs to which question: the same id, QR, the same opcode, and the same question.

use std::io;

/// Octets of a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// A question as it goes out, with an id of its own.
#[derive(Debug)]
pub(super) struct Question {
    octets: Vec<u8>,
    /// Where the name of the question ends, and type and class begin.
    name_end: usize,
}

impl Question {
    /// Gives a message of one question an id that nobody can guess.
    pub fn new(mut message: Vec<u8>) -> io::Result<Self> {
        let name_end = name_end(&message).filter(|end| message.len() >= end + 4);
        let (Some(name_end), Some(id)) = (name_end, message.first_chunk_mut()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no message with a question"));
        };
        *id = rand::random::<u16>().to_be_bytes();
        Ok(Self { octets: message, name_end })
    }

    /// The same without an id, where the connection tells what is the reply (RFC 8484 section 4.1).
    pub fn without_id(mut self) -> Self {
        if let Some(id) = self.octets.first_chunk_mut() {
            *id = [0; 2];
        }
        self
    }

    /// What is sent.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether a reply belongs to this question. Letter case of the name does not count: some servers change it.
    pub fn is_answered_by(&self, reply: &[u8]) -> bool {
        self.is_answered(reply).unwrap_or(false)
    }

    /// None: the reply ends too early.
    fn is_answered(&self, reply: &[u8]) -> Option<bool> {
        let same = |from: usize, to: usize| Some(self.octets.get(from..to)? == reply.get(from..to)?);
        let opcode = self.octets.get(2)? & 0x78;
        let is_reply = reply.get(2)? & 0xf8 == 0x80 | opcode;
        // A label is at most 63 octets long, which is below every letter: lengths are compared as they are.
        let name = HEADER..self.name_end;
        let is_same_name = self.octets.get(name.clone())?.eq_ignore_ascii_case(reply.get(name)?);
        Some(same(0, 2)? && is_reply && same(4, 6)? && is_same_name && same(self.name_end, self.name_end + 4)?)
    }

    /// Makes a reply an empty one with TC: there was more than could be read.
    pub fn cut(&self, reply: &mut Vec<u8>) {
        reply.truncate(self.name_end + 4);
        if let Some(flags) = reply.get_mut(2) {
            *flags |= 0x02;
        }
        if let Some(counts) = reply.get_mut(6..HEADER) {
            counts.fill(0);
        }
    }
}

/// Where the name behind the header ends; it is our own, and so without pointers.
fn name_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length => at += 1 + length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The question `ab.` of a type, with a header that is all zeros but for the one question.
    fn message(record_type: u16) -> Vec<u8> {
        let [high, low] = record_type.to_be_bytes();
        vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, b'a', b'b', 0, high, low, 0, 1]
    }

    fn reply(question: &Question) -> Vec<u8> {
        let mut octets = question.octets().to_vec();
        octets[2] |= 0x80;
        octets
    }

    #[test]
    fn only_the_reply_to_the_question_is_one() {
        // Type 65 differs from type 97 only in what would be letter case.
        let question = Question::new(message(65)).unwrap();
        let check = |expected: bool, change: &dyn Fn(&mut Vec<u8>)| {
            let mut octets = reply(&question);
            change(&mut octets);
            assert_eq!(question.is_answered_by(&octets), expected, "{octets:?}");
        };
        check(true, &|_| {});
        check(true, &|octets| octets.extend([9; 30]));
        check(true, &|octets| octets[13] = b'A');
        check(true, &|octets| octets[2] |= 0x07);
        check(false, &|octets| octets[0] ^= 1);
        check(false, &|octets| octets[1] ^= 0x20);
        check(false, &|octets| octets[2] &= 0x7f);
        check(false, &|octets| octets[2] |= 0x20);
        check(false, &|octets| octets[5] = 0);
        check(false, &|octets| octets[5] = 2);
        check(false, &|octets| octets[12] = 1);
        check(false, &|octets| octets[13] = b'x');
        check(false, &|octets| octets[17] = 97);
        check(false, &|octets| octets[19] = 3);
        (0..message(65).len()).for_each(|length| check(false, &|octets| octets.truncate(length)));
    }

    #[test]
    fn a_cut_reply_is_empty_and_truncated() {
        let question = Question::new(message(1)).unwrap();
        let mut octets = reply(&question);
        octets[7] = 40;
        octets.extend([1; 5000]);
        question.cut(&mut octets);
        assert!(question.is_answered_by(&octets));
        assert_eq!((octets.len(), octets[2] & 2, &octets[6..12]), (20, 2, &[0; 6][..]));
    }

    #[test]
    fn what_has_no_question_is_not_asked() {
        for length in [0, 5, 12, 14, 19] {
            assert!(Question::new(message(1)[..length].to_vec()).is_err(), "{length}");
        }
    }

    #[test]
    fn every_question_has_an_id_of_its_own() {
        let ids: std::collections::HashSet<_> =
            (0..100).map(|_| Question::new(message(1)).unwrap().octets()[..2].to_vec()).collect();
        assert!(ids.len() > 90);
    }
}
