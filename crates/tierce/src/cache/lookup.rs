//! The steps of a lookup: to board a flight, to take off, what follows from how it ended. `trip.rs` goes them for one key,
//! `rounds.rs` for many.
//!
//! Nothing here knows the types of a cache's keys and values: a lookup's own end does ([`Asked`]), which keeps what was
//! found for it.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Freshness;
use super::asked::{Asked, Failure};
use super::core::{Accepts, Because, Limits, Sight};
use super::cycle::Asks;
use super::flight::{Boarding, Departure, Fleet, Flight, Ground, Outcome};
use super::inner::Inner;
use super::leased::leased;
use super::load::Bare;
use super::run::{GRACE, Guard, LoadFuture, Pledge, land_one, run};
use super::seen::{Seen, Wants};
use super::vault::Spill;
use super::wait::{Refused, Waiter};
use crate::error::LoadError;
use crate::expiry::Age;
use crate::mutant::{self, Mutant};
use crate::runtime::Runtime;
use crate::stats::Counters;
use crate::tag::{self, Cell};

/// What a lookup found: the value or its known absence, and how fresh.
pub(crate) struct Served<V> {
    pub(crate) value: Option<V>,
    pub(crate) freshness: Freshness,
}

/// What one call says beyond its key.
#[derive(Clone, Default)]
pub(crate) struct Call {
    pub(crate) tags: Vec<Arc<str>>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) accepts: Accepts,
    pub(crate) on_failure: OnFailure,
    /// Whether memory is passed by, and the store asked what it has now.
    pub(crate) strong: bool,
    /// What is put around a load's future.
    pub(crate) around: Option<fn(LoadFuture<Bare>) -> LoadFuture<Bare>>,
}

impl Call {
    /// Adds tags.
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub(crate) fn tag<T: Into<Arc<str>>>(&mut self, tags: impl IntoIterator<Item = T>) {
        for name in tags {
            let name = name.into();
            tag::check(&name, "tags").unwrap_or_else(|error| panic!("{error}"));
            self.tags.push(name);
        }
    }
}

/// What to do when there is no new value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Serve a stale one where the cache allows it.
    #[default]
    Stale,
    /// Tell the caller.
    Error,
}

/// Where a lookup that has to load stands.
pub(super) enum Boarded {
    /// Memory was filled in between.
    Filled,
    /// This flight will bring the value.
    Flight(Arc<Flight>, Role),
}

/// What to make sure of before a new flight takes off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    LookAtMemory,
    Nothing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Leads,
    Follows,
}

/// What to do with what memory had.
pub(super) enum Step {
    Serve(Freshness),
    /// … and load behind the caller.
    ServeAndRefresh(Freshness, Before),
    Load,
}

impl Step {
    pub(super) fn of(age: Option<Age>) -> Self {
        match age {
            Some(Age::Fresh) => Step::Serve(Freshness::Fresh),
            Some(Age::Throttled) => Step::Serve(Freshness::Stale),
            Some(Age::Early) => Step::ServeAndRefresh(Freshness::Fresh, Before::Nothing),
            Some(Age::Revalidate) if mutant::on(Mutant::StaleCalledFresh) => Step::Serve(Freshness::Fresh),
            Some(Age::Revalidate) => Step::ServeAndRefresh(Freshness::Stale, Before::LookAtMemory),
            Some(Age::OnError) | None => Step::Load,
        }
    }
}

/// One lookup, at one of its steps.
pub(super) struct Path<'a> {
    pub(super) cache: &'a Arc<Inner>,
    pub(super) asked: &'a mut dyn Asked,
    pub(super) call: &'a Call,
}

impl Call {
    pub(super) fn limits(&self, cache: &Inner) -> Limits {
        let limits = cache.limits;
        Limits { hard: self.timeout.or(limits.hard), ..limits }
    }

    pub(super) fn accepts(&self, is_value: bool) -> bool {
        is_value || self.accepts == Accepts::Absence
    }
}

