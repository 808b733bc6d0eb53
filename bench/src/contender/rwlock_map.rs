//! The bound: a sharded `RwLock` around a hash table that never evicts. One hash, one lock, one
//! probe; a cache with locks can hardly do less.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

use super::{Contender, Expiry, Hasher, Key, Shape, Value, shard_count};

type Table<K, V> = RwLock<HashTable<(K, V)>>;

/// Sharded tables without a bound; kept out of every case in which a cache would evict.
pub(crate) struct Sharded<K, V> {
    shards: Box<[Table<K, V>]>,
    hasher: Hasher,
}

impl<K, V> Sharded<K, V> {
    fn shard(&self, hash: u64) -> &Table<K, V> {
        &self.shards[(hash >> 48) as usize & (self.shards.len() - 1)]
    }
}

impl<K: Key, V: Value> Contender<K, V> for Sharded<K, V> {
    const EXPIRY: Expiry = Expiry::Never;
    const BOUNDED: bool = false;

    fn new(_: Shape) -> Self {
        let shard = |_| RwLock::new(HashTable::new());
        Self { shards: (0..shard_count()).map(shard).collect(), hasher: Hasher::default() }
    }

    fn get(&self, key: &K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let shard = self.shard(hash).read();
        shard.find(hash, |(kept, _)| kept == key).map(|(_, value)| value.clone())
    }

    fn insert(&self, key: K, value: V) {
        let hash = self.hasher.hash_one(&key);
        let mut shard = self.shard(hash).write();
        let same = |(kept, _): &(K, V)| *kept == key;
        match shard.entry(hash, same, |(kept, _)| self.hasher.hash_one(kept)) {
            Entry::Occupied(mut place) => place.get_mut().1 = value,
            Entry::Vacant(place) => {
                place.insert((key, value));
            }
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}
