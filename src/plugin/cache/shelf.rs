//! A bounded place for answers of one side.
//!
//! Room is made as by a clock: a hand goes round, answers that were used since it passed last stay for one more round, the
//! first other one goes. So names that are asked once push each other out, and leave those that are asked often. The hand
//! moves a bounded number of places for each answer that comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::{Entry, Key};
use crate::dns::Query;
use crate::metrics::{Counter, Gauge};

/// How many used answers the hand passes at most before it takes one in spite of it.
const STEPS_MAX: usize = 16;

/// How long a question that is asked again may take; after that it counts as lost and may be asked once more.
const ASKING_AGAIN_MAX: Duration = Duration::from_secs(10);

/// Answers by their keys, within bounds of number and size.
#[derive(Debug)]
pub struct Shelf {
    bounds: Bounds,
    /// Where in `places` the key with a hash is. Two keys with one hash, which chance does not make, take turns.
    index: HashMap<u64, usize>,
    places: Vec<Place>,
    hand: usize,
    size_bytes: usize,
    counters: ShelfCounters,
}

/// How much a shelf holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Answers at most.
    pub entries: usize,
    /// Octets in memory at most.
    pub size_bytes: usize,
    /// How long after its end an answer is of use.
    pub stale: Duration,
}

/// What a shelf counts.
#[derive(Clone, Debug)]
pub struct ShelfCounters {
    /// Answers on it. Shelves share it, so each adds and takes away its own.
    pub entries: Gauge,
    /// Answers that made room for others while they were of use.
    pub evictions: Counter,
}

/// An answer with what is known of its use.
#[derive(Debug)]
pub struct Place {
    hash: u64,
    key: Key,
    entry: Arc<Entry>,
    size_bytes: usize,
    /// Since the hand was here.
    was_used: bool,
    use_count: u32,
    last_use: Option<Instant>,
    asked_again_at: Option<Instant>,
    failed_until: Option<Instant>,
}

impl Shelf {
    /// An empty shelf.
    pub fn new(bounds: Bounds, counters: ShelfCounters) -> Self {
        Self { bounds, index: HashMap::new(), places: Vec::new(), hand: 0, size_bytes: 0, counters }
    }

    /// The answer to a question, fresh or not.
    pub fn find(&mut self, hash: u64, query: &Query) -> Option<&mut Place> {
        let position = *self.index.get(&hash)?;
        self.places.get_mut(position).filter(|place| place.key.is_of(query))
    }

    /// Puts an answer in the place of the one before, whose use goes on, or makes room for it.
    pub fn insert(&mut self, hash: u64, query: &Query, entry: Entry, size_bytes: usize, now: Instant) {
        let before = self.remove(hash).filter(|place| place.key.is_of(query));
        let (use_count, last_use) = before.map_or((0, None), |place| (place.use_count, place.last_use));
        if size_bytes > self.bounds.size_bytes {
            return;
        }
        while !self.has_room(size_bytes) && !self.places.is_empty() {
            self.make_room(now);
        }
        let entry = Arc::new(entry);
        self.index.insert(hash, self.places.len());
        self.places.push(Place {
            hash,
            key: Key::of(query),
            entry,
            size_bytes,
            was_used: use_count > 0,
            use_count,
            last_use,
            asked_again_at: None,
            failed_until: None,
        });
        self.size_bytes += size_bytes;
        self.counters.entries.inc();
    }

    /// Takes the answer away that has this hash.
    pub fn remove(&mut self, hash: u64) -> Option<Place> {
        let position = self.index.remove(&hash)?;
        if position >= self.places.len() {
            return None;
        }
        let place = self.places.swap_remove(position);
        if let Some(moved) = self.places.get(position) {
            self.index.insert(moved.hash, position);
        }
        self.size_bytes -= place.size_bytes;
        self.counters.entries.dec();
        Some(place)
    }

