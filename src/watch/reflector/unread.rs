//! The objects that cannot be understood at present, so that the log names each of them once.

use std::collections::BTreeMap;

use crate::cluster::ObjectKey;

/// How many objects are remembered; who has more of them needs no list of them.
const REMEMBERED_MAX: usize = 1000;

/// The objects of one resource that cannot be understood.
#[derive(Debug, Default)]
pub struct Unread {
    /// Each with whether the list that is under way has named it.
    objects: BTreeMap<ObjectKey, bool>,
    is_full: bool,
}

/// What is to be told of an object that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Its name: it is new.
    Name,
    /// That there are too many to name all.
    TooMany,
    /// Nothing that was not told before.
    Nothing,
}

impl Unread {
    /// An object cannot be understood.
    pub fn add(&mut self, key: &ObjectKey) -> Telling {
        if let Some(is_listed) = self.objects.get_mut(key) {
            *is_listed = true;
            return Telling::Nothing;
        }
        if self.objects.len() >= REMEMBERED_MAX {
            return if std::mem::replace(&mut self.is_full, true) { Telling::Nothing } else { Telling::TooMany };
        }
        self.objects.insert(key.clone(), true);
        Telling::Name
    }

    /// An object is understood, or gone.
    pub fn remove(&mut self, key: &ObjectKey) {
        if !self.objects.is_empty() && self.objects.remove(key).is_some() {
            self.is_full = false;
        }
    }

    /// A list begins.
    pub fn list_started(&mut self) {
        self.objects.values_mut().for_each(|is_listed| *is_listed = false);
    }

    /// A list is complete: what it did not name is gone.
    pub fn list_ended(&mut self) {
        self.objects.retain(|_, is_listed| *is_listed);
        self.is_full &= self.objects.len() >= REMEMBERED_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn an_object_is_named_once_until_it_is_understood_or_gone() {
        let mut unread = Unread::default();
        let told = |unread: &mut Unread| unread.add(&key("web"));
        assert_eq!((told(&mut unread), told(&mut unread)), (Telling::Name, Telling::Nothing));
        unread.remove(&key("web"));
        assert_eq!(told(&mut unread), Telling::Name);
        unread.list_started();
        assert_eq!(told(&mut unread), Telling::Nothing);
        unread.list_ended();
        assert_eq!(told(&mut unread), Telling::Nothing);
        unread.list_started();
        unread.list_ended();
        assert_eq!(told(&mut unread), Telling::Name);
    }

    #[test]
    fn no_more_than_a_thousand_are_remembered() {
        let mut unread = Unread::default();
        for number in 0..REMEMBERED_MAX {
            assert_eq!(unread.add(&key(&number.to_string())), Telling::Name);
        }
        assert_eq!((unread.add(&key("a")), unread.add(&key("b"))), (Telling::TooMany, Telling::Nothing));
        assert_eq!(unread.objects.len(), REMEMBERED_MAX);
    }
}
