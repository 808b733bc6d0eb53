//! One load for many keys: who boards it, what its loader is asked, and where each part of its answer goes.
//!
//! Ids are told apart once, when the loader is called: a key that was invalidated after it had boarded may have boarded
//! again, and then two flights wait for one id. The loader is asked for it once, and since it is asked after both have
//! begun, its answer is new enough for both; only the one that stands is filled.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;

use super::asking::kept;
use super::flight::{AnyError, Departure, Fleet, Flight, Outcome, Outcomes};
use super::inner::{Inner, Typed};
use super::leased_many::{Replaced, leased_many};
use super::load::{Bare, Brought, Loaded};
use super::run::{Guard, LoadFuture, run};
use super::seats::Sleepers;
use super::vault::Spill;
use crate::key::{Key, Value};
use crate::mutant::{self, Mutant};
use crate::runtime::BoxFuture;
use crate::stats::Counters;

/// What a batch's loader says of each id.
pub(super) type Said<V, E> = Result<Loaded<V>, E>;

/// Flights that stand in the table and whose load has not begun. Dropped, it gives them up: nobody else would.
pub(super) struct Crew {
    pub(super) cache: Arc<Inner>,
    pub(super) departure: Departure,
    flights: Vec<Arc<Flight>>,
    pub(super) replaced: Replaced,
}

impl Crew {
    /// `about` so many ids are expected.
    pub(super) fn new(cache: &Arc<Inner>, departure: Departure, about: usize) -> Self {
        Crew { cache: Arc::clone(cache), departure, flights: Vec::with_capacity(about), replaced: Replaced::default() }
    }

    pub(super) fn push(&mut self, flight: Arc<Flight>) {
        self.flights.push(flight);
    }

    pub(super) fn len(&self) -> usize {
        self.flights.len()
    }

    pub(super) fn flights(&self) -> &[Arc<Flight>] {
        &self.flights
    }

    /// Lets those go of which something was found, a flight after the other.
    pub(super) fn leave<T>(&mut self, found: Vec<Option<T>>) -> Vec<(Arc<Flight>, T)> {
        let mut left = Vec::new();
        let flights = std::mem::take(&mut self.flights);
        for (flight, found) in flights.into_iter().zip(found) {
            match found {
                Some(found) => left.push((flight, found)),
                None => self.flights.push(flight),
            }
        }
        left
    }

    /// Lets those go that were overtaken since they boarded, by a change of their key, a tag or a purge: they look again,
    /// and share a load that nobody calls too old.
    pub(super) fn drop_overtaken(&mut self) {
        let cache = &self.cache;
        let is_overtaken =
            |flight: &mut Arc<Flight>| !cache.flights.stands(flight) || cache.overtaken(flight, &flight.tags);
        if mutant::on(Mutant::OvertakenLoaded) {
            return;
        }
        let overtaken: Vec<_> = self.flights.extract_if(.., is_overtaken).collect();
        if overtaken.is_empty() {
            return;
        }
        self.departure.thin();
        let ended = overtaken.iter().map(|flight| {
            cache.flights.remove(flight);
            flight.conclude(Outcome::Overtaken)
        });
        // Who waits for several ids sits at one of those that stay.
        let ended: Vec<_> = ended.chain(self.flights.iter().map(|flight| flight.stir())).collect();
        ended.into_iter().for_each(Sleepers::wake);
    }

    /// Calls the loader; gives the task of its load, unless there is nothing to load or too many loads run. No lock is
    /// held.
    pub(super) fn take_off<K, V, L, F, I, E>(
        mut self,
        typed: &Arc<Typed<K, V>>,
        ttl: Option<Duration>,
        load: L,
    ) -> Option<BoxFuture>
    where
        K: Key,
        V: Value,
        L: FnOnce(Vec<K>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, Said<V, E>)>,
        E: Send + Sync + 'static,
    {
        // Those that are over were taken for lost while the store was asked.
        if self.flights.extract_if(.., |flight| !flight.takes_off()).count() > 0 {
            self.departure.thin();
        }
        let replaced = std::mem::take(&mut self.replaced);
        let place = self.cache.place(self.flights.first()?);
        let fleet = Fleet::Many(std::mem::take(&mut self.flights).into());
        let Ok(place) = place else {
            self.cache.turn_away(&fleet);
            return None;
        };
        let guard = Guard::take_off(&self.cache, fleet.clone(), (place, false));
        // Keys' `Hash`, `Eq` and `Clone` are foreign code like the loader, and their panic is the load's.
        let called = fleet.first().node.polled(|| {
            catch_unwind(AssertUnwindSafe(|| {
                let roll = Roll::new(typed, &fleet);
                let ids = roll.ids();
                (roll, load(ids))
            }))
        });
        let future: Result<LoadFuture<_>, Box<dyn Any + Send>> = called.map(|(roll, future)| -> LoadFuture<_> {
            let load: LoadFuture<_> = Box::pin(async move {
                let said = future.await.map_err(any)?;
                Ok(roll.sort(said, ttl))
            });
            match self.cache.shelf {
                Some(_) => Box::pin(leased_many(Arc::clone(&self.cache), fleet, replaced, load)),
                None => load,
            }
        });
        Some(Box::pin(run(guard, future, land_all)))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for flight in &self.flights {
            self.cache.give_up(flight, Outcome::Abandoned);
        }
    }
}

