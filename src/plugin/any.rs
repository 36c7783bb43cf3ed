//! `any`: a small answer to questions of type ANY (RFC 8482 section 4.2).

use crate::dns::{Answer, Query, RData, Record, RecordType, rdata};

/// The name of the plugin in metrics.
const NAME: &str = "any";

/// The TTL, which is CoreDNS's: the number of the RFC.
const TTL: u32 = 8482;

/// The answer to ANY; None: another type is asked for.
pub fn lookup(query: &Query) -> Option<Answer> {
    if query.record_type != RecordType::ANY {
        return None;
    }
    query.explain(NAME, || "answers ANY with one small record (RFC 8482)".to_owned());
    let data = RData::HINFO(rdata::HINFO::new("ANY obsoleted".to_owned(), "See RFC 8482".to_owned()));
    Some(Answer::positive(vec![Record::from_rdata(query.name.clone(), TTL, data)]).with_authoritative(false).by(NAME))
}
