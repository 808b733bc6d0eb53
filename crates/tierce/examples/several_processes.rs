//! The guide's Redis half: what one process has loaded all find, and what one invalidates none serves.
//!
//! Two hubs stand for two processes. `cargo run -p tierce --example several_processes -- redis://127.0.0.1` lets them share
//! a server, Redis, Valkey or Memcached; without a URL they share a store in this process, so that it runs anywhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tierce::testing::Shelf;
use tierce::{Cache, Clock, Hub};

static QUERIES: AtomicU64 = AtomicU64::new(0);

async fn name(products: &Cache<u64, String>, id: u64) -> tierce::Result<String, std::io::Error> {
    let query = || async move {
        let version = QUERIES.fetch_add(1, Relaxed) + 1;
        Ok(format!("lamp {id}, version {version}"))
    };
    products.entry(&id).tags(["lamps"]).strong().get_or_load(query).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (one, other) = match std::env::args().nth(1) {
        Some(url) => (Hub::connect(&url).await?, Hub::connect(&url).await?),
        None => {
            let store = Shelf::new(Clock::system());
            (Hub::builder().store(store.clone()).build(), Hub::builder().store(store).build())
        }
    };
    let cache = |hub: &Hub| hub.cache::<u64, String>("product").ttl(Duration::from_secs(60)).build();
    let (here, there) = (cache(&one), cache(&other));
    here.purge().await?; // what an earlier run has left in the server

    name(&here, 7).await?;
    let loaded = name(&there, 7).await?; // found in the store, whoever loaded it
    println!("both have {loaded:?}; queries so far: {}", QUERIES.load(Relaxed));

    other.invalidate_tag("lamps").await?; // one write, however many lamps there are
    assert_ne!(name(&here, 7).await?, loaded); // strong: at once; a plain read may take 150 ms to hear of it
    println!("both have {:?}; queries so far: {}", name(&there, 7).await?, QUERIES.load(Relaxed));

    let loaded = name(&there, 7).await?;
    here.invalidate(&7).await?; // by key: the same
    assert_ne!(name(&there, 7).await?, loaded);
    Ok(())
}
