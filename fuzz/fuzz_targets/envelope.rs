//! Envelopes of anybody; see `tierce_fuzz::envelope`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::envelope::run(bytes));
