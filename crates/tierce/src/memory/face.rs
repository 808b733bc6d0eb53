//! The public face of a memory.

use std::fmt;
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use super::entry::{Fresh, Verdict};
use super::fallout::{Cause, Fallout};
use super::sharded::Sharded;
use super::stats::Stats;
use crate::key::{KeyRef, ToKey};

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
    pub(super) inner: Sharded<K, V, ()>,
}

impl<K: Hash + Eq, V> Memory<K, V> {
    /// The value, cloned; `None` for a key that is not here or has expired.
    #[inline]
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
        V: Clone,
    {
        self.inner.read(key, |found| Verdict::Hit(found.value.clone()))
    }

    /// Like [`get`](Memory::get), but neither counted nor taken as a sign that the entry is wanted.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
        V: Clone,
    {
        self.inner.look(key, |found| found.value.clone())
    }

    /// Whether a live entry is here; not counted.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.inner.look(key, |_| ()).is_some()
    }

    /// Puts a value in, for the memory's `ttl`; gives the live value it replaced.
    pub fn insert(&self, key: K, value: V) -> Option<V> {
        self.insert_until(key, value, self.inner.ttl)
    }

    /// Puts a value in for a time of its own; gives the live value it replaced. A `ttl` below a millisecond counts as
    /// one; with none at all the entry has expired at once.
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
        let fresh = self.fresh(key.to_key(), value.clone(), self.inner.ttl);
        let mut out = Fallout::new();
        let kept = self.inner.keep(key, fresh, &mut out, V::clone);
        self.inner.settle(out);
        kept.unwrap_or(value)
    }

    /// Changes a value in place, under the shard's lock; whether it was here. Its weight is taken anew, its expiry
    /// stays. It counts as a use, though not as a hit.
    pub fn update<Q>(&self, key: &Q, change: impl FnOnce(&mut V)) -> bool
    where
        Q: KeyRef<K> + ?Sized,
    {
        let changed = self.inner.amend(key, |key, entry| {
            change(entry.value);
            entry.weight = self.inner.weigh(key, entry.value);
            entry.used = true;
        });
        changed.is_some()
    }

    /// Takes an entry out; gives its value if it was live.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let removed = self.inner.remove(key)?;
        self.inner.tell(&removed);
        (removed.cause == Cause::Invalidated).then_some(removed.value)
    }

    /// Takes out every entry that the closure names; gives their number.
    ///
    /// Looks at every entry, a few hundred under each lock: O(capacity). What is inserted meanwhile may be missed.
    pub fn invalidate_where(&self, mut name: impl FnMut(&K, &V) -> bool) -> usize {
        self.inner.remove_where(Cause::Invalidated, |key, value, _| name(key, value))
    }

    /// Takes out the expired entries now instead of bit by bit; gives their number.
    pub fn sweep(&self) -> usize {
        let now_ms = self.inner.clock.now_ms();
        self.inner.remove_where(Cause::Expired, |_, _, expiry_ms| now_ms >= expiry_ms)
    }

    /// Takes everything out and gives the room back.
    pub fn clear(&self) {
        self.inner.clear();
    }

    /// Sets a new bound, evicting what no longer fits. The number of shards stays as built, so with a bound below it some
    /// shards keep nothing.
    pub fn resize(&self, capacity: u64) {
        self.inner.resize(capacity);
    }

    /// How many entries are here, expired ones that nobody noticed yet among them.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bound on entries, or on their weights together; `None` when unbounded.
    pub fn capacity(&self) -> Option<u64> {
        self.inner.capacity()
    }

    /// The weights of all entries together; their number where they are not weighed.
    pub fn weight(&self) -> u64 {
        self.inner.weight()
    }

    /// What was counted since the memory was built.
    pub fn stats(&self) -> Stats {
        let (hits, misses) = self.inner.lookups();
        let (len, weight) = (self.len() as u64, self.weight());
        Stats { hits, misses, removals: self.inner.removals(), len, weight, capacity: self.capacity() }
    }

    fn insert_until(&self, key: K, value: V, ttl: Option<Duration>) -> Option<V> {
        let fresh = self.fresh(key, value, ttl);
        let mut out = Fallout::new();
        let replaced = self.inner.place(self.inner.hash(&fresh.key), fresh, &mut out);
        self.inner.settle(out);
        let replaced = replaced?;
        self.inner.tell(&replaced);
        (replaced.cause == Cause::Replaced).then_some(replaced.value)
    }

    fn fresh(&self, key: K, value: V, ttl: Option<Duration>) -> Fresh<K, V, ()> {
        let weight = self.inner.weigh(&key, &value);
        let expiry_ms = self.inner.expiry_ms(ttl);
        Fresh { key, value, beside: (), weight, expiry_ms }
    }
}

// A panic of foreign code leaves it whole; what is boxed in it, weighers and listeners, is called through `&` alone.
impl<K, V> UnwindSafe for Memory<K, V> {}
impl<K, V> RefUnwindSafe for Memory<K, V> {}

impl<K: Hash + Eq, V> fmt::Debug for Memory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("stats", &self.stats()).field("shards", &self.inner.shards.len()).finish()
    }
}
