//! What is compared: one in-process memory behind one face, dispatched statically.

mod cached;
mod foyer;
mod moka;
mod quick_cache;
mod rwlock_map;
mod schnellru;

use std::hash::Hash;
use std::time::Duration;

use crate::ours;

/// The hasher every contender is given that takes one; ours has it built in.
pub(crate) type Hasher = foldhash::quality::RandomState;

/// What any contender asks of a key.
pub(crate) trait Key: Hash + Eq + Clone + std::fmt::Debug + Send + Sync + 'static {}
impl<K: Hash + Eq + Clone + std::fmt::Debug + Send + Sync + 'static> Key for K {}

/// What any contender asks of a value.
pub(crate) trait Value: Clone + Send + Sync + 'static {}
impl<V: Clone + Send + Sync + 'static> Value for V {}

/// Whether a contender can let entries expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// It has no notion of it.
    Never,
    /// When asked.
    Optional,
    /// It is there for nothing else.
    Always,
}

/// How large, and whether entries expire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Entries at most.
    pub(crate) capacity: usize,
    /// How long an entry lives.
    pub(crate) ttl: Option<Duration>,
}

/// An in-process memory.
pub(crate) trait Contender<K, V>: Sized + Send + Sync {
    /// Whether entries can expire.
    const EXPIRY: Expiry;
    /// Whether it is bounded at all.
    const BOUNDED: bool = true;

    fn new(shape: Shape) -> Self;
    fn get(&self, key: &K) -> Option<V>;
    fn insert(&self, key: K, value: V);
    /// Entries held.
    fn len(&self) -> usize;
    /// Finishes work that was put off, where a contender does so.
    fn settle(&self) {}
}

/// Something to be done with any contender, once its type is known.
pub(crate) trait Visit<K: Key, V: Value> {
    type Out;
    fn visit<C: Contender<K, V>>(&self) -> Self::Out;
}

/// Finds a contender by its name; `None` for a name that is not here.
pub(crate) fn visit<K: Key, V: Value, T: Visit<K, V>>(name: &str, visitor: &T) -> Option<T::Out> {
    Some(match name {
        "ours" => visitor.visit::<ours::S3Fifo<K, V>>(),
        "ours_lru" => visitor.visit::<ours::Lru<K, V>>(),
        "quick_cache" => visitor.visit::<quick_cache::Plain<K, V>>(),
        "quick_cache_ttl" => visitor.visit::<quick_cache::WithExpiry<K, V>>(),
        "moka" => visitor.visit::<moka::Moka<K, V, Hasher>>(),
        "moka_default" => visitor.visit::<moka::Moka<K, V, std::hash::RandomState>>(),
        "foyer" => visitor.visit::<foyer::S3Fifo<K, V>>(),
        "foyer_lfu" => visitor.visit::<foyer::Lfu<K, V>>(),
        "foyer_default" => visitor.visit::<foyer::AsItComes<K, V>>(),
        "cached" => visitor.visit::<cached::Cached<K, V, Hasher>>(),
        "cached_default" => visitor.visit::<cached::Cached<K, V, cached::OwnHasher>>(),
        "schnellru" => visitor.visit::<schnellru::Sharded<K, V, Hasher>>(),
        "schnellru_default" => visitor.visit::<schnellru::Sharded<K, V, schnellru::OwnHasher>>(),
        "bound_rwlock_map" => visitor.visit::<rwlock_map::Sharded<K, V>>(),
        _ => return None,
    })
}

/// Shards for what is sharded here and not by the contender itself: four per core, as
/// quick_cache's own default.
fn shard_count() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores * 4).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fill;

    impl Visit<u64, u64> for Fill {
        type Out = (usize, u64);
        fn visit<C: Contender<u64, u64>>(&self) -> Self::Out {
            let ttl = (C::EXPIRY != Expiry::Never).then_some(Duration::from_secs(60));
            let memory = C::new(Shape { capacity: 1000, ttl });
            (0..100).for_each(|key| memory.insert(key, key + 1));
            memory.settle();
            let found = (0..100).filter_map(|key| memory.get(&key)).sum();
            (memory.len(), found)
        }
    }

    #[test]
    fn every_contender_keeps_what_fits() {
        for name in crate::subject::memory::CONTENDERS {
            match visit(name, &Fill) {
                Some(result) => assert_eq!(result, (100, 5050), "{name}"),
                None => assert!(["lru", "belady"].contains(name), "{name}"),
            }
        }
    }
}
