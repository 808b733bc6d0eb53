//! foyer's in-memory cache: S3-FIFO and LFU with the common hasher, and as it comes (LRU).

use foyer_memory::{Cache, CacheBuilder, LfuConfig, S3FifoConfig};

use super::{Contender, Expiry, Hasher, Key, Shape, Value};

macro_rules! contender {
    ($name:ident, $builder:expr) => {
        impl<K: Key, V: Value> Contender<K, V> for $name<K, V> {
            const EXPIRY: Expiry = Expiry::Never;

            fn new(shape: Shape) -> Self {
                let builder = CacheBuilder::new(shape.capacity);
                Self($builder(builder).build())
            }

            fn get(&self, key: &K) -> Option<V> {
                self.0.get(key).map(|entry| entry.value().clone())
            }

            fn insert(&self, key: K, value: V) {
                self.0.insert(key, value);
            }

            fn len(&self) -> usize {
                self.0.entries()
            }
        }
    };
}

/// S3-FIFO.
pub(crate) struct S3Fifo<K: Key, V: Value>(Cache<K, V, Hasher>);

/// W-TinyLFU, its best by hit ratio on many traces.
pub(crate) struct Lfu<K: Key, V: Value>(Cache<K, V, Hasher>);

/// Its builder's defaults: LRU and its own hasher.
pub(crate) struct AsItComes<K: Key, V: Value>(Cache<K, V>);

contender!(S3Fifo, |builder: CacheBuilder<K, V, _>| builder
    .with_eviction_config(S3FifoConfig::default())
    .with_hash_builder(Hasher::default()));
contender!(Lfu, |builder: CacheBuilder<K, V, _>| builder
    .with_eviction_config(LfuConfig::default())
    .with_hash_builder(Hasher::default()));
contender!(AsItComes, |builder: CacheBuilder<K, V, _>| builder);