impl Path<'_> {
    /// Another look at memory, by a lookup that has been counted as a miss; a stale value that it finds is counted.
    pub(super) fn look_again(&mut self) -> Option<Sight<()>> {
        let sight = self.asked.glance().filter(|sight| self.call.accepts(sight.value.is_some()))?;
        if matches!(sight.age, Age::Revalidate | Age::Throttled) {
            Counters::bump(&self.cache.counters.stale_served);
        }
        Some(sight)
    }

    /// A load of this key alone, should it have to begin.
    pub(super) fn departure(&self, runtime: &Arc<dyn Runtime>, asks: Asks) -> Departure {
        self.cache.flights.departure(self.cache.hub.clock.precise(), Arc::clone(runtime), asks)
    }

    /// Joins the flight of this key, or puts a new one in the table.
    ///
    /// A load that ended between our look at memory and our lock on the table has filled by now, for its fill and its
    /// leaving the table are one step: hence the second look, under the lock, before a second load.
    pub(super) fn board(&self, departure: &Departure, cells: &[Arc<Cell>], before: Before, ground: Ground) -> Boarded {
        // Made before the lock, and thrown away if there is somebody to join: the key's clone is foreign code, and the
        // epoch must be older than the loader's call.
        let began = self.cache.hub.tags.epoch();
        let hash = self.asked.hash();
        let new = self.asked.flight(Boarding { hash, began, ground, tags: cells, departure });
        let mut out = Spill::default();
        let mut slice = self.cache.flights.lock(hash);
        let mut passed_by = None;
        if let Some(flight) = slice.find(self.asked.key()) {
            if self.cache.joinable(flight, cells) {
                return Boarded::Flight(Arc::clone(flight), Role::Follows);
            }
            if self.cache.stands_still(flight).is_none() {
                // Those who wait for it may yet see what it brings, so what is older must not be seen after.
                self.asked.take(&mut out);
            }
            passed_by = slice.detach(self.asked.key());
        } else if before == Before::LookAtMemory && self.asked.has_fresh(self.call.accepts) {
            return Boarded::Filled;
        }
        slice.insert(Arc::clone(&new));
        drop(slice);
        // Listeners, and drops of keys and values.
        let pledge = Pledge::new(self.cache, &new);
        self.cache.memory.settle(out);
        if let Some(flight) = passed_by
            && let Some(outcome) = self.cache.stands_still(&flight)
        {
            self.cache.give_up(&flight, outcome);
        }
        pledge.kept();
        Boarded::Flight(new, Role::Leads)
    }

    /// Calls the loader and spawns the load. No lock is held.
    pub(super) fn take_off(&mut self, flight: &Arc<Flight>, seen: Option<Seen>) {
        let fleet = Fleet::One(Arc::clone(flight));
        let pledge = Pledge::new(self.cache, flight);
        let place = self.cache.place(flight);
        pledge.kept();
        let Ok(place) = place else { return self.cache.turn_away(&fleet) };
        let guard = Guard::take_off(self.cache, fleet, (place, seen.is_some()));
        let (load, kept_tags) = self.asked.begin(flight, self.call.ttl);
        let load = load.map(|load| -> LoadFuture<_> {
            let load = match self.call.around {
                Some(around) => around(load),
                None => load,
            };
            match seen {
                Some(seen) => Box::pin(leased(Arc::clone(self.cache), Arc::clone(flight), seen, kept_tags, load)),
                None => load,
            }
        });
        flight.node.runtime.spawn(Box::pin(run(guard, load, land_one)));
    }

    /// Starts a load that nobody waits for, unless one runs or has just failed, or the hub is draining.
    pub(super) fn refresh_behind(&mut self, runtime: &Arc<dyn Runtime>, cells: &[Arc<Cell>], before: Before) {
        if !self.asked.can_load() || !self.may_refresh_behind() {
            return;
        }
        let departure = self.departure(runtime, Asks::Nothing);
        let Boarded::Flight(flight, Role::Leads) = self.board(&departure, cells, before, Ground::Back) else { return };
        let cache = Arc::clone(self.cache);
        // Only now, since most find a load that runs: the count has a lock that all caches of the hub share.
        match cache.hub.running.behind() {
            Some(_until_it_counts_itself) => {
                let seen = self.cache.unseen(&flight, Wants::NotEarly, self.call.accepts);
                self.take_off(&flight, seen);
            }
            None => self.cache.give_up(&flight, Outcome::Abandoned),
        }
    }

    pub(super) fn may_refresh_behind(&self) -> bool {
        !self.cache.hub.running.draining() && !self.cache.holds_back(self.asked.hash())
    }

    /// What follows for this caller from how a flight ended.
    pub(super) fn next(&mut self, flight: &Flight, outcome: Outcome, arrived: u64) -> Next {
        match outcome {
            Outcome::Landed => {
                let landed = flight.landed();
                let overtaken = self.cache.overtaken(flight, &landed.tags);
                let came_later = arrived > flight.began;
                if overtaken && came_later && !mutant::on(Mutant::NotLookedAgain) {
                    return Next::LookAgain;
                }
                if !self.call.accepts(!landed.is_absence) {
                    return Next::LookAgain;
                }
                self.asked.collect(flight);
                Next::Return(Ok(Freshness::Loaded))
            }
            Outcome::Failed(_) if mutant::on(Mutant::ErrorRetriedByWaiters) => Next::LookAgain,
            Outcome::Failed(error) if self.asked.knows(&error) => {
                Next::Return(self.stale_or(Outcome::Failed(Arc::clone(&error)), Failure::Load(error)))
            }
            Outcome::Failed(_of_another_type) => Next::LookAgain,
            Outcome::Panicked(message) => {
                let error = LoadError::Panicked(Arc::clone(&message));
                Next::Return(self.stale_or(Outcome::Panicked(message), error.into()))
            }
            Outcome::Timeout => Next::Return(self.stale_or(Outcome::Timeout, LoadError::Timeout.into())),
            Outcome::Busy => Next::Return(self.stale_or(Outcome::Busy, LoadError::Busy.into())),
            Outcome::Abandoned | Outcome::Overtaken => Next::LookAgain,
        }
    }

    /// A stale value instead of an error, if there is one *now* and the error is one that may be covered up.
    pub(super) fn stale_or(&mut self, outcome: Outcome, error: Failure) -> Result<Freshness, Failure> {
        let covered = self.call.on_failure == OnFailure::Stale && self.cache.tolerated(&outcome);
        covered.then(|| self.stale(Because::Failed)).flatten().ok_or(error)
    }

    pub(super) fn stale(&mut self, because: Because) -> Option<Freshness> {
        self.asked.stale(because).filter(|sight| self.call.accepts(sight.value.is_some()))?;
        Counters::bump(&self.cache.counters.stale_served);
        Some(Freshness::Stale)
    }
}

