//! cached's sharded LRU, with and without expiry.

use std::hash::BuildHasher;

use cached::{ShardedLruCache, ShardedLruTtlCache};

use super::{Contender, Expiry, Key, Shape, Value};

/// The hasher it takes when none is given.
pub(crate) type OwnHasher = cached::stores::DefaultShardHasher;

/// cached: two stores, of which the one with expiry is taken only when asked for.
pub(crate) enum Cached<K, V, S> {
    Lasting(ShardedLruCache<K, V, S>),
    Expiring(ShardedLruTtlCache<K, V, S>),
}

impl<K, V, S> Contender<K, V> for Cached<K, V, S>
where
    K: Key,
    V: Value,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    const EXPIRY: Expiry = Expiry::Optional;

    fn new(shape: Shape) -> Self {
        let refused = "a capacity above zero is accepted";
        let hasher = S::default();
        match shape.ttl {
            None => {
                let builder = ShardedLruCache::builder().max_size(shape.capacity).hasher(hasher);
                Self::Lasting(builder.build().expect(refused))
            }
            Some(ttl) => {
                let builder = ShardedLruTtlCache::builder().max_size(shape.capacity).ttl(ttl);
                Self::Expiring(builder.hasher(hasher).build().expect(refused))
            }
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        match self {
            Self::Lasting(cache) => cache.get(key),
            Self::Expiring(cache) => cache.get(key),
        }
    }

    fn insert(&self, key: K, value: V) {
        match self {
            Self::Lasting(cache) => cache.set(key, value),
            Self::Expiring(cache) => cache.set(key, value),
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::Lasting(cache) => cache.len(),
            Self::Expiring(cache) => cache.len(),
        }
    }
}
