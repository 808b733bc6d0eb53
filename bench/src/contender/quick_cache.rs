//! quick_cache, and the wrapper its users write where they need expiry.

use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::{Contender, Expiry, Hasher, Key, Shape, Value};
use crate::measure::coarse_ms;

type Inner<K, V> = Cache<K, V, UnitWeighter, Hasher>;

fn cache<K: Key, V: Value>(capacity: usize) -> Inner<K, V> {
    let hasher = Hasher::default();
    Cache::with(capacity, capacity as u64, UnitWeighter, hasher, DefaultLifecycle::default())
}

/// quick_cache as it is. Its default hasher is the same one, behind a name of its own.
pub(crate) struct Plain<K, V>(Inner<K, V>);

impl<K: Key, V: Value> Contender<K, V> for Plain<K, V> {
    const EXPIRY: Expiry = Expiry::Never;

    fn new(shape: Shape) -> Self {
        Self(cache(shape.capacity))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

/// quick_cache over `(value, expiry)`, checked after the clone with the clock ours reads.
pub(crate) struct WithExpiry<K, V> {
    inner: Inner<K, (V, u32)>,
    ttl_ms: u32,
}

impl<K: Key, V: Value> Contender<K, V> for WithExpiry<K, V> {
    const EXPIRY: Expiry = Expiry::Always;

    fn new(shape: Shape) -> Self {
        let ttl = shape.ttl.unwrap_or(Duration::ZERO);
        // The workloads' expiries are minutes.
        Self { inner: cache(shape.capacity), ttl_ms: ttl.as_millis() as u32 }
    }

    fn get(&self, key: &K) -> Option<V> {
        let (value, expiry) = self.inner.get(key)?;
        if expiry > coarse_ms() { Some(value) } else { None }
    }

    fn insert(&self, key: K, value: V) {
        self.inner.insert(key, (value, coarse_ms().saturating_add(self.ttl_ms)));
    }

    fn len(&self) -> usize {
        self.inner.len()
    }
}
