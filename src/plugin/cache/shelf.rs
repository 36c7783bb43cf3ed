//! A bounded place for answers of one side.
//!
//! Room is made as S3-FIFO does it (Yang et al., SOSP 2023): what is new waits in a small queue; what is used there more than once
//! goes on to the main queue, and all else leaves it soon, so that names that are asked once or twice push out each other alone.
//! The names of those that left are known for a while as ghosts: what is asked again is not new.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Moment;
use super::entry::{Entry, Key, Scope};
use super::queue::{Ghosts, Hashed, Queue, Turn};
use crate::dns::Query;
use crate::metrics::{Counter, Gauge};

/// The part of the bounds that new answers may take from the others: a tenth.
const NEW_PART: usize = 10;

/// Uses that count at most.
const USES_MAX: u8 = 3;

/// How many used answers are passed over at most before one is taken in spite of it.
const STEPS_MAX: usize = 16;

/// What a place costs beside its entry and the octets of its key: it lies in a table, and its turn, or two, in a queue.
const PLACE_BYTES: usize = size_of::<Place>() + size_of::<u64>() + 2 * size_of::<Turn>();

/// How long a question that is asked again may take; after that it counts as lost and may be asked once more.
const ASKING_AGAIN_MAX: Duration = Duration::from_secs(10);

/// Answers by their keys, within bounds of number and size.
#[derive(Debug)]
pub struct Shelf {
    bounds: Bounds,
    /// By the hashes of their keys. Two keys with one hash, which chance does not make, take turns.
    places: HashMap<u64, Place, BuildHasherDefault<Hashed>>,
    new: Queue,
    main: Queue,
    ghosts: Ghosts,
    /// Of the answer that came last.
    serial: u64,
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
    key: Key,
    entry: Arc<Entry>,
    size_bytes: usize,
    serial: u64,
    is_new: bool,
    /// Since it came to its queue, and less with each turn in the main queue.
    uses: u8,
    use_count: u32,
    last_use: Option<Instant>,
    asked_again_at: Option<Instant>,
    failure: Option<Failure>,
}

/// That a source has failed.
#[derive(Clone, Copy, Debug)]
struct Failure {
    until: Instant,
    epoch: u64,
}

impl Shelf {
    /// An empty shelf.
    pub fn new(bounds: Bounds, counters: ShelfCounters) -> Self {
        Self {
            bounds,
            places: HashMap::default(),
            new: Queue::default(),
            main: Queue::default(),
            ghosts: Ghosts::new(bounds.entries),
            serial: 0,
            counters,
        }
    }

    /// The answer to a question, fresh or not.
    pub fn find(&self, hash: u64, query: &Query, scope: Scope) -> Option<&Place> {
        self.places.get(&hash).filter(|place| place.key.is_of(query, scope))
    }

    /// What was found with this hash.
    pub fn at(&mut self, hash: u64) -> Option<&mut Place> {
        self.places.get_mut(&hash)
    }

    /// Puts an answer in the place of the one before, whose use goes on, or makes room for it. `size_bytes` is that of the entry.
    pub fn insert(&mut self, hash: u64, (query, scope): (&Query, Scope), entry: Entry, size_bytes: usize, at: Moment) {
        let key = Key::of(query, scope);
        let size_bytes = size_bytes + PLACE_BYTES + key.heap_bytes();
        let before = self.remove(hash).filter(|place| place.key.is_of(query, scope));
        if size_bytes > self.bounds.size_bytes {
            return;
        }
        while !self.has_room(size_bytes) && !self.places.is_empty() {
            self.make_room(at);
        }
        self.serial += 1;
        let mut place = Place {
            key,
            entry: Arc::new(entry),
            size_bytes,
            serial: self.serial,
            is_new: true,
            uses: 0,
            use_count: 0,
            last_use: None,
            asked_again_at: None,
            failure: None,
        };
        match before {
            // That it was asked for anew is a use, too.
            Some(before) => {
                place.is_new = before.is_new;
                place.uses = USES_MAX.min(before.uses + 1);
                (place.use_count, place.last_use) = (before.use_count, before.last_use);
            }
            None => place.is_new = !self.ghosts.take(hash),
        }
        let queue = if place.is_new { &mut self.new } else { &mut self.main };
        queue.enter(Turn { hash, serial: self.serial }, size_bytes);
        self.places.insert(hash, place);
        self.counters.entries.inc();
    }

