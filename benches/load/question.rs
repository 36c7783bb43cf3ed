//! Questions for A of names that nobody has asked for before, and what their answers have to be.

use std::net::Ipv4Addr;

/// What follows the first label: the rest of the name, type A, class IN.
const REST: &[u8] = b"\x05bench\x07example\x00\x00\x01\x00\x01";

/// Letters of the first label; each is four bits of the name's number.
const LETTERS: usize = 16;

/// Octets before the question.
pub const HEADER: usize = 12;

/// A name, by its number: `NUMBER.bench.example.`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name(pub u64);

impl Name {
    /// One of 2^64, which is in no cache.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Writes the question for it, with RD and without EDNS.
    pub fn ask(self, id: u16, message: &mut Vec<u8>) {
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, LETTERS as u8]);
        message.extend((0..LETTERS).rev().map(|at| b'a' + (self.0 >> (4 * at) & 15) as u8));
        message.extend_from_slice(REST);
    }

    /// The name that a question asks for; its letters may be of either case.
    pub fn of(message: &[u8]) -> Option<Self> {
        let label = message.get(HEADER..=HEADER + LETTERS)?.strip_prefix(&[LETTERS as u8])?;
        let number = label.iter().try_fold(0, |number, letter| match letter.to_ascii_lowercase() {
            letter @ b'a'..=b'p' => Some(number << 4 | u64::from(letter - b'a')),
            _ => None,
        });
        number.map(Self)
    }

    /// Its only address, of the network that is there for benches (RFC 2544).
    pub fn address(self) -> Ipv4Addr {
        let [.., one, two, three] = self.0.to_be_bytes();
        Ipv4Addr::new(198, 18 | (one & 1), two, three)
    }

    /// Whether a message is the good answer to the question with this id: NOERROR, and its address at the end.
    pub fn is_answered_by(self, id: u16, message: &[u8]) -> bool {
        message.starts_with(&id.to_be_bytes())
            && is_good(message)
            && Name::of(message) == Some(self)
            && message.ends_with(&self.address().octets())
    }
}

/// Whether a message is a complete response, NOERROR, with one record in its answer section.
fn is_good(message: &[u8]) -> bool {
    message.len() > HEADER && message[2] & 0x82 == 0x80 && message[3] & 15 == 0 && message[6..8] == [0, 1]
}

/// The id of a message.
pub fn id(message: &[u8]) -> Option<u16> {
    message.first_chunk().copied().map(u16::from_be_bytes)
}
