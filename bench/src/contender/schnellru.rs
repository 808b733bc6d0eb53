//! schnellru's single-threaded LRU, sharded here behind mutexes.
//!
//! A lookup hashes once; its insert has no form that takes a hash, so that inserting hashes twice.

use std::hash::BuildHasher;

use parking_lot::Mutex;
use schnellru::{ByLength, LruMap};

use super::{Contender, Expiry, Key, Shape, Value, shard_count};

/// What its own `RandomState` wraps; that one cannot be cloned over shards.
pub(crate) type OwnHasher = ahash::RandomState;

type Shard<K, V, S> = Mutex<LruMap<K, V, ByLength, S>>;

/// A power of two of LRU maps. The shard comes from the high bits of the hash.
pub(crate) struct Sharded<K, V, S> {
    shards: Box<[Shard<K, V, S>]>,
    hasher: S,
}

impl<K, V, S: BuildHasher> Sharded<K, V, S> {
    fn shard(&self, hash: u64) -> &Shard<K, V, S> {
        &self.shards[(hash >> 48) as usize & (self.shards.len() - 1)]
    }
}

impl<K, V, S> Contender<K, V> for Sharded<K, V, S>
where
    K: Key,
    V: Value,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    const EXPIRY: Expiry = Expiry::Never;

    fn new(shape: Shape) -> Self {
        let hasher = S::default();
        // As few shards as keep 64 entries in each, so that small capacities stay LRU.
        let count = shard_count().min((shape.capacity / 64).max(1).next_power_of_two());
        let limit = ByLength::new(shape.capacity.div_ceil(count) as u32);
        let shard = |_| Mutex::new(LruMap::with_hasher(limit, hasher.clone()));
        Self { shards: (0..count).map(shard).collect(), hasher: hasher.clone() }
    }

    fn get(&self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash).lock();
        shard.get_by_hash(hash, |kept, _| kept == key).map(|value| value.clone())
    }

    fn insert(&self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        self.shard(hash).lock().insert(key, value);
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}
