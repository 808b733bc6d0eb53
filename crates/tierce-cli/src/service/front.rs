//! The caches as the service asks them: every lookup is timed, and says how it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tierce::{Freshness, Lookup};

use super::meter::{Meter, Outcome};
use crate::clock;
use crate::contender::{Contender, Tierce, Updated, tags_of};
use crate::error::Error;
use crate::load::{Load, Request};
use crate::place::{Change, Place};

/// What a lookup gave, how, and in what time.
pub(super) struct Answer<T> {
    pub(super) value: T,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

/// The caches and their meter.
pub(super) struct Front {
    pub(super) tierce: Tierce,
    pub(super) meter: Meter,
    /// Invalidations of tags so far.
    tags: AtomicU64,
}

impl Front {
    pub(super) fn new(tierce: Tierce) -> Self {
        Self { tierce, meter: Meter::new(), tags: AtomicU64::new(0) }
    }

    /// One place by its id; `None` if there is none.
    pub(super) async fn place(&self, id: u32) -> Result<Answer<Option<Arc<Place>>>, Error> {
        self.timed("places", || id.to_string(), self.tierce.look_up_place(id)).await
    }

    /// The most populous places of a country.
    pub(super) async fn country(&self, code: &str) -> Result<Answer<Arc<[Place]>>, Error> {
        let answer = self.timed("countries", || code.to_owned(), self.tierce.look_up_country(code)).await?;
        Ok(listed(answer))
    }

    /// The places named most like `text`; `queries` counts those that this very call sends.
    pub(super) async fn search(
        &self,
        text: &str,
        queries: Option<Arc<AtomicU64>>,
    ) -> Result<Answer<Arc<[Place]>>, Error> {
        let answer = self.timed("searches", || text.to_owned(), self.tierce.look_up_search(text, queries)).await?;
        Ok(listed(answer))
    }

    /// One request of a load; what it gives is dropped, as the meter has noted how it ended.
    pub(super) async fn ask(&self, load: &Load, request: Request) {
        match request {
            Request::Place(id) => drop(self.place(id).await),
            Request::Country(at) => drop(self.country(&load.countries[usize::from(at)]).await),
            Request::Search(at) => drop(self.search(&load.searches[usize::from(at)], None).await),
        }
    }

    /// Updates a place and invalidates what may hold it; `None` if there is none of that id.
    ///
    /// In a task of its own: an asker who leaves must not come between the update and the invalidation after it.
    pub(super) async fn update(self: &Arc<Self>, id: u32, change: Change) -> Result<Option<Updated>, Error> {
        let front = Arc::clone(self);
        let update = async move {
            let updated = front.tierce.update(id, change.clone()).await?;
            let ended = updated.as_ref().map_or(0, |updated| tags_of(&updated.place, &change).len());
            front.tags.fetch_add(ended as u64, Ordering::Relaxed);
            Ok(updated)
        };
        // It is cut off only where the runtime ends.
        tokio::spawn(update).await.unwrap_or_else(|_| Err(Error::Cache("the service has ended".to_owned())))
    }

    /// Ends whatever has this tag.
    pub(super) async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        self.tierce.invalidate_tag(tag).await?;
        self.tags.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// How often a tag was invalidated so far.
    pub(super) fn tags_invalidated(&self) -> u64 {
        self.tags.load(Ordering::Relaxed)
    }

    async fn timed<V>(
        &self,
        cache: &'static str,
        key: impl FnOnce() -> String,
        lookup: impl Future<Output = Result<Lookup<V>, Error>>,
    ) -> Result<Answer<Option<V>>, Error> {
        let began = clock::now();
        let found = lookup.await;
        let took = clock::since(began);
        let outcome = match found.as_ref().ok().and_then(Lookup::freshness) {
            Some(Freshness::Fresh) => Outcome::Hit,
            Some(Freshness::Stale) => Outcome::Stale,
            Some(_) => Outcome::Miss,
            None => Outcome::Failed,
        };
        self.meter.note(cache, key(), outcome, took);
        Ok(Answer { value: found?.into_value(), outcome, took })
    }
}

/// A list that is not there is empty.
fn listed(answer: Answer<Option<Arc<[Place]>>>) -> Answer<Arc<[Place]>> {
    Answer { value: answer.value.unwrap_or_default(), outcome: answer.outcome, took: answer.took }
}
