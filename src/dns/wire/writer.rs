//! A message that is being written, with name compression (RFC 1035 section 4.1.4).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hickory_proto::ProtoError;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::HEADER;
use crate::dns::{Name, RData, Record};

/// Offsets from here on cannot be pointed to.
const POINTER_MAX: usize = 0x3fff;

/// A message that is being written. It has no limit of its own: what is too much is taken back with
/// [`Writer::truncate`], after which nothing more may be written but what names no name.
pub(super) struct Writer<'a> {
    pub octets: Vec<u8>,
    /// The name of the question, which stands behind the header, until another name may point to it: most answers are
    /// addresses, and have no other name.
    question: Option<&'a Name>,
    /// Where names and their endings stand, by the hash of their labels. Letter case counts: it has to come back.
    offsets: HashMap<u64, u16>,
    hasher: RandomState,
}

impl<'a> Writer<'a> {
    /// A message with room for its header, and the name of its question.
    pub fn new(question: &'a Name) -> Self {
        let mut octets = Vec::with_capacity(512);
        octets.extend([0; HEADER]);
        let mut writer = Self { octets, question: Some(question), offsets: HashMap::new(), hasher: RandomState::new() };
        question.iter().for_each(|label| writer.label(label));
        writer.octets.push(0);
        writer
    }

    pub fn u16(&mut self, number: u16) {
        self.octets.extend(number.to_be_bytes());
    }

    pub fn u32(&mut self, number: u32) {
        self.octets.extend(number.to_be_bytes());
    }

    pub fn truncate(&mut self, length: usize) {
        self.octets.truncate(length);
    }

    /// Writes a record; `is_of_question` says that its owner is the question's name.
    pub fn record(&mut self, record: &Record, is_of_question: bool) -> Result<(), ProtoError> {
        match pointer(HEADER).filter(|_| is_of_question) {
            Some(pointer) => self.u16(pointer),
            None => self.name(&record.name),
        }
        self.u16(record.record_type().into());
        self.u16(record.dns_class.into());
        self.u32(record.ttl);
        let length_at = self.octets.len();
        self.u16(0);
        self.data(&record.data)?;
        let length = u16::try_from(self.octets.len() - length_at - 2).map_err(|_| ProtoError::from("too long"))?;
        self.octets.splice(length_at..length_at + 2, length.to_be_bytes());
        Ok(())
    }

    /// Writes a name, its ending as a pointer where that has been written before.
    fn name(&mut self, name: &Name) {
        self.write_name(name, true);
    }

    fn data(&mut self, data: &RData) -> Result<(), ProtoError> {
        match data {
            RData::A(address) => self.octets.extend(address.0.octets()),
            RData::AAAA(address) => self.octets.extend(address.0.octets()),
            RData::CNAME(target) => self.name(&target.0),
            RData::NS(server) => self.name(&server.0),
            RData::PTR(target) => self.name(&target.0),
            RData::MX(mx) => {
                self.u16(mx.preference);
                self.name(&mx.exchange);
            }
            RData::SOA(soa) => {
                self.name(&soa.mname);
                self.name(&soa.rname);
                self.u32(soa.serial);
                [soa.refresh, soa.retry, soa.expire].iter().for_each(|time| self.octets.extend(time.to_be_bytes()));
                self.u32(soa.minimum);
            }
            RData::SRV(srv) => {
                [srv.priority, srv.weight, srv.port].into_iter().for_each(|number| self.u16(number));
                // RFC 2782: the target is not compressed; what comes behind it may point to it.
                self.write_name(&srv.target, false);
            }
            // Types that are newer than RFC 1035 have no compressed names (RFC 3597 section 4).
            other => {
                let mut octets = Vec::new();
                let mut encoder = BinEncoder::new(&mut octets);
                encoder.set_name_encoding(NameEncoding::Uncompressed);
                other.emit(&mut encoder)?;
                self.octets.extend(octets);
            }
        }
        Ok(())
    }

