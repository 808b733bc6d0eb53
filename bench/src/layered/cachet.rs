//! cachet: its memory, its serialisation, and a tier over redis-rs, since it leaves the server to its user.

use cachet::{Cache, CacheEntry, CacheTier, Error, InsertOutcome};
use cachet_bytes::BytesView;
use cachet_clock::Clock;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use super::{Layered, Product, TTL, load};
use crate::client::Broken;

/// cachet.
pub(crate) struct Cachet(Cache<u64, Product>);

/// Redis as a tier: what its docs' sketch of one does.
struct Redis(MultiplexedConnection);

/// One piece of memory, without a copy where it is one already.
fn whole(view: &BytesView) -> std::borrow::Cow<'_, [u8]> {
    if view.first_slice().len() == view.len() { view.first_slice().into() } else { view.to_vec().into() }
}

impl CacheTier<BytesView, BytesView> for Redis {
    async fn get(&self, key: &BytesView) -> Result<Option<CacheEntry<BytesView>>, Error> {
        let found: Option<Vec<u8>> = self.0.clone().get(&*whole(key)).await.map_err(Error::from_source)?;
        Ok(found.map(|bytes| CacheEntry::new(BytesView::from(bytes))))
    }

    async fn insert(&self, key: BytesView, entry: CacheEntry<BytesView>) -> Result<InsertOutcome, Error> {
        let (key, value) = (whole(&key), whole(entry.value()));
        let set = self.0.clone().set_ex::<_, _, ()>(&*key, &*value, TTL.as_secs()).await;
        set.map(|()| InsertOutcome::Accepted).map_err(Error::from_source)
    }

    async fn invalidate(&self, key: &BytesView) -> Result<(), Error> {
        self.0.clone().del::<_, ()>(&*whole(key)).await.map_err(Error::from_source)
    }

    async fn clear(&self) -> Result<(), Error> {
        redis::cmd("FLUSHDB").query_async::<()>(&mut self.0.clone()).await.map_err(Error::from_source)
    }
}

impl Layered for Cachet {
    async fn connect(place: String, capacity: usize) -> Result<Self, Broken> {
        let redis = redis::Client::open(format!("redis://{place}"))?.get_multiplexed_async_connection().await?;
        let clock = Clock::new_tokio();
        let remote = Cache::builder::<BytesView, BytesView>(clock.clone()).storage(Redis(redis));
        let near = Cache::builder::<u64, Product>(clock)
            .memory_with(|memory| memory.max_capacity(capacity as u64))
            .ttl(TTL)
            .stampede_protection();
        Ok(Self(near.serialize().fallback(remote).build()))
    }

    async fn get(&self, id: u64) -> Result<Product, Broken> {
        let entry = self.0.get_or_insert(&id, || async move { load(id) }).await?;
        Ok(entry.into_value())
    }
}