    fn has_room(&self, size_bytes: usize) -> bool {
        self.places.len() < self.bounds.entries && self.size_bytes + size_bytes <= self.bounds.size_bytes
    }

    /// Takes the first answer away that the hand finds useless or unused.
    fn make_room(&mut self, now: Instant) {
        for step in 0.. {
            if self.hand >= self.places.len() {
                self.hand = 0;
            }
            let Some(place) = self.places.get_mut(self.hand) else { return };
            let is_useful = place.entry.is_servable(self.bounds.stale, now);
            if is_useful && place.was_used && step < STEPS_MAX {
                place.was_used = false;
                self.hand += 1;
                continue;
            }
            if is_useful {
                self.counters.evictions.inc();
            }
            let hash = place.hash;
            self.remove(hash);
            // The newest answer is now where the hand was: it has a whole round before it.
            self.hand += 1;
            return;
        }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.counters.entries.sub(i64::try_from(self.places.len()).unwrap_or(i64::MAX));
    }
}

impl Place {
    /// The answer.
    pub fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Notes a use, and returns how many there were with at most `gap` between them.
    pub fn note_use(&mut self, gap: Duration, now: Instant) -> u32 {
        let is_in_a_row = self.last_use.is_some_and(|last| now.saturating_duration_since(last) <= gap);
        self.use_count = if is_in_a_row { self.use_count.saturating_add(1) } else { 1 };
        self.last_use = Some(now);
        self.was_used = true;
        self.use_count
    }

    /// Whether its question may be asked again: it is not being asked, and its source has not failed just now.
    pub fn may_be_asked_again(&self, now: Instant) -> bool {
        let is_asked = self.asked_again_at.is_some_and(|at| now.saturating_duration_since(at) < ASKING_AGAIN_MAX);
        !is_asked && !self.has_failed(now)
    }

    /// Notes that its question is being asked again.
    pub fn note_asked_again(&mut self, now: Instant) {
        self.asked_again_at = Some(now);
    }

    /// Whether its source counts as failing.
    pub fn has_failed(&self, now: Instant) -> bool {
        self.failed_until.is_some_and(|until| now < until)
    }

