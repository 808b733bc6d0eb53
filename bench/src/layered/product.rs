//! What is cached in layers, and where it comes from.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hitbox_fn::CacheableResponse;
use serde::{Deserialize, Serialize};

/// How long everything is fresh.
pub(crate) const TTL: Duration = Duration::from_secs(3600);

/// What is cached: about a hundred bytes in any format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CacheableResponse)]
pub(crate) struct Product {
    pub(crate) id: u64,
    pub(crate) category: u32,
    pub(crate) price_cents: u64,
    pub(crate) name: String,
    pub(crate) description: String,
}

/// How often [`load`] was called in this process.
static LOADS: AtomicU64 = AtomicU64::new(0);

/// The source of all contenders.
pub(crate) fn load(id: u64) -> Product {
    LOADS.fetch_add(1, Relaxed);
    Product {
        id,
        category: (id % 100) as u32,
        price_cents: id * 100 + 99,
        name: format!("product number {id}"),
        description: "a sentence of some length, as descriptions of products are".into(),
    }
}

/// Loads so far.
pub(crate) fn loads() -> u64 {
    LOADS.load(Relaxed)
}