    fn write_name(&mut self, name: &Name, is_compressed: bool) {
        if let Some(question) = self.question.take() {
            self.note_question(question);
        }
        let labels: Vec<&[u8]> = name.iter().collect();
        for (at, label) in labels.iter().enumerate() {
            let ending = labels.get(at..).unwrap_or_default();
            let hash = self.hasher.hash_one(ending);
            match self.offsets.get(&hash) {
                Some(offset) if is_compressed && self.is_at(ending, (*offset).into()) => {
                    let offset = *offset;
                    return self.u16(0xc000 | offset);
                }
                Some(_) => {}
                None => {
                    if let Some(pointer) = pointer(self.octets.len()) {
                        self.offsets.insert(hash, pointer & 0x3fff);
                    }
                }
            }
            self.label(label);
        }
        self.octets.push(0);
    }

    fn label(&mut self, label: &[u8]) {
        // A label has at most 63 octets.
        self.octets.push(label.len() as u8);
        self.octets.extend(label);
    }

    /// Notes where the endings of the question's name stand.
    fn note_question(&mut self, question: &Name) {
        let labels: Vec<&[u8]> = question.iter().collect();
        let mut offset = HEADER;
        for (at, label) in labels.iter().enumerate() {
            let hash = self.hasher.hash_one(labels.get(at..).unwrap_or_default());
            // A name has at most 255 octets.
            self.offsets.insert(hash, offset as u16);
            offset += 1 + label.len();
        }
    }

    /// Whether these labels, and no more, were written at an offset.
    fn is_at(&self, labels: &[&[u8]], mut offset: usize) -> bool {
        let mut labels = labels.iter();
        // Pointers lead to where something was written before, so this ends.
        while let Some(length) = self.octets.get(offset).copied() {
            let start = offset + 1;
            match length {
                0 => return labels.next().is_none(),
                1..=63 => {
                    offset = start + usize::from(length);
                    if self.octets.get(start..offset) != labels.next().copied() {
                        return false;
                    }
                }
                high => {
                    let Some(low) = self.octets.get(start) else { return false };
                    offset = usize::from(u16::from_be_bytes([high & 0x3f, *low]));
                }
            }
        }
        false
    }
}

/// A pointer to an offset, if there can be one.
fn pointer(offset: usize) -> Option<u16> {
    u16::try_from(offset).ok().filter(|_| offset <= POINTER_MAX).map(|offset| 0xc000 | offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::parse_name;

    /// Writes names behind the question `q.example.`; returns how many octets each took.
    fn lengths(names: &[&str]) -> Vec<usize> {
        let question = parse_name("q.example.").unwrap();
        let mut writer = Writer::new(&question);
        let mut write = |text: &&str| {
            let before = writer.octets.len();
            writer.name(&parse_name(text).unwrap());
            writer.octets.len() - before
        };
        names.iter().map(&mut write).collect()
    }

    #[test]
    fn an_ending_that_was_written_is_pointed_to() {
        assert_eq!(lengths(&["web.test.", "web.test.", "db.test.", "test.", "a.db.test."]), [10, 2, 5, 2, 4]);
        assert_eq!(lengths(&["a.q.example.", "example.", "q.Example."]), [4, 2, 11]);
        assert_eq!(lengths(&[".", ".", "a.", "."]), [1, 1, 3, 1]);
    }

    #[test]
    fn letter_case_is_kept_rather_than_octets() {
        assert_eq!(lengths(&["web.test.", "web.Test.", "web.Test."]), [10, 10, 2]);
    }

    #[test]
    fn labels_are_not_joined() {
        assert_eq!(lengths(&["ab.c.", "a.bc."]), [6, 6]);
    }

    #[test]
    fn what_is_too_far_is_written_again() {
        let question = Name::root();
        let mut writer = Writer::new(&question);
        writer.octets.resize(POINTER_MAX + 1, 0);
        for _ in 0..2 {
            let before = writer.octets.len();
            writer.name(&parse_name("web.example.").unwrap());
            assert_eq!(writer.octets.len() - before, 13);
        }
    }
}
