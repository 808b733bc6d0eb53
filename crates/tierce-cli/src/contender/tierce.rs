//! tierce, in front of the same database.
//!
//! Three caches of one hub, with the same ages, keys and tags as the guide's column has. Nothing here guards a load
//! against an invalidation, remembers an absence or keeps callers from loading twice: the caches do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tierce::store::Health;
use tierce::{Cache, CacheBuilder, Explanation, Hub, Kind, LoadError, Loaded, Lookup, Stats};

use super::{Contender, Kept, Updated};
use crate::database::{self, Database};
use crate::error::Error;
use crate::place::{Change, Place};

/// The guide's `ttl: int = 300`, which is tierce's default too.
const TTL: Duration = Duration::from_secs(300);
/// Room for every place of the data set and every absent id of the load: the guide's column has no bound at all.
const PLACES: usize = 30_000;

/// What the service's caches are told beyond the race's: short ages, so that one who looks on for a minute sees them at
/// work, and what to serve while the database is in trouble.
pub(crate) mod served {
    use std::time::Duration;

    pub(crate) const TTL: Duration = Duration::from_secs(15);
    pub(crate) const STALE_WHILE_REVALIDATE: Duration = Duration::from_secs(30);
    pub(crate) const STALE_IF_ERROR: Duration = Duration::from_secs(120);
    pub(crate) const SOFT_TIMEOUT: Duration = Duration::from_millis(250);
    pub(crate) const HARD_TIMEOUT: Duration = Duration::from_secs(2);
    /// Longer than a freeze lasts, so that it ends in answers for those who are still there.
    pub(crate) const LOAD_DEADLINE: Duration = Duration::from_secs(20);
    /// Loads at once, of each cache; many times the connections of the database.
    pub(crate) const LOADS: usize = 64;
}

/// What the caches are told.
#[derive(Clone, Copy)]
enum Settings {
    Race,
    Service,
}

impl Settings {
    fn apply<K: tierce::Key, V: tierce::Value>(self, cache: CacheBuilder<K, V>) -> CacheBuilder<K, V> {
        match self {
            Self::Race => cache.ttl(TTL),
            Self::Service => cache
                .ttl(served::TTL)
                .stale_while_revalidate(served::STALE_WHILE_REVALIDATE)
                .stale_if_error(served::STALE_IF_ERROR)
                .soft_timeout(served::SOFT_TIMEOUT)
                .hard_timeout(served::HARD_TIMEOUT)
                .load_deadline(served::LOAD_DEADLINE)
                .max_concurrent_loads(served::LOADS),
        }
    }
}

/// A hub, its caches, and the database behind them.
pub(crate) struct Tierce {
    database: Arc<Database>,
    hub: Hub,
    places: Cache<u32, Arc<Place>>,
    countries: Cache<String, Arc<[Place]>>,
    searches: Cache<String, Arc<[Place]>>,
}

impl Tierce {
    /// The caches as the race has them.
    pub(crate) fn racing(database: Arc<Database>, hub: Hub) -> Self {
        Self::with(Settings::Race, database, hub)
    }

    /// The caches as the service has them.
    pub(crate) fn serving(database: Arc<Database>, hub: Hub) -> Self {
        Self::with(Settings::Service, database, hub)
    }

    /// Without a store `cache` is what `local_cache` is.
    fn with(settings: Settings, database: Arc<Database>, hub: Hub) -> Self {
        Self {
            places: settings.apply(hub.cache("places").capacity(PLACES)).build(),
            countries: settings.apply(hub.cache("countries")).build(),
            searches: settings.apply(hub.cache("searches")).build(),
            hub,
            database,
        }
    }

    /// Waits until the store is in full use again, but no longer than so; whether it is.
    pub(crate) async fn recovers(&self, within: Duration) -> bool {
        /// Often enough to tell hundredths of a second.
        const LOOKS: Duration = Duration::from_millis(5);
        let back = async {
            // Who does not ask it does not find out: an explanation asks.
            while self.places.explain(&0).await.store.is_some_and(|(_, health)| !is_in_use(&health)) {
                tokio::time::sleep(LOOKS).await;
            }
        };
        tokio::time::timeout(within, back).await.is_ok()
    }

    /// How the store is; `None` without one.
    pub(crate) fn store_health(&self) -> Option<Health> {
        self.hub.store_health()
    }

    /// One place, and how fresh it is.
    pub(crate) async fn look_up_place(&self, id: u32) -> Result<Lookup<Arc<Place>>, Error> {
        let load = |_| {
            let database = Arc::clone(&self.database);
            async move { Ok::<_, database::Error>(Loaded::from(database.place(id).await?.map(Arc::new))) }
        };
        Ok(self.places.entry(&id).load_with(load).await?)
    }

