//! `k8s_external`: Services as clients outside the cluster reach them.
//!
//! The names are found by `kubernetes` of the same block; here are the zones with their own SOA and NS, and the addresses
//! of load balancers that have a name.

use futures_util::future::join_all;

use super::Router;
use super::kubernetes::found::Found;
use super::kubernetes::outcome::Outcome;
use super::kubernetes::{FromOutside, Kubernetes, address_record, below, stands};
use crate::cluster::Snapshot;
use crate::config::directive::K8sExternal as Config;
use crate::dns::{
    Answer, Name, Query, RData, Record, RecordType, address_of_reverse_name, is_reverse, label_count, rdata,
};

/// The name of the plugin in metrics.
pub const NAME: &str = "k8s_external";

/// For how many names of load balancers the addresses are looked up beside an SRV answer.
const LOOKED_UP_MAX: usize = 4;

/// The names of Services outside the cluster.
#[derive(Debug)]
pub struct K8sExternal {
    config: Config,
}

impl K8sExternal {
    /// The zones of a configuration.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Whether a name is in one of the zones.
    pub fn serves(&self, name: &Name) -> bool {
        self.config.zones.iter().any(|zone| zone.zone_of(name))
    }

    /// The answer for a name outside the cluster; None: ask the next plugin.
    pub async fn lookup(&self, query: &Query, kubernetes: &Kubernetes, router: &Router) -> Option<Answer> {
        let apex = self.apex_of(query)?;
        let (snapshot, found) = kubernetes.find_in_time(|snapshot| self.find(query, &apex, kubernetes, snapshot)).await;
        let needs_endpoints = self.config.headless || self.is_own(&query.name, &apex);
        let outcome = Outcome {
            plugin: NAME,
            query,
            router,
            ttl: self.config.ttl,
            is_certain: stands(&found, &snapshot) || kubernetes.is_certain_outside(needs_endpoints, &snapshot),
            falls_through: self.config.fallthrough.covers(&query.name),
            soa: || self.soa(&apex, snapshot.serial()),
        };
        let mut answer = outcome.of(found).await?;
        self.add_addresses(&mut answer, query, &apex, router).await;
        Some(answer)
    }

    /// That a name of the zones does not exist, for a query that fell through and found nobody who could answer.
    pub fn denial(&self, query: &Query, kubernetes: &Kubernetes) -> Option<Answer> {
        let apex = self.apex_of(query)?;
        let soa = self.soa(&apex, kubernetes.serial());
        Some(Answer::nx_domain(Some(soa)).by(NAME))
    }

    /// The zone with most labels that a name is in, in the client's letter case.
    fn apex_of(&self, query: &Query) -> Option<Name> {
        let zones = self.config.zones.iter().filter(|zone| zone.zone_of(&query.name));
        zones.max_by_key(|zone| label_count(zone)).map(|zone| query.name.trim_to(label_count(zone)))
    }

    fn find(&self, query: &Query, apex: &Name, kubernetes: &Kubernetes, snapshot: &Snapshot) -> Found {
        if query.name == *apex {
            return self.find_apex(query, apex, kubernetes, snapshot);
        }
        if self.is_own(&query.name, apex) {
            return self.find_own(query, apex, kubernetes, snapshot);
        }
        if is_reverse(apex) {
            return self.find_reverse(query, kubernetes, snapshot);
        }
        let depth = label_count(&query.name) - label_count(apex);
        let labels = query.name.iter().take(depth).map(std::str::from_utf8).collect::<Result<Vec<_>, _>>();
        let Ok(labels) = labels else { return Found::Nothing };
        let labels: Vec<String> = labels.into_iter().map(str::to_ascii_lowercase).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let asked = FromOutside { query, apex, ttl: self.config.ttl, has_endpoints: self.config.headless };
        let found = kubernetes.find_outside(&asked, &labels, snapshot);
        query.explain(NAME, || format!("{}: {}", kubernetes.described_outside(&labels, snapshot), found.described()));
        found
    }

