//! `acl`: who may ask what.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::directive::{Acl as Config, AclAction, AclRule};
use crate::dns::{Answer, Name, Query, ResponseCode, label_count, name_text};
use crate::metrics::{Counter, Metrics};

/// The name of the plugin in metrics.
pub const NAME: &str = "acl";

/// The extended DNS errors "Blocked" and "Filtered" (RFC 8914).
const BLOCKED: u16 = 15;
const FILTERED: u16 = 17;

/// Who may ask what.
#[derive(Debug)]
pub struct Acl {
    lists: Vec<Config>,
    server: String,
    view: String,
    metrics: Arc<Metrics>,
    allowed: Counter,
}

impl Acl {
    /// The lists in the order of the file, of the server and view with these labels.
    pub fn new(lists: Vec<Config>, server: String, view: String, metrics: Arc<Metrics>) -> Self {
        let allowed = metrics.acl_allowed_requests.with_label_values(&[&server, &view]);
        Self { lists, server, view, metrics, allowed }
    }

    /// What a client gets instead of an answer; None: it may ask.
    pub fn refusal(&self, query: &Query) -> Option<Answer> {
        let metrics = &self.metrics;
        let (zone, counts, answer) = match self.verdict(query) {
            None | Some((_, AclAction::Allow)) => {
                self.allowed.inc();
                query.explain(NAME, || "the client may ask".to_owned());
                return None;
            }
            Some((zone, AclAction::Block)) => {
                (zone, &metrics.acl_blocked_requests, Answer::refused().with_extended_error(BLOCKED, ""))
            }
            Some((zone, AclAction::Filter)) => {
                let empty = Answer::relayed(ResponseCode::NoError, false, false);
                (zone, &metrics.acl_filtered_requests, empty.with_extended_error(FILTERED, ""))
            }
            Some((zone, AclAction::Drop)) => (zone, &metrics.acl_dropped_requests, Answer::dropped()),
        };
        query.explain(NAME, || format!("a rule for {zone} forbids it"));
        counts.with_label_values(&[&*self.server, &*name_text(zone), &*self.view]).inc();
        Some(answer.by(NAME))
    }

    /// The first rule that fits, with the zone that it is for.
    fn verdict(&self, query: &Query) -> Option<(&Name, AclAction)> {
        let client = query.client.ip().to_canonical();
        self.lists.iter().find_map(|list| {
            let zones = list.zones.iter().filter(|zone| zone.zone_of(&query.name));
            let zone = zones.max_by_key(|zone| label_count(zone))?;
            let rule = list.rules.iter().find(|rule| fits(rule, query, client))?;
            Some((zone, rule.action))
        })
    }
}

fn fits(rule: &AclRule, query: &Query, client: IpAddr) -> bool {
    let is_type = rule.types.is_empty() || rule.types.contains(&query.record_type);
    is_type && (rule.prefixes.is_empty() || rule.prefixes.iter().any(|prefix| prefix.contains(&client)))
}
