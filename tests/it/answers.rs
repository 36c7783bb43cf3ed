//! The fuzz target of answers over its seeds and a few thousand octets like them, whatever tools there are: each is read, believed,
//! remembered and given as another server's answer may be.

use std::path::Path;
use std::time::Duration;

#[path = "../fuzz/src/answer.rs"]
mod oracle;

/// Answers made of each seed.
const VARIANTS: u32 = 500;

/// A row of numbers that is the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).expect("64 bits") % bound.max(1)
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds/answer");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// Octets with up to six changes, some of which are pieces of other seeds.
fn variant(seeds: &[Vec<u8>], seed: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut octets = seed.to_vec();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(octets.len());
        match numbers.below(8) {
            0 | 1 => octets[at] ^= 1 << numbers.below(8),
            2 => octets[at] = numbers.below(256) as u8,
            // Counts of the sections, id and flags.
            3 => octets[numbers.below(12)] = numbers.below(4) as u8,
            4 => octets.truncate(at.max(12)),
            5 => drop(octets.drain(at..(at + numbers.below(20)).min(octets.len()))),
            _ => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len());
                let piece = other[from..(from + numbers.below(80)).min(other.len())].to_vec();
                octets.splice(at..at, piece);
            }
        }
        if octets.len() < 12 {
            break;
        }
    }
    octets
}

#[test]
fn nothing_foreign_is_left_of_any_answer() {
    let (seeds, mut numbers) = (seeds(), Numbers(4711));
    for seed in &seeds {
        oracle::check(seed);
        (0..VARIANTS).for_each(|_| oracle::check(&variant(&seeds, seed, &mut numbers)));
    }
}

/// As many aliases in a row as may be, the last one first, behind thousands of addresses of a name that is not among them.
#[test]
fn no_answer_takes_long() {
    let name = |i: usize| vec![2, b'a' + (i / 26) as u8, b'a' + (i % 26) as u8, 0];
    let record = |owner: Vec<u8>, code: u8, data: Vec<u8>| {
        [&owner[..], &[0, code, 0, 1, 0, 0, 1, 44, 0, data.len() as u8], &data].concat()
    };
    let mut records = vec![record(name(99), 1, vec![192, 0, 2, 1]); 3500];
    records.extend((0..16).rev().map(|i| record(name(i), 5, name(i + 1))));
    records.extend(vec![record(name(16), 1, vec![192, 0, 2, 1]); 10]);
    let [high, low] = (records.len() as u16).to_be_bytes();
    let head = [&[0, 33, 0x81, 0x80, 0, 1, high, low, 0, 0, 0, 0][..], &name(0), &[0, 1, 0, 1]].concat();
    let message = [head, records.concat()].concat();
    oracle::check(&message);
    // The program of the tests is many times slower than the one that is released.
    assert!(message.len() > 60_000 && oracle::time(&message) < Duration::from_secs(1), "{:?}", oracle::time(&message));
}
