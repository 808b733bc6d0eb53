//! `Memory` against a plain map; see `tierce_fuzz::memory_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tierce_fuzz::memory_ops::run(bytes));
