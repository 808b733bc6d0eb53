//! The map itself: shards behind locks, and what is done without them.
//!
//! A key's hash chooses a shard (high bits) and a place in the shard's table (low bits). A shard is one mutex around
//! plain data: a hit takes the lock, probes, bumps a counter in the entry's own eight bytes, clones the value and
//! leaves. An exclusive lock was cheaper than a reader–writer lock at one thread and at par at two in
//! prototypes, and counters, expiry and order need no atomics; `bench memory` measures it (`hit_u64_zipf`,
//! `hot_key_2t`, `zipf_2t`).
//!
//! What must hold: no listener, no `Drop`, no `Hash` and no loader runs under a shard's lock; a call back from `Eq`,
//! `Clone` or a closure is refused (`reentry.rs`); the sum of the shards' limits is the capacity.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::fallout::{Cause, Fallout, Removed};
use super::shard::{self, Found, Fresh, Read, Shard, Verdict};
use super::stats::{Stats, Tally};
use crate::clock::{Clock, NEVER, to_ms};
use crate::key::{KeyRef, ToKey};
use crate::reentry::Entered;
use crate::sync::{Mutex, MutexGuard, lock};

/// Hashes keys with a seed of this memory's own, so that nobody outside can choose keys that collide.
pub(crate) type Hasher = foldhash::quality::RandomState;

pub(super) type Weigher<K, V> = Box<dyn Fn(&K, &V) -> u32 + Send + Sync>;
pub(super) type Listener<K, V> = Box<dyn Fn(&K, &V, Cause) + Send + Sync>;

/// A bounded, sharded map of keys to values with per-entry expiry.
///
/// Use it where a value is computed by a plain function, in one process. For loads that may wait, fail or race with
/// invalidations use a [`Cache`](crate::Cache), which keeps its entries in one of these.
///
/// A hit clones the value: let `V` be an [`Arc`](std::sync::Arc) where cloning is dear, since the clone is made under
/// the shard's lock.
///
/// ```
/// use tierce::Memory;
///
/// let memory: Memory<String, u64> = Memory::new(10_000);
/// memory.insert("answer".to_string(), 42);
/// assert_eq!(memory.get("answer"), Some(42));
/// assert_eq!(memory.get_or_insert_with("question", || 6 * 9), 54);
/// assert_eq!(memory.stats().hit_rate(), Some(0.5));
/// ```
///
/// # Panics
///
/// A call from the key's own `Eq`, the value's own `Clone`, or a closure given to [`update`](Memory::update) or
/// [`invalidate_where`](Memory::invalidate_where), into the memory that is running it, panics: the shard's lock is held
/// there. So does one from a weigher that [`update`](Memory::update) runs. Calls from `Hash`, `Drop` and listeners, and
/// from weighers at an insertion, are served.
pub struct Memory<K, V> {
    pub(super) shards: Shards<K, V>,
    pub(super) mask: usize,
    pub(super) hasher: Hasher,
    pub(super) clock: Clock,
    pub(super) ttl: Option<Duration>,
    pub(super) weigher: Option<Weigher<K, V>>,
    pub(super) listener: Option<Listener<K, V>>,
}

pub(super) type Shards<K, V> = Box<[Padded<Mutex<Shard<K, V>>>]>;

/// Keeps two shards' locks off each other's cache lines (and off the pair that the prefetcher takes).
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// A locked shard. The fields leave in this order: the lock first, then the note that this thread holds it.
pub(super) struct Locked<'a, K, V> {
    pub(super) shard: MutexGuard<'a, Shard<K, V>>,
    _entered: Entered,
}

impl<K: Hash + Eq, V> Memory<K, V> {
    /// The value, cloned; `None` for a key that is not here or has expired.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
        V: Clone,
    {
        self.read(key, |found| Verdict::Hit(found.value.clone()))
    }

    /// Like [`get`](Memory::get), but neither counted nor taken as a sign that the entry is wanted.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
        V: Clone,
    {
        self.look(key, |value, _| value.clone())
    }

