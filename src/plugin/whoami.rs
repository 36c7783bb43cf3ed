//! `whoami`: says who asked.

use std::net::IpAddr;

use crate::dns::{Answer, Name, Query, RData, Record, rdata};

/// The name of the plugin in metrics.
const NAME: &str = "whoami";

/// Says who asked.
#[derive(Debug)]
pub struct Whoami;

impl Whoami {
    /// The client's address and port in the additional section: an address record, and an SRV record of `_udp` or `_tcp`.
    pub fn answer(&self, query: &Query) -> Answer {
        query.explain(NAME, || "no other plugin answered: says who asked".to_owned());
        let address = match query.client.ip().to_canonical() {
            IpAddr::V4(address) => RData::A(rdata::A(address)),
            IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
        };
        let mut additional = vec![Record::from_rdata(query.name.clone(), 0, address)];
        // A name of 255 octets has no room for another label, and so no SRV.
        if let Ok(owner) = query.name.prepend_label(format!("_{}", query.transport.as_str()).as_str()) {
            let srv = rdata::SRV::new(0, 0, query.client.port(), Name::root());
            additional.push(Record::from_rdata(owner, 0, RData::SRV(srv)));
        }
        Answer::positive(Vec::new()).with_additional(additional).by(NAME)
    }
}
