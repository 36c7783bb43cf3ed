//! The order in which answers make room for others.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// How many turns may be left behind by answers that went before it was theirs, beside as many as there are answers.
const LEFT_BEHIND_MAX: usize = 32;

/// Answers in a row.
#[derive(Debug, Default)]
pub struct Queue {
    turns: VecDeque<Turn>,
    entries: usize,
    size_bytes: usize,
}

/// The turn of an answer: of the one with this serial number at this hash, and of no other that came there later.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Of its key.
    pub hash: u64,
    /// Of the answer.
    pub serial: u64,
}

/// The hashes of what made room of late: the oldest are forgotten.
#[derive(Debug)]
pub struct Ghosts {
    turns: VecDeque<u64>,
    hashes: HashSet<u64, BuildHasherDefault<Hashed>>,
    max: usize,
}

/// The hasher of what is a hash already, made with a key that nobody knows.
#[derive(Debug, Default)]
pub struct Hashed(u64);

impl Queue {
    /// How many answers there are.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Their size.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// How many turns there are, with those that were left behind.
    #[cfg(test)]
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    /// Puts an answer at the end.
    pub fn enter(&mut self, turn: Turn, size_bytes: usize) {
        self.turns.push_back(turn);
        self.entries += 1;
        self.size_bytes += size_bytes;
    }

    /// Gives an answer that had its turn another one at the end.
    pub fn go_round(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    /// The next turn; its answer leaves or goes round.
    pub fn next(&mut self) -> Option<Turn> {
        self.turns.pop_front()
    }

    /// An answer is gone. Turns that were left behind are swept out when they are more than the answers.
    pub fn leave(&mut self, size_bytes: usize, is_left_behind: impl Fn(&Turn) -> bool) {
        self.entries -= 1;
        self.size_bytes -= size_bytes;
        if self.turns.len() > 2 * self.entries + LEFT_BEHIND_MAX {
            self.turns.retain(|turn| !is_left_behind(turn));
        }
    }
}

impl Ghosts {
    /// None yet, and so many at most.
    pub fn new(max: usize) -> Self {
        Self { turns: VecDeque::new(), hashes: HashSet::default(), max }
    }

    /// Notes what made room.
    pub fn add(&mut self, hash: u64) {
        if self.hashes.insert(hash) {
            self.turns.push_back(hash);
        }
        if self.turns.len() > self.max
            && let Some(oldest) = self.turns.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    /// Whether it made room of late; it has come back.
    pub fn take(&mut self, hash: u64) -> bool {
        self.hashes.remove(&hash)
    }
}

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        octets.iter().for_each(|octet| self.0 = self.0.rotate_left(8) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