    /// Notes that its source was asked and has failed, which counts until then.
    pub fn note_failure(&mut self, until: Option<Instant>) {
        self.asked_again_at = None;
        self.failed_until = until;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::testing::{nx, query, soa};
    use super::*;
    use crate::dns::RecordType;

    fn shelf(entries: usize, size_bytes: usize) -> Shelf {
        let counters = ShelfCounters {
            entries: Gauge::new("entries", "entries").expect("a gauge"),
            evictions: Counter::new("evictions", "evictions").expect("a counter"),
        };
        Shelf::new(Bounds { entries, size_bytes, stale: Duration::ZERO }, counters)
    }

    fn question(number: u64) -> Query {
        query(&format!("n{number}.example."), RecordType::A)
    }

    /// An entry that is told from others by its lifetime.
    fn entry(seconds: u64, now: Instant) -> Entry {
        Entry::new(nx(soa(60, 60)), Duration::from_secs(seconds), now)
    }

    fn put(shelf: &mut Shelf, number: u64, size_bytes: usize, now: Instant) {
        shelf.insert(number, &question(number), entry(60, now), size_bytes, now);
    }

    #[test]
    fn names_that_are_asked_once_leave_those_that_are_asked_often() {
        let now = Instant::now();
        let mut shelf = shelf(1000, usize::MAX);
        (0..100).for_each(|hot| put(&mut shelf, hot, 1, now));
        let mut missing = 0;
        for once in 1000..100_000 {
            put(&mut shelf, once, 1, now);
            let hot = once % 100;
            match shelf.find(hot, &question(hot)) {
                Some(place) => _ = place.note_use(Duration::MAX, now),
                None => {
                    missing += 1;
                    put(&mut shelf, hot, 1, now);
                }
            }
        }
        assert!(missing < 100, "{missing}");
        assert_eq!(shelf.places.len(), 1000);
    }

    #[test]
    fn what_has_ended_makes_room_first_where_the_hand_is_and_is_no_eviction() {
        let now = Instant::now();
        let mut shelf = shelf(2, usize::MAX);
        put(&mut shelf, 1, 1, now);
        if let Some(place) = shelf.find(1, &question(1)) {
            place.note_use(Duration::MAX, now);
        }
        let later = now + Duration::from_secs(61);
        put(&mut shelf, 2, 1, later);
        put(&mut shelf, 3, 1, later);
        assert!(
            shelf.find(1, &question(1)).is_none()
                && shelf.find(2, &question(2)).is_some()
                && shelf.find(3, &question(3)).is_some()
        );
        assert_eq!(shelf.counters.evictions.get(), 0);
    }

    #[test]
    fn a_large_answer_makes_room_for_itself_and_one_that_is_too_large_is_left_out() {
        let now = Instant::now();
        let mut shelf = shelf(100, 100);
        (0..10).for_each(|number| put(&mut shelf, number, 10, now));
        put(&mut shelf, 11, 95, now);
        assert_eq!((shelf.places.len(), shelf.size_bytes), (1, 95));
        put(&mut shelf, 12, 101, now);
        assert_eq!((shelf.places.len(), shelf.size_bytes), (1, 95));
    }

    #[test]
    fn the_gauge_forgets_a_shelf_that_is_dropped() {
        let shelf_of_three = {
            let now = Instant::now();
            let mut shelf = shelf(10, 100);
            (0..3).for_each(|number| put(&mut shelf, number, 10, now));
            shelf
        };
        let gauge = shelf_of_three.counters.entries.clone();
        assert_eq!(gauge.get(), 3);
        drop(shelf_of_three);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn uses_count_in_a_row() {
        let now = Instant::now();
        let mut shelf = shelf(10, 100);
        put(&mut shelf, 1, 10, now);
        let gap = Duration::from_secs(60);
        let mut note = |seconds| {
            let place = shelf.find(1, &question(1)).expect("it is there");
            place.note_use(gap, now + Duration::from_secs(seconds))
        };
        assert_eq!([note(0), note(60), note(61), note(122), note(123)], [1, 2, 3, 1, 2]);
    }

    proptest! {
        #[test]
        fn what_is_found_was_put_last_and_bounds_hold(
            operations in prop::collection::vec((0u64..12, 1usize..40, 0u8..3), 1..200),
        ) {
            let now = Instant::now();
            let mut shelf = shelf(5, 100);
            let mut model: HashMap<u64, u64> = HashMap::new();
            for (time, (number, size_bytes, what)) in operations.into_iter().enumerate() {
                let lifetime = time as u64 + 1;
                match what {
                    0 => {
                        shelf.insert(number, &question(number), entry(lifetime, now), size_bytes, now);
                        model.insert(number, lifetime);
                        prop_assert!(shelf.find(number, &question(number)).is_some());
                    }
                    1 => {
                        shelf.remove(number);
                        model.remove(&number);
                    }
                    _ => {}
                }
                prop_assert!(shelf.places.len() <= 5 && shelf.size_bytes <= 100);
                prop_assert_eq!(shelf.size_bytes, shelf.places.iter().map(|place| place.size_bytes).sum::<usize>());
                prop_assert_eq!(shelf.index.len(), shelf.places.len());
                prop_assert_eq!(shelf.counters.entries.get(), shelf.places.len() as i64);
                if let Some(place) = shelf.find(number, &question(number)) {
                    place.note_use(Duration::MAX, now);
                    let lifetime = *model.get(&number).expect("it was put");
                    let end = now + Duration::from_secs(lifetime);
                    prop_assert!(place.entry().is_fresh(end - Duration::from_secs(1)) && !place.entry().is_fresh(end));
                }
            }
        }
    }
}
