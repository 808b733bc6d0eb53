//! hitbox: `#[cached]` on moka before Redis, composed as its docs show, with the concurrency manager that
//! they advise. What Redis answered goes into memory, as with every other contender; its own default leaves memory empty.

use hitbox::DisabledOffload;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::offload::OffloadManager;
use hitbox::policy::PolicyConfig;
use hitbox_backend::composition::policy::RefillPolicy;
use hitbox_backend::composition::{Compose, CompositionBackend};
use hitbox_fn::{Cache, cached};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use super::{Layered, Product, TTL, load};
use crate::client::Broken;

type Backend = CompositionBackend<MokaBackend, RedisBackend, OffloadManager>;

/// hitbox.
pub(crate) struct Hitbox(Cache<Backend, BroadcastConcurrencyManager<Product>, DisabledOffload>);

#[cached(prefix = "product")]
async fn product(id: u64) -> Product {
    load(id)
}

impl Layered for Hitbox {
    async fn connect(place: String, capacity: usize) -> Result<Self, Broken> {
        let moka = MokaBackend::builder().max_entries(capacity as u64).build();
        let redis = RedisBackend::builder().connection(ConnectionMode::single(format!("redis://{place}/"))).build()?;
        let backend = moka.compose(redis, OffloadManager::with_defaults()).refill(RefillPolicy::Always);
        let policy = PolicyConfig::builder().ttl(TTL).build();
        let builder = Cache::builder().backend(backend).policy(policy);
        Ok(Self(builder.concurrency_manager(BroadcastConcurrencyManager::new()).build()))
    }

    async fn get(&self, id: u64) -> Result<Product, Broken> {
        Ok(product(id).cache(&self.0).await)
    }
}
