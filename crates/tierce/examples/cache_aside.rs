//! The guide's `get_user`: look in the cache, else ask the database, and keep what it says, its "no such row" too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tierce::Hub;

#[derive(Clone, Debug, PartialEq)]
struct User {
    id: u64,
    name: String,
}

#[derive(Default)]
struct Database {
    queries: AtomicU64,
}

impl Database {
    async fn user(&self, id: u64) -> Result<Option<User>, std::io::Error> {
        self.queries.fetch_add(1, Relaxed);
        Ok((id < 100).then(|| User { id, name: format!("user {id}") }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Arc::new(Database::default());
    let users = Hub::embedded().local_cache::<u64, User>("user").ttl(Duration::from_secs(300)).build();
    let find = async |id: u64| {
        let db = Arc::clone(&db);
        users.find_or_load(&id, || async move { db.user(id).await }).await
    };

    for _ in 0..1000 {
        assert_eq!(find(7).await?.map(|user| user.name), Some("user 7".to_string()));
        // The guide asks the database each time for a user who does not exist.
        assert_eq!(find(555).await?, None);
    }
    assert_eq!(db.queries.load(Relaxed), 2);

    // The row has changed: from here on nobody gets what was loaded before.
    users.invalidate(&7).await?;
    find(7).await?;
    assert_eq!(db.queries.load(Relaxed), 3);
    println!("2002 lookups, 3 queries, hit rate {:.4}", users.stats().hit_rate().unwrap_or_default());
    Ok(())
}
