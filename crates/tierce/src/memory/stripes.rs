//! What each thread writes in a line of its own: which shard it is in, and how many lookups it has made.
//!
//! Readers share a shard. Did they count beside it, or note in it that they are there, they would fight for its line at
//! every hit, and even alone pay an atomic increment for each. Threads are numbered instead, and the first few own a
//! stripe of each memory that nobody else writes: counting is a load and a store there, and being in a shard is one
//! exchange (`lock.rs`). The other threads share one stripe and pay what everybody would have (`bench memory --only
//! hit_u64_zipf,hot_key_2t`). A thread keeps its number until it ends, idle or not: where more threads than stripes have
//! been and stay, the later ones are those others.

use super::number;
use super::padded::Padded;
use crate::reentry::{self, Entered};
use crate::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release, SeqCst},
};

/// Stripes with an owner, for each core: the threads that run at one moment mostly have one.
const STRIPES_A_CORE: usize = 2;

/// Stripes of a memory too small for many shards.
const LEAST_STRIPES: usize = 4;

/// In no shard.
const OUTSIDE: usize = 0;

/// In some shard, and its lock knows.
const KNOWN: usize = 1;

/// The stripes of one memory.
pub(super) struct Stripes {
    /// One past the highest number of an owner who has been here.
    used: AtomicUsize,
    /// One for each of the first threads, and the last for all others, who are never `inside` as far as it knows.
    stripes: Box<[Padded<Stripe>]>,
}

#[derive(Default)]
pub(super) struct Stripe {
    /// The address of the lock that the owner reads behind without having told it, or `OUTSIDE`, or `KNOWN`.
    inside: AtomicUsize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A stay that only the thread's own stripe tells of, until dropped.
pub(super) struct Hidden<'a>(&'a Stripe);

/// A thread's stay in a memory, until dropped.
pub(super) struct Stay<'a> {
    stripe: &'a Stripe,
    /// For a thread without a stripe of its own.
    entered: Option<Entered>,
}

impl Stripes {
    pub(super) fn new(shards: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let owned = (cores * STRIPES_A_CORE).min(shards.max(LEAST_STRIPES));
        let stripes = (0..=owned).map(|_| Padded(Stripe::default())).collect();
        Stripes { used: AtomicUsize::new(0), stripes }
    }

    /// Begins a stay of this thread.
    ///
    /// # Panics
    /// When it is in this memory already.
    #[inline]
    pub(super) fn enter(&self) -> Stay<'_> {
        match self.mine() {
            Some(stripe) => {
                // Release: a writer that sees this has seen the end of the stays before it.
                stripe.inside.store(KNOWN, Release);
                Stay { stripe, entered: None }
            }
            None => self.enter_unnumbered(),
        }
    }

    /// Begins a stay behind a lock whose word is left alone: all threads can see it. `None` for a thread that has no
    /// stripe of its own.
    ///
    /// # Panics
    /// When it is in this memory already.
    #[inline]
    pub(super) fn enter_behind(&self, lock: usize) -> Option<Hidden<'_>> {
        let stripe = self.mine()?;
        stripe.inside.swap(lock, SeqCst);
        Some(Hidden(stripe))
    }

    /// This thread's stripe, if it has one.
    #[inline]
    fn mine(&self) -> Option<&Stripe> {
        let number = number::mine();
        // In the one order of `SeqCst`, as in `wait_until_left`: what this thread has learned of, a writer looks at too.
        if number >= self.used.load(SeqCst) {
            return None;
        }
        let Padded(stripe) = self.stripes.get(number)?;
        if stripe.inside.load(Relaxed) != OUTSIDE {
            reentry::refuse();
        }
        Some(stripe)
    }

    #[cold]
    #[inline(never)]
    fn enter_unnumbered(&self) -> Stay<'_> {
        let number = number::take();
        let shared = self.stripes.len() - 1;
        if number < shared {
            // Before this thread can be behind a lock: who looks for it must look that far.
            self.used.fetch_max(number + 1, SeqCst);
            return self.enter();
        }
        let entered = Entered::new(std::ptr::from_ref(self).addr());
        Stay { stripe: &self.stripes[shared].0, entered: Some(entered) }
    }

    /// Waits until nobody is behind this lock without its knowing. Nobody new comes: the caller has seen to that.
    #[cold]
    pub(super) fn wait_until_left(&self, lock: usize) {
        for Padded(stripe) in self.stripes.iter().take(self.used.load(SeqCst)) {
            crate::sync::spin_while(|| stripe.inside.load(SeqCst) == lock);
        }
    }

    /// Reads of a shard after a write until readers stop telling its lock: so many that looking through the stripes at
    /// the next write costs each of them little. A thread's own stripe costs it nothing.
    #[inline]
    pub(super) fn patience(&self) -> u32 {
        /// A look at another thread's line takes about as long as four of the exchanges that a read saves.
        const READS_A_STRIPE: u32 = 4;
        let others = self.used.load(Relaxed).saturating_sub(1);
        if cfg!(tierce_shuttle) { 1 } else { 1 + others as u32 * READS_A_STRIPE }
    }

    /// Hits and misses of all threads.
    pub(super) fn sum(&self) -> (u64, u64) {
        let both = |Padded(stripe): &Padded<Stripe>| (stripe.hits.load(Relaxed), stripe.misses.load(Relaxed));
        self.stripes.iter().map(both).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }
}

/// Counting lookups during a stay.
pub(super) trait Counting {
    /// One more hit; gives the number of this stripe's.
    fn count_hit(&self) -> u64;
    fn count_miss(&self);
}

impl Counting for Stay<'_> {
    #[inline]
    fn count_hit(&self) -> u64 {
        self.count(&self.stripe.hits)
    }

    #[inline]
    fn count_miss(&self) {
        self.count(&self.stripe.misses);
    }
}

impl Counting for Hidden<'_> {
    #[inline]
    fn count_hit(&self) -> u64 {
        count_alone(&self.0.hits)
    }

    #[inline]
    fn count_miss(&self) {
        count_alone(&self.0.misses);
    }
}

impl Stay<'_> {
    #[inline]
    fn count(&self, counter: &AtomicU64) -> u64 {
        match self.entered {
            None => count_alone(counter),
            Some(_) => counter.fetch_add(1, Relaxed) + 1,
        }
    }
}

/// One more in a counter that nobody else writes: its last owner's writes came before the thread's number was given back,
/// under a lock.
#[inline]
fn count_alone(counter: &AtomicU64) -> u64 {
    let count = counter.load(Relaxed) + 1;
    counter.store(count, Relaxed);
    count
}

impl Drop for Stay<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.entered.is_none() {
            self.stripe.inside.store(OUTSIDE, Release);
        }
    }
}

impl Drop for Hidden<'_> {
    #[inline]
    fn drop(&mut self) {
        // What was read came before, for a writer that sees it.
        self.0.inside.store(OUTSIDE, Release);
    }
}

#[cfg(all(test, not(tierce_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn no_count_is_lost_among_more_threads_than_stripes_that_come_and_go() {
        let stripes = Stripes::new(1);
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..20 {
                    scope.spawn(|| {
                        for _ in 0..10_000 {
                            stripes.enter().count_hit();
                        }
                        stripes.enter().count_miss();
                    });
                }
            });
        }
        assert_eq!(stripes.sum(), (600_000, 60));
    }
}
