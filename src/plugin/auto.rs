//! `auto`: zones from the master files of a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use regex::Regex;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::Router;
use super::file::{ZoneFile, answer};
use super::transfer::Notifier;
use crate::config::directive::{Auto as Config, Fallthrough};
use crate::dns::{Answer, Name, Query, label_count, parse_name};

/// The name of the plugin in metrics.
const NAME: &str = "auto";

/// Files and folders that are looked at, at most.
const ENTRIES_MAX: usize = 100_000;

/// How deep folders stand in each other, at most.
const DEPTH_MAX: usize = 16;

/// Zones from the master files of a folder.
#[derive(Debug)]
pub struct Auto {
    config: Config,
    directory: PathBuf,
    pattern: Option<Regex>,
    zones: ArcSwap<Zones>,
}

/// The zones by their names.
type Zones = BTreeMap<Name, Arc<ZoneFile>>;

impl Auto {
    /// Reads the files of the folder. What is wrong with one is logged.
    pub fn new(config: Config, directory: PathBuf) -> Self {
        // The configuration refuses a pattern that is none.
        let pattern = Regex::new(&config.pattern).ok();
        let auto = Self { config, directory, pattern, zones: ArcSwap::default() };
        auto.scan();
        auto
    }

    /// Whether a name is in one of the zones, and not delegated to other servers.
    pub fn serves(&self, name: &Name) -> bool {
        self.zone_of(name).is_some_and(|zone| zone.serves(name))
    }

    /// The answer of the zone with most labels; None: ask the next plugin.
    pub async fn lookup(&self, query: &Query, router: &Router) -> Option<Answer> {
        let zone = self.zone_of(&query.name)?;
        answer(NAME, &zone, &Fallthrough::default(), query, router).await
    }

    fn zone_of(&self, name: &Name) -> Option<Arc<ZoneFile>> {
        self.config.zones.iter().find(|zone| zone.zone_of(name))?;
        let zones = self.zones.load();
        let zones = zones.values().filter(|zone| zone.apex().zone_of(name));
        zones.max_by_key(|zone| label_count(zone.apex())).cloned()
    }

    /// The zone of exactly this name.
    pub fn zone(&self, apex: &Name) -> Option<Arc<ZoneFile>> {
        self.zones.load().get(apex).cloned()
    }

    /// Notifies of all zones, and reads folder and files again.
    pub async fn watch(self: &Arc<Self>, notifier: &Notifier) {
        let zones = self.zones.load_full();
        join_all(zones.keys().map(|zone| notifier.notify(zone))).await;
        while !self.config.reload.is_zero() {
            sleep(self.config.reload).await;
            let auto = Arc::clone(self);
            match tokio::task::spawn_blocking(move || auto.scan()).await {
                Ok(changed) => drop(join_all(changed.iter().map(|zone| notifier.notify(zone))).await),
                Err(cause) => error!(%cause, "looking for zones ended in a panic"),
            }
        }
    }

    /// Looks at the folder, and reads the files that are new or have changed; returns their zones. A zone goes with its file.
    fn scan(&self) -> Vec<Name> {
        let before = self.zones.load_full();
        let (mut zones, mut changed) = (Zones::new(), Vec::new());
        for (apex, file) in self.files() {
            let known = before.get(&apex).filter(|known| known.file() == file);
            let zone =
                known.cloned().unwrap_or_else(|| Arc::new(ZoneFile::new(&apex, file, self.config.reload, false)));
            match zone.load() {
                Ok(true) => {
                    info!(zone = %apex, file = %zone.file().display(), "the zone was read");
                    changed.push(apex.clone());
                }
                Ok(false) => {}
                Err(cause) => warn!(%cause, "the zone cannot be read"),
            }
            if zone.zone().is_some() {
                zones.insert(apex, zone);
            } else if let Some(before) = before.get(&apex) {
                zones.insert(apex, before.clone());
            }
        }
        for gone in before.keys().filter(|apex| !zones.contains_key(*apex)) {
            info!(zone = %gone, "the zone is gone with its file");
        }
        self.zones.store(Arc::new(zones));
        changed
    }

    /// The master files by their zones. Of several for one zone the last one counts: a mounted ConfigMap shows its files also
    /// in a hidden folder with a date, which goes when it changes.
    fn files(&self) -> BTreeMap<Name, PathBuf> {
        let mut files = BTreeMap::new();
        let mut folders = vec![(self.directory.clone(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(cause) => {
                    warn!(folder = %folder.display(), %cause, "the folder of zones cannot be read");
                    continue;
                }
            };
            let mut paths: Vec<(PathBuf, bool)> = entries
                .filter_map(|entry| entry.ok().and_then(|entry| Some((entry.path(), entry.file_type().ok()?.is_dir()))))
                .take(ENTRIES_MAX - seen)
                .collect();
            paths.sort();
            seen += paths.len();
            for (path, is_folder) in paths {
                match is_folder {
                    true if depth < DEPTH_MAX => folders.push((path, depth + 1)),
                    true => {}
                    false => files.extend(self.origin(&path).map(|origin| (origin, path))),
                }
            }
        }
        files
    }

    /// The zone of a file, by its name.
    fn origin(&self, file: &Path) -> Option<Name> {
        let name = file.file_name()?.to_str()?;
        let captures = self.pattern.as_ref()?.captures(name)?;
        let mut origin = String::new();
        captures.expand(&self.config.origin, &mut origin);
        parse_name(&origin).ok().map(|origin| origin.to_lowercase())
    }
}
