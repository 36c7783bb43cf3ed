//! The names that records lead to.

use super::wire::plain_name_at;
use super::{Name, RData, RecordType};

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