    /// Whether a live entry is here; not counted.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.look(key, |_, _| ()).is_some()
    }

    /// Puts a value in, for the memory's `ttl`; gives the live value it replaced.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.insert_until(key, value, self.ttl)
    }

    /// Puts a value in for a time of its own; gives the live value it replaced. A `ttl` below a millisecond counts as
    /// one.
    pub fn insert_for(&self, key: K, value: V, ttl: Duration) -> Option<V> {
        self.insert_until(key, value, Some(ttl))
    }

    /// The value, computed and kept if it was not here.
    ///
    /// The closure runs without any lock, so several threads may run it for one key at once; the first to finish is
    /// kept and everybody gets its value. For one computation per key use a [`Cache`](crate::Cache).
    pub fn get_or_insert_with<Q>(&self, key: &Q, compute: impl FnOnce() -> V) -> V
    where
        Q: ToKey<K> + ?Sized,
        V: Clone,
    {
        if let Some(value) = self.get(key) {
            return value;
        }
        let value = compute();
        let fresh = self.fresh(key.to_key(), value.clone(), self.ttl);
        let hash = self.hash(key);
        let mut out = Fallout::new();
        let mut locked = self.lock(hash);
        let kept = locked.shard.peek(hash as u32, key, &self.clock, |value, _| value.clone());
        if kept.is_none() {
            let place = locked.shard.seek(hash as u32, &fresh.key);
            if let Some(replaced) = locked.shard.insert(place, fresh, &self.clock, &mut out) {
                out.push(replaced);
            }
        }
        drop(locked);
        self.settle(out);
        kept.unwrap_or(value)
    }

    /// Changes a value in place, under the shard's lock; whether it was here. Its weight is taken anew, its expiry
    /// stays.
    pub fn update<Q>(&self, key: &Q, change: impl FnOnce(&mut V)) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let changed = self.amend(key, |key, value, weight, _| {
            change(value);
            *weight = self.weigh(key, value);
        });
        changed.is_some()
    }

    /// Takes an entry out; gives its value if it was live.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let removed = self.lock(hash).shard.remove(hash as u32, key, &self.clock, Cause::Invalidated)?;
        self.tell(&removed);
        (removed.cause == Cause::Invalidated).then_some(removed.value)
    }

    /// Takes out every entry that the closure names; gives their number.
    ///
    /// Looks at every entry, a few hundred under each lock: O(capacity). What is inserted meanwhile may be missed.
    pub fn invalidate_where(&self, mut name: impl FnMut(&K, &V) -> bool) -> usize {
        self.remove_where(Cause::Invalidated, |key, value, _| name(key, value))
    }

    /// Takes out the expired entries now instead of bit by bit; gives their number.
    pub fn sweep(&self) -> usize {
        let now_ms = self.clock.now_ms();
        self.remove_where(Cause::Expired, |_, _, expiry_ms| now_ms >= expiry_ms)
    }

    /// Takes everything out and gives the room back.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut locked = self.lock_shard(shard);
            let gone = locked.shard.purge();
            drop(locked);
            gone.for_each(|removed| self.tell(&removed));
        }
    }

    /// Sets a new bound, evicting what no longer fits. The number of shards stays as built.
    pub fn resize(&self, capacity: u64) {
        /// Evictions under one lock, so that readers of the shard wait no longer than for a hundred insertions.
        const STEP: usize = 128;
        let limits = share(capacity, self.shards.len());
        for (shard, limit) in self.shards.iter().zip(limits) {
            self.lock_shard(shard).shard.resize(limit);
            let mut more = true;
            while more {
                let mut out = Fallout::new();
                more = self.lock_shard(shard).shard.shrink(STEP, &mut out);
                self.settle(out);
            }
        }
    }

    /// How many entries are here, expired ones that nobody noticed yet among them.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| self.lock_shard(shard).shard.len()).sum()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bound on entries, or on their weights together; `None` when unbounded.
    pub fn capacity(&self) -> Option<u64> {
        let mut sum = 0_u64;
        for shard in &self.shards {
            sum = sum.checked_add(self.lock_shard(shard).shard.limit()?)?;
        }
        Some(sum)
    }

    /// The weights of all entries together; their number where they are not weighed.
    pub fn weight(&self) -> u64 {
        self.shards.iter().map(|shard| self.lock_shard(shard).shard.weight()).sum()
    }

    /// What was counted since the memory was built.
    pub fn stats(&self) -> Stats {
        let Tally { hits, misses, removals, .. } = self.tally();
        let (len, weight) = (self.len() as u64, self.weight());
        Stats { hits, misses, removals, len, weight, capacity: self.capacity() }
    }
}

/// What the cache needs beyond the public face.
impl<K: Hash + Eq, V> Memory<K, V> {
    /// A counted hit, if there is a live entry and the closure gives something for it; else nothing is counted.
    #[inline]
    pub(crate) fn hit<Q, R>(&self, key: &Q, take: impl FnOnce(&V, u64) -> Option<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut locked = self.lock(hash);
        let hit = locked.shard.hit(hash as u32, key, &self.clock, take)?;
        if locked.shard.sweep_is_due() {
            self.sweep_some(locked);
        }
        Some(hit)
    }

