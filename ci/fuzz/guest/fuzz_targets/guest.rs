//! The target for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| caraway_fuzz_guest::run(data));
