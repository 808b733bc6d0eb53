//! The path of one lookup, top to bottom.
//!
//! ```text
//! memory ── fresh ───────────────────────────────▶ value            (no await, no allocation)
//!   │  ╰─── stale, to be revalidated ── load behind ▶ stale value
//! flight ── somebody is loading ── wait ──────────▶ value
//!   │ we are first; look in memory again
//! loader ── runs detached from its first caller
//!   │
//! fill   ── only if the flight and the tags still stand (`fill.rs`) ── memory ─▶ value
//! ```
//!
//! Every way to wait ends here in one of three ways: a value, an error, or another look. Another look is taken when
//! what was waited for says nothing about *this* caller's moment: the load's runtime died, its error is of a type the
//! caller does not know, or a tag of its result was invalidated after it began and perhaps before the caller came.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::answer::Freshness;
use super::cycle::Asks;
use super::flight::{AnyError, Departure, Fleet, Flight, Ground, Outcome};
use super::inner::{Accepts, Because, Fallout, Inner, Limits, Sight};
use super::leased::leased;
use super::load::{Load, Loaded, Stale};
use super::run::{GRACE, Guard, LoadFuture, Pledge, land_one, run};
use super::seen::{First, Seen, Wants};
use super::wait::{Patience, Refused, Waited, Waiter};
use crate::error::LoadError;
use crate::expiry::Age;
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::runtime::{self, Runtime};
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
}

impl Call {
    /// Adds tags.
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub(super) fn tag<T: Into<Arc<str>>>(&mut self, tags: impl IntoIterator<Item = T>) {
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
pub(super) enum Boarded<K, V> {
    /// Memory was filled in between.
    Filled,
    /// This flight will bring the value.
    Flight(Arc<Flight<K, V>>, Role),
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

/// One lookup on its way.
pub(super) struct Path<'a, K: Key, V: Value, Q: ?Sized> {
    pub(super) cache: &'a Arc<Inner<K, V>>,
    pub(super) key: &'a Q,
    pub(super) call: &'a Call,
}

impl<K: Key, V: Value, Q: ToKey<K> + ?Sized> Path<'_, K, V, Q> {
    /// The whole path, for lookups that did not find a fresh value at once.
    ///
    /// `first` is what memory had, counted already.
    pub(super) async fn get_or_load<L, F, E>(self, first: Option<Sight<V>>, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let runtime = runtime::current();
        let mut patience = Patience::new(&*runtime, self.limits()).map_err(LoadError::Panicked)?;
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let mut load = Some(load);
        let mut next = first;
        loop {
            let sight = next.take().filter(|sight| self.accepts(sight.value.as_ref()));
            match Step::of(sight.as_ref().map(|sight| sight.age)) {
                Step::Serve(freshness) => return Ok(served(sight, freshness)),
                Step::ServeAndRefresh(freshness, before) => {
                    self.refresh_behind(&runtime, &cells, before, load.take());
                    return Ok(served(sight, freshness));
                }
                Step::Load => {}
            }
            // From here on the epoch is noted: what was invalidated before it must not be served.
            let arrived = self.cache.hub.tags.epoch();
            let Boarded::Flight(flight, role) =
                self.board(&self.departure(&runtime, self.asks()), &cells, Before::LookAtMemory, Ground::Fore)
            else {
                next = self.look_again();
                continue;
            };
            if role == Role::Leads {
                if let Some(error) = self.lead((&flight, &cells), Wants::Fresh, &mut patience, &mut load).await {
                    return error;
                }
            } else {
                Counters::bump(&self.cache.counters.coalesced);
            }
            let _owned = (role == Role::Leads && mutant::on(Mutant::GuardOwnedByCaller))
                .then(|| Guard::new(self.cache, Fleet::One(Arc::clone(&flight))));
            let mut waiter = self.sit(flight, role, &runtime)?;
            match self.wait(&mut waiter, &mut patience, arrived).await {
                Next::Return(result) => return result,
                Next::LookAgain if load.is_none() => return Err(LoadError::Abandoned),
                Next::LookAgain => next = self.look_again(),
            }
        }
    }

    /// Asks the store for a flight that this lookup leads, and loads where it has nothing. Gives what the caller gets if
    /// he need not wait for the flight.
    pub(super) async fn lead<L, F, E>(
        &self,
        (flight, cells): (&Arc<Flight<K, V>>, &[Arc<Cell>]),
        wants: Wants,
        patience: &mut Patience,
        load: &mut Option<L>,
    ) -> Option<Result<Served<V>, LoadError<E>>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if load.is_none() {
            self.cache.give_up(flight, Outcome::Abandoned);
            return Some(Err(LoadError::Abandoned));
        }
        let first = match self.cache.unseen(self.key, wants) {
            // Boxed, so that lookups without a store are not larger for it.
            Some(seen) => Box::pin(self.ask_first(flight, seen, patience)).await,
            None => First::Load(None),
        };
        match first {
            First::Found => {}
            First::Early => self.refresh_behind(&flight.node.runtime, cells, Before::Nothing, load.take()),
            First::TooLate => return Some(self.stale_or(Outcome::Timeout, LoadError::Timeout)),
            First::Load(seen) | First::Late(seen) => {
                // Otherwise others took this lookup for lost meanwhile, and the flight is over.
                if flight.takes_off()
                    && let Some(load) = load.take()
                {
                    self.take_off(flight, seen, load);
                }
            }
        }
        None
    }

