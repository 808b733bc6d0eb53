//! Many ids and their store: one question for all before they are loaded. What the store has lands at once and leaves the
//! crew; the loader is asked for the rest.

use std::pin::Pin;
use std::sync::Arc;

use super::fleet::Crew;
use super::flight::Flight;
use super::seats::Sleepers;
use super::shelf::{Opened, Shelf};
use crate::stats::Counters;
use crate::store::{Budget, Name, Stored, Tag};

/// Each with its place among flights.
type Placed<T> = Vec<(usize, T)>;

impl Crew {
    /// Asks the store for all that are here. What it has lands, and leaves.
    pub(super) fn consult(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.ask_store())
    }

    async fn ask_store(&mut self) {
        let cache = Arc::clone(&self.cache);
        let Some(shelf) = cache.shelf.as_ref().filter(|_| self.len() > 0) else { return };
        let mut budget = shelf.link.budget();
        let (stored, opened) = shelf.open_many(self.flights(), &mut budget).await;
        let standing = shelf.standing_many(opened, &mut budget).await;
        let now_ms = cache.hub.clock.now_ms();
        let mut found: Vec<_> = (0..self.len()).map(|_| None).collect();
        for (place, opened) in standing {
            found[place] = Some(opened).filter(|opened| now_ms < opened.aged.times.fresh_until_ms);
        }
        for (place, stored) in stored.into_iter().filter(|(place, _)| found[*place].is_none()) {
            let flight = Arc::clone(&self.flights()[place]);
            self.replaced.put(&flight, stored);
        }
        if found.iter().all(Option::is_none) {
            return;
        }
        self.departure.thin();
        for (flight, opened) in self.leave(found) {
            Counters::bump(&cache.counters.store_hits);
            cache.land_found(&flight, opened);
        }
        // Who waits for several ids sits at one of those that stay.
        let stirred: Vec<Sleepers> = self.flights().iter().map(|flight| flight.stir()).collect();
        stirred.into_iter().for_each(Sleepers::wake);
    }
}

impl Shelf {
    /// What there is of the keys of these flights, each with its place among them; and those that say something.
    async fn open_many(&self, flights: &[Arc<Flight>], budget: &mut Budget) -> (Placed<Stored>, Placed<Opened>) {
        let named = flights.iter().enumerate().filter_map(|(place, flight)| Some((place, flight.name.as_ref()?)));
        let named: Vec<(usize, &Name)> = named.filter(|(_, name)| !self.link.is_untold(&name.key)).collect();
        let keys: Vec<_> = named.iter().map(|(_, name)| name.key.clone()).collect();
        let asked_ms = self.asked_ms();
        let stored = self.link.ask(budget, |store, within| store.get_many(&keys, within)).await.unwrap_or_default();
        let entries = named.iter().zip(stored);
        let stored: Vec<_> = entries.filter_map(|((place, name), stored)| Some((*place, *name, stored?))).collect();
        let open = |(place, name, stored): &(usize, &Name, Stored)| Some((*place, self.open(name, stored, asked_ms)?));
        let opened = stored.iter().filter_map(open).collect();
        (stored.into_iter().map(|(place, _, stored)| (place, stored)).collect(), opened)
    }

    /// What the store has, fresh, of the keys of these flights, for one who neither leads nor waits for them.
    pub(super) async fn read_many(&self, flights: &[Arc<Flight>]) -> Vec<(usize, Opened)> {
        let mut budget = self.link.budget();
        let (_, opened) = self.open_many(flights, &mut budget).await;
        let mut standing = self.standing_many(opened, &mut budget).await;
        let now_ms = self.asked_ms();
        standing.retain(|(_, opened)| now_ms < opened.aged.times.fresh_until_ms);
        standing
    }

    /// Those whose tags are at the versions that they have.
    async fn standing_many(&self, mut opened: Placed<Opened>, budget: &mut Budget) -> Placed<Opened> {
        let all: Vec<Tag> = opened.iter().flat_map(|(_, opened)| self.tags_of(opened)).collect();
        let Some((versions, age)) = self.known_versions_of(all, budget).await else { return Vec::new() };
        let now_ms = self.asked_ms();
        opened.iter_mut().for_each(|(_, opened)| opened.as_old_as(age, now_ms));
        opened.retain(|(_, opened)| {
            let now = self.tags_of(opened).into_iter().map(|tag| versions.get(&tag).copied());
            now.eq(opened.versions.iter().map(|version| Some(*version)))
        });
        opened
    }

    fn tags_of(&self, opened: &Opened) -> Vec<Tag> {
        self.tags(opened.tags.iter().map(|tag| &**tag))
    }
}
