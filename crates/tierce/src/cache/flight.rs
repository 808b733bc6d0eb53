//! Flights: one load of a key in this process, and those who wait for it. A load of a batch brings many at once.
//!
//! A flight *stands* while it is in the table. Only a standing flight may fill; whoever changes the key (an
//! invalidation, a `set`, a purge noticed by a caller) takes it out, under the same lock under which a fill looks: so
//! either the fill came first and the change undoes it, or the change came first and the fill is refused. Callers who
//! had joined still get the value; callers who come later find no flight and start another.
//!
//! The lock is per slice of the table and never held across foreign code but a key's `Eq` (`reentry.rs`): no wake,
//! poll, spawn, loader, clone or drop of a value, error or waker happens under it. A flight's own state has a lock of
//! its own with the same rule.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use hashbrown::HashTable;

use super::cargo::{Cargo, Carried, Sought};
use super::cycle::{Asks, Node};
use super::seats::{Seat, Seats, Sleepers};
use super::writers::{Held, Writers};
use crate::key::{Key, Value};
use crate::reentry::Entered;
use crate::runtime::Runtime;
use crate::store::Name;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::tag::Cell;

/// Slices of a table. Loads are far rarer than hits; sixteen keep a stampede on many keys from queueing on one lock.
const SLICES: usize = 16;

/// A slice's table gives its room back when it empties and had room for more than this.
const ROOM_KEPT: usize = 1024;

/// An error whose type only the callers know.
pub(crate) type AnyError = Arc<dyn Any + Send + Sync>;

/// How a flight ended.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// Its load brought what [`Flight::landed`] has.
    Landed,
    Failed(AnyError),
    Panicked(Arc<str>),
    Timeout,
    Busy,
    /// Its runtime stopped.
    Abandoned,
    /// Its key, a tag or its cache was changed before its load began.
    Overtaken,
}

/// What a load brought, beside the value that its flight carries.
pub(crate) struct Landed {
    pub(crate) is_absence: bool,
    pub(crate) tags: Box<[Arc<Cell>]>,
}

/// All of a flight that does not begin to load but what it carries.
pub(crate) struct Boarding<'a> {
    pub(crate) hash: u64,
    pub(crate) began: u64,
    pub(crate) ground: Ground,
    pub(crate) tags: &'a [Arc<Cell>],
    pub(crate) departure: &'a Departure,
}

/// How the flights of one load ended.
pub(crate) enum Outcomes {
    /// All alike.
    Same(Outcome),
    /// Each in its own way, in the order of the fleet.
    Each(Vec<Outcome>),
}

impl Outcomes {
    /// How the flight at this place ended.
    pub(crate) fn of(&self, place: usize) -> &Outcome {
        match self {
            Outcomes::Same(outcome) => outcome,
            Outcomes::Each(each) => &each[place],
        }
    }

    /// The one to tell of where only one is told of: the first that is no value, or else the first.
    pub(crate) fn gist(&self) -> &Outcome {
        match self {
            Outcomes::Same(outcome) => outcome,
            Outcomes::Each(each) => each.iter().find(|outcome| !matches!(outcome, Outcome::Landed)).unwrap_or(&each[0]),
        }
    }
}

impl Outcome {
    /// The outcome in a word, for events.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Outcome::Landed => "loaded",
            Outcome::Failed(_) => "failed",
            Outcome::Panicked(_) => "panicked",
            Outcome::Timeout => "timed out",
            Outcome::Busy => "turned away",
            Outcome::Abandoned => "abandoned",
            Outcome::Overtaken => "overtaken",
        }
    }
}

/// Whether anybody waits for a load when it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A caller waits.
    Fore,
    /// A refresh behind a value that was served.
    Back,
}

/// What the flights of one load have in common.
pub(crate) type Departure = Arc<Node>;