/// Which flights wait for which id.
struct Roll<K: Key, V: Value> {
    cache: Arc<Typed<K, V>>,
    fleet: Fleet,
    /// The first flight of each id, by hash.
    index: HashTable<usize>,
    /// The flights of ids that have an earlier one, with that; hardly ever any.
    again: Vec<(usize, usize)>,
}

impl<K: Key, V: Value> Roll<K, V> {
    fn new(cache: &Arc<Typed<K, V>>, fleet: &Fleet) -> Self {
        let flights = fleet.flights();
        let mut index = HashTable::with_capacity(flights.len());
        let mut again = Vec::new();
        for (place, flight) in flights.iter().enumerate() {
            match find::<K, V>(&index, flights, flight.hash, &flight.carried::<K, V>().key) {
                Some(first) => again.push((place, first)),
                None => _ = index.insert_unique(flight.hash, place, |place: &usize| flights[*place].hash),
            }
        }
        Roll { cache: Arc::clone(cache), fleet: fleet.clone(), index, again }
    }

    /// What the loader is asked: each id once.
    fn ids(&self) -> Vec<K> {
        let mut again = self.again.iter().map(|(place, _)| *place).peekable();
        let flights = self.fleet.flights().iter().enumerate();
        flights
            .filter(|(place, _)| again.next_if_eq(place).is_none())
            .map(|(_, flight)| flight.carried::<K, V>().key.clone())
            .collect()
    }

    /// What the loader said, for each flight. What it said nothing of has no value; what nobody asked for is counted.
    fn sort<E: Send + Sync + 'static>(
        self,
        said: impl IntoIterator<Item = (K, Said<V, E>)>,
        ttl: Option<Duration>,
    ) -> Brought {
        let flights = self.fleet.flights();
        let mut said_of: Vec<Option<Said<V, E>>> = flights.iter().map(|_| None).collect();
        // Most loaders keep the order in which they were asked, and then nothing has to be searched for.
        let mut next = 0;
        for (id, loaded) in said {
            let is_next = |flight: &Arc<Flight>| flight.carried::<K, V>().key == id;
            let place = match flights.get(next) {
                Some(flight) if self.again.is_empty() && said_of[next].is_none() && is_next(flight) => Some(next),
                _ => find::<K, V>(&self.index, flights, self.cache.memory.hash(&id), &id),
            };
            match place {
                Some(place) => {
                    said_of[place] = Some(loaded);
                    next = place + 1;
                }
                None => Counters::bump(&self.cache.counters.unasked),
            }
        }
        // Only now: of what is said twice the last counts, and into a flight goes one value.
        let mut brought: Brought = Vec::with_capacity(flights.len());
        for (flight, said) in flights.iter().zip(said_of) {
            let bare = said.map(|said| said.map(|loaded| kept::<K, V>(loaded, flight).or_for(ttl)).map_err(any));
            brought.push(bare);
        }
        for (place, first) in self.again {
            if let Some(value) = flights[first].carried::<K, V>().value() {
                flights[place].carried::<K, V>().put(value.clone());
            }
            brought[place] = brought[first].clone();
        }
        brought
    }
}

fn find<K: Key, V: Value>(index: &HashTable<usize>, flights: &[Arc<Flight>], hash: u64, id: &K) -> Option<usize> {
    let is_it = |place: &usize| flights[*place].hash == hash && flights[*place].carried::<K, V>().key == *id;
    index.find(hash, is_it).copied()
}

fn any<E: Send + Sync + 'static>(error: E) -> AnyError {
    Arc::new(error)
}

/// The end of a batch's load: each key is kept or refused for itself.
fn land_all(cache: &Inner, fleet: &Fleet, brought: Brought, took: Duration, out: &mut Spill) -> Outcomes {
    let each = fleet.flights().iter().zip(brought);
    // What nothing was said of has no value.
    let each = each.map(|(flight, said)| match said.unwrap_or_else(|| Ok(Bare::new(true))) {
        Ok(loaded) => {
            if mutant::on(Mutant::DetachedFilledByBatch) {
                reattach(cache, flight);
            }
            cache.land_or_panic(flight, loaded, took, out)
        }
        Err(error) => Outcome::Failed(error),
    });
    Outcomes::Each(each.collect())
}

/// A planted fault: the flight stands again.
fn reattach(cache: &Inner, flight: &Arc<Flight>) {
    let mut slice = cache.flights.lock(flight.hash);
    if slice.find(flight.cargo()).is_none() {
        slice.insert(Arc::clone(flight));
    }
}
