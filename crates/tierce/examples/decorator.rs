//! The guide's `redis_cache` decorator with `.invalidate`: keys that cannot collide, tags, and one load for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use tierce::Hub;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category_id: u64,
}

#[derive(Clone, Default)]
struct Database(Arc<AtomicU64>);

/// A product, by its id. The database is not part of the key; the category's tag is known from the result.
#[tierce::cached(ttl = "10m", key = "product:{id}", tags = ["products", "category:{result.category_id}"])]
async fn product(#[skip] db: &Database, id: u64) -> tierce::Result<Product, std::io::Error> {
    db.0.fetch_add(1, Relaxed);
    Ok(Product { id, category_id: id % 10 })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Once, at the start. Without it the functions use an embedded hub of their own.
    let hub = Hub::embedded();
    tierce::init(hub.clone())?;
    let db = Database::default();
    let queries = || db.0.load(Relaxed);

    assert_eq!(product(&db, 42).await?, product(&db, 42).await?);
    assert_eq!((queries(), product::key(42)), (1, "product:42".to_string()));

    product::invalidate(42).await?;
    product(&db, 42).await?;
    assert_eq!(queries(), 2);

    // All products of category 2, and no others.
    product(&db, 43).await?;
    hub.invalidate_tag("category:2").await?;
    assert_eq!((product::peek(42), product::peek(43).is_some()), (None, true));

    product::set(42, Product { id: 42, category_id: 3 }).await?;
    assert_eq!(product(&db, 42).await?.category_id, 3);
    println!("{} queries; {}", queries(), product::explain(42).await);
    Ok(())
}
