//! Counts of lookups, exact and cheap: each thread counts in a line of its own.
//!
//! Readers share a shard, so a plain counter beside it would lose counts, and an atomic increment costs a tenth of a hit
//! at one thread and a fight for the line at two (`bench memory --only hit_u64_zipf,hot_key_2t`). Threads are
//! numbered; the first few own a stripe, which nobody else writes, so that adding is a load and a store. The others
//! share one, with atomic increments.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::padded::Padded;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::thread_local;

/// Stripes with an owner, for each core: the threads that run at one moment mostly have one.
const STRIPES_A_CORE: usize = 2;

/// Stripes of a memory too small for many shards.
const LEAST_STRIPES: usize = 4;

/// A number beyond every stripe: a thread that has none yet, or has given it back.
const UNNUMBERED: usize = usize::MAX;

/// The lookups of one memory.
pub(super) struct Tally {
    /// One for each of the first threads.
    owned: Box<[Padded<Stripe>]>,
    /// For all others.
    shared: Padded<Stripe>,
}

#[derive(Default)]
struct Stripe {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Tally {
    pub(super) fn new(shards: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let owned = (cores * STRIPES_A_CORE).min(shards.max(LEAST_STRIPES));
        Tally { owned: (0..owned).map(|_| Padded(Stripe::default())).collect(), shared: Padded(Stripe::default()) }
    }

    /// One more hit; gives the number of this stripe's.
    #[inline]
    pub(super) fn hit(&self) -> u64 {
        self.count(|stripe| &stripe.hits)
    }

    #[inline]
    pub(super) fn miss(&self) {
        self.count(|stripe| &stripe.misses);
    }

    /// Hits and misses of all threads.
    pub(super) fn sum(&self) -> (u64, u64) {
        let both = |Padded(stripe): &Padded<Stripe>| (stripe.hits.load(Relaxed), stripe.misses.load(Relaxed));
        self.owned.iter().chain([&self.shared]).map(both).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    #[inline]
    fn count(&self, counter: impl Fn(&Stripe) -> &AtomicU64) -> u64 {
        let number = NUMBER.try_with(Cell::get).unwrap_or(UNNUMBERED);
        if let Some(Padded(stripe)) = self.owned.get(number) {
            // Nobody else writes it: its last owner's writes came before the number was given back, under a lock.
            let counter = counter(stripe);
            let count = counter.load(Relaxed) + 1;
            counter.store(count, Relaxed);
            return count;
        }
        self.count_shared(number, counter(&self.shared.0))
    }

    #[cold]
    #[inline(never)]
    fn count_shared(&self, number: usize, counter: &AtomicU64) -> u64 {
        if number == UNNUMBERED {
            take_number();
        }
        counter.fetch_add(1, Relaxed) + 1
    }
}

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(UNNUMBERED) };
    static OWNED: Owned = Owned::new();
}

/// The numbers that no thread has. The system's own lock also under the model checker, whose locks do not outlive a run.
static FREE: Mutex<Numbers> = Mutex::new(Numbers { next: 0, back: Vec::new() });

struct Numbers {
    next: usize,
    back: Vec<usize>,
}

fn free() -> MutexGuard<'static, Numbers> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread's number, given back when the thread ends.
struct Owned(usize);

impl Owned {
    fn new() -> Self {
        let mut free = free();
        let number = free.back.pop().unwrap_or_else(|| {
            free.next += 1;
            free.next - 1
        });
        Owned(number)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Before the number is given back: what this thread still counts goes to the shared stripe.
        if NUMBER.try_with(|number| number.set(UNNUMBERED)).is_ok() {
            free().back.push(self.0);
        }
    }
}

/// Numbers this thread, unless it is ending.
#[cold]
#[inline(never)]
fn take_number() {
    if let Ok(number) = OWNED.try_with(|owned| owned.0) {
        // A thread whose own number is gone is ending: its counts go to the shared stripe.
        let _ = NUMBER.try_with(|mine| mine.set(number));
    }
}

#[cfg(all(test, not(tierce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_among_more_threads_than_stripes_that_come_and_go() {
        let tally = Tally::new(1);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..20 {
                    scope.spawn(|| {
                        for _ in 0..10_000 {
                            tally.hit();
                        }
                        tally.miss();
                    });
                }
            });
        }
        assert_eq!(tally.sum(), (600_000, 60));
    }
}