impl Inner {
    /// What is known of the store before it is asked for a flight; `None` without one.
    pub(super) fn unseen(&self, flight: &Flight, wants: Wants, accepts: Accepts) -> Option<Seen> {
        let shelf = self.shelf.as_ref()?;
        let Some(name) = flight.name.clone() else {
            // It has no stable text, so its entries stay in this process.
            Counters::bump(&self.counters.unshared);
            return None;
        };
        Some(Seen { name, stored: None, budget: shelf.link.budget(), wants, accepts })
    }

    pub(super) fn asks(&self) -> Asks {
        if self.shelf.is_some() { Asks::Store } else { Asks::Nothing }
    }

    /// Whether what this flight brings may be served to a caller who comes now.
    fn joinable(&self, flight: &Flight, cells: &[Arc<Cell>]) -> bool {
        // Who asks inside that very load is told of the circle: another flight beside it would wait for its lease.
        if self.shelf.is_some() && flight.node.is_polled_here() && flight.node.runtime.alive() {
            return true;
        }
        let across_purge = self.purged_since(flight.began) && !mutant::on(Mutant::JoinedAcrossPurge);
        let by_tags = cells.iter().chain(&flight.tags).any(|cell| cell.changed_since(flight.began));
        let elsewhere = self.changed_elsewhere(flight);
        let too_old = self.too_old_to_join(flight);
        let alive = self.stands_still(flight).is_none() || mutant::on(Mutant::DeadRuntimeJoined);
        !across_purge && !elsewhere && !too_old && (!by_tags || mutant::on(Mutant::NotLookedAgain)) && alive
    }

    /// A seat among those who wait for a flight.
    pub(super) fn sit(&self, flight: &Arc<Flight>, role: Role, runtime: &Arc<dyn Runtime>) -> Result<Waiter, Failure> {
        let at_most = self.time_left(flight).max(GRACE);
        Waiter::new(Arc::clone(flight), Arc::clone(runtime), at_most).map_err(|refused| {
            // The load would be told the same when it is polled, which may be never: others need not wait for that.
            if let (Role::Leads, Refused::NoTimer(why)) = (role, &refused) {
                self.give_up(flight, Outcome::Panicked(Arc::clone(why)));
            }
            refused.error().into()
        })
    }
}

/// What follows from a wait.
pub(super) enum Next {
    Return(Result<Freshness, Failure>),
    LookAgain,
}
