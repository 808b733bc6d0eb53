//! Answers of servers that are none; see `tierce_fuzz::answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::answers::run(bytes));