    /// A country's list, and how fresh it is.
    pub(crate) async fn look_up_country(&self, code: &str) -> Result<Lookup<Arc<[Place]>>, Error> {
        let load = |_| {
            let (database, code) = (Arc::clone(&self.database), code.to_owned());
            async move { Ok::<_, database::Error>(Loaded::new(database.country(code).await?.into())) }
        };
        // A tag that is known before the load saves a second one after each of its invalidations.
        Ok(self.countries.entry(code).tags([format!("country:{code}")]).load_with(load).await?)
    }

    /// A search, and how fresh it is. Adds one to `queries` for each query that it sends to the database.
    pub(crate) async fn look_up_search(
        &self,
        text: &str,
        queries: Option<Arc<AtomicU64>>,
    ) -> Result<Lookup<Arc<[Place]>>, Error> {
        let load = |_| {
            let (database, text) = (Arc::clone(&self.database), text.to_owned());
            async move {
                if let Some(queries) = queries {
                    queries.fetch_add(1, Ordering::Relaxed);
                }
                let places: Arc<[Place]> = database.search(text).await?.into();
                // Which places are in the answer is known only now.
                let loaded = Loaded::new(Arc::clone(&places));
                Ok::<_, database::Error>(places.iter().fold(loaded, |loaded, p| loaded.tag(format!("place:{}", p.id))))
            }
        };
        Ok(self.searches.entry(text).tags(["searches"]).load_with(load).await?)
    }

    /// Ends one search.
    pub(crate) async fn invalidate_search(&self, text: &str) -> Result<(), Error> {
        Ok(self.searches.invalidate(text).await?)
    }

    /// Ends whatever has this tag.
    pub(crate) async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        Ok(self.hub.invalidate_tag(tag).await?)
    }

    /// All that is known of a key of the named cache; `None` if there is no such cache, or the key is none of its kind.
    pub(crate) async fn explain(&self, cache: &str, key: &str) -> Option<Explanation> {
        match cache {
            "places" => Some(self.places.explain(&key.parse::<u32>().ok()?).await),
            "countries" => Some(self.countries.explain(key).await),
            "searches" => Some(self.searches.explain(key).await),
            _ => None,
        }
    }

    /// What each cache counts, by name.
    pub(crate) fn stats(&self) -> Vec<(String, Stats)> {
        self.hub.stats()
    }

    /// Waits for loads that still run.
    pub(crate) async fn drain(&self, at_most: Duration) {
        self.hub.drain(at_most).await;
    }
}

impl Contender for Tierce {
    type One = Arc<Place>;
    type Many = Arc<[Place]>;

    async fn place(&self, id: u32) -> Result<Option<Arc<Place>>, Error> {
        Ok(self.look_up_place(id).await?.into_value())
    }

    async fn country(&self, code: &str) -> Result<Arc<[Place]>, Error> {
        Ok(self.look_up_country(code).await?.into_value().unwrap_or_default())
    }

    async fn search(&self, text: &str) -> Result<Arc<[Place]>, Error> {
        Ok(self.look_up_search(text, None).await?.into_value().unwrap_or_default())
    }

    async fn update(&self, id: u32, change: Change) -> Result<Option<Updated>, Error> {
        let Some(place) = self.database.update(id, change.clone()).await? else { return Ok(None) };
        // All of them, whatever becomes of the first.
        let mut untold = self.places.invalidate(&id).await.err();
        for tag in tags_of(&place, &change) {
            let ended = self.hub.invalidate_tag(&tag).await;
            untold = untold.or(ended.err());
        }
        match untold {
            Some(error) if error.kind() != Kind::Store => Err(error.into()),
            untold => Ok(Some(Updated { place, untold })),
        }
    }

    fn kept(&self) -> Kept {
        Kept { entries: self.stats().iter().map(|(_, stats)| stats.len).sum(), ..Kept::default() }
    }
}

/// Whether lookups ask the store, and memory is believed for as long as it may be.
fn is_in_use(health: &Health) -> bool {
    !health.is_away && (health.is_coherent || !health.tells)
}

/// The tags that end when a place has changed.
pub(crate) fn tags_of(place: &Place, change: &Change) -> Vec<String> {
    let mut tags = vec![format!("place:{}", place.id), format!("country:{}", place.country)];
    if change.name.is_some() {
        // A new name may belong into any search.
        tags.push("searches".to_owned());
    }
    tags
}

impl From<LoadError<database::Error>> for Error {
    fn from(source: LoadError<database::Error>) -> Self {
        Self::Cache(source.to_string())
    }
}

impl From<tierce::Error> for Error {
    fn from(source: tierce::Error) -> Self {
        Self::Cache(source.to_string())
    }
}
