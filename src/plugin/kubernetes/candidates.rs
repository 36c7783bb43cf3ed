//! The addresses and ports that a name leads to, and the records that are made of them.

use std::collections::HashSet;
use std::net::IpAddr;

use super::found::{Finder, Found, Realm};
use crate::cluster::{Endpoint, EndpointSlice, Port, Service};
use crate::dns::{Name, RData, Record, RecordType, rdata};

/// An address and port that a name leads to. CoreDNS makes one for each address and port before it removes duplicates,
/// and weights are made of their number.
pub struct Candidate<'a> {
    /// Who has the port.
    pub target: Target<'a>,
    /// None: there is no port.
    pub port: Option<&'a Port>,
}

/// Who has an address.
#[derive(Clone)]
pub enum Target<'a> {
    /// The Service itself.
    Service(IpAddr),
    /// An endpoint of a slice.
    Endpoint(&'a EndpointSlice, &'a Endpoint, IpAddr),
    /// A name of its own, such as that of a load balancer.
    Elsewhere(Name),
}

impl Target<'_> {
    fn address(&self) -> Option<IpAddr> {
        match self {
            Target::Service(address) | Target::Endpoint(.., address) => Some(*address),
            Target::Elsewhere(_) => None,
        }
    }
}

impl Finder<'_> {
    /// What candidates answer.
    pub(super) fn answer(&self, candidates: &[Candidate<'_>], service: &Service) -> Found {
        let found = match self.query.record_type {
            _ if candidates.is_empty() => Found::Nothing,
            RecordType::SRV => self.services(candidates, service),
            RecordType::A | RecordType::AAAA => self.addresses_or_alias(candidates),
            RecordType::CNAME => alias(candidates).map_or(Found::NoData, Found::Alias),
            _ => Found::NoData,
        };
        match found {
            Found::Records { answers, .. } if answers.is_empty() => Found::NoData,
            found => found,
        }
    }

    fn addresses_or_alias(&self, candidates: &[Candidate<'_>]) -> Found {
        if let Some(alias) = alias(candidates) {
            return Found::Alias(alias);
        }
        let mut seen = HashSet::new();
        let addresses = candidates.iter().filter_map(|candidate| candidate.target.address());
        let records = addresses
            .filter(|address| seen.insert(*address))
            .map(|address| address_record(&self.query.name, self.ttl, address))
            .filter(|record| record.record_type() == self.query.record_type);
        Found::records(records.collect())
    }

    /// SRV records with the addresses of their targets. The weight is a hundred shared among all candidates.
    fn services(&self, candidates: &[Candidate<'_>], service: &Service) -> Found {
        let weight = u16::try_from(100 / candidates.len()).unwrap_or(100).max(1);
        let (mut targets, mut addresses) = (HashSet::new(), HashSet::new());
        let (mut answers, mut additional) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let Some(number) = candidate.port.and_then(|port| port.number) else { continue };
            let target = match &candidate.target {
                Target::Service(_) => self.name_of(service, None),
                Target::Endpoint(slice, endpoint, address) => {
                    self.name_of(service, Some(&self.label(slice, endpoint, *address)))
                }
                Target::Elsewhere(name) => Some(name.clone()),
            };
            // A target that is longer than a name may be has no record.
            let Some(target) = target else { continue };
            if targets.insert((target.clone(), number)) {
                let srv = RData::SRV(rdata::SRV::new(0, weight, number, target.clone()));
                answers.push(Record::from_rdata(self.query.name.clone(), self.ttl, srv));
            }
            if let Some(address) = candidate.target.address()
                && addresses.insert((target.clone(), address))
            {
                additional.push(address_record(&target, self.ttl, address));
            }
        }
        Found::Records { answers, additional }
    }

    /// The name of a Service, or of one of its endpoints.
    fn name_of(&self, service: &Service, endpoint: Option<&str>) -> Option<Name> {
        let prefix = endpoint.map(|label| format!("{label}.")).unwrap_or_default();
        let suffix = match self.realm {
            Realm::Cluster | Realm::ClusterSet => ".svc",
            Realm::Outside { .. } => "",
        };
        below(&format!("{prefix}{}.{}{suffix}", service.name, service.namespace), self.apex)
    }
}

/// The first name, where there are no addresses: neither they nor a second alias can stand beside one (RFC 2181 section 10.1).
fn alias(candidates: &[Candidate<'_>]) -> Option<Name> {
    let mut targets = candidates.iter().map(|candidate| &candidate.target);
    let first = targets.clone().find_map(|target| match target {
        Target::Elsewhere(name) => Some(name),
        Target::Service(_) | Target::Endpoint(..) => None,
    })?;
    targets.all(|target| target.address().is_none()).then(|| first.clone())
}

/// The ports that are wanted. Where there are no ports at all, no port: it has addresses, but no SRV and no name.
pub fn ports_or_none<'p>(ports: &'p [Port], is_wanted: &impl Fn(&Port) -> bool) -> Vec<Option<&'p Port>> {
    const NO_PORT: Port = Port { name: String::new(), protocol: String::new(), number: None };
    match ports {
        [] if is_wanted(&NO_PORT) => vec![None],
        ports => ports.iter().filter(|port| is_wanted(port)).map(Some).collect(),
    }
}

/// A name of labels below a zone, letter case kept; None: it would be too long, or a label is none.
pub fn below(labels: &str, zone: &Name) -> Option<Name> {
    let relative: Vec<&[u8]> = labels.split('.').map(str::as_bytes).collect();
    let is_legal = relative.iter().all(|label| (1..=63).contains(&label.len()));
    let mut name = is_legal.then(|| Name::from_labels(relative.into_iter().chain(zone.iter())).ok())??;
    name.set_fqdn(true);
    Some(name)
}

/// An A or AAAA record.
pub fn address_record(name: &Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(rdata::A(address)),
        IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
    };
    Record::from_rdata(name.clone(), ttl, data)
}