    /// A load now, whatever memory holds: for `refresh`. Joins only loads that began after the call.
    pub(super) async fn refresh<L, F, E>(self, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let runtime = runtime::current();
        let limits = Limits { soft: None, ..self.limits() };
        let mut patience = Patience::new(&*runtime, limits).map_err(LoadError::Panicked)?;
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let called = self.cache.flights.ticket();
        let mut load = Some(load);
        loop {
            let arrived = self.cache.hub.tags.epoch();
            let boarded = self.board(&self.departure(&runtime, Asks::Nothing), &cells, Before::Nothing, Ground::Fore);
            let Boarded::Flight(flight, role) = boarded else { continue };
            let ours = flight.node.ticket > called || mutant::on(Mutant::RefreshJoinsOlder);
            if role == Role::Leads {
                let Some(load) = load.take() else { return Err(LoadError::Abandoned) };
                self.take_off(&flight, self.cache.unseen(self.key, Wants::Anew), load);
            }
            let mut waiter = self.sit(flight, role, &runtime)?;
            match self.wait(&mut waiter, &mut patience, arrived).await {
                Next::Return(result) if ours => return result,
                Next::Return(Err(LoadError::Timeout)) if patience.is_over() => return Err(LoadError::Timeout),
                // An older load: what it brought may be from before the call.
                Next::Return(_) => {}
                Next::LookAgain if load.is_none() => return Err(LoadError::Abandoned),
                Next::LookAgain => {}
            }
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let limits = self.cache.limits;
        Limits { hard: self.call.timeout.or(limits.hard), ..limits }
    }

    pub(super) fn accepts(&self, value: Option<&V>) -> bool {
        value.is_some() || self.call.accepts == Accepts::Absence
    }

    /// Another look at memory, by a lookup that has been counted as a miss; a stale value that it finds is counted.
    pub(super) fn look_again(&self) -> Option<Sight<V>> {
        let sight = self.cache.glance(self.key).filter(|sight| self.accepts(sight.value.as_ref()))?;
        if matches!(sight.age, Age::Revalidate | Age::Throttled) {
            Counters::bump(&self.cache.counters.stale_served);
        }
        Some(sight)
    }

    fn asks(&self) -> Asks {
        if self.cache.shelf.is_some() { Asks::Store } else { Asks::Nothing }
    }

    /// A load of this key alone, should it have to begin.
    pub(super) fn departure(&self, runtime: &Arc<dyn Runtime>, asks: Asks) -> Departure {
        self.cache.flights.departure(self.cache.hub.clock.precise(), Arc::clone(runtime), asks)
    }

    /// Joins the flight of this key, or puts a new one in the table.
    ///
    /// A load that ended between our look at memory and our lock on the table has filled by now, for its fill and its
    /// leaving the table are one step: hence the second look, under the lock, before a second load.
    pub(super) fn board(
        &self,
        departure: &Departure,
        cells: &[Arc<Cell>],
        before: Before,
        ground: Ground,
    ) -> Boarded<K, V> {
        // Made before the lock, and thrown away if there is somebody to join: the key's clone is foreign code, and the
        // epoch must be older than the loader's call.
        let began = self.cache.hub.tags.epoch();
        let hash = self.cache.memory.hash(self.key);
        let new = (self.key.to_key(), hash, self.cache.mark_place(self.key));
        let new = self.cache.flights.flight(new, began, ground, cells.into(), departure);
        let mut out = Fallout::new();
        let mut slice = self.cache.flights.lock(hash);
        let mut passed_by = None;
        if let Some(flight) = slice.find(self.key) {
            if self.joinable(flight, cells) {
                return Boarded::Flight(Arc::clone(flight), Role::Follows);
            }
            if self.cache.stands_still(flight).is_none() {
                // Those who wait for it may yet see what it brings, so what is older must not be seen after.
                self.cache.memory.take(self.key, &mut out);
            }
            passed_by = slice.detach(self.key);
        } else if before == Before::LookAtMemory && self.cache.has_fresh(self.key, self.call.accepts) {
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

    /// Whether what this flight brings may be served to a caller who comes now.
    fn joinable(&self, flight: &Flight<K, V>, cells: &[Arc<Cell>]) -> bool {
        let across_purge = self.cache.purged_since(flight.began) && !mutant::on(Mutant::JoinedAcrossPurge);
        let by_tags = cells.iter().chain(&flight.tags).any(|cell| cell.changed_since(flight.began));
        let elsewhere = self.cache.changed_elsewhere(flight);
        let alive = self.cache.stands_still(flight).is_none() || mutant::on(Mutant::DeadRuntimeJoined);
        !across_purge && !elsewhere && (!by_tags || mutant::on(Mutant::NotLookedAgain)) && alive
    }

    /// Calls the loader and spawns the load. No lock is held.
    fn take_off<L, F, E>(&self, flight: &Arc<Flight<K, V>>, seen: Option<Seen>, load: L)
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let fleet = Fleet::One(Arc::clone(flight));
        let pledge = Pledge::new(self.cache, flight);
        let place = self.cache.place(flight);
        pledge.kept();
        let Ok(place) = place else { return self.cache.turn_away(&fleet) };
        let guard = Guard::take_off(self.cache, fleet, (place, seen.is_some()));
        let stale = self.cache.look(self.key, |stamped, rest, _| {
            stamped.value().cloned().map(|v| Stale::new(v, rest.tags().cloned().collect()))
        });
        let ttl = self.call.ttl;
        let stale = stale.flatten();
        let kept_tags = stale.iter().flat_map(|stale| &stale.tags).map(|cell| Arc::from(cell.name())).collect();
        let called = flight.node.polled(|| catch_unwind(AssertUnwindSafe(|| load(Load { stale }))));
        let future: Result<LoadFuture<_>, Box<dyn Any + Send>> = called.map(|future| -> LoadFuture<_> {
            let load: LoadFuture<_> = Box::pin(async move {
                let loaded = future.await.map_err(|error| -> AnyError { Arc::new(error) })?;
                Ok(loaded.or_for(ttl))
            });
            match seen {
                Some(seen) => Box::pin(leased(Arc::clone(self.cache), Arc::clone(flight), seen, kept_tags, load)),
                None => load,
            }
        });
        flight.node.runtime.spawn(Box::pin(run(guard, future, land_one)));
    }

    /// Starts a load that nobody waits for, unless one runs or has just failed, or the hub is draining.
    fn refresh_behind<L, F, E>(&self, runtime: &Arc<dyn Runtime>, cells: &[Arc<Cell>], before: Before, load: Option<L>)
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let Some(load) = load.filter(|_| self.may_refresh_behind()) else { return };
        let departure = self.departure(runtime, Asks::Nothing);
        let Boarded::Flight(flight, Role::Leads) = self.board(&departure, cells, before, Ground::Back) else { return };
        // Only now, since most find a load that runs: the count has a lock that all caches of the hub share.
        match self.cache.hub.running.behind() {
            Some(_until_it_counts_itself) => {
                self.take_off(&flight, self.cache.unseen(self.key, Wants::NotEarly), load);
            }
            None => self.cache.give_up(&flight, Outcome::Abandoned),
        }
    }

    pub(super) fn may_refresh_behind(&self) -> bool {
        !self.cache.hub.running.draining() && !self.cache.holds_back(self.key)
    }

    /// A seat among those who wait for a flight.
    pub(super) fn sit<E>(
        &self,
        flight: Arc<Flight<K, V>>,
        role: Role,
        runtime: &Arc<dyn Runtime>,
    ) -> Result<Waiter<K, V>, LoadError<E>> {
        let at_most = self.cache.time_left(&flight).max(GRACE);
        Waiter::new(Arc::clone(&flight), Arc::clone(runtime), at_most).map_err(|refused| {
            // The load would be told the same when it is polled, which may be never: others need not wait for that.
            if let (Role::Leads, Refused::NoTimer(why)) = (role, &refused) {
                self.cache.give_up(&flight, Outcome::Panicked(Arc::clone(why)));
            }
            refused.error()
        })
    }

    /// Waits for a flight and says what follows from how that ended.
    pub(super) async fn wait<E>(&self, waiter: &mut Waiter<K, V>, patience: &mut Patience, arrived: u64) -> Next<V, E>
    where
        E: Send + Sync + 'static,
    {
        let outcome = loop {
            match waiter.end(patience).await {
                Waited::Outcome(outcome) => break outcome,
                Waited::Soft => {
                    if let Some(stale) = self.stale(Because::Slow) {
                        return Next::Return(Ok(stale));
                    }
                }
                Waited::Hard => return Next::Return(self.stale_or(Outcome::Timeout, LoadError::Timeout)),
                Waited::Overdue => match self.cache.stands_still(waiter.flight()) {
                    Some(outcome) => self.cache.give_up(waiter.flight(), outcome),
                    // It has begun only since, and has its own time.
                    None => waiter.allow(self.cache.time_left(waiter.flight()).max(GRACE)),
                },
                Waited::Dead => self.cache.give_up(waiter.flight(), Outcome::Abandoned),
            }
        };
        self.next(waiter.flight(), outcome, arrived)
    }

    /// What follows for this caller from how a flight ended.
    pub(super) fn next<E>(&self, flight: &Flight<K, V>, outcome: Outcome, arrived: u64) -> Next<V, E>
    where
        E: Send + Sync + 'static,
    {
        match outcome {
            Outcome::Landed => {
                let landed = flight.landed();
                let overtaken = self.cache.overtaken(flight, &landed.tags);
                let came_later = arrived > flight.began;
                if overtaken && came_later && !mutant::on(Mutant::NotLookedAgain) {
                    return Next::LookAgain;
                }
                if !self.accepts(landed.value.as_ref()) {
                    return Next::LookAgain;
                }
                Next::Return(Ok(Served { value: landed.value.clone(), freshness: Freshness::Loaded }))
            }
            Outcome::Failed(_) if mutant::on(Mutant::ErrorRetriedByWaiters) => Next::LookAgain,
            Outcome::Failed(error) => match Arc::clone(&error).downcast::<E>() {
                Ok(known) => Next::Return(self.stale_or(Outcome::Failed(error), LoadError::Load(known))),
                Err(_of_another_type) => Next::LookAgain,
            },
            Outcome::Panicked(message) => {
                let error = LoadError::Panicked(Arc::clone(&message));
                Next::Return(self.stale_or(Outcome::Panicked(message), error))
            }
            Outcome::Timeout => Next::Return(self.stale_or(Outcome::Timeout, LoadError::Timeout)),
            Outcome::Busy => Next::Return(self.stale_or(Outcome::Busy, LoadError::Busy)),
            Outcome::Abandoned | Outcome::Overtaken => Next::LookAgain,
        }
    }

    /// A stale value instead of an error, if there is one *now* and the error is one that may be covered up.
    pub(super) fn stale_or<E>(&self, outcome: Outcome, error: LoadError<E>) -> Result<Served<V>, LoadError<E>> {
        let covered = self.call.on_failure == OnFailure::Stale && self.cache.tolerated(&outcome);
        covered.then(|| self.stale(Because::Failed)).flatten().ok_or(error)
    }

    pub(super) fn stale(&self, because: Because) -> Option<Served<V>> {
        let value = self.cache.stale(self.key, because).filter(|value| self.accepts(value.as_ref()))?;
        Counters::bump(&self.cache.counters.stale_served);
        Some(Served { value, freshness: Freshness::Stale })
    }
}

/// What follows from a wait.
pub(super) enum Next<V, E> {
    Return(Result<Served<V>, LoadError<E>>),
    LookAgain,
}

pub(super) fn served<V>(sight: Option<Sight<V>>, freshness: Freshness) -> Served<V> {
    Served { value: sight.and_then(|sight| sight.value), freshness }
}