/// The last field is the one that knows types; see `cargo.rs`.
pub(crate) struct Flight<C: ?Sized = dyn Cargo> {
    pub(crate) hash: u64,
    /// What its key is called in the store; `None` without one, and where the key has no stable text.
    pub(crate) name: Option<Name>,
    /// Its key's place among what others change.
    pub(crate) place: u32,
    /// The hub's epoch before the loader was called.
    pub(crate) began: u64,
    pub(crate) ground: Ground,
    /// The tags known from the arguments.
    pub(crate) tags: Box<[Arc<Cell>]>,
    /// Its load.
    pub(crate) node: Departure,
    landed: OnceLock<Landed>,
    state: Mutex<State>,
    cargo: C,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    seats: Seats,
    /// Its load has begun, or somebody has begun to begin it.
    takes_off: bool,
}

impl State {
    fn end(&mut self, outcome: Outcome) -> Sleepers {
        self.outcome = Some(outcome);
        self.seats.close()
    }
}

impl Flight {
    /// A flight, not yet in the table.
    pub(crate) fn new<K: Key, V: Value>(
        key: K,
        (name, place): (Option<Name>, u32),
        boarding: Boarding<'_>,
    ) -> Arc<Flight> {
        let Boarding { hash, began, ground, tags, departure } = boarding;
        let (landed, state) = (OnceLock::new(), Mutex::new(State::default()));
        let (tags, node, cargo) = (tags.into(), Arc::clone(departure), Carried::<K, V>::new(key));
        Arc::new(Flight { hash, name, place, began, ground, tags, node, landed, state, cargo })
    }

    pub(crate) fn cargo(&self) -> &dyn Cargo {
        &self.cargo
    }

    /// What it carries, to somebody who knows its cache's types.
    pub(crate) fn carried<K: Key, V: Value>(&self) -> &Carried<K, V> {
        let cargo: &dyn Any = &self.cargo;
        cargo.downcast_ref().expect("a cache's flights carry its keys and values")
    }

    /// Keeps what its load brought, to be told of afterwards.
    pub(crate) fn land(&self, landed: Landed) {
        // A load brings what it brings once.
        drop(self.landed.set(landed));
    }

    /// What its load brought.
    pub(crate) fn landed(&self) -> &Landed {
        self.landed.get().expect("what landed is kept before it is told of")
    }

    /// Takes a seat.
    pub(crate) fn join(&self) -> Seat {
        lock(&self.state).seats.take(None)
    }

    /// The outcome, or else wakes this waker when there is one.
    pub(crate) fn outcome(&self, seat: &Seat, waker: &Waker) -> Option<Outcome> {
        // A waker's clone and drop are foreign code: before the lock, and after it.
        let mut waker = Some(waker.clone());
        let mut state = lock(&self.state);
        if let Some(outcome) = &state.outcome {
            let outcome = outcome.clone();
            drop(state);
            return Some(outcome);
        }
        state.seats.swap(seat, &mut waker);
        drop(state);
        None
    }

    /// The outcome, or else a seat for one whom this waker wakes. Who comes after the end needs no seat.
    pub(crate) fn outcome_or_seat(&self, waker: &Waker) -> Result<Outcome, Seat> {
        let waker = waker.clone();
        let mut state = lock(&self.state);
        if let Some(outcome) = &state.outcome {
            let outcome = outcome.clone();
            drop(state);
            return Ok(outcome);
        }
        Err(state.seats.take(Some(waker)))
    }

    /// Leaves without having waited to the end.
    pub(crate) fn leave(&self, seat: Seat) {
        let mut state = lock(&self.state);
        let waker = state.seats.leave(&seat);
        drop(state);
        drop(waker);
    }

    /// The outcome, once there is one.
    pub(crate) fn ended(&self) -> Option<Outcome> {
        lock(&self.state).outcome.clone()
    }

    /// Gives those who wait for the caller to wake, though it has not ended: they keep their seats.
    pub(crate) fn stir(&self) -> Sleepers {
        lock(&self.state).seats.stir()
    }

    /// Whether its leader still asks the store, in a task that others cannot see.
    pub(crate) fn is_asking(&self) -> bool {
        !matches!(self.node.asks, Asks::Nothing | Asks::Never) && !lock(&self.state).takes_off
    }