    /// Takes the answer away that has this hash.
    pub fn remove(&mut self, hash: u64) -> Option<Place> {
        let place = self.places.remove(&hash)?;
        let queue = if place.is_new { &mut self.new } else { &mut self.main };
        let places = &self.places;
        queue.leave(place.size_bytes, |turn| places.get(&turn.hash).is_none_or(|place| place.serial != turn.serial));
        self.counters.entries.dec();
        Some(place)
    }

    fn has_room(&self, size_bytes: usize) -> bool {
        let used_bytes = self.new.size_bytes() + self.main.size_bytes();
        self.places.len() < self.bounds.entries && used_bytes + size_bytes <= self.bounds.size_bytes
    }

    /// Whether new answers have more than their part.
    fn is_new_crowded(&self) -> bool {
        self.new.entries() > self.bounds.entries / NEW_PART || self.new.size_bytes() > self.bounds.size_bytes / NEW_PART
    }

    /// Takes the first answer away that is of no use, or was not used enough to stay.
    fn make_room(&mut self, at: Moment) {
        let mut steps = 0;
        loop {
            let is_from_new = self.main.entries() == 0 || self.is_new_crowded();
            let queue = if is_from_new { &mut self.new } else { &mut self.main };
            let Some(turn) = queue.next() else { return };
            let Some(place) = self.places.get_mut(&turn.hash).filter(|place| place.serial == turn.serial) else {
                continue;
            };
            let is_useful = place.entry.is_servable(self.bounds.stale, at);
            let is_used = if is_from_new { place.uses > 1 } else { place.uses > 0 };
            if !is_useful || !is_used || steps == STEPS_MAX {
                if is_useful {
                    self.counters.evictions.inc();
                }
                // Of the main queue what has ended is no less asked for.
                if is_from_new || !is_useful {
                    self.ghosts.add(turn.hash);
                }
                self.remove(turn.hash);
                return;
            }
            steps += 1;
            if is_from_new {
                place.is_new = false;
                let size_bytes = place.size_bytes;
                // Its turn is over: none is left behind.
                self.new.leave(size_bytes, |_| false);
                self.main.enter(turn, size_bytes);
            } else {
                place.uses -= 1;
                self.main.go_round(turn);
            }
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
    pub fn note_use(&mut self, gap: Duration, at: Moment) -> u32 {
        let is_in_a_row = self.last_use.is_some_and(|last| at.time.saturating_duration_since(last) <= gap);
        self.use_count = if is_in_a_row { self.use_count.saturating_add(1) } else { 1 };
        self.last_use = Some(at.time);
        self.uses = USES_MAX.min(self.uses + 1);
        self.use_count
    }

    /// Whether its question may be asked again: it is not being asked, and its source has not failed just now.
    pub fn may_be_asked_again(&self, at: Moment) -> bool {
        let is_asked =
            self.asked_again_at.is_some_and(|then| at.time.saturating_duration_since(then) < ASKING_AGAIN_MAX);
        !is_asked && !self.has_failed(at)
    }

    /// Notes that its question is being asked again.
    pub fn note_asked_again(&mut self, at: Moment) {
        self.asked_again_at = Some(at.time);
    }

    /// Whether its source counts as failing: until then, or until one of the servers has come back.
    pub fn has_failed(&self, at: Moment) -> bool {
        self.failure.is_some_and(|failure| at.time < failure.until && at.epoch == failure.epoch)
    }

    /// Notes that its source was asked and has failed, which counts for so long.
    pub fn note_failure(&mut self, recheck: Duration, at: Moment) {
        self.asked_again_at = None;
        self.note_slowness(recheck, at);
    }

    /// Notes that its source takes too long, and is still asked.
    pub fn note_slowness(&mut self, recheck: Duration, at: Moment) {
        let until = at.time.checked_add(recheck);
        self.failure = until.map(|until| Failure { until, epoch: at.epoch });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::testing::query;
    use super::*;
    use crate::dns::{Answer, RecordType};

    const SCOPE: Scope = Scope::Type(RecordType::A);

    fn shelf(entries: usize, size_bytes: usize) -> Shelf {
        let counters = ShelfCounters {
            entries: Gauge::new("entries", "entries").expect("a gauge"),
            evictions: Counter::new("evictions", "evictions").expect("a counter"),
        };
        Shelf::new(Bounds { entries, size_bytes, stale: Duration::ZERO }, counters)
    }

    fn question(number: u64) -> Query {
        query(&format!("n{number:06}.example."), RecordType::A)
    }

    /// An entry that is told from others by its lifetime.
    fn entry(seconds: u64, now: Moment) -> Entry {
        Entry::new(Answer::no_data(None), SCOPE, Duration::from_secs(seconds), now)
    }

    fn size_bytes(shelf: &Shelf) -> usize {
        shelf.new.size_bytes() + shelf.main.size_bytes()
    }

    /// What a place takes beside `size_bytes`.
    fn beside() -> usize {
        PLACE_BYTES + Key::of(&question(0), SCOPE).heap_bytes()
    }

    fn put(shelf: &mut Shelf, number: u64, size_bytes: usize, now: Moment) {
        shelf.insert(number, (&question(number), SCOPE), entry(60, now), size_bytes, now);
    }

    fn find(shelf: &mut Shelf, number: u64) -> Option<&mut Place> {
        shelf.find(number, &question(number), SCOPE)?;
        shelf.at(number)
    }

    /// Asks as clients do: what is not there is fetched. Whether it was there.
    fn ask(shelf: &mut Shelf, number: u64, now: Moment) -> bool {
        let place = shelf.at(number).map(|place| place.note_use(Duration::MAX, now));
        if place.is_none() {
            put(shelf, number, 1, now);
        }
        place.is_some()
    }

    /// A thousand names of those that others ask for, each every so many seconds, and fifty times as many questions for random names
    /// that are answered, each asked `times` in a row. Returns the hits of the former in percent.
    fn hits_in_a_flood(seconds: u64, times: u64) -> u64 {
        const HOT: u64 = 1000;
        const FLOOD: u64 = 50;
        let mut now = Moment::first();
        let mut shelf = shelf(9984, usize::MAX);
        for hot in (0..HOT).cycle().take(4 * HOT as usize) {
            ask(&mut shelf, hot, now);
        }
        let (mut random, mut hits) = (HOT, 0);
        for turn in 0..3 * HOT {
            for _ in 0..FLOOD / times {
                random += 1;
                (0..times).for_each(|_| _ = ask(&mut shelf, random, now));
            }
            // In no order that the queues could keep time with.
            hits += u64::from(ask(&mut shelf, turn * 617 % HOT, now));
            now = now + Duration::from_micros(seconds * 1_000_000 / HOT);
        }
        assert!(shelf.places.len() <= 9984);
        hits * 100 / (3 * HOT)
    }

    #[test]
    fn a_flood_of_random_names_leaves_those_that_are_asked_often() {
        for (seconds, times) in [(5, 1), (5, 2), (1, 1), (1, 2)] {
            let hits = hits_in_a_flood(seconds, times);
            assert!(hits >= 95, "{hits} % where each is asked every {seconds} s, and random ones {times} times");
        }
    }

    #[test]
    fn what_comes_back_is_not_new() {
        let now = Moment::first();
        let mut shelf = shelf(100, usize::MAX);
        (0..101).for_each(|number| put(&mut shelf, number, 1, now));
        assert!(find(&mut shelf, 0).is_none());
        put(&mut shelf, 0, 1, now);
        (1000..1500).for_each(|number| put(&mut shelf, number, 1, now));
        assert!(find(&mut shelf, 0).is_some());
    }

    #[test]
    fn what_has_ended_makes_room_first_where_the_hand_is_and_is_no_eviction() {
        let now = Moment::first();
        let mut shelf = shelf(2, usize::MAX);
        put(&mut shelf, 1, 1, now);
        ask(&mut shelf, 1, now);
        let later = now + Duration::from_secs(61);
        put(&mut shelf, 2, 1, later);
        put(&mut shelf, 3, 1, later);
        assert!(find(&mut shelf, 1).is_none() && find(&mut shelf, 2).is_some() && find(&mut shelf, 3).is_some());
        assert_eq!(shelf.counters.evictions.get(), 0);
    }

    #[test]
    fn a_large_answer_makes_room_for_itself_and_one_that_is_too_large_is_left_out() {
        let now = Moment::first();
        let room = 10 * (beside() + 10);
        let mut shelf = shelf(100, room);
        (0..10).for_each(|number| put(&mut shelf, number, 10, now));
        assert_eq!((shelf.places.len(), size_bytes(&shelf)), (10, room));
        put(&mut shelf, 11, room - beside(), now);
        assert_eq!((shelf.places.len(), size_bytes(&shelf)), (1, room));
        put(&mut shelf, 12, room, now);
        assert_eq!((shelf.places.len(), size_bytes(&shelf)), (1, room));
    }

    #[test]
    fn turns_that_are_left_behind_are_swept_out() {
        let now = Moment::first();
        let mut shelf = shelf(100, usize::MAX);
        for number in (0..5).cycle().take(10_000) {
            put(&mut shelf, number, 1, now);
            assert!(shelf.new.turns() <= 50);
        }
        assert_eq!(shelf.new.entries(), 5);
    }

    #[test]
    fn the_gauge_forgets_a_shelf_that_is_dropped() {
        let shelf_of_three = {
            let now = Moment::first();
            let mut shelf = shelf(10, usize::MAX);
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
        let now = Moment::first();
        let mut shelf = shelf(10, usize::MAX);
        put(&mut shelf, 1, 10, now);
        let gap = Duration::from_secs(60);
        let mut note = |seconds| {
            let place = find(&mut shelf, 1).expect("it is there");
            place.note_use(gap, now + Duration::from_secs(seconds))
        };
        assert_eq!([note(0), note(60), note(61), note(122), note(123)], [1, 2, 3, 1, 2]);
    }

    proptest! {
        #[test]
        fn what_is_found_was_put_last_and_bounds_hold(
            operations in prop::collection::vec((0u64..30, 1usize..400, 0u8..3), 1..200),
        ) {
            let now = Moment::first();
            let room = 5 * (beside() + 40);
            let mut shelf = shelf(20, room);
            let mut model: HashMap<u64, u64> = HashMap::new();
            for (time, (number, octets, what)) in operations.into_iter().enumerate() {
                let lifetime = time as u64 + 1;
                match what {
                    0 => {
                        let what = entry(lifetime, now);
                        shelf.insert(number, (&question(number), SCOPE), what, octets, now);
                        model.insert(number, lifetime);
                        prop_assert!(find(&mut shelf, number).is_some());
                    }
                    1 => {
                        shelf.remove(number);
                        model.remove(&number);
                    }
                    _ => {}
                }
                let places = shelf.places.values();
                let sizes = |is_new| places.clone().filter(move |place| place.is_new == is_new).map(|place| place.size_bytes);
                prop_assert!(shelf.places.len() <= 20 && size_bytes(&shelf) <= room);
                prop_assert_eq!(shelf.new.size_bytes(), sizes(true).sum::<usize>());
                prop_assert_eq!(shelf.main.size_bytes(), sizes(false).sum::<usize>());
                prop_assert_eq!(shelf.new.entries(), sizes(true).count());
                prop_assert_eq!(shelf.main.entries(), sizes(false).count());
                prop_assert_eq!(shelf.counters.entries.get(), shelf.places.len() as i64);
                if let Some(place) = find(&mut shelf, number) {
                    place.note_use(Duration::MAX, now);
                    let lifetime = *model.get(&number).expect("it was put");
                    let end = now + Duration::from_secs(lifetime);
                    prop_assert!(place.entry().is_fresh(end - Duration::from_secs(1)) && !place.entry().is_fresh(end));
                }
            }
        }
    }
}
