//! cached: its asynchronous Redis store, which has no memory before it; looked up as its `#[concurrent_cached]` does.

use cached::{AsyncRedisCache, ConcurrentCachedAsync};

use super::{Layered, Product, TTL, load};
use crate::client::Broken;

/// cached.
pub(crate) struct Cached(AsyncRedisCache<u64, Product>);

impl Layered for Cached {
    async fn connect(place: String, _: usize) -> Result<Self, Broken> {
        let builder = AsyncRedisCache::builder("bench").ttl(TTL).connection_string(&format!("redis://{place}"));
        Ok(Self(builder.build().await?))
    }

    async fn get(&self, id: u64) -> Result<Product, Broken> {
        if let Some(product) = self.0.async_cache_get(&id).await? {
            return Ok(product);
        }
        let product = load(id);
        self.0.async_cache_set(id, product.clone()).await?;
        Ok(product)
    }
}
