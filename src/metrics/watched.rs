//! What is told of watches at the moment when somebody asks: several clusters may have the same resource, and an age is none until it is
//! asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};

use super::must;

/// One resource of one cluster. It counts as long as somebody holds it.
#[derive(Debug)]
pub struct Watched {
    resource: &'static str,
    objects: AtomicI64,
    told: Mutex<Told>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    objects_at: Option<SystemTime>,
    bookmark_at: Option<SystemTime>,
    /// None: a watch works, and what is known is what is there.
    stale_since: Option<SystemTime>,
}

impl Watched {
    /// So many objects are known.
    pub fn holds(&self, count: usize) {
        self.objects.store(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// The API server told of objects.
    pub fn told_objects(&self, now: SystemTime) {
        self.told().objects_at = Some(now);
    }

    /// The API server told that nothing happened until here.
    pub fn told_bookmark(&self, now: SystemTime) {
        self.told().bookmark_at = Some(now);
    }

    /// A watch works.
    pub fn is_current(&self) {
        self.told().stale_since = None;
    }

    /// Whether no watch works.
    pub fn is_stale(&self) -> bool {
        self.told().stale_since.is_some()
    }

    /// No watch works; what is known may be that of this time, unless it is older already.
    pub fn is_stale_since(&self, since: SystemTime) {
        self.told().stale_since.get_or_insert(since);
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The families of all that is watched.
#[derive(Clone)]
pub(super) struct Watches {
    watched: Arc<Mutex<Vec<Weak<Watched>>>>,
    objects: GaugeVec,
    staleness_seconds: GaugeVec,
    last_event_timestamp_seconds: GaugeVec,
    last_bookmark_timestamp_seconds: GaugeVec,
}

impl Watches {
    pub fn new() -> Self {
        let gauge = |name: &str, help: &str| must(GaugeVec::new(Opts::new(name, help), &["resource"]));
        Self {
            watched: Arc::default(),
            objects: gauge("landfall_watch_objects", "Objects known, of all clusters."),
            staleness_seconds: gauge(
                "landfall_watch_staleness_seconds",
                "How long no watch has shown that what is known is what is there: 0 while one works. Of several clusters the largest.",
            ),
            last_event_timestamp_seconds: gauge(
                "landfall_watch_last_event_timestamp_seconds",
                "When the API server last told of an object. Of several clusters the oldest.",
            ),
            last_bookmark_timestamp_seconds: gauge(
                "landfall_watch_last_bookmark_timestamp_seconds",
                "When the API server last sent a bookmark, about once a minute. Of several clusters the oldest.",
            ),
        }
    }

    pub fn add(&self, resource: &'static str) -> Arc<Watched> {
        let watched = Arc::new(Watched { resource, objects: AtomicI64::new(0), told: Mutex::default() });
        self.lock().push(Arc::downgrade(&watched));
        watched
    }

    fn families(&self) -> [&GaugeVec; 4] {
        [
            &self.objects,
            &self.staleness_seconds,
            &self.last_event_timestamp_seconds,
            &self.last_bookmark_timestamp_seconds,
        ]
    }

    /// Writes the gauges anew.
    fn set(&self, now: SystemTime) {
        self.families().into_iter().for_each(GaugeVec::reset);
        let mut all: BTreeMap<&'static str, Vec<Arc<Watched>>> = BTreeMap::new();
        let mut watched = self.lock();
        watched.retain(|watched| watched.strong_count() > 0);
        watched.iter().filter_map(Weak::upgrade).for_each(|one| all.entry(one.resource).or_default().push(one));
        for (resource, all) in all {
            let told: Vec<Told> = all.iter().map(|one| *one.told()).collect();
            let objects: i64 = all.iter().map(|one| one.objects.load(Ordering::Relaxed)).sum();
            self.objects.with_label_values(&[resource]).set(objects as f64);
            let since = told.iter().filter_map(|told| told.stale_since).min();
            let staleness = since.and_then(|since| now.duration_since(since).ok()).unwrap_or_default();
            self.staleness_seconds.with_label_values(&[resource]).set(staleness.as_secs_f64());
            let set = |family: &GaugeVec, at: Option<SystemTime>| {
                if let Some(at) = at {
                    family.with_label_values(&[resource]).set(since_epoch(at).as_secs_f64());
                }
            };
            set(&self.last_event_timestamp_seconds, told.iter().filter_map(|told| told.objects_at).min());
            set(&self.last_bookmark_timestamp_seconds, told.iter().filter_map(|told| told.bookmark_at).min());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watches")
    }
}

impl Collector for Watches {
    fn desc(&self) -> Vec<&Desc> {
        self.families().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.set(SystemTime::now());
        self.families().into_iter().flat_map(Collector::collect).collect()
    }
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_counted_together_until_they_are_gone() {
        let watches = Watches::new();
        let (one, other) = (watches.add("services"), watches.add("services"));
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let get = |family: &GaugeVec| {
            watches.set(now);
            family.with_label_values(&["services"]).get() as i64
        };
        one.holds(2);
        other.holds(3);
        assert_eq!((get(&watches.objects), get(&watches.staleness_seconds)), (5, 0));
        one.is_stale_since(now - Duration::from_secs(7));
        one.is_stale_since(now);
        other.told_objects(now);
        one.told_objects(now - Duration::from_secs(9));
        assert_eq!((get(&watches.staleness_seconds), get(&watches.last_event_timestamp_seconds)), (7, 991));
        drop(one);
        assert_eq!((get(&watches.objects), get(&watches.staleness_seconds)), (3, 0));
        other.is_stale_since(now - Duration::from_secs(1));
        other.is_current();
        assert_eq!(get(&watches.staleness_seconds), 0);
    }
}
