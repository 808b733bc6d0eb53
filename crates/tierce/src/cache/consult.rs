//! The store's part in a lookup, before anything is loaded.
//!
//! Who leads a flight asks the store himself, in his own task: a hit costs no task, and his loader is called only when the
//! store has nothing. If he is cancelled meanwhile his flight is given up, and whoever waits looks again. What is found is
//! good if its time is not over and its tags are still at the versions that it was stored with; it goes into memory as
//! what a load brings does, if the flight still stands.

use std::sync::Arc;
use std::time::Duration;

use super::cargo::AnyValue;
use super::core::Accepts;
use super::cycle::Asks;
use super::fill::distinct;
use super::flight::{Flight, Ground, Outcome};
use super::inner::Inner;
use super::lookup::{Before, Boarded, Path, Role};
use super::run::Pledge;
use super::seen::{Seen, Wants};
use super::shelf::{Opened, Shelf};
use super::stamped::Ties;
use super::vault::{New, Spill};
use crate::expiry::Age;
use crate::mutant::{self, Mutant};
use crate::runtime;
use crate::stats::Counters;
use crate::store::Stored;

/// What the store had for a flight.
pub(super) enum Consulted {
    /// A fresh entry, of this age. Its flight has ended with it.
    Found(Age),
    /// A stale entry, which is in memory now; the flight has ended, and who waited for it looks again.
    Stale,
    /// Nothing to serve; the load is told what was seen.
    Nothing(Seen),
}

/// How a lookup that loads nothing asks the store.
pub(super) enum Fetching {
    /// It does not: memory has been filled meanwhile, and the asker has what was found.
    Filled,
    /// For a flight of its own.
    Leads(Arc<Flight>, Seen),
    /// Beside one who asks it, and may load then: that is not waited for.
    Follows(Seen),
}

impl Shelf {
    /// What the store has of a key, and what that says if its tags are at the versions that it has.
    async fn ask(&self, seen: &mut Seen) -> Option<(Stored, Option<Opened>)> {
        let (asked_ms, key) = (self.asked_ms(), &seen.name.key);
        let stored = self.link.ask(&mut seen.budget, |store, within| store.get(key, within)).await.flatten()?;
        let opened = self.standing(seen, &stored, asked_ms).await;
        Some((stored, opened))
    }

    /// What an entry says, if its tags are at the versions that it has. It is known to be good as of the older of the two
    /// answers: believed from the entry's on, it would be served twice as long as its tags' versions are.
    pub(super) async fn standing(&self, seen: &mut Seen, stored: &Stored, asked_ms: u64) -> Option<Opened> {
        let mut opened = self.open(&seen.name, stored, asked_ms)?;
        let tags = self.tags(opened.tags.iter().map(|tag| &**tag));
        let (versions, age) = match seen.wants {
            Wants::Strong if !mutant::on(Mutant::StrongBelievesVersions) => {
                (self.link.versions(&tags, &mut seen.budget).await?, Duration::ZERO)
            }
            _ => self.link.known_versions(&tags, &mut seen.budget).await?,
        };
        let age = if mutant::on(Mutant::VersionsAgeNotCounted) { Duration::ZERO } else { age };
        opened.as_old_as(age, self.asked_ms());
        (versions == opened.versions || mutant::on(Mutant::StoredTagsNotCompared)).then_some(opened)
    }
}

impl Inner {
    /// Keeps a stale entry of the store in memory, if the flight stands.
    fn stock(&self, flight: &Arc<Flight>, opened: Opened) {
        let (value, loaded) = opened.apart();
        let Some(aged) = loaded.aged else { return };
        let named = self.hub.tags.cells(&loaded.tags);
        let tags = distinct(named.iter());
        let times = self.believed(aged.times, aged.asked_ms);
        let ties = Ties { tags: &tags, place: flight.place };
        let new = New { weight: None, ties, began: flight.began, times, cost_us: aged.cost_us };
        self.memory.stock(self, flight, value, new);
    }

    /// Ends a flight with what the store had.
    pub(super) fn land_found(&self, flight: &Arc<Flight>, opened: Opened) {
        let mut out = Spill::default();
        let outcome = self.land_or_panic(flight, opened.into_flight(flight), Duration::ZERO, &mut out);
        flight.publish(outcome);
        self.memory.settle(out);
    }

