//! Messages on a stream: two octets of length, then the message (RFC 1035 section 4.2.2).

/// Octets read at a time.
const CHUNK: usize = 8 * 1024;

/// A shorter message has no header: whoever sends one speaks something else.
const MESSAGE_MIN: usize = 12;

/// The messages of a stream, however they arrive.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// How much of the buffer was handed out.
    taken: usize,
}

/// A length that no message has.
#[derive(Debug, PartialEq)]
pub(super) struct TooShort;

impl Frames {
    /// The next whole message.
    pub fn next(&mut self) -> Result<Option<&[u8]>, TooShort> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < MESSAGE_MIN {
            return Err(TooShort);
        }
        let message = rest.get(..length);
        if message.is_some() {
            self.taken += 2 + length;
        }
        Ok(message)
    }

    /// Whether octets are left that [`Frames::next`] has not handed out.
    pub fn is_empty(&self) -> bool {
        self.taken == self.buffer.len()
    }

    /// Where to put what is read: it grows with what has arrived, and not with what a length announces.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(CHUNK);
        }
        self.buffer.reserve(CHUNK);
        &mut self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        [&(length as u16).to_be_bytes()[..], &vec![7; length]].concat()
    }

    fn check(chunks: &[&[u8]], expected: &[usize]) {
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for chunk in chunks {
            frames.space().extend(*chunk);
            while let Some(message) = frames.next().unwrap() {
                assert!(message.iter().all(|octet| *octet == 7));
                found.push(message.len());
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn messages_are_found_however_they_arrive() {
        let two = [message(12), message(40)].concat();
        check(&[&two], &[12, 40]);
        check(&two.chunks(1).collect::<Vec<_>>(), &[12, 40]);
        check(&[&two[..1], &two[1..20], &two[20..]], &[12, 40]);
        check(&[&two[..two.len() - 1]], &[12]);
        check(&message(65535).chunks(1000).collect::<Vec<_>>(), &[65535]);
    }

    #[test]
    fn a_length_without_room_for_a_header_ends_the_stream() {
        for length in 0..12 {
            let mut frames = Frames::default();
            frames.space().extend(message(length));
            assert_eq!(frames.next(), Err(TooShort), "{length}");
        }
    }

    #[test]
    fn memory_is_taken_for_what_came_and_not_for_what_is_announced() {
        let mut frames = Frames::default();
        frames.space().extend([0xff, 0xff, 1, 2, 3]);
        assert_eq!(frames.next(), Ok(None));
        assert!(!frames.is_empty());
        assert!(frames.space().capacity() < 4 * CHUNK);
    }
}
