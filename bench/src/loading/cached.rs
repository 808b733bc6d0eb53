//! cached's macro with `sync_writes = "by_key"`, its only face that loads a key once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cached::macros::cached;

use super::{Failure, Load, Loading};

/// The macro's store is a static: keys of different instances are kept apart by a number.
pub(crate) struct Cached(u64);

#[cached(key = "(u64, u64)", convert = "{ _place }", sync_writes = "by_key")]
async fn load_once(_place: (u64, u64), load: Load) -> Result<u64, Failure> {
    load.await
}

impl Loading for Cached {
    type Error = Failure;
    const FAILS_IN_SERIES: bool = true;

    fn new(_: usize) -> Self {
        static INSTANCES: AtomicU64 = AtomicU64::new(0);
        Self(INSTANCES.fetch_add(1, Relaxed))
    }

    async fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> Result<u64, Self::Error>
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        load_once((self.0, *key), Box::pin(load())).await
    }
}