    /// A counted lookup whose closure judges the entry under the lock.
    #[inline]
    pub(crate) fn read<Q, R>(&self, key: &Q, judge: impl FnOnce(Found<'_, V>) -> Verdict<R>) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut locked = self.lock(hash);
        match locked.shard.read(hash as u32, key, &self.clock, judge) {
            Read::Found(read) => {
                if locked.shard.sweep_is_due() {
                    self.sweep_some(locked);
                }
                Some(read)
            }
            Read::Nothing => None,
            Read::Gone(slot, cause) => {
                self.expel(locked, slot, cause);
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn sweep_some(&self, mut locked: Locked<'_, K, V>) {
        let mut out = Fallout::new();
        locked.shard.sweep(shard::SWEPT_AT_READ, self.clock.now_ms(), &mut out);
        drop(locked);
        self.settle(out);
    }

    #[cold]
    #[inline(never)]
    fn expel(&self, mut locked: Locked<'_, K, V>, slot: u32, cause: Cause) {
        let removed = locked.shard.missed(slot, cause);
        drop(locked);
        self.tell(&removed);
    }

    /// A look under the lock, uncounted; the closure sees the value and its expiry.
    pub(crate) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(&V, u64) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        self.lock(hash).shard.peek(hash as u32, key, &self.clock, look)
    }

    /// Changes value, weight and expiry under the lock.
    pub(crate) fn amend<Q, R>(&self, key: &Q, change: impl FnOnce(&K, &mut V, &mut u32, &mut u64) -> R) -> Option<R>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        let mut out = Fallout::new();
        let changed = self.lock(hash).shard.update((hash as u32, key), &self.clock, &mut out, change);
        self.settle(out);
        changed
    }

    /// Puts an entry in; the caller settles what fell out once it holds no lock of its own.
    pub(crate) fn put(&self, fresh: Fresh<K, V>, out: &mut Fallout<K, V>) {
        if let Some(replaced) = self.place(fresh, out) {
            out.push(replaced);
        }
    }

    /// Puts an entry in. A panic of the key's `Eq` drops the entry after the lock, since it was made before.
    #[inline]
    fn place(&self, fresh: Fresh<K, V>, out: &mut Fallout<K, V>) -> Option<Removed<K, V>> {
        let hash = self.hash(&fresh.key);
        let mut locked = self.lock(hash);
        let place = locked.shard.seek(hash as u32, &fresh.key);
        locked.shard.insert(place, fresh, &self.clock, out)
    }

    /// Takes an entry out; the caller settles it once it holds no lock of its own.
    pub(crate) fn take<Q>(&self, key: &Q, out: &mut Fallout<K, V>)
    where
        Q: KeyRef<K> + ?Sized,
    {
        let hash = self.hash(key);
        if let Some(removed) = self.lock(hash).shard.remove(hash as u32, key, &self.clock, Cause::Invalidated) {
            out.push(removed);
        }
    }

    /// Tells the listener of what left, then drops it. Never under a lock.
    pub(crate) fn settle(&self, out: Fallout<K, V>) {
        if self.listener.is_some() {
            out.into_iter().for_each(|removed| self.tell(&removed));
        }
    }

    #[inline]
    fn tell(&self, removed: &Removed<K, V>) {
        if let Some(tell) = &self.listener {
            tell(&removed.key, &removed.value, removed.cause);
        }
    }

    pub(crate) fn weigh(&self, key: &K, value: &V) -> u32 {
        self.weigher.as_ref().map_or(1, |weigh| weigh(key, value).max(1))
    }

    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for shard in &self.shards {
            sum.add(&self.lock_shard(shard).shard.tally);
        }
        sum
    }

    fn insert_until(&self, key: K, value: V, ttl: Option<Duration>) -> Option<V> {
        let fresh = self.fresh(key, value, ttl);
        let mut out = Fallout::new();
        let replaced = self.place(fresh, &mut out);
        self.settle(out);
        let replaced = replaced?;
        self.tell(&replaced);
        (replaced.cause == Cause::Replaced).then_some(replaced.value)
    }

    fn fresh(&self, key: K, value: V, ttl: Option<Duration>) -> Fresh<K, V> {
        let weight = self.weigh(&key, &value);
        let expiry_ms = ttl.map_or(NEVER, |ttl| self.clock.now_ms().saturating_add(to_ms(ttl)));
        Fresh { key, value, weight, expiry_ms }
    }

    fn remove_where(&self, cause: Cause, mut name: impl FnMut(&K, &V, u64) -> bool) -> usize {
        let mut count = 0;
        for part in &self.shards {
            let mut next = Some(0);
            while let Some(from) = next {
                let mut told = Told { memory: self, out: Fallout::new() };
                let chunk = (from, shard::CHUNK);
                next = self.lock_shard(part).shard.remove_where(chunk, cause, &mut told.out, &mut name);
                count += told.out.len();
            }
        }
        count
    }

    #[inline]
    fn lock(&self, hash: u64) -> Locked<'_, K, V> {
        self.lock_shard(&self.shards[(hash >> 48) as usize & self.mask])
    }

    #[inline]
    pub(super) fn lock_shard<'a>(&self, shard: &'a Padded<Mutex<Shard<K, V>>>) -> Locked<'a, K, V> {
        let entered = Entered::new(std::ptr::from_ref(self).addr());
        Locked { shard: lock(&shard.0), _entered: entered }
    }
}

/// Tells of what left when it is dropped, and so also of what left before a predicate panicked.
struct Told<'a, K: Hash + Eq, V> {
    memory: &'a Memory<K, V>,
    out: Fallout<K, V>,
}

impl<K: Hash + Eq, V> Drop for Told<'_, K, V> {
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

impl<K: Hash + Eq, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("stats", &self.stats()).field("shards", &self.shards.len()).finish()
    }
}
