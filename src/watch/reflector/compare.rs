//! Now and then, what was learned is compared with what the API server has: key by key, version by version. So an event that was
//! lost on the way does not stay lost.
//!
//! Only versions are kept and compared, in 16 octets for each object, and only they are asked for
//! (`PartialObjectMetadataList`, in pages).

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::api::Api;
use super::end::End;
use super::message::Page;
use crate::cluster::ObjectKey;
use crate::watch::object;

/// How many objects may change while a comparison runs; with more, the next one tries again.
const CHANGED_MAX: usize = 100_000;

/// Hashes of keys to versions.
type Versions = HashMap<u64, u64>;

/// The comparisons of one resource.
pub struct Comparison {
    /// How often; None: never, and nothing is kept.
    every: Option<Duration>,
    doubt: Duration,
    hasher: RandomState,
    known: Versions,
    /// What the list that is under way has named so far.
    listing: Option<Versions>,
    /// What changed since the comparison that runs began.
    changed: HashSet<u64>,
    state: State,
}

enum State {
    Waiting(Instant),
    Listing(BoxFuture<'static, Result<Versions, End>>),
    /// These differ, and may only be late.
    Doubting(Vec<u64>, Instant),
}

impl Comparison {
    /// None is compared yet; `chance` lies between 0 and 1.
    pub fn new(every: Option<Duration>, doubt: Duration, chance: f64) -> Self {
        let mut comparison = Self {
            every,
            doubt,
            hasher: RandomState::new(),
            known: Versions::new(),
            listing: None,
            changed: HashSet::new(),
            state: State::Waiting(Instant::now()),
        };
        comparison.wait(chance);
        comparison
    }

    fn wait(&mut self, chance: f64) {
        let wait = self.every.unwrap_or_default().mul_f64(0.75 + chance / 2.0);
        self.state = State::Waiting(Instant::now() + wait);
        self.changed = HashSet::new();
    }

    /// An object is there, in a version.
    pub fn there(&mut self, key: &ObjectKey, version: &str) {
        if self.every.is_none() {
            return;
        }
        let (key, version) = (hash_of_key(&self.hasher, &key.namespace, &key.name), number(&self.hasher, version));
        match &mut self.listing {
            Some(listing) => listing.insert(key, version),
            None => self.known.insert(key, version),
        };
        self.note(key);
    }

    /// An object is gone.
    pub fn gone(&mut self, key: &ObjectKey) {
        if self.every.is_some() {
            let key = hash_of_key(&self.hasher, &key.namespace, &key.name);
            self.listing.as_mut().unwrap_or(&mut self.known).remove(&key);
            self.note(key);
        }
    }

    fn note(&mut self, key: u64) {
        if !matches!(self.state, State::Waiting(_)) && self.changed.len() <= CHANGED_MAX {
            self.changed.insert(key);
        }
    }

    /// A watch has ended: a list that is under way begins anew with the next one. It would not go on by itself, and may hold the only
    /// place that there is for a request.
    pub fn watch_ended(&mut self) {
        if matches!(self.state, State::Listing(_)) {
            self.state = State::Waiting(Instant::now());
            self.changed = HashSet::new();
        }
    }

    /// A list begins, after which there is nothing left to compare.
    pub fn list_started(&mut self, chance: f64) {
        self.listing = self.every.map(|_| Versions::new());
        self.wait(chance);
    }

    /// A list is complete.
    pub fn list_ended(&mut self) {
        if let Some(listing) = self.listing.take() {
            self.known = listing;
        }
    }

    /// Goes on until objects differ for good; returns how many. Nothing is lost if the wait is given up.
    pub async fn differences(&mut self, api: &Api) -> usize {
        if self.every.is_none() {
            return std::future::pending().await;
        }
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    self.state = State::Listing(list(api.clone(), self.hasher.clone()).boxed());
                }
                State::Listing(list) => match list.await {
                    Ok(listed) => {
                        let differing = differing(&self.known, &listed);
                        self.state = State::Doubting(differing, Instant::now() + self.doubt);
                    }
                    // The next one may come through.
                    Err(_) => self.wait(rand::random()),
                },
                State::Doubting(keys, until) => {
                    sleep_until(*until).await;
                    keys.retain(|key| !self.changed.contains(key));
                    let count = if self.changed.len() > CHANGED_MAX { 0 } else { keys.len() };
                    self.wait(rand::random());
                    if count > 0 {
                        return count;
                    }
                }
            }
        }
    }
}

/// The keys of what is in one of two, or in two versions.
fn differing(known: &Versions, listed: &Versions) -> Vec<u64> {
    let elsewhere = listed.iter().filter(|(key, version)| known.get(key) != Some(version)).map(|(key, _)| *key);
    let gone = known.keys().filter(|key| !listed.contains_key(key)).copied();
    elsewhere.chain(gone).collect()
}

async fn list(api: Api, hasher: RandomState) -> Result<Versions, End> {
    let (mut versions, mut token) = (Versions::new(), None);
    loop {
        let octets = api.page_of_metadata(token.as_deref()).await?;
        let page: Page<'_> = serde_json::from_slice(&octets).map_err(|error| End::Garbage(error.to_string()))?;
        for item in page.items.into_iter().flatten() {
            let object: Versioned = serde_json::from_str(item.get()).unwrap_or_default();
            let object::Metadata { namespace, name, resource_version, .. } = object.metadata;
            versions.insert(hash_of_key(&hasher, &namespace, &name), number(&hasher, &resource_version));
        }
        match page.metadata.next.into_owned() {
            next if next.is_empty() => return Ok(versions),
            next if token.as_ref() == Some(&next) => return Err(End::Garbage("a page names itself".to_owned())),
            next => token = Some(next),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Versioned {
    #[serde(deserialize_with = "crate::watch::lenient::lenient")]
    metadata: object::Metadata,
}

fn hash_of_key(hasher: &RandomState, namespace: &str, name: &str) -> u64 {
    hasher.hash_one((namespace, name))
}

/// Versions are numbers everywhere; whatever else they may be, equal ones are equal.
fn number(hasher: &RandomState, version: &str) -> u64 {
    version.parse().unwrap_or_else(|_| hasher.hash_one(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_older_or_left_over_differs() {
        let known = Versions::from([(1, 10), (2, 20), (3, 30)]);
        let mut found = differing(&known, &Versions::from([(1, 10), (2, 21), (4, 40)]));
        found.sort_unstable();
        assert_eq!(found, [2, 3, 4]);
        assert!(differing(&known, &known).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_what_is_never_compared() {
        let mut comparison = Comparison::new(None, Duration::ZERO, 0.5);
        comparison.list_started(0.5);
        comparison.there(&ObjectKey { namespace: "shop".into(), name: "web".into() }, "7");
        comparison.list_ended();
        assert!(comparison.known.is_empty());
    }
}
