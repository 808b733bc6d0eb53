//! The guide's pattern, as the guide has it.
//!
//! "Python Caching Strategies: Redis, Memcached and functools" gives three pieces that are meant to be put together:
//! cache-aside with JSON values and `if cached:`, a dictionary of locks against stampedes (`get_with_lock`), and tag
//! sets (`set_with_tags`, `invalidate_tag`). This file is those pieces, line by line, in Rust. Nothing is added to them
//! and nothing is taken away, so what they get wrong shows in the table:
//!
//! - An empty list is falsy: it is kept, and read as a miss each time. A `None` is not kept at all.
//! - Nothing stands between a load and an invalidation: a load that read the row before an update may put it back
//!   after the `DEL`, and there it stays for its ttl.
//! - A key that is being loaded is in no tag set, so `SMEMBERS` does not see it.
//! - Nothing ever leaves the dictionary of locks.
//! - The locks are this process's: several processes load a key together.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::redis::Redis;
use super::{Contender, Kept, Updated};
use crate::database::{self, Database};
use crate::error::Error;
use crate::place::{Change, Place};

/// The guide's `ttl: int = 300`.
const TTL: Duration = Duration::from_secs(300);
/// The guide's `pipe.expire(f"tag:{tag}", ttl + 60)`.
const TAG_SLACK: Duration = Duration::from_secs(60);

/// The guide's functions and what they share.
pub(crate) struct Guide<R> {
    database: Arc<Database>,
    redis: R,
    /// `_locks: dict[str, asyncio.Lock] = {}`
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What Python's `if value:` asks.
trait Truthy {
    fn is_truthy(&self) -> bool;
}

impl Truthy for Box<Place> {
    fn is_truthy(&self) -> bool {
        // A dict with keys in it.
        true
    }
}

impl Truthy for Vec<Place> {
    fn is_truthy(&self) -> bool {
        !self.is_empty()
    }
}

impl<R: Redis> Guide<R> {
    /// With an empty dictionary of locks.
    pub(crate) fn new(database: Arc<Database>, redis: R) -> Self {
        Self { database, redis, locks: Mutex::default() }
    }

    /// `cache_get`: `json.loads(value) if value else None`.
    async fn cache_get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        // An entry that is no JSON would raise for its whole ttl in the guide; here all of them are our own.
        Ok(self.redis.get(key).await?.and_then(|value| serde_json::from_str(&value).ok()))
    }

    /// `get_with_lock`, storing with `set_with_tags`.
    async fn get_with_lock<T, Loading>(
        &self,
        key: String,
        fetch: impl FnOnce() -> Loading,
        tags: impl FnOnce(&T) -> Vec<String>,
    ) -> Result<Option<T>, Error>
    where
        T: Serialize + DeserializeOwned + Truthy + Send + Sync,
        Loading: Future<Output = Result<Option<T>, database::Error>>,
    {
        if let Some(cached) = self.cache_get::<T>(&key).await?.filter(T::is_truthy) {
            return Ok(Some(cached));
        }
        let lock = {
            let mut locks = self.locks.lock().expect("no holder of this lock can panic");
            Arc::clone(locks.entry(key.clone()).or_default())
        };
        let _held = lock.lock().await;
        // Double-check after acquiring lock
        if let Some(cached) = self.cache_get::<T>(&key).await?.filter(T::is_truthy) {
            return Ok(Some(cached));
        }
        let Some(result) = fetch().await? else { return Ok(None) };
        self.set_with_tags(&key, &result, tags(&result)).await?;
        Ok(Some(result))
    }

    async fn set_with_tags<T: Serialize + Sync>(&self, key: &str, value: &T, tags: Vec<String>) -> Result<(), Error> {
        let json = serde_json::to_string(value).expect("places have no keys or numbers that JSON lacks");
        let sets: Vec<String> = tags.iter().map(|tag| format!("tag:{tag}")).collect();
        self.redis.setex_with_tags(key, TTL, json, &sets, TTL + TAG_SLACK).await
    }

    async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let set = format!("tag:{tag}");
        let keys = self.redis.smembers(&set).await?;
        if keys.is_empty() {
            return Ok(());
        }
        let gone: Vec<&str> = keys.iter().map(String::as_str).chain([set.as_str()]).collect();
        self.redis.del(&gone).await
    }
}

impl<R: Redis> Contender for Guide<R> {
    type One = Box<Place>;
    type Many = Vec<Place>;

    async fn place(&self, id: u32) -> Result<Option<Box<Place>>, Error> {
        let fetch = || async move { Ok(self.database.place(id).await?.map(Box::new)) };
        self.get_with_lock(format!("place:{id}"), fetch, |_| Vec::new()).await
    }

    async fn country(&self, code: &str) -> Result<Vec<Place>, Error> {
        let fetch = || async move { self.database.country(code.to_owned()).await.map(Some) };
        let tags = |_: &Vec<Place>| vec![format!("country:{code}")];
        Ok(self.get_with_lock(format!("country:{code}"), fetch, tags).await?.unwrap_or_default())
    }

    async fn search(&self, text: &str) -> Result<Vec<Place>, Error> {
        let fetch = || async move { self.database.search(text.to_owned()).await.map(Some) };
        let tags = |places: &Vec<Place>| {
            let found = places.iter().map(|place| format!("place:{}", place.id));
            found.chain(["searches".to_owned()]).collect()
        };
        Ok(self.get_with_lock(format!("search:{text}"), fetch, tags).await?.unwrap_or_default())
    }

    async fn update(&self, id: u32, change: Change) -> Result<Option<Updated>, Error> {
        let renamed = change.name.is_some();
        let Some(place) = self.database.update(id, change).await? else { return Ok(None) };
        self.redis.del(&[format!("place:{id}").as_str()]).await?;
        self.invalidate_tag(&format!("place:{id}")).await?;
        self.invalidate_tag(&format!("country:{}", place.country)).await?;
        if renamed {
            // A new name may belong into any search.
            self.invalidate_tag("searches").await?;
        }
        Ok(Some(place.into()))
    }

    fn kept(&self) -> Kept {
        let (entries, dead_members) = self.redis.kept().unzip();
        Kept {
            entries: entries.unwrap_or(0),
            locks: Some(self.locks.lock().expect("no holder of this lock can panic").len() as u64),
            dead_members,
        }
    }
}
