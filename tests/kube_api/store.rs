//! What the server knows: one counter of revisions, the objects, and the changes that made them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

/// The plural of the resource, then `NAMESPACE/NAME` or `NAME`: the order of lists is that of these strings.
pub type Key = (&'static str, String);

/// An object as it is listed: built-in kinds without kind and apiVersion.
pub type Object = Arc<Value>;

/// The objects at one revision.
pub type Objects = BTreeMap<Key, Object>;

/// One write.
#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    pub key: Key,
    pub before: Option<Object>,
    pub after: Option<Object>,
    /// No watch tells of it: the gap that a broken server leaves.
    pub is_skipped: bool,
}

/// The store. A clone is a backup.
#[derive(Clone, Debug, Default)]
pub struct Store {
    revision: u64,
    compacted: u64,
    objects: Objects,
    changes: Vec<Change>,
    pub skips_changes: bool,
}

/// The revision that was asked for is not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Compacted;

impl Store {
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The oldest revision that can be listed.
    pub fn compacted(&self) -> u64 {
        self.compacted
    }

    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The objects as they were.
    pub fn objects_at(&self, revision: u64) -> Result<Objects, Compacted> {
        if revision < self.compacted {
            return Err(Compacted);
        }
        let mut objects = self.objects.clone();
        for change in self.changes.iter().rev().take_while(|change| change.revision > revision) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Ok(objects)
    }

    /// What changed after a revision.
    pub fn changes_after(&self, revision: u64) -> Result<&[Change], Compacted> {
        if revision < self.compacted {
            return Err(Compacted);
        }
        let first = self.changes.partition_point(|change| change.revision <= revision);
        Ok(&self.changes[first..])
    }

    /// Writes an object, or deletes it. What changes nothing takes no revision.
    pub fn write(&mut self, key: Key, after: Option<Value>) {
        let before = self.objects.get(&key).cloned();
        let next = self.revision + 1;
        let after = after.map(|mut object| {
            let revision = before.as_ref().map_or(Value::Null, |before| before["metadata"]["resourceVersion"].clone());
            object["metadata"]["resourceVersion"] = revision;
            if before.as_deref() != Some(&object) {
                object["metadata"]["resourceVersion"] = json!(next.to_string());
            }
            Arc::new(object)
        });
        if before == after {
            return;
        }
        self.revision = next;
        match &after {
            Some(object) => self.objects.insert(key.clone(), Arc::clone(object)),
            None => self.objects.remove(&key),
        };
        self.changes.push(Change { revision: next, key, before, after, is_skipped: self.skips_changes });
    }

    /// Others use revisions, too: leases, events. The next write takes a number greater than this.
    pub fn advance_to(&mut self, revision: u64) {
        assert!(revision >= self.revision, "revision {revision} is in the past of {}", self.revision);
        self.revision = revision;
    }

    /// Forgets the past.
    pub fn compact(&mut self) {
        self.compacted = self.revision;
        self.changes.clear();
    }
}
