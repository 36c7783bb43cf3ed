//! Objects of one resource by namespace and name.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::table::Table;
use crate::cluster::{EndpointSlice, Namespace, ObjectKey, Pod, Service};

/// What has a namespace and a name.
pub trait Object: PartialEq {
    /// The namespace; empty for a Namespace.
    fn namespace(&self) -> &str;
    /// The name.
    fn name(&self) -> &str;
}

/// All objects of a resource, in the order of a hash of their names: so a search compares numbers, and whoever chooses names
/// gains nothing from it.
#[derive(Debug)]
pub struct ByName<T> {
    table: Table<Entry<T>>,
    hasher: RandomState,
    /// The number of the list that is under way, or of the last one.
    list: u32,
    is_listing: bool,
}

#[derive(Debug)]
struct Entry<T> {
    hash: u32,
    /// The number of the list that named it last, or that was the last one when an event did.
    list: u32,
    object: Arc<T>,
}

// Not derived: that would ask the same of the objects.
impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { table: Table::default(), hasher: RandomState::new(), list: 0, is_listing: false }
    }
}

impl<T> Clone for ByName<T> {
    fn clone(&self) -> Self {
        Self { table: self.table.clone(), hasher: self.hasher.clone(), ..*self }
    }
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), ..*self }
    }
}

impl<T: Object> ByName<T> {
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// All objects, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.table.iter().map(|entry| &entry.object)
    }

    /// The object of a name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<T>> {
        self.table.get(place(self.hash(namespace, name), namespace, name)).map(|entry| &entry.object)
    }

    /// Makes an object what it is now. None: it was so already; otherwise what it is and what it was.
    pub fn set(&mut self, object: T) -> Option<(Arc<T>, Option<Arc<T>>)> {
        if self.get(object.namespace(), object.name()).is_some_and(|before| **before == object) {
            self.name(object.namespace(), object.name());
            return None;
        }
        let object = Arc::new(object);
        let hash = self.hash(object.namespace(), object.name());
        let entry = Entry { hash, list: self.list, object: object.clone() };
        let before = self.table.insert(entry, place(hash, object.namespace(), object.name()));
        Some((object, before.map(|entry| entry.object)))
    }

    /// Notes that the list that is under way, if there is one, names an object. Returns whether it is there.
    pub fn name(&mut self, namespace: &str, name: &str) -> bool {
        let place = place(self.hash(namespace, name), namespace, name);
        if !self.is_listing {
            return self.table.get(place).is_some();
        }
        let Some(entry) = self.table.get_mut(place) else { return false };
        entry.list = self.list;
        true
    }

    /// Takes an object away.
    pub fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let place = place(self.hash(namespace, name), namespace, name);
        self.table.remove(place).map(|entry| entry.object)
    }

    /// A list begins.
    pub fn start_list(&mut self) {
        self.list = self.list.wrapping_add(1);
        self.is_listing = true;
    }

    /// A list ends: what it did not name.
    pub fn end_list(&mut self) -> Vec<ObjectKey> {
        if !std::mem::take(&mut self.is_listing) {
            self.list = self.list.wrapping_add(1);
        }
        let unnamed = self.table.iter().filter(|entry| entry.list != self.list);
        unnamed
            .map(|entry| ObjectKey { namespace: entry.object.namespace().into(), name: entry.object.name().into() })
            .collect()
    }

    /// Whatever list is under way is no longer.
    pub fn forget_list(&mut self) {
        self.is_listing = false;
    }

    #[expect(clippy::cast_possible_truncation, reason = "a part of a hash is one")]
    fn hash(&self, namespace: &str, name: &str) -> u32 {
        self.hasher.hash_one((namespace, name)) as u32
    }
}

/// Where the object of a name stands.
fn place<T: Object>(hash: u32, namespace: &str, name: &str) -> impl Fn(&Entry<T>) -> Ordering {
    move |entry| {
        let names = || (entry.object.namespace(), entry.object.name()).cmp(&(namespace, name));
        entry.hash.cmp(&hash).then_with(names)
    }
}

impl Object for Namespace {
    fn namespace(&self) -> &str {
        ""
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Objects that say their namespace and name themselves.
macro_rules! objects {
    ($($kind:ident)*) => {$(
        impl Object for $kind {
            fn namespace(&self) -> &str {
                &self.namespace
            }

            fn name(&self) -> &str {
                &self.name
            }
        }
    )*};
}

objects!(Service EndpointSlice Pod);
