//! moka's sync cache, with the common hasher and with its own.

use std::hash::BuildHasher;

use moka::sync::Cache;

use super::{Contender, Expiry, Key, Shape, Value};

/// moka.
pub(crate) struct Moka<K, V, S>(Cache<K, V, S>);

impl<K, V, S> Contender<K, V> for Moka<K, V, S>
where
    K: Key,
    V: Value,
    S: BuildHasher + Default + Clone + Send + Sync + 'static,
{
    const EXPIRY: Expiry = Expiry::Optional;

    fn new(shape: Shape) -> Self {
        let builder = Cache::builder().max_capacity(shape.capacity as u64);
        let builder = match shape.ttl {
            Some(ttl) => builder.time_to_live(ttl),
            None => builder,
        };
        Self(builder.build_with_hasher(S::default()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.entry_count() as usize
    }

    fn settle(&self) {
        // One call does a bounded amount of work; the count stands still when none is left.
        loop {
            let before = self.0.entry_count();
            self.0.run_pending_tasks();
            if self.0.entry_count() == before {
                return;
            }
        }
    }
}
