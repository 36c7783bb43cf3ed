//! How much memory an answer takes.

use hickory_proto::serialize::binary::BinEncodable;

use super::{Answer, Name, RData, Record};

/// An estimate of the octets that an answer holds in memory: never less than its records in wire format, and the space of
/// their values beside it. Only records of rare types are encoded for it.
pub fn footprint_bytes(answer: &Answer) -> usize {
    let records = answer.answers.iter().chain(&answer.authority).chain(&answer.additional);
    let text = answer.extended_error().map_or(0, |error| error.text.len());
    size_of::<Answer>() + text + records.map(record_footprint_bytes).sum::<usize>()
}

fn record_footprint_bytes(record: &Record) -> usize {
    /// Octets of a record in wire format beside its name and data: type, class, TTL, length.
    const FIXED: usize = 10;
    size_of::<Record>() + name_bytes(&record.name) + FIXED + data_bytes(&record.data)
}

/// At most one more than the octets of a name in wire format.
fn name_bytes(name: &Name) -> usize {
    name.len() + 1
}

/// The octets of record data in wire format, or a few more. What cannot be encoded is as large as a message can be.
fn data_bytes(data: &RData) -> usize {
    let names = |names: &[&Name]| names.iter().map(|name| name_bytes(name)).sum::<usize>();
    match data {
        RData::A(_) => 4,
        RData::AAAA(_) => 16,
        RData::CNAME(name) => names(&[&name.0]),
        RData::NS(name) => names(&[&name.0]),
        RData::PTR(name) => names(&[&name.0]),
        RData::MX(mx) => 2 + names(&[&mx.exchange]),
        RData::SRV(srv) => 6 + names(&[&srv.target]),
        RData::SOA(soa) => 20 + names(&[&soa.mname, &soa.rname]),
        RData::TXT(text) => text.txt_data.iter().map(|part| 1 + part.len()).sum(),
        rare => rare.to_bytes().map_or(usize::from(u16::MAX), |octets| octets.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_record, rdata};

    fn texts(count: usize, length: usize) -> Answer {
        let data = RData::TXT(rdata::TXT::new(vec!["x".repeat(length)]));
        Answer::positive(vec![Record::from_rdata(Name::root(), 1, data); count])
    }

    #[test]
    fn what_is_counted_is_no_less_than_the_wire_format() {
        let lines = [
            "a.example. 1 IN A 192.0.2.1",
            "a.example. 1 IN AAAA 2001:db8::1",
            "a.example. 1 IN CNAME b.example.",
            "example. 1 IN NS ns.example.",
            "1.2.0.192.in-addr.arpa. 1 IN PTR a.example.",
            "example. 1 IN MX 10 mail.example.",
            "_dns._udp.example. 1 IN SRV 0 0 53 ns.example.",
            "example. 1 IN SOA ns.example. ops.example. 1 2 3 4 5",
            "example. 1 IN TXT \"one\" \"two and more\"",
            "example. 1 IN CAA 0 issue \"ca.example\"",
        ];
        for line in lines {
            let record = parse_record(line, 1).expect("a record");
            let octets = record.to_bytes().expect("octets");
            assert!(record_footprint_bytes(&record) >= size_of::<Record>() + octets.len(), "{line}");
        }
    }

    #[test]
    fn more_and_longer_records_take_more() {
        let one = footprint_bytes(&texts(1, 1));
        assert!(footprint_bytes(&texts(2, 1)) >= one + size_of::<Record>());
        assert!(footprint_bytes(&texts(1, 201)) >= one + 200);
        assert!(footprint_bytes(&texts(0, 0)) >= size_of::<Answer>());
    }
}
