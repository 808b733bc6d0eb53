//! What a memory is to be like.

use std::hash::Hash;
use std::time::Duration;

use super::face::Memory;
use super::fallout::Cause;
use super::lock::{Kind, Lock};
use super::padded::Padded;
use super::policy::Policy;
use super::shard::Shard;
use super::sharded::{Hasher, Listener, Sharded, Weigher, share};
use super::slot::Beside;
use super::stripes::Stripes;
use crate::clock::Clock;

/// Shards for each core: enough for two threads on a zipf load to have a shard of their own most of the time
/// (`bench memory --only zipf_2t`).
const SHARDS_A_CORE: usize = 8;

/// The smallest share of the capacity worth a shard of its own: below it, the queues of a shard are too short to tell
/// a scan from a favourite (`bench memory --only hit_ratio`).
const SHARE_OF_A_SHARD: u64 = 1024;

/// The bound of a memory for which none is said.
const DEFAULT_CAPACITY: u64 = 10_000;

/// Says what a [`Memory`] is to be like.
///
/// Without further words: 10,000 entries, S3-FIFO, no expiry.
///
/// ```
/// # use std::time::Duration;
/// use tierce::{Memory, Policy};
///
/// let pages: Memory<String, Vec<u8>> = Memory::builder()
///     .max_weight(64 << 20, |_, page: &Vec<u8>| page.len() as u32) // 64 MiB
///     .ttl(Duration::from_secs(60))
///     .build();
/// let recent: Memory<u64, String> = Memory::builder().capacity(256).policy(Policy::Lru).build();
/// ```
pub struct Builder<K, V> {
    limit: u64,
    policy: Policy,
    shards: Option<usize>,
    clock: Clock,
    hasher: Hasher,
    ttl: Option<Duration>,
    weigher: Option<Weigher<K, V>>,
    listener: Option<Listener<K, V>>,
}

impl<K: Hash + Eq, V> Memory<K, V> {
    /// A memory of at most `capacity` entries, without expiry.
    pub fn new(capacity: usize) -> Self {
        Self::builder().capacity(capacity).build()
    }

    /// Says what the memory is to be like.
    pub fn builder() -> Builder<K, V> {
        Builder::new()
    }
}

impl<K: Hash + Eq, V> Builder<K, V> {
    fn new() -> Self {
        Builder {
            limit: DEFAULT_CAPACITY,
            policy: Policy::default(),
            shards: None,
            clock: Clock::system(),
            hasher: Hasher::default(),
            ttl: None,
            weigher: None,
            listener: None,
        }
    }

    /// A memory of this bound for an owner who has all its parts, of which each setter would be compiled for his types.
    pub(crate) fn of(
        limit: u64,
        policy: Policy,
        (clock, hasher): (Clock, Hasher),
        weigher: Option<Weigher<K, V>>,
        listener: Option<Listener<K, V>>,
    ) -> Self {
        Builder { limit, policy, shards: None, clock, hasher, ttl: None, weigher, listener }
    }

    /// At most this many entries. With 0 nothing is kept.
    #[must_use]
    pub fn capacity(mut self, entries: usize) -> Self {
        self.limit = entries as u64;
        self.weigher = None;
        self
    }

    /// At most this much weight, as the closure weighs each entry (at least 1) when it is put in or updated.
    ///
    /// The weight is shared among the shards, and an entry heavier than its shard's share is not kept: with entries
    /// above a hundredth of the whole, ask for fewer [`shards`](Builder::shards).
    #[must_use]
    pub fn max_weight(mut self, weight: u64, weigh: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        self.limit = weight;
        self.weigher = Some(Box::new(weigh));
        self
    }

    /// No bound: nothing is ever evicted. Only for a set of keys that is known to be small.
    #[must_use]
    pub fn unbounded(mut self) -> Self {
        self.limit = u64::MAX;
        self.weigher = None;
        self
    }

    /// How to choose what to evict; [`Policy::S3Fifo`] unless said. [`Policy::Lru`] means one shard.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long [`Memory::insert`] keeps an entry; for good unless said.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Is told of every entry that leaves, and why, after it left and without any lock. One that panics is not told of
    /// what else left in the same call.
    #[must_use]
    pub fn listener(mut self, tell: impl Fn(&K, &V, Cause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(tell));
        self
    }

    /// Takes time from this clock; the system's unless said.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many shards, rounded up to a power of two; eight for each core unless said, and fewer for small memories.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// The memory.
    pub fn build(self) -> Memory<K, V> {
        Memory { inner: self.build_with() }
    }

    /// The memory for an owner that keeps something beside each entry.
    pub(crate) fn build_with<B: Beside>(self) -> Sharded<K, V, B> {
        let shards = shard_count(self.policy, self.shards, self.limit);
        let limits = share(self.limit, shards);
        let kind = if self.policy.moves_on_hit() { Kind::Plain } else { Kind::Biasable };
        let mut parts = Vec::with_capacity(shards);
        for limit in limits {
            parts.push(Padded(Lock::new(kind, Shard::new(self.policy, limit))));
        }
        Sharded {
            shards: parts.into(),
            mask: shards - 1,
            policy: self.policy,
            stripes: Stripes::new(shards),
            hasher: self.hasher,
            clock: self.clock,
            ttl: self.ttl,
            weigher: self.weigher,
            listener: self.listener,
        }
    }
}

fn shard_count(policy: Policy, shards: Option<usize>, limit: u64) -> usize {
    /// Where the hash has bits for shards: 16 of them.
    const MOST_SHARDS: usize = 1 << 16;
    if policy == Policy::Lru {
        return 1;
    }
    if let Some(shards) = shards {
        return shards.clamp(1, MOST_SHARDS).next_power_of_two();
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shards = (cores * SHARDS_A_CORE).next_power_of_two().min(MOST_SHARDS);
    while shards > 1 && limit / (shards as u64) < SHARE_OF_A_SHARD {
        shards /= 2;
    }
    shards
}
