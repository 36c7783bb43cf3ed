//! No text makes the reader of Corefiles panic or take long, and what it reads is written as it was read.
#![no_main]

use landfall::config::corefile::read;
use landfall_fuzz::{Desk, check_written, within_time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(loaded) = within_time(text, || read(text, "Corefile", &Desk)) {
        check_written(&loaded.config);
    }
});
