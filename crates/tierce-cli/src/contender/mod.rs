//! The three ways to answer the same requests from the same database.

mod bare;
mod guide;
mod redis;
mod remote;
mod tierce;

use std::future::Future;
use std::ops::Deref;

pub(crate) use self::tierce::{Tierce, served, tags_of};
pub(crate) use bare::Bare;
pub(crate) use guide::Guide;
pub(crate) use redis::Dictionary;
pub(crate) use remote::Remote;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::place::{Change, Place};

/// A way to answer requests. The race drives all of them with the same code.
pub(crate) trait Contender: Send + Sync + Sized + 'static {
    /// A place as this contender hands it out: shared, or a copy of its own.
    type One: Deref<Target = Place> + Send;
    /// A list, likewise.
    type Many: Deref<Target = [Place]> + Send;

    /// One place by its id.
    fn place(&self, id: u32) -> impl Future<Output = Result<Option<Self::One>, Error>> + Send;

    /// The most populous places of a country.
    fn country(&self, code: &str) -> impl Future<Output = Result<Self::Many, Error>> + Send;

    /// The places named most like `text`.
    fn search(&self, text: &str) -> impl Future<Output = Result<Self::Many, Error>> + Send;

    /// Updates a place and then invalidates what may hold it; `None` if there is none of that id.
    fn update(&self, id: u32, change: Change) -> impl Future<Output = Result<Option<Updated>, Error>> + Send;

    /// What it keeps at this moment.
    fn kept(&self) -> Kept;
}

/// A place as it is after an update.
pub(crate) struct Updated {
    pub(crate) place: Place,
    /// What was wrong, where an invalidation after it could not be told to the store, and will be later.
    pub(crate) untold: Option<::tierce::Error>,
}

impl From<Place> for Updated {
    fn from(place: Place) -> Self {
        Self { place, untold: None }
    }
}

/// What a contender keeps.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Entries with a value.
    pub(crate) entries: u64,
    /// Locks in the dictionary of locks, where there is one.
    pub(crate) locks: Option<u64>,
    /// Members of tag sets whose entry is gone, where there are tag sets.
    pub(crate) dead_members: Option<u64>,
}

impl Kept {
    /// What another process keeps as well.
    pub(crate) fn merge(&mut self, other: Self) {
        let both = |mine: Option<u64>, other: Option<u64>| mine.map_or(other, |mine| Some(mine + other.unwrap_or(0)));
        self.entries += other.entries;
        self.locks = both(self.locks, other.locks);
        self.dead_members = both(self.dead_members, other.dead_members);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::tierce::Hub;

    use super::*;
    use crate::database::{Database, Template};
    use crate::dataset;
    use crate::load::ABSENT;

    const TEXT: &str = "san fransico";
    /// San Francisco, which the text finds.
    const ID: u32 = 5_391_959;
    /// A search takes milliseconds and an update less, so that nearly every try is a race.
    const TRIES: u32 = 20;

    fn database() -> (Template, Arc<Database>) {
        let template = Template::new(&dataset::places()).unwrap();
        let database = Arc::new(template.copy("test").unwrap());
        (template, database)
    }

    async fn update(contender: &impl Contender, population: u32) -> u32 {
        let change = Change { name: None, population: Some(population) };
        contender.update(ID, change).await.unwrap().expect("the place exists").place.version
    }

    async fn version_found(contender: &impl Contender) -> u32 {
        let found = contender.search(TEXT).await.unwrap();
        found.iter().find(|place| place.id == ID).expect("the text finds it").version
    }

    /// Updates a place while a search that finds it is being loaded, then searches again: whether that search, which
    /// began after the invalidation, ever got the older row.
    async fn is_ever_stale(contender: impl Contender) -> bool {
        for number in 0..TRIES {
            // Empties the cache of the search, whose load then runs beside the next update.
            update(&contender, number).await;
            let (_, newest) = tokio::join!(version_found(&contender), update(&contender, number));
            if version_found(&contender).await < newest {
                return true;
            }
        }
        false
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn only_the_guide_keeps_what_was_read_before_an_update() {
        let (_folder, database) = database();
        assert!(is_ever_stale(Guide::new(Arc::clone(&database), Dictionary::default())).await);
        assert!(!is_ever_stale(Tierce::racing(Arc::clone(&database), Hub::embedded())).await);
        assert!(!is_ever_stale(Bare::new(database)).await);
    }

    /// How many queries two lookups of an absent place and two fruitless searches take, and what is kept after them.
    async fn asked_for_nothing(database: &Arc<Database>, contender: impl Contender) -> (u64, Kept) {
        let before = database.queries();
        for _ in 0..2 {
            assert!(contender.place(ABSENT).await.unwrap().is_none());
            assert!(contender.search("qxzvwjkqx").await.unwrap().is_empty());
        }
        ((database.queries() - before).reads(), contender.kept())
    }

    #[tokio::test]
    async fn only_tierce_remembers_that_there_is_nothing() {
        let (_folder, database) = database();
        let bare = Bare::new(Arc::clone(&database));
        assert_eq!(asked_for_nothing(&database, bare).await.0, 4);
        let guide = Guide::new(Arc::clone(&database), Dictionary::default());
        let (queries, kept) = asked_for_nothing(&database, guide).await;
        assert_eq!((queries, kept.locks), (4, Some(2)));
        let tierce = Tierce::racing(Arc::clone(&database), Hub::embedded());
        assert_eq!(asked_for_nothing(&database, tierce).await.0, 2);
    }
}
