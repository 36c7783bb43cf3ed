//! A sorted table whose clones share what they have in common.
//!
//! Entries lie side by side in chunks, and an edit copies the chunk that it touches if a clone still has it. So an entry costs
//! little more than its own octets: a hash trie costs 150 for one of 32, because each of its nodes has room for more.

use std::cmp::Ordering;
use std::sync::Arc;

/// The most entries of a chunk: what an edit copies at most.
const CHUNK_LENGTH_MAX: usize = 64;
/// By how many entries a chunk grows.
const CHUNK_GROWTH: usize = 8;

/// Entries in an order that the caller knows: `order` says how an entry stands to the place that is meant, and must be the same
/// order in all calls.
#[derive(Clone, Debug)]
pub struct Table<E> {
    /// None of them is empty.
    chunks: Arc<Vec<Arc<Vec<E>>>>,
    length: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self { chunks: Arc::default(), length: 0 }
    }
}

impl<E: Clone> Table<E> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// All entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = &E> + Clone {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The entry at a place.
    pub fn get(&self, order: impl Fn(&E) -> Ordering) -> Option<&E> {
        let (chunk, index) = self.lower_bound(&order);
        self.chunks.get(chunk)?.get(index).filter(|entry| order(entry).is_eq())
    }

    /// The entries at a place that is wide enough for more than one.
    pub fn range<'a>(&'a self, order: impl Fn(&E) -> Ordering + 'a) -> impl Iterator<Item = &'a E> + 'a {
        let (chunk, index) = self.lower_bound(&order);
        let first = self.chunks.get(chunk).and_then(|chunk| chunk.get(index..)).unwrap_or_default();
        let others = self.chunks.iter().skip(chunk + 1).flat_map(|chunk| chunk.iter());
        first.iter().chain(others).take_while(move |entry| order(entry).is_eq())
    }

    /// The entry at a place, to be edited; it must not move.
    pub fn get_mut(&mut self, order: impl Fn(&E) -> Ordering) -> Option<&mut E> {
        let (chunk, index) = self.lower_bound(&order);
        self.chunks.get(chunk)?.get(index).filter(|entry| order(entry).is_eq())?;
        Arc::make_mut(Arc::make_mut(&mut self.chunks).get_mut(chunk)?).get_mut(index)
    }

    /// Puts an entry at its place; returns the one that was there.
    pub fn insert(&mut self, entry: E, order: impl Fn(&E) -> Ordering) -> Option<E> {
        if let Some(place) = self.get_mut(&order) {
            return Some(std::mem::replace(place, entry));
        }
        let (chunk, index) = self.lower_bound(&order);
        // What belongs behind all others belongs into the last chunk.
        let (chunk, index) = match chunk.checked_sub(1) {
            Some(last) if chunk == self.chunks.len() => (last, usize::MAX),
            _ => (chunk, index),
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        match chunks.get_mut(chunk) {
            None => chunks.push(Arc::new(vec![entry])),
            Some(found) => {
                let found = Arc::make_mut(found);
                if found.len() == found.capacity() {
                    found.reserve_exact(CHUNK_GROWTH);
                }
                found.insert(index.min(found.len()), entry);
                if found.len() > CHUNK_LENGTH_MAX {
                    let upper = found.split_off(found.len() / 2);
                    found.shrink_to_fit();
                    chunks.insert(chunk + 1, Arc::new(upper));
                }
            }
        }
        self.length += 1;
        None
    }

    /// Takes the entry at a place away.
    pub fn remove(&mut self, order: impl Fn(&E) -> Ordering) -> Option<E> {
        let (chunk, index) = self.lower_bound(&order);
        self.chunks.get(chunk)?.get(index).filter(|entry| order(entry).is_eq())?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let found = Arc::make_mut(chunks.get_mut(chunk)?);
        let entry = found.remove(index);
        if found.is_empty() {
            chunks.remove(chunk);
        }
        self.length -= 1;
        Some(entry)
    }

    /// The chunk and the index in it of the first entry that does not stand before a place.
    fn lower_bound(&self, order: impl Fn(&E) -> Ordering) -> (usize, usize) {
        let is_before = |entry: &E| order(entry).is_lt();
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        (chunk, self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(is_before)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(key: u16) -> impl Fn(&(u16, u16)) -> Ordering {
        move |entry| entry.0.cmp(&key)
    }

    /// What is done to a table: an entry comes, changes or goes, or a clone is taken.
    #[derive(Clone, Debug)]
    enum Edit {
        Insert(u16, u16),
        Change(u16, u16),
        Remove(u16),
        Clone,
    }

    fn any_edit() -> impl Strategy<Value = Edit> {
        let key = 0u16..200;
        prop_oneof![
            6 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Edit::Insert(key, value)),
            1 => (key.clone(), any::<u16>()).prop_map(|(key, value)| Edit::Change(key, value)),
            2 => key.prop_map(Edit::Remove),
            1 => Just(Edit::Clone),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A table holds what a map holds, in the order of the keys, and no edit shows in a clone.
        #[test]
        fn a_table_is_a_map(edits in prop::collection::vec(any_edit(), 0..600)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            let mut clones = Vec::new();
            for edit in edits {
                match edit {
                    Edit::Insert(key, value) => {
                        let before = table.insert((key, value), at(key));
                        prop_assert_eq!(before.map(|entry| entry.1), map.insert(key, value));
                    }
                    Edit::Change(key, value) => {
                        let found = table.get_mut(at(key)).map(|entry| std::mem::replace(&mut entry.1, value));
                        prop_assert_eq!(found, map.get_mut(&key).map(|place| std::mem::replace(place, value)));
                    }
                    Edit::Remove(key) => {
                        prop_assert_eq!(table.remove(at(key)).map(|entry| entry.1), map.remove(&key));
                    }
                    Edit::Clone => clones.push((table.clone(), map.clone())),
                }
            }
            clones.push((table, map));
            for (table, map) in clones {
                prop_assert_eq!(table.len(), map.len());
                prop_assert_eq!(table.iter().copied().collect::<Vec<_>>(), map.clone().into_iter().collect::<Vec<_>>());
                let tens = |key: u16| move |entry: &(u16, u16)| (entry.0 / 10).cmp(&(key / 10));
                for key in 0..200 {
                    prop_assert_eq!(table.get(at(key)).map(|entry| entry.1), map.get(&key).copied());
                    let expected: Vec<u16> = map.range(key / 10 * 10..key / 10 * 10 + 10).map(|(key, _)| *key).collect();
                    prop_assert_eq!(table.range(tens(key)).map(|entry| entry.0).collect::<Vec<_>>(), expected);
                }
            }
        }
    }

    /// The room of all chunks.
    fn capacity(table: &Table<(u16, u16)>) -> usize {
        table.chunks.iter().map(|chunk| chunk.capacity()).sum()
    }

    #[test]
    fn little_room_is_left_whatever_the_order_of_the_entries() {
        for step in [1, 7919] {
            let mut table = Table::default();
            for key in (0..60_000u32).map(|index| u16::try_from(index * step % 60_000).unwrap()) {
                table.insert((key, 0), at(key));
            }
            assert_eq!(table.len(), 60_000);
            assert!(capacity(&table) < 60_000 * 5 / 4, "{} for steps of {step}", capacity(&table));
        }
    }

    #[test]
    fn an_edit_copies_one_chunk() {
        let mut table = Table::default();
        (0..10_000).for_each(|key| _ = table.insert((key, 0), at(key)));
        let before = table.clone();
        table.insert((5000, 1), at(5000));
        let is_shared = |(one, other): &(&Arc<Vec<_>>, &Arc<Vec<_>>)| Arc::ptr_eq(one, other);
        assert_eq!(table.chunks.iter().zip(before.chunks.iter()).filter(|pair| !is_shared(pair)).count(), 1);
    }
}
