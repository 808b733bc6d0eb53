//! tierce, in front of the same database.
//!
//! Three caches of one hub, with the same ages, keys and tags as the guide's column has. Nothing here guards a load
//! against an invalidation, remembers an absence or keeps callers from loading twice: the caches do.

use std::sync::Arc;
use std::time::Duration;

use tierce::{Cache, Hub, LoadError, Loaded, Stats};

use super::{Contender, Kept};
use crate::database::{self, Database};
use crate::error::Error;
use crate::place::{Change, Place};

/// The guide's `ttl: int = 300`, which is tierce's default too.
const TTL: Duration = Duration::from_secs(300);
/// Room for every place of the data set and every absent id of the load: the guide's column has no bound at all.
const PLACES: usize = 30_000;

/// A hub, its caches, and the database behind them.
pub(crate) struct Tierce {
    database: Arc<Database>,
    hub: Hub,
    places: Cache<u32, Arc<Place>>,
    countries: Cache<String, Arc<[Place]>>,
    searches: Cache<String, Arc<[Place]>>,
}

impl Tierce {
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

    fn new(database: Arc<Database>) -> Self {
        let hub = Hub::embedded();
        Self {
            places: hub.local_cache("places").capacity(PLACES).ttl(TTL).build(),
            countries: hub.local_cache("countries").ttl(TTL).build(),
            searches: hub.local_cache("searches").ttl(TTL).build(),
            hub,
            database,
        }
    }

    async fn place(&self, id: u32) -> Result<Option<Arc<Place>>, Error> {
        let load = || {
            let database = Arc::clone(&self.database);
            async move { Ok(database.place(id).await?.map(Arc::new)) }
        };
        Ok(self.places.find_or_load(&id, load).await?)
    }

    async fn country(&self, code: &str) -> Result<Arc<[Place]>, Error> {
        let load = |_| {
            let (database, code) = (Arc::clone(&self.database), code.to_owned());
            async move {
                let tag = format!("country:{code}");
                Ok::<_, database::Error>(Loaded::new(database.country(code).await?.into()).tag(tag))
            }
        };
        let found = self.countries.entry(code).load_with(load).await?;
        Ok(found.into_value().unwrap_or_default())
    }

    async fn search(&self, text: &str) -> Result<Arc<[Place]>, Error> {
        let load = |_| {
            let (database, text) = (Arc::clone(&self.database), text.to_owned());
            async move {
                let places: Arc<[Place]> = database.search(text).await?.into();
                // Which places are in the answer is known only now.
                let loaded = Loaded::new(Arc::clone(&places)).tag("searches");
                Ok::<_, database::Error>(places.iter().fold(loaded, |loaded, p| loaded.tag(format!("place:{}", p.id))))
            }
        };
        let found = self.searches.entry(text).load_with(load).await?;
        Ok(found.into_value().unwrap_or_default())
    }

    async fn update(&self, id: u32, change: Change) -> Result<Option<Place>, Error> {
        let renamed = change.name.is_some();
        let Some(place) = self.database.update(id, change).await? else { return Ok(None) };
        self.places.invalidate(&id).await?;
        self.hub.invalidate_tag(&format!("place:{id}")).await?;
        self.hub.invalidate_tag(&format!("country:{}", place.country)).await?;
        if renamed {
            // A new name may belong into any search.
            self.hub.invalidate_tag("searches").await?;
        }
        Ok(Some(place))
    }

    fn kept(&self) -> Kept {
        Kept { entries: self.stats().iter().map(|(_, stats)| stats.len).sum(), ..Kept::default() }
    }
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