    /// Asks the store for a flight that the caller leads.
    pub(super) async fn consult(&self, flight: &Arc<Flight>, mut seen: Seen) -> Consulted {
        let Some(shelf) = &self.shelf else { return Consulted::Nothing(seen) };
        if shelf.link.is_untold(&seen.name.key) {
            seen.budget.spend_all();
            return Consulted::Nothing(seen);
        }
        let Some((stored, opened)) = shelf.ask(&mut seen).await else { return Consulted::Nothing(seen) };
        let fits = |opened: &Opened| opened.value.is_some() || seen.accepts == Accepts::Absence;
        let Some(opened) = opened.filter(fits) else {
            seen.stored = Some(stored);
            return Consulted::Nothing(seen);
        };
        let now_ms = self.hub.clock.now_ms();
        let times = opened.aged.times;
        let age = self.ages.judge(now_ms, times, opened.aged.cost_us, &self.hub.random);
        if now_ms < times.fresh_until_ms {
            Counters::bump(&self.counters.store_hits);
            self.land_found(flight, opened);
            return Consulted::Found(age);
        }
        if opened.value.is_none() || now_ms >= times.expiry_ms || seen.wants == Wants::Strong {
            seen.stored = Some(stored);
            return Consulted::Nothing(seen);
        }
        // What memory would not serve even once is no answer to it, and would be asked for again and again.
        if now_ms >= self.believed(opened.aged.times, opened.aged.asked_ms).expiry_ms {
            seen.stored = Some(stored);
            return Consulted::Nothing(seen);
        }
        self.stock(flight, opened);
        if age == Age::Revalidate {
            self.give_up(flight, Outcome::Overtaken);
            return Consulted::Stale;
        }
        seen.stored = Some(stored);
        Consulted::Nothing(seen)
    }

    /// What the store has, fresh, for one who neither leads nor waits; memory does not get it.
    pub(super) async fn read_through(self: Arc<Self>, mut seen: Seen) -> Option<AnyValue> {
        let shelf = self.shelf.as_ref().filter(|shelf| !shelf.link.is_untold(&seen.name.key))?;
        let opened = shelf.ask(&mut seen).await?.1?;
        if self.hub.clock.now_ms() >= opened.aged.times.fresh_until_ms {
            return None;
        }
        Counters::bump(&self.counters.store_hits);
        opened.value
    }

    /// What the store has for a flight that nobody will load: whether it has brought a value.
    pub(super) async fn fetch(self: Arc<Self>, flight: Arc<Flight>, seen: Seen) -> bool {
        // Whoever waits looks again if it ends with nothing, and loads.
        let _pledge = Pledge::new(&self, &flight);
        let Consulted::Found(_) = self.consult(&flight, seen).await else { return false };
        matches!(flight.ended(), Some(Outcome::Landed))
    }
}

impl Path<'_> {
    /// How a lookup that loads nothing asks the store. A load that runs is not waited for.
    pub(super) fn fetching(&mut self) -> Option<Fetching> {
        let (wants, asks, before) = match self.call.strong {
            true => (Wants::Strong, Asks::Anew, Before::Nothing),
            false => (Wants::Fresh, Asks::Store, Before::LookAtMemory),
        };
        self.cache.shelf.as_ref()?;
        let runtime = runtime::for_store();
        let departure = self.departure(&runtime, asks);
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let (flight, role) = match self.board(&departure, &cells, before, Ground::Fore) {
            Boarded::Filled => return self.look_again().map(|_| Fetching::Filled),
            Boarded::Flight(flight, role) => (flight, role),
        };
        if role == Role::Follows && !flight.is_asking() {
            return None;
        }
        let seen = self.cache.unseen(&flight, wants, self.call.accepts);
        match (role, seen) {
            (Role::Leads, Some(seen)) => Some(Fetching::Leads(flight, seen)),
            (Role::Follows, Some(seen)) => Some(Fetching::Follows(seen)),
            (Role::Leads, None) => {
                self.cache.give_up(&flight, Outcome::Abandoned);
                None
            }
            (Role::Follows, None) => None,
        }
    }
}
