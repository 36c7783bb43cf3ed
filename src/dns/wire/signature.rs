//! What an RRSIG record is for. Signatures are passed on, never checked.

use super::reader::Reader;
use crate::dns::{Name, RData, Record, RecordType};

/// Octets of RRSIG data between the type covered and the signer (RFC 4034 section 3.1).
const BEFORE_SIGNER: usize = 16;

/// The fields of an RRSIG record that say what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The type of the records that are signed; their owner is the record's own.
    pub covered: RecordType,
    /// The apex of the zone that signed them.
    pub signer: Name,
}

/// What a record signs; None if it is no signature, or one that cannot be read.
pub fn parse_signature(record: &Record) -> Option<Signature> {
    let RData::Unknown { code: RecordType::RRSIG, rdata } = &record.data else { return None };
    let mut reader = Reader::new(&rdata.anything);
    let covered = RecordType::from(reader.u16().ok()?);
    reader.take(BEFORE_SIGNER).ok()?;
    // RFC 4034 section 3.1.7: the signer's name is never compressed.
    Some(Signature { covered, signer: reader.plain_name().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_name, parse_upstream};

    #[test]
    fn a_signature_names_a_type_and_a_zone() {
        let check = |data: &[u8], expected: Option<&str>| {
            let mut octets = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
            octets.extend([0xc0, 12, 0, 46, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            octets.extend(data);
            let record = parse_upstream(&octets).unwrap().answers.remove(0);
            let expected =
                expected.map(|signer| Signature { covered: RecordType::AAAA, signer: parse_name(signer).unwrap() });
            assert_eq!(parse_signature(&record), expected, "{data:?}");
        };
        let signed_by = |signer: &[u8]| [&[0, 28][..], &[0; BEFORE_SIGNER], signer, &[9; 4]].concat();
        check(&signed_by(&[1, b'a', 0]), Some("a."));
        check(&signed_by(&[0]), Some("."));
        check(&signed_by(&[0xc0, 12]), None);
        check(&[0, 28], None);
    }
}
