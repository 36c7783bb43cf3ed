//! The names that records lead to.

use super::wire::{data_of_octets, plain_name_at};
use super::{Name, RData, RecordType, rdata};

/// The name of a server that clients look up next: that of NS, MX, SRV, and of SVCB and HTTPS unless it stands for the owner.
pub fn server_name(data: &RData) -> Option<Name> {
    match data {
        RData::NS(server) => Some(server.0.clone()),
        RData::MX(mx) => Some(mx.exchange.clone()),
        RData::SRV(srv) => Some(srv.target.clone()),
        RData::Unknown { code: RecordType::SVCB | RecordType::HTTPS, rdata } => plain_name_at(&rdata.anything, 2),
        _ => None,
    }
}

/// Where DNAME leads (RFC 6672).
pub fn dname_target(data: &RData) -> Option<Name> {
    match data {
        RData::Unknown { code: RecordType::DNAME, rdata } => plain_name_at(&rdata.anything, 0),
        _ => None,
    }
}

/// The same data with another name where they lead; None: they lead nowhere, or `change` leaves the name as it is.
pub fn with_target(data: &RData, change: impl FnOnce(&Name) -> Option<Name>) -> Option<RData> {
    Some(match data {
        RData::CNAME(cname) => RData::CNAME(rdata::CNAME(change(&cname.0)?)),
        RData::NS(ns) => RData::NS(rdata::NS(change(&ns.0)?)),
        RData::PTR(ptr) => RData::PTR(rdata::PTR(change(&ptr.0)?)),
        RData::MX(mx) => RData::MX(rdata::MX::new(mx.preference, change(&mx.exchange)?)),
        RData::SRV(srv) => RData::SRV(rdata::SRV::new(srv.priority, srv.weight, srv.port, change(&srv.target)?)),
        RData::SOA(soa) => {
            let mut soa = soa.clone();
            soa.mname = change(&soa.mname)?;
            RData::SOA(soa)
        }
        RData::NAPTR(naptr) => {
            let mut naptr = naptr.clone();
            naptr.replacement = change(&naptr.replacement)?;
            RData::NAPTR(naptr)
        }
        RData::Unknown { code: RecordType::DNAME, .. } => dname(&change(&dname_target(data)?)?)?,
        _ => return None,
    })
}

/// RFC 6672 section 2.1: the name is not compressed.
fn dname(target: &Name) -> Option<RData> {
    let mut octets = Vec::with_capacity(target.len());
    for label in target.iter() {
        octets.push(u8::try_from(label.len()).ok()?);
        octets.extend(label);
    }
    octets.push(0);
    data_of_octets(RecordType::DNAME, &octets).ok()
}

/// The type that a signature is for (RFC 4034 section 3.1.1).
pub fn covered_type(data: &RData) -> Option<RecordType> {
    match data {
        RData::Unknown { code: RecordType::RRSIG, rdata } => {
            let (number, _) = rdata.anything.split_first_chunk()?;
            Some(RecordType::from(u16::from_be_bytes(*number)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{parse_name, parse_record};

    fn check(record: &str, expected: Option<&str>) {
        let data = parse_record(record, 5).unwrap().data;
        let changed = with_target(&data, |name| {
            assert_eq!(name, &parse_name("a.example.").unwrap(), "{record}");
            Some(parse_name("b.example.org.").unwrap())
        });
        assert_eq!(changed, expected.map(|record| parse_record(record, 5).unwrap().data), "{record}");
    }

    #[test]
    fn another_name_takes_the_place_of_the_one_that_data_lead_to() {
        for data in [
            "CNAME ~",
            "DNAME ~",
            "MX 10 ~",
            "NAPTR 100 10 \"u\" \"E2U+sip\" \"\" ~",
            "NS ~",
            "PTR ~",
            "SOA ~ ops.example. 1 2 3 4 5",
            "SRV 0 100 80 ~",
        ] {
            let with = |name: &str| format!("x. 5 IN {}", data.replace('~', name));
            check(&with("a.example."), Some(&with("b.example.org.")));
        }
        check("x. 5 IN A 192.0.2.1", None);
        check("x. 5 IN TXT a.example.", None);
    }
}