    /// Its load begins, unless the flight is over. Nobody takes the leader for lost from here on.
    pub(crate) fn takes_off(&self) -> bool {
        let mut state = lock(&self.state);
        state.takes_off = true;
        state.outcome.is_none()
    }

    /// Ends the flight of a leader who still asks and is taken for lost. Those who wait are the caller's to wake, once
    /// nobody finds it any more: who looks again at once would come back to it. None: he does not ask any more.
    pub(crate) fn ends_asking(&self) -> Option<Sleepers> {
        let mut state = lock(&self.state);
        let asks = !state.takes_off && state.outcome.is_none();
        asks.then(|| state.end(Outcome::Overtaken))
    }

    /// Whether its outcome is published.
    pub(crate) fn is_over(&self) -> bool {
        lock(&self.state).outcome.is_some()
    }

    /// Ends the flight for all who wait. The first outcome counts.
    pub(crate) fn publish(&self, outcome: Outcome) {
        self.conclude(outcome).wake();
    }

    /// Ends the flight, and gives those who wait for the caller to wake.
    pub(crate) fn conclude(&self, outcome: Outcome) -> Sleepers {
        let mut state = lock(&self.state);
        if state.outcome.is_some() {
            drop(state);
            return Sleepers::nobody();
        }
        state.end(outcome)
    }
}

/// The flights that one load brings: one, or those of a batch. There is at least one.
pub(crate) enum Fleet {
    One(Arc<Flight>),
    Many(Arc<[Arc<Flight>]>),
}

impl Fleet {
    pub(crate) fn flights(&self) -> &[Arc<Flight>] {
        match self {
            Fleet::One(flight) => std::slice::from_ref(flight),
            Fleet::Many(flights) => flights,
        }
    }

    /// The one that stands for all where their load is concerned.
    pub(crate) fn first(&self) -> &Arc<Flight> {
        &self.flights()[0]
    }
}

impl Clone for Fleet {
    fn clone(&self) -> Self {
        match self {
            Fleet::One(flight) => Fleet::One(Arc::clone(flight)),
            Fleet::Many(flights) => Fleet::Many(Arc::clone(flights)),
        }
    }
}

type Flights = HashTable<Arc<Flight>>;

/// What one lock keeps together: the flights that stand and the keys that writers hold.
struct Sliced {
    flights: Flights,
    writers: Writers,
}

/// The flights of one cache.
pub(crate) struct Table {
    /// Those that stand.
    slices: [Mutex<Sliced>; SLICES],
    /// Those whose load has begun and not ended, standing or not, by ticket: in the order of their beginning. Who takes
    /// one out ends it, and nobody else.
    loading: Mutex<BTreeMap<u64, Fleet>>,
    /// Loads that are about to begin, by ticket, with the time at which they are to.
    waiting: Mutex<BTreeMap<u64, Duration>>,
    tickets: AtomicU64,
}

