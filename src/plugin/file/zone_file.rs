//! A zone and the files that it is read from.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::dns::Name;
use crate::plugin::transfer::Notifier;
use crate::zone::{Zone, ZoneError};

/// Octets of a zone's files together, at most.
const SIZE_MAX: u64 = 256 << 20;

/// A zone and the files that it is read from.
#[derive(Debug)]
pub struct ZoneFile {
    apex: Name,
    file: PathBuf,
    reload: Duration,
    reload_by_mtime: bool,
    /// None: it was never read.
    zone: ArcSwapOption<Zone>,
    /// The files that were read last, whatever came of it.
    versions: Mutex<Vec<Version>>,
}

/// A file as it was: when it was changed, and its size; None: it was not there.
type Version = (PathBuf, Option<(SystemTime, u64)>);

/// Why a zone could not be read.
#[derive(Debug, thiserror::Error)]
#[error("zone {apex}: {reason}")]
pub struct LoadError {
    apex: Name,
    reason: Box<ZoneError>,
    is_missing: bool,
}

impl LoadError {
    /// Whether its file was not there.
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }
}

impl ZoneFile {
    /// A zone that is not read yet. Zero as `reload`: it will never be read again.
    pub fn new(apex: &Name, file: PathBuf, reload: Duration, reload_by_mtime: bool) -> Self {
        let (zone, versions) = (ArcSwapOption::empty(), Mutex::default());
        Self { apex: apex.to_lowercase(), file, reload, reload_by_mtime, zone, versions }
    }

    /// The apex, in lower case.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The zone as it is now; None: it was never read.
    pub fn zone(&self) -> Option<Arc<Zone>> {
        self.zone.load_full()
    }

    /// Whether a name of the zone is not delegated to other servers, as far as it was read.
    pub fn serves(&self, name: &Name) -> bool {
        self.zone().is_none_or(|zone| !zone.delegates(name))
    }

    /// The master file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the zone if one of its files has changed; what it was is kept where that fails. Returns whether it is another
    /// one now.
    pub fn load(&self) -> Result<bool, LoadError> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if !versions.is_empty() && versions.iter().all(|(file, known)| version(file) == *known) {
            return Ok(false);
        }
        let mut read = Vec::new();
        let mut left = SIZE_MAX;
        let zone = Zone::read(&self.apex, &self.file, &mut |file| {
            read.push((file.to_owned(), version(file)));
            let octets = read_file(file, left)?;
            left -= octets.len() as u64;
            Ok(octets)
        });
        let is_missing = matches!(read.as_slice(), [(_, None)]);
        *versions = read;
        drop(versions);
        match zone {
            Ok(zone) => Ok(self.replace(zone)),
            Err(reason) => Err(LoadError { apex: self.apex.clone(), reason: Box::new(reason), is_missing }),
        }
    }

    fn replace(&self, zone: Zone) -> bool {
        if !zone.has_soa_at_apex() {
            warn!(zone = %self.apex, file = %self.file.display(), "the zone has no SOA of its own: does the file belong to another zone?");
        }
        let before = self.zone.load();
        if before.as_ref().is_some_and(|before| before.serial() == zone.serial()) && !self.reload_by_mtime {
            warn!(zone = %self.apex, serial = zone.serial(), "the zone's file changed, but not its serial: the old zone is kept");
            return false;
        }
        self.zone.store(Some(Arc::new(zone)));
        true
    }

    /// Notifies of the zone, and reads it again whenever its files have changed.
    pub async fn watch(self: &Arc<Self>, notifier: &Notifier) {
        if self.zone().is_some() {
            notifier.notify(&self.apex).await;
        }
        while !self.reload.is_zero() {
            sleep(self.reload).await;
            let zone = Arc::clone(self);
            match tokio::task::spawn_blocking(move || zone.load()).await {
                Ok(Ok(true)) => {
                    let serial = self.zone().map(|zone| zone.serial());
                    info!(zone = %self.apex, file = %self.file.display(), serial, "the zone was read again");
                    notifier.notify(&self.apex).await;
                }
                Ok(Ok(false)) => {}
                Ok(Err(cause)) => error!(%cause, "the zone cannot be read: it is as it was"),
                Err(cause) => error!(zone = %self.apex, %cause, "reading the zone ended in a panic"),
            }
        }
    }
}

fn version(file: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read_file(file: &Path, size_max: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    std::fs::File::open(file)?.take(size_max + 1).read_to_end(&mut octets)?;
    match octets.len() as u64 > size_max {
        true => Err(io::Error::other(format!("the files of a zone have {} MiB at most", SIZE_MAX >> 20))),
        false => Ok(octets),
    }
}
