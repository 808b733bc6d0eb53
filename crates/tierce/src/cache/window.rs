//! Ids of many callers in one load: what is missing waits a moment for company.
//!
//! The first id that finds nobody loading it opens a *gate*: a load that is about to begin, on the runtime of its caller.
//! Until the window is over or the load has as many ids as it takes, others board it. A flight stands in the table from
//! the moment it boards, so that it can be joined, invalidated and waited for like any other; only its loader has not
//! been called.
//!
//! **Who boards while the gate closes.** Boarding runs a key's `Eq` and `Clone`, so the gate cannot be locked meanwhile.
//! It counts those who are at it instead, and departs when it is closed and they are through: they wait for nothing.
//!
//! **What is overtaken within the window.** A flight whose key, tag or cache was invalidated before the gate closes is not
//! loaded: those who wait for it look again, and join the one that stands by now. Otherwise two loads of a key would
//! begin after one invalidation, of which the first could not be kept. They are told when the gate closes, and not only
//! when the rest of the load has ended.
//!
//! **Whose runtime dies.** The task that waits for the window then runs the load, so it dies with the runtime of him who
//! opened the gate, and the flights are given up with it: those of other callers look again, and one of them opens the
//! next gate. A gate whose runtime is dead, or has not closed it for 100 ms past its window, takes nobody more.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Cache;
use super::batch::{Loading, look, of_pairs, value_of, whole};
use super::core::Accepts;
use super::cycle::Asks;
use super::fleet::{Crew, Said};
use super::flight::{Departure, Flight, Ground, Outcome};
use super::inner::{Inner, Typed};
use super::lookup::{Boarded, Call, Role};
use super::partial::Partial;
use super::rounds::{Rounds, Start, Want};
use super::run::GRACE;
use crate::error::LoadError;
use crate::key::{Key, ToKey, Value};
use crate::runtime::{self, Runtime};
use crate::sync::{Mutex, lock};

impl<K: Key, V: Value> Cache<K, V> {
    /// A loader whose callers share their loads: ids that go missing within a window are brought by one.
    ///
    /// For callers who know one id each, such as the resolvers of a GraphQL query. A load begins when its window is over
    /// (a millisecond is usual) or as many ids are missing as one load takes; who hits waits for nothing, and who misses
    /// waits for the window too. Make it once and share it.
    ///
    /// The loader is as [`get_many_or_load`](Cache::get_many_or_load)'s, but called for everybody, by whichever caller's
    /// runtime opened the window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tierce::Hub;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let users = Hub::embedded().local_cache::<u64, String>("user").build();
    /// let by_id = users.batched(Duration::from_millis(1), 100, |ids: Vec<u64>| async move {
    ///     println!("SELECT … WHERE id IN {ids:?}");
    ///     Ok::<_, std::io::Error>(ids.into_iter().map(|id| (id, format!("user {id}"))))
    /// });
    /// let (ada, bob) = tokio::join!(by_id.find_or_load(&7), by_id.find_or_load(&8)); // one load
    /// assert_eq!((ada?, bob?), (Some("user 7".to_string()), Some("user 8".to_string())));
    /// # Ok(()) }
    /// ```
    pub fn batched<L, F, I, E>(&self, window: Duration, at_most: usize, load: L) -> Batched<K, V, E>
    where
        L: Fn(Vec<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)>,
        E: Send + Sync + 'static,
    {
        self.joint(window, at_most, Box::new(move |ids| of_pairs(load(ids))))
    }

    /// As [`batched`](Cache::batched), with a loader that says for each id how to keep its value or why there is none.
    pub fn batched_with<L, F, I, E>(&self, window: Duration, at_most: usize, load: L) -> Batched<K, V, E>
    where
        L: Fn(Vec<K>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, Said<V, E>)>,
        E: Send + Sync + 'static,
    {
        let load = move |ids| -> Loading<K, V, E> {
            let load = load(ids);
            Box::pin(async move { Ok(load.await?.into_iter().collect()) })
        };
        self.joint(window, at_most, Box::new(load))
    }

    fn joint<E>(&self, window: Duration, at_most: usize, load: Loader<K, V, E>) -> Batched<K, V, E> {
        let (cache, whole, at_most) = (Arc::clone(&self.inner), self.inner.clone(), at_most.max(1));
        Batched { joint: Arc::new(Joint { cache, whole, window, at_most, load, open: Mutex::new(None) }) }
    }
}

/// A loader of many ids that callers share; see [`Cache::batched`](crate::Cache::batched).
///
/// Cheap to clone, and all clones are one.
// Three type parameters, one more than the rule: an error that lost its type would be of no use to who matches on it, and
// `Result<V, E>` as one parameter would take a trait to be taken apart.
pub struct Batched<K: Key, V: Value, E> {
    joint: Arc<Joint<K, V, E>>,
}

