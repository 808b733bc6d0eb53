//! The map itself: shards behind locks, and what is done without them.
//!
//! A key's hash chooses a shard (high bits) and a place in the shard's table (low bits). A shard is plain data behind one
//! reader–writer lock: a hit reads beside others, probes, counts in the entry's own eight bytes, clones the value and
//! leaves. What a reader finds to be gone is taken out afterwards, alone, if it still is. An order that hits change
//! ([`Policy::Lru`]) makes every reader come alone.
//!
//! What must hold: no listener, no `Drop`, no `Hash` and no loader runs under a shard's lock; a call back from `Eq`,
//! `Clone` or a closure is refused (`reentry.rs`); the sum of the shards' limits is the capacity.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::entry::{Amend, Found, Fresh, Looked, Verdict};
use super::fallout::{Cause, Fallout, Removed};
use super::lock::{Lock, Reader, Writer};
use super::padded::Padded;
use super::policy::Policy;
use super::shard::{self, Shard};
use super::slot::Beside;
use super::stripes::{Counting, Stripes};
use crate::clock::{Clock, NEVER, to_ms};
use crate::key::KeyRef;
use crate::stats::Removals;

/// Hashes keys with a seed of this memory's own, so that nobody outside can choose keys that collide.
pub(crate) type Hasher = foldhash::quality::RandomState;

pub(super) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;
pub(super) type Listener<K, V> = Box<dyn Fn(&K, &V, Cause) + Send + Sync>;

/// Hits of one thread between two of its sweeps, for shards that are read and hardly written; a power of two.
const READS_A_SWEEP: u64 = 64;

/// Shards, and beside each entry what its owner keeps there. In this order, so that a hit reads the first lines only.
#[repr(C)]
pub(crate) struct Sharded<K, V, B> {
    pub(super) shards: Box<[Part<K, V, B>]>,
    pub(super) mask: usize,
    pub(super) hasher: Hasher,
    pub(super) stripes: Stripes,
    pub(super) clock: Clock,
    pub(super) policy: Policy,
    pub(super) ttl: Option<Duration>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) listener: Option<Listener<K, V>>,
}

pub(super) type Part<K, V, B> = Padded<Lock<Shard<K, V, B>>>;

