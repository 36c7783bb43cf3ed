//! How much memory an answer takes.

use hickory_proto::serialize::binary::BinEncodable;

use super::{Answer, Record};

/// An estimate of the octets that an answer holds in memory: never less than its records in wire format, and the space of
/// their values beside it. It costs as much as encoding the answer.
pub fn footprint_bytes(answer: &Answer) -> usize {
    let records = answer.answers.iter().chain(&answer.authority).chain(&answer.additional);
    let text = answer.extended_error().map_or(0, |error| error.text.len());
    size_of::<Answer>() + text + records.map(record_footprint_bytes).sum::<usize>()
}

/// What cannot be encoded is as large as a message can be.
fn record_footprint_bytes(record: &Record) -> usize {
    size_of::<Record>() + record.to_bytes().map_or(usize::from(u16::MAX), |octets| octets.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Name, RData, rdata};

    fn texts(count: usize, length: usize) -> Answer {
        let data = RData::TXT(rdata::TXT::new(vec!["x".repeat(length)]));
        Answer::positive(vec![Record::from_rdata(Name::root(), 1, data); count])
    }

    #[test]
    fn more_and_longer_records_take_more() {
        let one = footprint_bytes(&texts(1, 1));
        assert!(footprint_bytes(&texts(2, 1)) >= one + size_of::<Record>());
        assert!(footprint_bytes(&texts(1, 201)) >= one + 200);
        assert!(footprint_bytes(&texts(0, 0)) >= size_of::<Answer>());
    }
}
