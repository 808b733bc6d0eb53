//! What is compared: in-process memories behind one face, found by name and dispatched statically.

mod face;
// The peers; ours is beside the library's other faces in `ours.rs`.
mod cached;
mod foyer;
mod moka;
mod quick_cache;
mod rwlock_map;
mod schnellru;

use crate::ours;
pub(crate) use face::{Contender, Expiry, Hasher, Key, Shape, Value, shard_count};

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        for name in crate::subject::Subject::Memory.contenders() {
            match visit(name, &Fill) {
                Some(result) => assert_eq!(result, (100, 5050), "{name}"),
                None => assert!(["lru", "belady"].contains(name), "{name}"),
            }
        }
    }
}