type Loader<K, V, E> = Box<dyn Fn(Vec<K>) -> Loading<K, V, E> + Send + Sync>;

struct Joint<K: Key, V: Value, E> {
    cache: Arc<Typed<K, V>>,
    /// The same.
    whole: Arc<Inner>,
    window: Duration,
    at_most: usize,
    load: Loader<K, V, E>,
    /// The gate that ids board now.
    open: Mutex<Option<Arc<Gate>>>,
}

impl<K: Key, V: Value, E: Send + Sync + 'static> Batched<K, V, E> {
    /// The value or its known absence; what is missing is brought together with what others miss.
    ///
    /// # Errors
    /// As [`Cache::get_or_load`](crate::Cache::get_or_load).
    ///
    /// # Panics
    /// Outside any runtime, when it has to load.
    pub async fn find_or_load<Q: ToKey<K>>(&self, id: &Q) -> Result<Option<V>, LoadError<E>> {
        if let Some(value) = self.joint.cache.hit(id) {
            return Ok(Some(value));
        }
        let found = self.get_many_or_load(std::slice::from_ref(id)).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// The values or known absences, in the order of the ids; what is missing is brought together with what others miss.
    ///
    /// # Errors
    /// [`Partial`], with what was found.
    ///
    /// # Panics
    /// Outside any runtime, when it has to load.
    pub async fn get_many_or_load<Q: ToKey<K>>(&self, ids: &[Q]) -> Result<Vec<Option<V>>, Partial<V, E>> {
        let (found, wants) = look(&self.joint.cache, ids, value_of, || None);
        if wants.is_empty() {
            return Ok(found);
        }
        whole(found, Box::pin(self.load(ids, wants)).await)
    }

    async fn load<Q: ToKey<K>>(&self, ids: &[Q], wants: Vec<Want<V, E>>) -> Vec<Want<V, E>> {
        let runtime = runtime::current();
        let call = Call { accepts: Accepts::Absence, ..Call::default() };
        let start = Shared { joint: &self.joint, runtime: Arc::clone(&runtime), opened: Vec::new() };
        let Joint { cache, whole, .. } = &*self.joint;
        Rounds { cache, whole, ids, call: &call, runtime, start, wants }.run().await
    }
}

impl<K: Key, V: Value, E> Clone for Batched<K, V, E> {
    fn clone(&self) -> Self {
        Batched { joint: Arc::clone(&self.joint) }
    }
}

impl<K: Key, V: Value, E> std::fmt::Debug for Batched<K, V, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Joint { cache, window, at_most, .. } = &*self.joint;
        f.debug_struct("Batched").field("cache", &cache.name).field("window", window).field("at_most", at_most).finish()
    }
}

/// A load that is about to begin.
struct Gate {
    departure: Departure,
    state: Mutex<State>,
}

struct State {
    /// `None` when it has departed, or its runtime died.
    crew: Option<Crew>,
    /// Those who may yet push a flight.
    boarding: usize,
    closed: bool,
    /// The task that departs.
    waker: Option<Waker>,
}

impl Gate {
    fn new(cache: &Arc<Inner>, runtime: &Arc<dyn Runtime>, window: Duration) -> Self {
        let departs = cache.hub.clock.precise().saturating_add(window);
        let departure = cache.flights.departure(departs, Arc::clone(runtime), Asks::Nothing);
        let crew = Some(Crew::new(cache, departure.clone(), 0));
        Gate { departure, state: Mutex::new(State { crew, boarding: 0, closed: false, waker: None }) }
    }

    /// Whether one more may board; the last for whom there is room closes it.
    fn admit(&self, at_most: usize) -> bool {
        let mut state = lock(&self.state);
        let taken = state.crew.as_ref().map_or(at_most, Crew::len) + state.boarding;
        if state.closed || taken >= at_most {
            return false;
        }
        state.boarding += 1;
        state.closed = taken + 1 == at_most;
        true
    }

    /// One who was admitted is through, with a flight if he leads it. Gives the flight back when nobody will load it.
    fn boarded(&self, flight: Option<Arc<Flight>>) -> Option<Arc<Flight>> {
        let mut state = lock(&self.state);
        state.boarding -= 1;
        let lost = match (&mut state.crew, flight) {
            (Some(crew), Some(flight)) => {
                crew.push(flight);
                None
            }
            (_, flight) => flight,
        };
        let waker = if state.closed && state.boarding == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        lost
    }

    /// Everybody's flights, once it is closed and all are through.
    fn depart(&self, over: bool, waker: &Waker) -> Poll<Option<Crew>> {
        // Foreign code: cloned before the lock, and the old one dropped after.
        let mut waker = Some(waker.clone());
        let mut state = lock(&self.state);
        state.closed |= over;
        if state.closed && state.boarding == 0 {
            let crew = state.crew.take();
            drop(state);
            return Poll::Ready(crew);
        }
        std::mem::swap(&mut state.waker, &mut waker);
        drop(state);
        Poll::Pending
    }