    fn find_apex(&self, query: &Query, apex: &Name, kubernetes: &Kubernetes, snapshot: &Snapshot) -> Found {
        match query.record_type {
            RecordType::SOA => Found::records(vec![self.soa(apex, snapshot.serial())]),
            RecordType::NS => {
                let server = self.name_server(apex);
                let record = RData::NS(rdata::NS(server.clone()));
                Found::Records {
                    answers: vec![Record::from_rdata(query.name.clone(), self.config.ttl, record)],
                    additional: self.own_addresses(&server, kubernetes, snapshot),
                }
            }
            _ => Found::NoData,
        }
    }

    /// Whether a name is one of the zone's own server, or above it.
    fn is_own(&self, name: &Name, apex: &Name) -> bool {
        below(&self.config.apex, apex).is_some_and(|own| own.zone_of(name))
    }

    /// `ns1` below the label of the zone's own server; that label has nothing else.
    fn find_own(&self, query: &Query, apex: &Name, kubernetes: &Kubernetes, snapshot: &Snapshot) -> Found {
        let server = self.name_server(apex);
        if query.name != server {
            let is_above = query.name.zone_of(&server);
            return if is_above { Found::NoData } else { Found::Nothing };
        }
        let mut records = self.own_addresses(&query.name, kubernetes, snapshot);
        if records.is_empty() && !kubernetes.is_certain_outside(true, snapshot) {
            return Found::Nothing;
        }
        records.retain(|record| record.record_type() == query.record_type);
        if records.is_empty() { Found::NoData } else { Found::records(records) }
    }

    fn own_addresses(&self, name: &Name, kubernetes: &Kubernetes, snapshot: &Snapshot) -> Vec<Record> {
        let addresses = kubernetes.own_addresses_outside(self.config.headless, snapshot);
        addresses.into_iter().map(|address| address_record(name, self.config.ttl, address)).collect()
    }

    /// The names of an address are below the first zone that is not a reverse zone.
    fn find_reverse(&self, query: &Query, kubernetes: &Kubernetes, snapshot: &Snapshot) -> Found {
        let zone = self.config.zones.iter().find(|zone| !is_reverse(zone));
        let (Some(zone), Some(address)) = (zone, address_of_reverse_name(&query.name)) else { return Found::Nothing };
        let names = kubernetes.names_outside(address, snapshot);
        let targets = names.iter().filter_map(|labels| below(labels, zone));
        let pointer = |target| Record::from_rdata(query.name.clone(), self.config.ttl, RData::PTR(rdata::PTR(target)));
        let pointers: Vec<Record> = targets.map(pointer).collect();
        match query.record_type {
            _ if pointers.is_empty() => Found::Nothing,
            RecordType::PTR => Found::records(pointers),
            RecordType::SOA => Found::NoData,
            // As `kubernetes` does in its reverse zones.
            _ => Found::Nothing,
        }
    }

    /// The addresses of load balancers that SRV records name, as far as they can be found.
    async fn add_addresses(&self, answer: &mut Answer, query: &Query, apex: &Name, router: &Router) {
        let mut targets: Vec<Name> = Vec::new();
        for record in &answer.answers {
            if let RData::SRV(srv) = &record.data
                && !apex.zone_of(&srv.target)
                && !targets.contains(&srv.target)
            {
                targets.push(srv.target.clone());
            }
        }
        let questions = targets
            .iter()
            .take(LOOKED_UP_MAX)
            .flat_map(|target| [RecordType::A, RecordType::AAAA].map(|record_type| (target.clone(), record_type)));
        let asked = questions.map(|(target, record_type)| router.follow_up(query, target, record_type));
        for found in join_all(asked).await {
            answer.additional.extend(found.answers);
        }
    }

    fn name_server(&self, apex: &Name) -> Name {
        self.below_own(apex, "ns1")
    }

    fn below_own(&self, apex: &Name, label: &str) -> Name {
        below(&format!("{label}.{}", self.config.apex), apex).unwrap_or_else(|| apex.clone())
    }

    fn soa(&self, apex: &Name, serial: u32) -> Record {
        let (server, mailbox) = (self.name_server(apex), self.below_own(apex, "hostmaster"));
        let soa = rdata::SOA::new(server, mailbox, serial, 7200, 1800, 86400, self.config.ttl);
        Record::from_rdata(apex.clone(), self.config.ttl, RData::SOA(soa))
    }
}
