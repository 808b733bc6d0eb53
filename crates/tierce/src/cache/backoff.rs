//! Keys whose load behind a caller has just failed: for a while none is started behind anybody again.
//!
//! A value that is served while it is reloaded goes on being served when that fails, so each further lookup would start
//! another load, and a source that is down would get one for every hit. `stale_if_error` has a place for such a pause in
//! the entry itself (`expiry.rs`, `throttled`), which then is not called fresh any more; here the entry must stay what it
//! is. So the pause is noted beside it, in a table of times that knows no keys: of two keys in one place the one waits
//! with its refresh for the other's pause, and is served meanwhile like any other.

use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Times at once. A power of two; 8 KiB for a cache that loads behind callers, and nothing for others. It is also the
/// most loads that start behind callers in one pause when the source of all keys is down.
const PLACES: usize = 1024;

/// Each place holds a time in milliseconds: none is started before.
pub(crate) struct Backoff(Box<[AtomicU64]>);

impl Backoff {
    pub(crate) fn new() -> Self {
        Backoff((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Starts nothing for this key before that time.
    pub(crate) fn note(&self, hash: u64, until_ms: u64) {
        self.place(hash).store(until_ms, Relaxed);
    }

    /// Whether nothing is to be started for this key.
    pub(crate) fn holds(&self, hash: u64, now_ms: u64) -> bool {
        now_ms < self.place(hash).load(Relaxed) && !mutant::on(Mutant::RetriedAtOnce)
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.0[(hash >> 8) as usize & (PLACES - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_held_back_until_its_time_and_others_are_not() {
        let backoff = Backoff::new();
        backoff.note(0x1234_5600, 1000);
        let held = |hash, now_ms| backoff.holds(hash, now_ms);
        assert_eq!([held(0x1234_5600, 999), held(0x1234_5600, 1000), held(0x1234_5700, 999)], [true, false, false]);
    }
}
