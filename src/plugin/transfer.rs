//! `transfer`: whole zones, for those who may have them, and word that they have changed.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use tracing::{info, warn};

use super::auto::Auto;
use super::file::File;
use super::kubernetes::Kubernetes;
use crate::config::directive::{Transfer as Config, TransferTo};
use crate::dns::{self, Answer, Name, Query, RecordType, ResponseCode, Transport, label_count};
use crate::upstream::notify;
use crate::zone::Zone;

/// The name of the plugin in metrics.
const NAME: &str = "transfer";

/// Who may have which zones.
#[derive(Debug)]
pub struct Transfer {
    rules: Vec<Config>,
}

/// What has whole zones.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The zones of `file`.
    pub file: Option<&'a File>,
    /// The zones of `auto`.
    pub auto: &'a [Arc<Auto>],
    /// Those of a cluster.
    pub kubernetes: Option<&'a Kubernetes>,
}

/// A zone that is there, or why it cannot be had.
enum Found {
    Zone(u32, dns::Transfer),
    NotLoaded,
    Nothing,
}

impl Transfer {
    /// A block's rules.
    pub fn new(rules: Vec<Config>) -> Self {
        Self { rules }
    }

    /// The rule of a zone: that of the zone with most labels which it is in.
    fn rule(&self, name: &Name) -> Option<&Config> {
        let labels = |rule: &Config| rule.zones.iter().filter(|zone| zone.zone_of(name)).map(label_count).max();
        // Of several, the first one counts.
        let (rule, _) =
            self.rules.iter().rev().filter_map(|rule| Some((rule, labels(rule)?))).max_by_key(|(_, labels)| *labels)?;
        Some(rule)
    }

    /// Answers AXFR and IXFR (RFC 5936, RFC 1995): over TCP, to those who may have the zone; REFUSED to everybody else.
    pub fn answer(&self, query: &Query, sources: Sources<'_>) -> Answer {
        let client = query.client.ip().to_canonical();
        let may_have = |to: &TransferTo| match to {
            TransferTo::Anybody => true,
            TransferTo::Server(server) => server.ip().to_canonical() == client,
        };
        let rule = self.rule(&query.name).filter(|rule| rule.to.iter().any(may_have));
        if query.transport != Transport::Tcp || rule.is_none() {
            query.explain(NAME, || "nobody gets this zone, or only others, or only over TCP".to_owned());
            return Answer::refused().by(NAME);
        }
        let answer = match (sources.find(&query.name), query.record_type, query.serial) {
            (Found::Nothing, ..) => Answer::refused(),
            (Found::NotLoaded, ..) => Answer::serv_fail(format!("zone {} is not loaded", query.name)),
            (Found::Zone(..), RecordType::IXFR, None) => Answer::refused().with_response_code(ResponseCode::FormErr),
            // RFC 1995 section 2: a client that is up to date gets the SOA alone. Otherwise all of the zone.
            (Found::Zone(ours, records), RecordType::IXFR, Some(theirs)) if !is_newer(ours, theirs) => {
                info!(zone = %query.name, client = %query.client, serial = ours, "the client has the zone already");
                Answer::positive(records.records().take(1).collect())
            }
            (Found::Zone(serial, records), ..) => {
                info!(zone = %query.name, client = %query.client, serial, "outgoing transfer");
                Answer::transfer(records)
            }
        };
        answer.by(NAME)
    }
}

/// Serial number arithmetic (RFC 1982 section 3.2).
fn is_newer(one: u32, than: u32) -> bool {
    one != than && one.wrapping_sub(than) < 1 << 31
}

impl Sources<'_> {
    fn find(self, apex: &Name) -> Found {
        let file = self.file.and_then(|file| file.zone(apex)).map(|zone| zone.zone());
        let auto = || self.auto.iter().find_map(|auto| auto.zone(apex)).map(|zone| zone.zone());
        match file.or_else(auto) {
            Some(Some(zone)) => return of_zone(zone),
            Some(None) => return Found::NotLoaded,
            None => {}
        }
        let Some(kubernetes) = self.kubernetes.filter(|kubernetes| kubernetes.is_apex(apex)) else {
            return Found::Nothing;
        };
        match kubernetes.transfer(apex) {
            Some((serial, records)) => Found::Zone(serial, records),
            None => Found::NotLoaded,
        }
    }
}

fn of_zone(zone: Arc<Zone>) -> Found {
    let serial = zone.serial();
    Found::Zone(serial, dns::Transfer::new(move || Box::new(zone.transfer())))
}

/// Tells the servers that may have a zone that it has changed (RFC 1996).
#[derive(Clone, Debug, Default)]
pub struct Notifier {
    transfer: Option<Arc<Transfer>>,
}

impl Notifier {
    /// Notifies of what `transfer` gives; without it, nobody is notified.
    pub fn new(transfer: Option<Arc<Transfer>>) -> Self {
        Self { transfer }
    }

    /// Notifies of a zone. That nobody listens is logged.
    pub async fn notify(&self, zone: &Name) {
        let Some(rule) = self.transfer.as_ref().and_then(|transfer| transfer.rule(zone)) else { return };
        let servers = rule.to.iter().filter_map(|to| match to {
            TransferTo::Anybody => None,
            TransferTo::Server(server) => Some(*server),
        });
        let source: Option<IpAddr> = rule.source;
        join_all(servers.map(|server| async move {
            if let Err(cause) = notify(zone, server, source).await {
                warn!(%zone, %server, %cause, "a server does not take word of a changed zone");
            }
        }))
        .await;
    }
}
