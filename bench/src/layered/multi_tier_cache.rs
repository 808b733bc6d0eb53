//! multi-tier-cache: moka before Redis, as its builder makes them, and its typed lookup (JSON, its default).

use std::sync::Arc;

use multi_tier_cache::{CacheStrategy, CacheSystem, CacheSystemBuilder, L2Cache, MokaCacheConfig};

use super::{Layered, Product, TTL, load};
use crate::client::Broken;

/// multi-tier-cache.
pub(crate) struct MultiTierCache(CacheSystem);

impl Layered for MultiTierCache {
    async fn connect(place: String, capacity: usize) -> Result<Self, Broken> {
        let moka = MokaCacheConfig { max_capacity: capacity as u64, time_to_live: TTL, time_to_idle: TTL };
        let redis = L2Cache::with_url(&format!("redis://{place}")).await?;
        let builder = CacheSystemBuilder::new().with_moka_config(moka).with_l2(Arc::new(redis));
        Ok(Self(builder.build().await?))
    }

    async fn get(&self, id: u64) -> Result<Product, Broken> {
        let (key, strategy) = (format!("product:{id}"), CacheStrategy::Custom(TTL));
        let loaded = self.0.cache_manager().get_or_compute_typed(&key, strategy, || async move { Ok(load(id)) });
        Ok(loaded.await?)
    }
}