    /// Takes nobody more, and gives up those who are on board.
    fn lose(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let crew = state.crew.take();
        drop(state);
        drop(crew);
    }
}

/// One who boards, until he is through, whether he panics at it or not.
struct Boarding<'a> {
    cache: &'a Arc<Inner>,
    gate: Arc<Gate>,
    flight: Option<Arc<Flight>>,
}

impl Drop for Boarding<'_> {
    fn drop(&mut self) {
        if let Some(lost) = self.gate.boarded(self.flight.take()) {
            self.cache.give_up(&lost, Outcome::Abandoned);
        }
    }
}

/// A call whose ids board with those of others.
struct Shared<'a, K: Key, V: Value, E> {
    joint: &'a Arc<Joint<K, V, E>>,
    runtime: Arc<dyn Runtime>,
    /// The tickets of the gates that this call opened.
    opened: Vec<u64>,
}

impl<K: Key, V: Value, E: Send + Sync + 'static> Shared<'_, K, V, E> {
    fn admit(&mut self) -> Arc<Gate> {
        let Joint { whole: cache, window, at_most, open, .. } = &**self.joint;
        // What takes the last reference to a gate is dropped when the lock is free.
        let old;
        let mut current = lock(open);
        if let Some(gate) = current.as_ref().filter(|gate| is_driven(cache, gate) && gate.admit(*at_most)) {
            return Arc::clone(gate);
        }
        let gate = Arc::new(Gate::new(cache, &self.runtime, *window));
        let admitted = gate.admit(*at_most);
        debug_assert!(admitted, "there is room for one");
        old = current.replace(Arc::clone(&gate));
        drop(current);
        drop(old);
        self.opened.push(gate.departure.ticket);
        self.runtime.spawn(Box::pin(depart(Window::new(self.joint, &gate))));
        gate
    }
}

/// Whether its runtime can be expected to end the window.
fn is_driven(cache: &Inner, gate: &Gate) -> bool {
    let late = cache.hub.clock.precise() > gate.departure.took_off.saturating_add(GRACE);
    gate.departure.runtime.alive() && !late
}

impl<K: Key, V: Value, E: Send + Sync + 'static> Start for Shared<'_, K, V, E> {
    fn board(&mut self, _: Ground, board: impl FnOnce(&Departure) -> Boarded) -> Boarded {
        let gate = self.admit();
        let mut boarding = Boarding { cache: &self.joint.whole, gate, flight: None };
        let boarded = board(&boarding.gate.departure);
        let Boarded::Flight(flight, role) = boarded else { return boarded };
        if Arc::ptr_eq(&flight.node, &boarding.gate.departure) {
            // Before the gate can depart, so that its load finds no full queue.
            flight.node.note_if_inside();
        }
        if role == Role::Leads {
            boarding.flight = Some(Arc::clone(&flight));
        }
        // Who boards a load of somebody else's is not lost with it: he looks again.
        let ours = self.opened.contains(&flight.node.ticket);
        Boarded::Flight(flight, if ours { Role::Leads } else { Role::Follows })
    }

    /// The window asks the store when it departs.
    fn asking(&mut self) -> Vec<&mut Crew> {
        Vec::new()
    }

    fn take_off(&mut self) {}
}

/// The task that ends a window, and its load; dropped, it gives up those who are on board.
struct Window<K: Key, V: Value, E> {
    joint: Arc<Joint<K, V, E>>,
    gate: Arc<Gate>,
}

impl<K: Key, V: Value, E> Window<K, V, E> {
    fn new(joint: &Arc<Joint<K, V, E>>, gate: &Arc<Gate>) -> Self {
        joint.whole.load_waits(&gate.departure);
        Window { joint: Arc::clone(joint), gate: Arc::clone(gate) }
    }
}

impl<K: Key, V: Value, E> Drop for Window<K, V, E> {
    fn drop(&mut self) {
        self.gate.lose();
        self.joint.whole.load_waited(self.gate.departure.ticket);
    }
}

async fn depart<K: Key, V: Value, E: Send + Sync + 'static>(window: Window<K, V, E>) {
    let Window { joint, gate } = &window;
    // Without a timer there is no window; the load itself will say so.
    let mut alarm = runtime::sleep(&*gate.departure.runtime, joint.window).ok();
    let crew = poll_fn(|cx| {
        let over = alarm.as_mut().is_none_or(|alarm| alarm.as_mut().poll(cx).is_ready());
        if over {
            alarm = None;
        }
        gate.depart(over, cx.waker())
    });
    let Some(mut crew) = crew.await else { return };
    crew.drop_overtaken();
    crew.consult().await;
    let load = crew.take_off(&joint.cache, None, |ids| (joint.load)(ids));
    // The load is counted by itself from here on.
    joint.whole.load_waited(gate.departure.ticket);
    if let Some(load) = load {
        load.await;
    }
}
