//! tierce with a store behind it.

use std::time::Duration;

use tierce::{Cache, Hub};

use crate::client::Broken;
use crate::layered::{Layered, Product, TTL, load};
use crate::loading::Failure;

/// What everything of the bench is called by in a store.
pub(crate) const NAMESPACE: &str = "bench";

/// How long a lookup waits for its store where lookups are timed: a core that is taken away for a moment is to cost time,
/// not to make a load of what was to be found. The peers' patience is half a second.
const PATIENCE: Duration = Duration::from_millis(500);

/// A cache of products whose entries have so many tags, as it comes; `SHARED` or in this process alone.
pub(crate) struct Layers<const TAGS: usize, const SHARED: bool>(Cache<u64, Product>);

impl<const TAGS: usize, const SHARED: bool> Layered for Layers<TAGS, SHARED> {
    async fn connect(place: String, capacity: usize) -> Result<Self, Broken> {
        let hub = match SHARED {
            true => {
                let builder = Hub::builder().namespace(NAMESPACE).store_budget(PATIENCE);
                builder.connect(&format!("redis://{place}")).await?
            }
            false => Hub::embedded(),
        };
        let name = format!("product_with_{TAGS}_tags");
        let cache = hub.cache(&name).capacity(capacity).ttl(TTL).build();
        Ok(Self(cache))
    }

    async fn fill(&self, id: u64) -> Result<(), Broken> {
        let tags = (0..TAGS).map(|tag| format!("tag:{}", (id + tag as u64) % 100));
        let loaded = self.0.entry(&id).tags(tags).get_or_load(|| async move { Ok::<_, Failure>(load(id)) });
        Ok(loaded.await.map(drop)?)
    }

    async fn get(&self, id: u64) -> Result<Product, Broken> {
        Ok(self.0.get_or_load(&id, || async move { Ok::<_, Failure>(load(id)) }).await?)
    }
}

/// A hub with a store, and a cache of products in it.
#[derive(Clone)]
pub(crate) struct Shop {
    hub: Hub,
    cache: Cache<u64, Product>,
}

/// What the hub says of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Asked, and, if it is of a kind that tells of changes, believed to have told.
    Well,
    /// Not asked, or not believed.
    Ill,
}

impl Shop {
    /// Connects, all as it comes; a store that does not answer is no error.
    pub(crate) async fn connect(url: &str) -> Result<Self, Broken> {
        Self::at(Hub::builder().namespace(NAMESPACE).connect(url).await?)
    }

    /// The same with patience, where something is counted that must be in the store.
    pub(crate) async fn patient(url: &str) -> Result<Self, Broken> {
        Self::at(Hub::builder().namespace(NAMESPACE).store_budget(PATIENCE * 10).connect(url).await?)
    }

    fn at(hub: Hub) -> Result<Self, Broken> {
        let cache = hub.cache("shop").ttl(TTL).build();
        Ok(Self { hub, cache })
    }

    /// The product of this number.
    pub(crate) async fn get<F>(&self, id: u64, load: impl FnOnce() -> F) -> Result<Product, Broken>
    where
        F: Future<Output = Product> + Send + 'static,
    {
        let loading = || {
            let loading = load();
            async move { Ok::<_, Failure>(loading.await) }
        };
        Ok(self.cache.get_or_load(&id, loading).await?)
    }

    /// Whether the product is in memory or in the store.
    pub(crate) async fn has(&self, id: u64) -> bool {
        self.cache.get(&id).await.is_some_and(|product| product.id == id)
    }

    /// Loads so many products under a tag, many at a time.
    pub(crate) async fn stock(&self, ids: &[u64], tag: &str) -> Result<(), Broken> {
        let loading = |missing: Vec<u64>| async move { Ok::<_, Failure>(missing.into_iter().map(|id| (id, load(id)))) };
        let found = self.cache.entries(ids).tags([tag]).get_or_load(loading).await;
        let found = found.map_err(|_| Broken("a load of many failed".into()))?;
        if found.iter().any(Option::is_none) { Err(Broken("not all were loaded".into())) } else { Ok(()) }
    }

    /// Ends all that has this tag.
    pub(crate) async fn invalidate_tag(&self, tag: &str) -> Result<(), Broken> {
        Ok(self.hub.invalidate_tag(tag).await?)
    }

    /// Ends one product.
    pub(crate) async fn invalidate(&self, id: u64) -> Result<(), Broken> {
        Ok(self.cache.invalidate(&id).await?)
    }

    /// How the store is.
    pub(crate) fn condition(&self) -> Condition {
        let is_well =
            self.hub.store_health().is_some_and(|health| !health.is_away && (!health.tells || health.is_coherent));
        if is_well { Condition::Well } else { Condition::Ill }
    }

    /// Waits until loads have ended.
    pub(crate) async fn close(&self) {
        self.hub.drain(Duration::from_secs(1)).await;
    }
}
