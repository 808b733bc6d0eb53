//! Who does what one task at a time does for a process, on one of its runtimes: keeps memory coherent, or tells the store what
//! it could not be told.
//!
//! He, the keeper, says until when he will be back. One that is not is on a runtime that stands still, or nobody drives; whoever
//! asks the store on another then takes over. He waits a little first: a process that stood still as a whole finds its keeper
//! late as well, and that one is about to go on.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

/// Who keeps, and until when he is believed to.
#[derive(Default)]
pub(super) struct Keeping {
    /// The number of the keeper; each has another.
    keeper: AtomicU64,
    /// When the keeper is late; 0 where there is none. In one order with what there is to do: of one who leaves and looks again
    /// whether there is anything, and one who brings something and looks whether there is somebody, one sees the other.
    late_at_ms: AtomicU64,
    /// Since when he was found late; 0 while he was not.
    late_since_ms: AtomicU64,
}

/// A keeper that is late by so much is waited for no longer.
const WAITED_MS: u64 = 200;
/// A runtime may be so far behind with a task, and is busy, not standing still.
const BUSY_MS: u64 = 1000;

impl Keeping {
    /// Whether somebody keeps, and need not be replaced.
    pub(super) fn is_kept(&self, now_ms: u64) -> bool {
        let late_at_ms = self.late_at_ms.load(SeqCst);
        if now_ms < late_at_ms {
            return true;
        }
        if late_at_ms == 0 {
            return false;
        }
        let since_ms = self.late_since_ms.load(Relaxed);
        if since_ms == 0 {
            self.late_since_ms.store(now_ms, Relaxed);
        }
        since_ms == 0 || now_ms < since_ms.saturating_add(WAITED_MS)
    }

    /// Makes the caller the keeper, if there is none that need not be replaced: his number.
    pub(super) fn take(&self, now_ms: u64) -> Option<u64> {
        let keeper = self.keeper.load(Relaxed);
        if self.is_kept(now_ms) {
            return None;
        }
        self.keeper.compare_exchange(keeper, keeper + 1, Relaxed, Relaxed).ok()?;
        self.late_since_ms.store(0, Relaxed);
        self.late_at_ms.store(now_ms.saturating_add(BUSY_MS), SeqCst);
        Some(keeper + 1)
    }

    /// The keeper will be back by then; whether he still is it.
    pub(super) fn back_by(&self, keeper: u64, until_ms: u64) -> bool {
        if self.keeper.load(Relaxed) != keeper {
            return false;
        }
        self.late_at_ms.store(until_ms.saturating_add(BUSY_MS), SeqCst);
        self.late_since_ms.store(0, Relaxed);
        true
    }

    /// The keeper ends.
    pub(super) fn leave(&self, keeper: u64) {
        if self.keeper.load(Relaxed) == keeper {
            self.late_at_ms.store(0, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_keeps_until_he_is_late_and_is_then_waited_for_a_little() {
        let keeping = Keeping::default();
        let one = keeping.take(1000).unwrap();
        assert_eq!(keeping.take(1000), None);
        assert!(keeping.back_by(one, 2000));
        assert!(keeping.is_kept(2000 + BUSY_MS - 1));
        // Found late, as after a process stood still: he is about to go on.
        assert!(keeping.is_kept(9000));
        assert!(keeping.back_by(one, 9000) && keeping.is_kept(9000 + BUSY_MS - 1));
        assert!(keeping.is_kept(12_000) && keeping.is_kept(12_000 + WAITED_MS - 1));
        let two = keeping.take(12_000 + WAITED_MS).unwrap();
        assert!(!keeping.back_by(one, 13_000), "he was replaced");
        keeping.leave(one);
        assert!(keeping.is_kept(12_300));
        keeping.leave(two);
        assert!(keeping.take(12_300).is_some());
    }

    /// Issue 4.
    #[test]
    fn who_is_back_at_no_time_is_never_late() {
        let keeping = Keeping::default();
        let one = keeping.take(1000).unwrap();
        assert!(keeping.back_by(one, u64::MAX) && keeping.is_kept(u64::MAX - 1));
    }
}
