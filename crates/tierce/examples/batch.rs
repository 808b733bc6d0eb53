//! The guide's `get_multiple_users`: the answers in order, absences in their places, one query for what is missing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tierce::Hub;

#[derive(Default)]
struct Database {
    queries: AtomicU64,
    ids: AtomicU64,
}

impl Database {
    /// `SELECT … WHERE id = ANY($1)`; users above 99 do not exist.
    async fn users(&self, ids: Vec<u64>) -> Result<HashMap<u64, String>, std::io::Error> {
        self.queries.fetch_add(1, Relaxed);
        self.ids.fetch_add(ids.len() as u64, Relaxed);
        Ok(ids.into_iter().filter(|id| *id < 100).map(|id| (id, format!("user {id}"))).collect())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Arc::new(Database::default());
    let asked = |db: &Database| (db.queries.load(Relaxed), db.ids.load(Relaxed));
    let users = Hub::embedded().local_cache::<u64, String>("user").build();
    let database = Arc::clone(&db);
    let select = move |ids| {
        let db = Arc::clone(&database);
        async move { db.users(ids).await }
    };

    // The guide's function gives [user 2, user 1] here, and stores nothing.
    let found = users.get_many_or_load(&[2, 555, 1, 2], &select).await?;
    let names: Vec<_> = found.iter().map(|user| user.as_deref().unwrap_or("-")).collect();
    assert_eq!(names, ["user 2", "-", "user 1", "user 2"]);
    assert_eq!(asked(&db), (1, 3));

    // Two of these are here, one is known to be absent: the query asks for the fourth alone.
    users.get_many_or_load(&[1, 2, 3, 555], &select).await?;
    assert_eq!(asked(&db), (2, 4));

    // Ninety pages of ten, each a row further, asked for at once: every row is loaded once.
    users.purge().await?;
    let page = |first: u64| {
        let (users, select) = (users.clone(), select.clone());
        let ids: Vec<u64> = (first..first + 10).collect();
        tokio::spawn(async move { users.get_many_or_load(&ids, select).await.map(|page| page.len()) })
    };
    for page in (0..90).map(page).collect::<Vec<_>>() {
        assert_eq!(page.await??, 10);
    }
    assert_eq!(asked(&db).1, 4 + 99);
    println!("{} queries for 900 lookups of 99 rows", asked(&db).0 - 2);
    Ok(())
}