/// One locked slice. The fields leave in this order.
pub(crate) struct Slice<'a> {
    of: MutexGuard<'a, Sliced>,
    hash: u64,
    _entered: Entered,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table {
            slices: std::array::from_fn(|_| Mutex::new(Sliced { flights: HashTable::new(), writers: Writers::new() })),
            loading: Mutex::new(BTreeMap::new()),
            waiting: Mutex::new(BTreeMap::new()),
            tickets: AtomicU64::new(0),
        }
    }

    /// Locks the slice of this hash.
    pub(crate) fn lock(&self, hash: u64) -> Slice<'_> {
        let entered = Entered::new(std::ptr::from_ref(self).addr());
        let of = lock(&self.slices[(hash >> 32) as usize % SLICES]);
        Slice { of, hash, _entered: entered }
    }

    /// What every load that begins from now on is above.
    pub(crate) fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Relaxed)
    }

    /// A load that begins now.
    pub(crate) fn departure(&self, took_off: Duration, runtime: Arc<dyn Runtime>, asks: Asks) -> Departure {
        Node::new(std::ptr::from_ref(self).addr(), self.ticket(), took_off, runtime, asks)
    }

    /// A load begins.
    pub(crate) fn load_begins(&self, fleet: &Fleet) {
        let old = lock(&self.loading).insert(fleet.first().node.ticket, fleet.clone());
        drop(old);
    }

    /// A load ends: all its flights, if it is for the caller to end them, and for nobody else.
    pub(crate) fn load_ends(&self, ticket: u64) -> Option<Fleet> {
        lock(&self.loading).remove(&ticket)
    }

    /// A load waits for its time, before it begins.
    pub(crate) fn load_waits(&self, departure: &Departure) {
        lock(&self.waiting).insert(departure.ticket, departure.took_off);
    }

    /// A load waits no more: whether it is for the caller to count it out, and for nobody else.
    pub(crate) fn load_waited(&self, ticket: u64) -> bool {
        lock(&self.waiting).remove(&ticket).is_some()
    }

    /// The tickets of loads that should have begun before this time.
    pub(crate) fn late_since(&self, time: Duration) -> Vec<u64> {
        lock(&self.waiting).iter().filter(|(_, departs)| **departs < time).map(|(ticket, _)| *ticket).collect()
    }

    /// The loads that have not ended, the oldest first, as long as they are such as the closure says of a flight of each.
    pub(crate) fn loads_while(&self, such: impl Fn(&Flight) -> bool) -> Vec<Arc<Flight>> {
        let loading = lock(&self.loading);
        loading.values().map(Fleet::first).take_while(|flight| such(flight)).cloned().collect()
    }

    /// The flights that stand now, a slice after the other.
    pub(crate) fn standing(&self) -> impl Iterator<Item = Vec<Arc<Flight>>> + '_ {
        self.slices.iter().map(|slice| lock(slice).flights.iter().cloned().collect())
    }

    /// The keys that writers hold now, a slice after the other.
    pub(crate) fn held(&self) -> impl Iterator<Item = Vec<Held>> + '_ {
        self.slices.iter().map(|slice| lock(slice).writers.keys())
    }

    /// Whether a flight is the one that stands for its key.
    pub(crate) fn stands(&self, flight: &Arc<Flight>) -> bool {
        let slice = self.lock(flight.hash);
        slice.of.flights.find(flight.hash, |other| Arc::ptr_eq(other, flight)).is_some()
    }

    /// Takes a flight out if it is still the one that stands for its key; whether it was.
    pub(crate) fn remove(&self, flight: &Arc<Flight>) -> bool {
        self.lock(flight.hash).remove(flight)
    }
}

impl Slice<'_> {
    /// The keys that writers hold.
    pub(crate) fn writers(&mut self) -> &mut Writers {
        &mut self.of.writers
    }

    /// The flight that stands for a key.
    pub(crate) fn find(&self, key: &dyn Sought) -> Option<&Arc<Flight>> {
        self.of.flights.find(self.hash, |flight| flight.hash == self.hash && key.is(flight.cargo.key()))
    }

    /// Puts a flight in; nobody may stand for its key.
    pub(crate) fn insert(&mut self, flight: Arc<Flight>) {
        self.of.flights.insert_unique(self.hash, flight, |flight| flight.hash);
    }

    /// Takes out the flight that stands for a key, for the caller to drop when the lock is free.
    pub(crate) fn detach(&mut self, key: &dyn Sought) -> Option<Arc<Flight>> {
        let hash = self.hash;
        let found =
            self.of.flights.find_entry(hash, |flight| flight.hash == hash && key.is(flight.cargo.key())).ok()?;
        let flight = found.remove().0;
        self.give_room_back();
        Some(flight)
    }

    /// Takes out this very flight; whether it stood. Its caller holds another reference to it, so nothing is dropped
    /// here.
    pub(crate) fn remove(&mut self, flight: &Arc<Flight>) -> bool {
        let Ok(found) = self.of.flights.find_entry(self.hash, |other| Arc::ptr_eq(other, flight)) else { return false };
        found.remove();
        self.give_room_back();
        true
    }

    fn give_room_back(&mut self) {
        if self.of.flights.is_empty() && self.of.flights.capacity() > ROOM_KEPT {
            self.of.flights.shrink_to(0, |flight| flight.hash);
        }
    }
}
