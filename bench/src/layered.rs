//! Caches that keep values in the process and in Redis, behind one face: the whole of a lookup, serialisation included.

mod cached;
mod cachet;
mod hitbox;
mod multi_tier_cache;
mod product;

pub(crate) use cached::Cached;
pub(crate) use cachet::Cachet;
pub(crate) use hitbox::Hitbox;
pub(crate) use multi_tier_cache::MultiTierCache;
pub(crate) use product::{Product, TTL, load, loads};

use crate::client::Broken;

/// A cache in layers, with a loader.
pub(crate) trait Layered: Sized + Send + Sync + 'static {
    /// Connects to the Redis at this place, with memory for so many entries.
    fn connect(place: String, capacity: usize) -> impl Future<Output = Result<Self, Broken>> + Send;

    /// Sees to it that a product is in the server, and in memory as far as there is room.
    fn fill(&self, id: u64) -> impl Future<Output = Result<(), Broken>> + Send {
        async move { self.get(id).await.map(drop) }
    }

    /// The product of this number, loaded if it is nowhere.
    fn get(&self, id: u64) -> impl Future<Output = Result<Product, Broken>> + Send;
}