impl<K: Hash + Eq, V, B: Beside> Sharded<K, V, B> {
    /// A counted hit on an entry whose life has not ended, if the closure gives something for it; else nothing is
    /// counted.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hit<Q, R>(&self, key: &Q, until_ms: u64, take: impl FnOnce(&V) -> Option<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let part = self.part(hash);
        let Some(reader) = part.0.read_biased(&self.stripes) else {
            return self.hit_through_gate((hash, until_ms), key, take);
        };
        let (_, taken) = reader.hit(hash as u32, key, (&self.clock, until_ms), take)?;
        self.count_hit(reader);
        Some(taken)
    }

    #[inline(never)]
    fn hit_through_gate<Q, R>(
        &self,
        (hash, until_ms): (u64, u64),
        key: &Q,
        take: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let part = self.part(hash);
        if self.policy.moves_on_hit() {
            let mut alone = self.alone(part);
            let (slot, taken) = alone.hit(hash as u32, key, (&self.clock, until_ms), take)?;
            alone.moved(slot);
            self.count_hit(alone);
            return Some(taken);
        }
        let reader = self.reader(part);
        let (_, taken) = reader.hit(hash as u32, key, (&self.clock, until_ms), take)?;
        self.count_hit(reader);
        Some(taken)
    }

    /// A counted hit, if the closure gives something for what it sees of the entry; else nothing is counted, and all stays.
    #[inline(never)]
    pub(crate) fn hit_judged<Q, R>(&self, key: &Q, mut judge: impl FnMut(Found<'_, V, B>) -> Option<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let part = self.part(hash);
        let mut judge = |found: Found<'_, V, B>| match judge(found) {
            Some(seen) => Verdict::Hit(Some(seen)),
            None => Verdict::Miss(None),
        };
        if self.policy.moves_on_hit() {
            let mut alone = self.alone(part);
            let Looked::Seen(slot, Verdict::Hit(seen)) = alone.look(hash as u32, key, &self.clock, &mut judge) else {
                return None;
            };
            alone.moved(slot);
            self.count_hit(alone);
            return seen;
        }
        let reader = self.reader(part);
        let Looked::Seen(_, Verdict::Hit(seen)) = reader.look(hash as u32, key, &self.clock, &mut judge) else {
            return None;
        };
        self.count_hit(reader);
        seen
    }

    /// A counted lookup whose closure judges the entry under the lock; twice when it says that the entry is to go.
    #[inline]
    pub(crate) fn read<Q, R>(&self, key: &Q, mut judge: impl FnMut(Found<'_, V, B>) -> Verdict<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let part = self.part(hash);
        let Some(reader) = part.0.read_biased(&self.stripes) else {
            return self.read_through_gate(hash, key, &mut judge);
        };
        let looked = reader.look(hash as u32, key, &self.clock, &mut judge);
        let counted = self.count(reader, looked);
        counted.unwrap_or_else(|_| self.read_alone(hash, key, &mut judge))
    }

    #[inline(never)]
    fn read_through_gate<Q, R>(
        &self,
        hash: u64,
        key: &Q,
        judge: &mut impl FnMut(Found<'_, V, B>) -> Verdict<R>,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        if self.policy.moves_on_hit() {
            return self.read_alone(hash, key, judge);
        }
        let part = self.part(hash);
        let reader = self.reader(part);
        let looked = reader.look(hash as u32, key, &self.clock, judge);
        self.count(reader, looked).unwrap_or_else(|_| self.read_alone(hash, key, judge))
    }

    /// The same by somebody who is alone, and takes out what is to go.
    #[cold]
    #[inline(never)]
    fn read_alone<Q, R>(&self, hash: u64, key: &Q, judge: &mut impl FnMut(Found<'_, V, B>) -> Verdict<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let mut alone = self.alone(self.part(hash));
        let (seen, gone) = match alone.look(hash as u32, key, &self.clock, judge) {
            Looked::Seen(slot, Verdict::Hit(seen)) => {
                alone.moved(slot);
                self.count_hit(alone);
                return Some(seen);
            }
            Looked::Seen(_, Verdict::Miss(seen)) => (Some(seen), None),
            Looked::Seen(slot, Verdict::Gone(cause)) => (None, Some(alone.take(slot, cause))),
            Looked::Nothing => (None, None),
        };
        alone.count_miss();
        drop(alone);
        if let Some(gone) = gone {
            self.tell(&gone);
        }
        seen
    }

    /// Counts what a reader saw, and lets him go; an entry that is not to be served is for somebody who is alone.
    #[inline]
    fn count<R>(&self, reader: impl Counting, looked: Looked<R>) -> Result<Option<R>, Cause> {
        match looked {
            Looked::Seen(_, Verdict::Hit(seen)) => {
                self.count_hit(reader);
                Ok(Some(seen))
            }
            Looked::Seen(_, Verdict::Miss(seen)) => {
                reader.count_miss();
                Ok(Some(seen))
            }
            Looked::Nothing => {
                reader.count_miss();
                Ok(None)
            }
            Looked::Seen(_, Verdict::Gone(cause)) => Err(cause),
        }
    }

    /// Counts a hit, lets the reader go, and sweeps a little if it is this one's turn.
    #[inline]
    fn count_hit(&self, reader: impl Counting) {
        let hits = reader.count_hit();
        drop(reader);
        if hits & (READS_A_SWEEP - 1) == 0 {
            self.sweep_some(hits / READS_A_SWEEP);
        }
    }

    #[cold]
    #[inline(never)]
    fn sweep_some(&self, turn: u64) {
        // One shard after the other, whatever is read.
        let part = &self.shards[turn as usize & self.mask];
        if !self.reader(part).is_expiring() {
            return;
        }
        let mut out = Fallout::new();
        self.alone(part).sweep(shard::SWEPT_AT_READ, self.clock.now_ms(), &mut out);
        self.settle(out);
    }

    /// A look that counts and changes nothing.
    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(Found<'_, V, B>) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut look = Some(look);
        let reader = self.reader(self.part(hash));
        let mut judge = |found: Found<'_, V, B>| Verdict::Miss(look.take().map(|look| look(found)));
        match reader.look(hash as u32, key, &self.clock, &mut judge) {
            Looked::Seen(_, Verdict::Hit(seen) | Verdict::Miss(seen)) => seen,
            Looked::Seen(_, Verdict::Gone(_)) | Looked::Nothing => None,
        }
    }

    /// Changes an entry under the lock.
    pub(crate) fn amend<Q, R>(&self, key: &Q, change: impl FnOnce(&K, &mut Amend<'_, V, B>) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut out = Fallout::new();
        // Kept outside, so that what is not called is not dropped under the lock.
        let mut change = Some(change);
        let changed = self.alone(self.part(hash)).update((hash as u32, key), &self.clock, &mut out, |key, entry| {
            change.take().map(|change| change(key, entry))
        });
        self.settle(out);
        changed.flatten()
    }

    /// Puts an entry in, of whose key this is the hash; the caller settles what fell out once it holds no lock of its own.
    pub(crate) fn put(&self, hash: u64, fresh: Fresh<K, V, B>, out: &mut Fallout<K, V, B>) {
        if let Some(replaced) = self.place(hash, fresh, out) {
            out.push(replaced);
        }
    }

    /// Puts an entry in. A panic of the key's `Eq` drops the entry after the lock, since it was made before.
    #[inline]
    pub(super) fn place(
        &self,
        hash: u64,
        fresh: Fresh<K, V, B>,
        out: &mut Fallout<K, V, B>,
    ) -> Option<Removed<K, V, B>> {
        let mut alone = self.alone(self.part(hash));
        let place = alone.seek(hash as u32, &fresh.key);
        alone.insert(place, fresh, &self.clock, out)
    }

    /// Puts an entry in unless there is one, of which the closure takes something.
    pub(super) fn keep<Q, R>(
        &self,
        key: &Q,
        fresh: Fresh<K, V, B>,
        out: &mut Fallout<K, V, B>,
        take: impl Fn(&V) -> R,
    ) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut alone = self.alone(self.part(hash));
        let mut judge = |found: Found<'_, V, B>| Verdict::Miss(take(found.value));
        if let Looked::Seen(_, Verdict::Miss(kept)) = alone.look(hash as u32, key, &self.clock, &mut judge) {
            return Some(kept);
        }
        let place = alone.seek(hash as u32, &fresh.key);
        if let Some(replaced) = alone.insert(place, fresh, &self.clock, out) {
            out.push(replaced);
        }
        None
    }

    /// Takes an entry out; the caller settles it once it holds no lock of its own.
    pub(crate) fn take<Q>(&self, key: &Q, out: &mut Fallout<K, V, B>)
    where
        Q: KeyRef<K> + ?Sized,
    {
        if let Some(removed) = self.remove(key) {
            out.push(removed);
        }
    }

    pub(super) fn remove<Q>(&self, key: &Q) -> Option<Removed<K, V, B>>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        self.alone(self.part(hash)).remove(hash as u32, key, &self.clock, Cause::Invalidated)
    }

    pub(crate) fn remove_where(&self, cause: Cause, mut name: impl FnMut(&K, &V, u64) -> bool) -> usize {
        let mut count = 0;
        for part in &self.shards {
            let mut next = Some(0);
            while let Some(from) = next {
                let mut told = Told { memory: self, out: Fallout::new() };
                let chunk = (from, shard::CHUNK);
                next = self.alone(part).remove_where(chunk, cause, &mut told.out, &mut name);
                count += told.out.len();
            }
        }
        count
    }

    /// Takes everything out and gives the room back.
    pub(crate) fn clear(&self) {
        for part in &self.shards {
            let gone = self.alone(part).purge();
            gone.each(&mut |removed| self.tell(removed));
        }
    }

    /// Sets a new bound, evicting what no longer fits.
    pub(super) fn resize(&self, capacity: u64) {
        /// Evictions under one lock, so that readers of the shard wait no longer than for a hundred insertions.
        const STEP: usize = 128;
        let limits = share(capacity, self.shards.len());
        for (part, limit) in self.shards.iter().zip(limits) {
            self.alone(part).resize(limit);
            let mut more = true;
            while more {
                let mut out = Fallout::new();
                more = self.alone(part).shrink(STEP, &mut out);
                self.settle(out);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        for part in &self.shards {
            len += self.reader(part).len();
        }
        len
    }

    /// The bound on entries, or on their weights together; `None` when unbounded.
    pub(crate) fn capacity(&self) -> Option<u64> {
        let mut sum = 0_u64;
        for part in &self.shards {
            sum = sum.checked_add(self.reader(part).limit()?)?;
        }
        Some(sum)
    }

    pub(crate) fn weight(&self) -> u64 {
        let mut weight = 0;
        for part in &self.shards {
            weight += self.reader(part).weight();
        }
        weight
    }

    /// Hits and misses.
    pub(crate) fn lookups(&self) -> (u64, u64) {
        self.stripes.sum()
    }

    pub(crate) fn removals(&self) -> Removals {
        let mut sum = Removals::default();
        for part in &self.shards {
            sum.add(self.reader(part).removals());
        }
        sum
    }

    /// Tells the listener of what left, then drops it. Never under a lock.
    pub(crate) fn settle(&self, out: Fallout<K, V, B>) {
        let Some(tell) = &self.listener else { return };
        out.each(&mut |removed| tell(&removed.key, &removed.value, removed.cause));
    }

    #[inline]
    pub(super) fn tell(&self, removed: &Removed<K, V, B>) {
        if let Some(tell) = &self.listener {
            tell(&removed.key, &removed.value, removed.cause);
        }
    }

    pub(crate) fn weigh(&self, key: &K, value: &V) -> u32 {
        self.weigher.as_ref().map_or(1, |weigh| weigh(key, value).max(1))
    }

    pub(super) fn expiry_ms(&self, ttl: Option<Duration>) -> u64 {
        ttl.map_or(NEVER, |ttl| self.clock.now_ms().saturating_add(to_ms(ttl)))
    }

    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    pub(super) fn part(&self, hash: u64) -> &Part<K, V, B> {
        &self.shards[(hash >> 48) as usize & self.mask]
    }

    /// A shard for somebody who is alone in it.
    #[inline]
    pub(super) fn alone<'a>(&'a self, part: &'a Part<K, V, B>) -> Writer<'a, Shard<K, V, B>> {
        part.0.write(&self.stripes)
    }

    /// A shard for a reader beside others.
    #[inline]
    pub(super) fn reader<'a>(&'a self, part: &'a Part<K, V, B>) -> Reader<'a, Shard<K, V, B>> {
        part.0.read(&self.stripes)
    }
}

/// Tells of what left when it is dropped, and so also of what left before a predicate panicked.
struct Told<'a, K: Hash + Eq, V, B: Beside> {
    memory: &'a Sharded<K, V, B>,
    out: Fallout<K, V, B>,
}

impl<K: Hash + Eq, V, B: Beside> Drop for Told<'_, K, V, B> {
    fn drop(&mut self) {
        self.memory.settle(std::mem::replace(&mut self.out, Fallout::new()));
    }
}

/// Shares a capacity among shards so that the sum is kept exactly.
pub(super) fn share(capacity: u64, shards: usize) -> impl Iterator<Item = u64> {
    let shards = shards as u64;
    (0..shards).map(move |i| match capacity {
        u64::MAX => u64::MAX,
        capacity => capacity / shards + u64::from(i < capacity % shards),
    })
}
