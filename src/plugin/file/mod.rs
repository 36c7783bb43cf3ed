//! `file`: zones from master files.

mod answer;
mod zone_file;

use std::sync::Arc;

use futures_util::future::join_all;

pub(super) use self::answer::{answer, follow};
pub use self::zone_file::{LoadError, ZoneFile};
use super::Router;
use super::transfer::Notifier;
use crate::config::ServerBlock;
use crate::config::directive::Fallthrough;
use crate::dns::{Answer, Name, Query, label_count};

/// The name of the plugin in metrics.
const NAME: &str = "file";

/// The zones of a server block.
#[derive(Debug)]
pub struct File {
    zones: Vec<(Arc<ZoneFile>, Fallthrough)>,
}

impl File {
    /// Reads the files. One that is not there may come later; one that is wrong is an error.
    pub fn new(server: &ServerBlock) -> Result<Self, LoadError> {
        let mut zones = Vec::new();
        for config in &server.file {
            for apex in &config.zones {
                let zone = ZoneFile::new(apex, server.path(&config.file), config.reload, config.reload_by_mtime);
                match zone.load() {
                    Err(error) if config.reload.is_zero() || !error.is_missing() => return Err(error),
                    Ok(_) | Err(_) => zones.push((Arc::new(zone), config.fallthrough.clone())),
                }
            }
        }
        Ok(Self { zones })
    }

    /// Whether a name is in one of the zones, and not delegated to other servers.
    pub fn serves(&self, name: &Name) -> bool {
        self.zone_of(name).is_some_and(|(zone, _)| zone.serves(name))
    }

    /// The answer of the zone with most labels; None: ask the next plugin.
    pub async fn lookup(&self, query: &Query, router: &Router) -> Option<Answer> {
        let (zone, fallthrough) = self.zone_of(&query.name)?;
        answer(NAME, zone, fallthrough, query, router).await
    }

    /// What a zone says of a name that fell through and found nobody who could answer.
    pub async fn denial(&self, query: &Query, router: &Router) -> Option<Answer> {
        let (zone, _) = self.zone_of(&query.name)?;
        answer(NAME, zone, &Fallthrough::default(), query, router).await
    }

    fn zone_of(&self, name: &Name) -> Option<&(Arc<ZoneFile>, Fallthrough)> {
        let zones = self.zones.iter().filter(|(zone, _)| zone.apex().zone_of(name));
        zones.max_by_key(|(zone, _)| label_count(zone.apex()))
    }

    /// The zone of exactly this name.
    pub fn zone(&self, apex: &Name) -> Option<&ZoneFile> {
        self.zones.iter().map(|(zone, _)| &**zone).find(|zone| zone.apex() == apex)
    }

    /// Notifies of all zones, and reads those again whose files have changed.
    pub async fn watch(&self, notifier: &Notifier) {
        join_all(self.zones.iter().map(|(zone, _)| zone.watch(notifier))).await;
    }
}
