//! A reader–writer lock whose readers mostly do not touch it.
//!
//! **Problem.** Two atomic changes of the lock's word are half of a hit at one thread, and at two threads the word's
//! line is what both wait for.
//!
//! **Idea** (BRAVO: Dice and Kogan, "Biased locking for reader-writer locks", USENIX ATC 2019). While a lock is biased,
//! a reader writes the lock's address into a line of his own (`stripes.rs`), looks whether it is biased still, and
//! reads. A writer takes the gate, ends the bias, and waits until no stripe names the lock. Enough reads through the
//! gate without a write between them make it biased again.
//!
//! **Why it excludes.** The reader's "I am in" and the writer's "no more bias" are each written before the other's is
//! looked at, all in the one order of `SeqCst`: either the reader sees that the bias is over, or the writer sees the
//! reader. When the writer sees the stripe changed, by the end of that stay or by a later one, what was read came before:
//! these stores are `Release`. The bias begins under the gate's reading side only, so while no writer is in.
//!
//! **Cost.** A biased read: one exchange in a line that no other thread writes. A write that ends a bias: a look at
//! every stripe in use. (`bench memory --only hit_u64_zipf,hot_key_2t,zipf_2t`)
//!
//! **Limits.** A writer waits for biased readers by spinning and yielding, so a value whose clone takes long costs him
//! processor time; they hold no longer than a probe and that clone. A process that forks while another thread reads
//! leaves its child a stripe that names the lock for ever, as any lock does that is held at a fork.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::stripes::{Counting, Hidden, Stay, Stripes};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{
    AtomicBool, AtomicU32,
    Ordering::{Relaxed, SeqCst},
};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, read, write};

#[repr(C)]
pub(super) struct Lock<T> {
    gate: RwLock<()>,
    /// Reads through the gate since the last write.
    reads: AtomicU32,
    biased: AtomicBool,
    kind: Kind,
    value: UnsafeCell<T>,
}

/// Whether a lock may become biased.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// After enough reads.
    Biasable,
    /// Never: what readers do besides reading needs one that is alone.
    Plain,
}

/// A stay behind a biased lock, beside other readers.
pub(super) struct Biased<'a, T> {
    lock: &'a Lock<T>,
    stay: Hidden<'a>,
}

/// A stay behind a lock, beside other readers. The fields leave in this order.
pub(super) struct Reader<'a, T> {
    lock: &'a Lock<T>,
    _gate: RwLockReadGuard<'a, ()>,
    stay: Stay<'a>,
}

/// A stay behind a lock, alone. The fields leave in this order.
pub(super) struct Writer<'a, T> {
    lock: &'a Lock<T>,
    _gate: RwLockWriteGuard<'a, ()>,
    stay: Stay<'a>,
}

impl<T> Lock<T> {
    pub(super) fn new(kind: Kind, value: T) -> Self {
        Lock {
            gate: RwLock::new(()),
            reads: AtomicU32::new(0),
            biased: AtomicBool::new(false),
            kind,
            value: UnsafeCell::new(value),
        }
    }

    /// Goes in beside other readers, if the lock is biased and this thread has a stripe. All who use one lock bring the
    /// same stripes: the `unsafe` of this file relies on it.
    #[inline]
    pub(super) fn read_biased<'a>(&'a self, stripes: &'a Stripes) -> Option<Biased<'a, T>> {
        if !self.biased.load(Relaxed) {
            return None;
        }
        let stay = stripes.enter_behind(self.address())?;
        // If it is over, the stay ends before the gate is asked for: its writer waits for those he sees.
        let stands = self.biased.load(SeqCst) || mutant::on(Mutant::BiasNotLookedAtAgain);
        stands.then_some(Biased { lock: self, stay })
    }

    /// Goes in beside other readers, through the gate.
    pub(super) fn read<'a>(&'a self, stripes: &'a Stripes) -> Reader<'a, T> {
        let stay = stripes.enter();
        let gate = read(&self.gate);
        // Of two at once one may be lost.
        let reads = self.reads.load(Relaxed).saturating_add(1);
        self.reads.store(reads, Relaxed);
        if reads >= stripes.patience() && self.kind == Kind::Biasable && !self.biased.load(Relaxed) {
            self.biased.store(true, SeqCst);
        }
        Reader { lock: self, _gate: gate, stay }
    }

    /// Goes in alone.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn write<'a>(&'a self, stripes: &'a Stripes) -> Writer<'a, T> {
        let stay = stripes.enter();
        let gate = write(&self.gate);
        self.reads.store(0, Relaxed);
        if self.biased.load(Relaxed) {
            self.end_bias(stripes);
        }
        Writer { lock: self, _gate: gate, stay }
    }

    #[inline(never)]
    fn end_bias(&self, stripes: &Stripes) {
        self.biased.store(false, SeqCst);
        if !mutant::on(Mutant::BiasNotAwaited) {
            stripes.wait_until_left(self.address());
        }
    }

    #[inline]
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

/// Whoever is behind a lock counts in the stripe of his stay.
macro_rules! counting {
    ($($stay:ident)*) => {$(
        impl<T> Counting for $stay<'_, T> {
            #[inline]
            fn count_hit(&self) -> u64 {
                self.stay.count_hit()
            }

            #[inline]
            fn count_miss(&self) {
                self.stay.count_miss();
            }
        }
    )*};
}

counting!(Biased Reader Writer);

impl<T> Deref for Biased<'_, T> {
    type Target = T;

    #[inline]
    #[allow(unsafe_code, reason = "`bench memory --only hot_key_2t`: a lock that readers leave alone")]
    fn deref(&self) -> &T {
        // SAFETY: a writer makes its `&mut` only when it holds the gate, the bias is over, and no stripe names the lock.
        // This thread's stripe has named it since before the bias was last seen, and does until this is dropped (the
        // module's head says why one of the two sees the other).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> Deref for Reader<'_, T> {
    type Target = T;

    #[inline]
    #[allow(unsafe_code, reason = "`bench memory --only hot_key_2t`: a lock that readers leave alone")]
    fn deref(&self) -> &T {
        // SAFETY: a writer makes its `&mut` only when it holds the gate's writing side; this holds the reading side.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> Deref for Writer<'_, T> {
    type Target = T;

    #[inline]
    #[allow(unsafe_code, reason = "`bench memory --only hot_key_2t`: a lock that readers leave alone")]
    fn deref(&self) -> &T {
        // SAFETY: as in `deref_mut`.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Writer<'_, T> {
    #[inline]
    #[allow(unsafe_code, reason = "`bench memory --only hot_key_2t`: a lock that readers leave alone")]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this writer holds the gate's writing side, so there is no other writer and no reader through the gate,
        // and nobody can make the lock biased; it has ended the bias and seen that nobody was in by it.
        unsafe { &mut *self.lock.value.get() }
    }
}

#[allow(unsafe_code, reason = "`bench memory --only hot_key_2t`: a lock that readers leave alone")]
// SAFETY: as `RwLock<T>`: several threads get `&T` at once (so `T: Sync`), and each in turn `&mut T` (so `T: Send`).
unsafe impl<T: Send + Sync> Sync for Lock<T> {}

// As `RwLock`, without its poison: what is locked is whole whenever foreign code runs (`shard.rs`).
impl<T> UnwindSafe for Lock<T> {}
impl<T> RefUnwindSafe for Lock<T> {}
