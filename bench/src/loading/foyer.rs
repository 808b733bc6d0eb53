//! foyer's `get_or_fetch`, which spawns the load.

use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};

use super::{Failure, Loading};
use crate::contender::Hasher;

/// S3-FIFO, as in the memory cases.
pub(crate) struct Foyer(Cache<u64, u64, Hasher>);

impl Loading for Foyer {
    type Error = ();
    fn new(capacity: usize) -> Self {
        let builder = CacheBuilder::new(capacity).with_eviction_config(S3FifoConfig::default());
        Self(builder.with_hash_builder(Hasher::default()).build())
    }

    async fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> Result<u64, Self::Error>
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        self.0.get_or_fetch(key, load).await.map(|entry| *entry.value()).map_err(|_| ())
    }
}
