//! moka's future cache.

use std::sync::Arc;

use moka::future::Cache;

use super::{Failure, Loading};
use crate::contender::Hasher;

/// `try_get_with`.
pub(crate) struct Moka(Cache<u64, u64, Hasher>);

impl Loading for Moka {
    type Error = Arc<Failure>;
    fn new(capacity: usize) -> Self {
        let builder = Cache::builder().max_capacity(capacity as u64);
        Self(builder.build_with_hasher(Hasher::default()))
    }

    fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send + 'a
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        self.0.try_get_with(*key, load())
    }
}
