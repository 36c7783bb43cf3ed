//! Whatever another server answers, no client gets more of it than what belongs to the question, nor later on.
#![no_main]

use std::time::Duration;

use landfall_fuzz::answer::{check, time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    check(octets);
    let took = if octets.len() > 4096 { time(octets) } else { Duration::ZERO };
    assert!(took < Duration::from_millis(5), "{took:?} for {} octets", octets.len());
});
