//! quick_cache's `get_or_insert_async`.

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::{Failure, Loading};
use crate::contender::Hasher;

/// A failed load hands its place to the next waiter, who loads again.
pub(crate) struct QuickCache(Cache<u64, u64, UnitWeighter, Hasher>);

impl Loading for QuickCache {
    type Error = Failure;
    const FAILS_IN_SERIES: bool = true;

    fn new(capacity: usize) -> Self {
        let (hasher, lifecycle) = (Hasher::default(), DefaultLifecycle::default());
        Self(Cache::with(capacity, capacity as u64, UnitWeighter, hasher, lifecycle))
    }

    fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send + 'a
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        self.0.get_or_insert_async(key, load())
    }
}
