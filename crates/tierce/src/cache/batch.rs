//! Many keys in one call: lookups with one load for what is missing, and changes.
//!
//! **Every id is a lookup of its own**, in the same table of flights as single lookups, so every promise holds for each.
//! What is shared is the load. An id that is missing boards a flight that its call leads; when all have boarded, one load
//! takes off with them (`fleet.rs`), and the call waits for its own flights and for those it found (`rounds.rs`).
//!
//! The races that are a batch's own, and what decides them:
//!
//! | Race | Decided by |
//! |---|---|
//! | one id is invalidated while the batch is loaded | its flight is detached, and `land` refuses it; the others land |
//! | two batches overlap, each leading what the other waits for | nobody waits before what he leads has taken off |
//! | a panic (a key's `Eq`, say) after some ids have boarded | `Crew::drop` gives up flights whose load never began |
//! | the load's runtime dies, or stands still | one end for the whole load: `Inner::end` takes it out once, with all its flights |
//! | one id boards, is invalidated, and boards again before the loader is called | `Roll`: asked once, told to both |
//! | the loader brings what nobody asked for | it has no flight, hence no way into memory |
//! | an id's wait says nothing of now (a tag, a foreign error) | that id looks again, by itself, in a further load |
//! | a load waits for a permit that one holds who waits for it, and began to before it stood in line | `Node::exempt_if_needed` |
//! | `invalidate_where` beside loads and fills | flights that stand are looked at before entries: what began earlier is in one of the two |

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Cache;
use super::answer::{Freshness, Lookup};
use super::asking::{Asking, Nothing};
use super::core::{Accepts, Serves};
use super::cycle::Asks;
use super::fleet::{Crew, Said};
use super::flight::{Departure, Ground, Outcome};
use super::inner::{Inner, Typed};
use super::load::Loaded;
use super::lookup::{Before, Boarded, Call, Path, Role, Served};
use super::partial::Partial;
use super::rounds::{Rounds, Start, Want};
use crate::error::{Error, LoadError};
use crate::expiry::Age;
use crate::key::{Key, ToKey, Value};
use crate::runtime::{self, Runtime};
use crate::stats::Counters;
use crate::store::both;

/// Ids in one load unless said: as many as databases take in one `IN (…)` without a second thought (Oracle's limit).
const AT_MOST: usize = 1000;

/// Room for the ids that are missing, from the first one on: as many as a batch that mostly hits has.
const WANTS: usize = 16;

impl<K: Key, V: Value> Cache<K, V> {
    /// The values that are here and fresh, in the order of the ids. Loads nothing.
    pub async fn get_many<Q>(&self, ids: &[Q]) -> Vec<Option<V>>
    where
        Q: ToKey<K>,
    {
        let mut found: Vec<_> = ids.iter().map(|id| self.inner.hit(id).or_else(|| self.inner.get(id))).collect();
        if self.inner.shelf.is_some() && found.iter().any(Option::is_none) {
            Box::pin(fetch_many(&self.inner, ids, &mut found)).await;
        }
        found
    }

    /// The values or known absences, in the order of the ids; what is missing is brought by one load.
    ///
    /// The loader gets the ids that are neither here nor being loaded, each once, in their order, and gives pairs of an id
    /// and its value: a `HashMap`, a `Vec` of pairs. An id that it gives nothing for has no value, and is kept as a
    /// negative entry; what it gives beyond is ignored and counted ([`Stats::unasked`](crate::Stats::unasked)). It is
    /// called again where one load is not enough: for more ids than [`at_most`](Entries::at_most), for stale values that
    /// are refreshed behind, and for ids whose load was somebody else's and came to nothing for this call. So it is
    /// `FnMut`, and what it moves into its future it has to clone.
    ///
    /// All that holds for one key's lookup holds for each id: others join the load of one of them, an invalidation of one
    /// ends that one alone. Each id counts as one hit or miss, and the load as one.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use tierce::Hub;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # async fn users_by_id(ids: Vec<u64>) -> Result<HashMap<u64, String>, std::io::Error> {
    /// #     Ok(ids.into_iter().filter(|id| *id < 9).map(|id| (id, format!("user {id}"))).collect())
    /// # }
    /// let users = Hub::embedded().local_cache::<u64, String>("user").build();
    /// let found = users.get_many_or_load(&[7, 9, 7], users_by_id).await?;
    /// assert_eq!(found, [Some("user 7".to_string()), None, Some("user 7".to_string())]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Partial`], with what was found: when a load fails, panics, is too slow or turned away, and no stale value may
    /// stand in for one of its ids.
    ///
    /// # Panics
    /// Outside any runtime, when it has to load.
    pub async fn get_many_or_load<Q, L, F, I, E>(&self, ids: &[Q], load: L) -> Result<Vec<Option<V>>, Partial<V, E>>
    where
        Q: ToKey<K>,
        L: FnMut(Vec<K>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)>,
        E: Send + Sync + 'static,
    {
        self.entries(ids).get_or_load(load).await
    }

    /// Many keys with options for one call: tags, ttl, timeout, ids in one load, a loader that says more.
    pub fn entries<'a, Q>(&'a self, ids: &'a [Q]) -> Entries<'a, K, V, Q> {
        let call = Call { accepts: Accepts::Absence, ..Call::default() };
        Entries { cache: &self.inner, ids, call, at_most: AT_MOST }
    }

    /// Puts values in that the caller knows to be current, one after the other. See [`set`](Cache::set); with tags or a
    /// ttl, [`Entry::set`](crate::Entry::set) for each.
    ///
    /// # Errors
    /// None without a store. With one, the first that it did not take; the others are tried all the same.
    pub async fn set_many(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error> {
        let mut told = Ok(());
        for (key, value) in pairs {
            told = told.and(self.inner.set_everywhere(&key, Some(value), None, &[]).await);
        }
        told
    }

    /// Ends keys. See [`invalidate`](Cache::invalidate).
    ///
    /// # Errors
    /// None without a store. [`Kind::Store`](crate::Kind::Store): it did not take it, and will be told again.
    pub async fn invalidate_many<Q>(&self, ids: &[Q]) -> Result<(), Error>
    where
        Q: ToKey<K>,
    {
        self.inner.invalidate_many_everywhere(ids).await
    }
}

/// Many keys of a [`Cache`](crate::Cache), with options for one call.
///
/// ```
/// # use std::time::Duration;
/// # use tierce::{Hub, Loaded, Lookup};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let products = Hub::embedded().local_cache::<u64, String>("product").build();
/// let answers = products
///     .entries(&[7, 8])
///     .tags(["products"])
///     .at_most(100)
///     .load_with(|missing: Vec<u64>| async move {
///         let lamp = |id| Ok(Loaded::new(format!("lamp {id}")).tag(format!("category:{}", id % 3)));
///         Ok::<_, std::io::Error>(missing.into_iter().map(move |id| (id, lamp(id))))
///     })
///     .await;
/// assert_eq!(answers[1].as_ref().ok().and_then(Lookup::value), Some(&"lamp 8".to_string()));
/// # }
/// ```
#[must_use = "nothing happens until a method that looks up is called"]
pub struct Entries<'a, K: Key, V: Value, Q> {
    cache: &'a Arc<Typed<K, V>>,
    ids: &'a [Q],
    call: Call,
    at_most: usize,
}

impl<K: Key, V: Value, Q: ToKey<K>> Entries<'_, K, V, Q> {
    /// Tags of all that this call loads; those that depend on the id come from [`load_with`](Entries::load_with).
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.call.tag(tags);
        self
    }

    /// Freshness of the values that this call loads, instead of the cache's.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.call.ttl = Some(ttl);
        self
    }

    /// How long this call waits for loads altogether, instead of the cache's hard timeout. They go on without it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// At most so many ids in one load; more are several loads beside each other. 1,000 unless said, and at least 1.
    pub fn at_most(mut self, ids: usize) -> Self {
        self.at_most = ids.max(1);
        self
    }

    /// The values or known absences, in the order of the ids. See
    /// [`Cache::get_many_or_load`](crate::Cache::get_many_or_load).
    ///
    /// # Errors
    /// [`Partial`], with what was found.
    pub async fn get_or_load<L, F, I, E>(self, mut load: L) -> Result<Vec<Option<V>>, Partial<V, E>>
    where
        L: FnMut(Vec<K>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, V)>,
        E: Send + Sync + 'static,
    {
        let (found, wants) = look(self.cache, self.ids, value_of, || None);
        if wants.is_empty() {
            return Ok(found);
        }
        let load = |ids| {
            let load = load(ids);
            async move { Ok(load.await?.into_iter().map(|(id, value)| (id, Ok(Loaded::new(value))))) }
        };
        let wants = self.load(wants, load).await;
        whole(found, wants)
    }

    /// As [`get_or_load`](Entries::get_or_load), with a loader that says for each id how to keep its value or why there is
    /// none, and answers that say how fresh they are. An error of one id is that id's alone.
    pub async fn load_with<L, F, I, E>(self, load: L) -> Vec<Result<Lookup<V>, LoadError<E>>>
    where
        L: FnMut(Vec<K>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, Result<Loaded<V>, E>)>,
        E: Send + Sync + 'static,
    {
        let (mut answers, wants) = look(self.cache, self.ids, |served| Ok(lookup_of(served)), unanswered);
        if !wants.is_empty() {
            for want in self.load(wants, load).await {
                answers[want.at] = want.answer.unwrap_or_else(unanswered).map(lookup_of);
            }
        }
        answers
    }

    async fn load<L, F, I, E>(self, wants: Vec<Want<V, E>>, load: L) -> Vec<Want<V, E>>
    where
        L: FnMut(Vec<K>) -> F,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, Said<V, E>)>,
        E: Send + Sync + 'static,
    {
        let Entries { cache, ids, call, at_most } = self;
        let runtime = runtime::current();
        let crews = Vec::new();
        let about = wants.len().min(at_most);
        let whole: &Arc<Inner> = &(cache.clone() as _);
        let start = Own { cache, whole, runtime: Arc::clone(&runtime), at_most, about, ttl: call.ttl, load, crews };
        let rounds = Rounds { cache, whole, ids, call: &call, runtime, start, wants };
        // Boxed, so that the future of a batch that is all hits stays small.
        Box::pin(rounds.run()).await
    }
}

/// What memory has for each id, counted: answers for those that are fresh, holes for the others.
pub(super) fn look<K: Key, V: Value, Q: ToKey<K>, T, E>(
    cache: &Typed<K, V>,
    ids: &[Q],
    answer: impl Fn(Served<V>) -> T,
    hole: impl Fn() -> T,
) -> (Vec<T>, Vec<Want<V, E>>) {
    let mut answers = Vec::with_capacity(ids.len());
    let mut wants = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let fresh = |value| answer(Served { value, freshness: Freshness::Fresh });
        if let Some(value) = cache.hit(id) {
            answers.push(fresh(Some(value)));
            continue;
        }
        match cache.sight(id, Serves::All) {
            Some(sight) if sight.age == Age::Fresh => answers.push(fresh(sight.value)),
            sight => {
                answers.push(hole());
                if wants.is_empty() {
                    wants.reserve(WANTS.min(ids.len() - at));
                }
                wants.push(Want::new(at, sight));
            }
        }
    }
    (answers, wants)
}

/// What the store has of the ids that nothing was found of. Loads that run are not waited for.
async fn fetch_many<K: Key, V: Value, Q: ToKey<K>>(cache: &Arc<Typed<K, V>>, ids: &[Q], found: &mut [Option<V>]) {
    let call = Call::default();
    let departure = cache.flights.departure(cache.hub.clock.precise(), runtime::for_store(), Asks::Store);
    let whole: Arc<Inner> = cache.clone();
    let mut crew = Crew::new(&whole, Arc::clone(&departure), ids.len());
    let (mut led, mut followed, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let missing: Vec<_> = ids.iter().enumerate().filter(|(at, _)| found[*at].is_none()).collect();
    for (at, id) in missing {
        let mut asking = Asking::<_, _, _, Nothing<V, Infallible>, Infallible>::new(cache, id, None);
        let mut path = Path { cache: &whole, asked: &mut asking, call: &call };
        match path.board(&departure, &[], Before::LookAtMemory, Ground::Fore) {
            Boarded::Flight(flight, Role::Leads) => {
                crew.push(Arc::clone(&flight));
                led.push((at, flight));
            }
            Boarded::Flight(flight, Role::Follows) if flight.node.ticket == departure.ticket => led.push((at, flight)),
            Boarded::Flight(flight, Role::Follows) if flight.is_asking() => {
                followed.push(flight);
                places.push(at);
            }
            // Somebody loads it.
            Boarded::Flight(_, Role::Follows) => {}
            Boarded::Filled => found[at] = path.look_again().and_then(|_| asking.found()),
        }
    }
    let reading = async {
        match whole.shelf.as_ref().filter(|_| !followed.is_empty()) {
            Some(shelf) => shelf.read_many(&followed).await,
            None => Vec::new(),
        }
    };
    let ((), read) = both(crew.consult(), reading).await;
    for (place, opened) in read {
        Counters::bump(&cache.counters.store_hits);
        found[places[place]] = opened.value.and_then(|value| value.downcast().ok()).map(|value| *value);
    }
    for (at, flight) in led {
        if let Some(Outcome::Landed) = flight.ended() {
            found[at] = flight.carried::<K, V>().value().cloned();
        }
    }
}

/// All values, or what there is of them.
pub(super) fn whole<V, E>(mut found: Vec<Option<V>>, wants: Vec<Want<V, E>>) -> Result<Vec<Option<V>>, Partial<V, E>> {
    let (mut failed, mut first) = (Vec::new(), None);
    for want in wants {
        match want.answer.unwrap_or_else(unanswered) {
            Ok(served) => found[want.at] = served.value,
            Err(error) => {
                failed.push(want.at);
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => Ok(found),
        Some(error) => Err(Partial { found, failed, error }),
    }
}

/// Where an answer will be: every want gets one.
fn unanswered<T, E>() -> Result<T, LoadError<E>> {
    Err(LoadError::Abandoned)
}

pub(super) fn value_of<V>(served: Served<V>) -> Option<V> {
    served.value
}

fn lookup_of<V>(Served { value, freshness }: Served<V>) -> Lookup<V> {
    value.map_or(Lookup::Negative(freshness), |value| Lookup::Hit(value, freshness))
}

/// What a rich loader gives.
pub(super) type Loading<K, V, E> = Pin<Box<dyn Future<Output = Told<K, V, E>> + Send>>;

/// What a rich loader says of many ids.
type Told<K, V, E> = Result<Vec<(K, Said<V, E>)>, E>;

/// What a loader of plain pairs gives, as a rich one gives it.
pub(super) fn of_pairs<K, V, F, I, E>(load: F) -> Loading<K, V, E>
where
    F: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, V)>,
{
    Box::pin(async move { Ok(load.await?.into_iter().map(|(id, value)| (id, Ok(Loaded::new(value)))).collect()) })
}

/// Loads of one call: one behind the caller for what it refreshes, one for what is missing, more where they are too many.
struct Own<'a, K: Key, V: Value, L> {
    cache: &'a Arc<Typed<K, V>>,
    whole: &'a Arc<Inner>,
    runtime: Arc<dyn Runtime>,
    at_most: usize,
    /// How many ids are missing.
    about: usize,
    ttl: Option<Duration>,
    load: L,
    crews: Vec<(Ground, Crew)>,
}

impl<K: Key, V: Value, L> Own<'_, K, V, L> {
    /// The crew that still has room.
    fn crew(&mut self, ground: Ground) -> &mut Crew {
        let known = self.crews.iter().rposition(|(of, _)| *of == ground);
        let place = known.filter(|place| self.crews[*place].1.len() < self.at_most).unwrap_or_else(|| {
            let (cache, runtime) = (self.cache, Arc::clone(&self.runtime));
            let departure = cache.flights.departure(cache.hub.clock.precise(), runtime, self.whole.asks());
            self.crews.push((ground, Crew::new(self.whole, departure, self.about)));
            self.crews.len() - 1
        });
        &mut self.crews[place].1
    }
}

impl<K: Key, V: Value, L, F, I, E> Start for Own<'_, K, V, L>
where
    L: FnMut(Vec<K>) -> F,
    F: Future<Output = Result<I, E>> + Send + 'static,
    I: IntoIterator<Item = (K, Said<V, E>)>,
    E: Send + Sync + 'static,
{
    fn board(&mut self, ground: Ground, board: impl FnOnce(&Departure) -> Boarded) -> Boarded {
        let crew = self.crew(ground);
        match board(&crew.departure) {
            Boarded::Flight(flight, Role::Leads) => {
                crew.push(Arc::clone(&flight));
                Boarded::Flight(flight, Role::Leads)
            }
            // An id that is there twice waits for nobody else's load.
            Boarded::Flight(flight, Role::Follows) => {
                let ours = self.crews.iter().any(|(_, crew)| crew.departure.ticket == flight.node.ticket);
                Boarded::Flight(flight, if ours { Role::Leads } else { Role::Follows })
            }
            Boarded::Filled => Boarded::Filled,
        }
    }

    fn asking(&mut self) -> Vec<&mut Crew> {
        // What is refreshed is in the store as it is here.
        self.crews.iter_mut().filter(|(ground, _)| *ground == Ground::Fore).map(|(_, crew)| crew).collect()
    }

    fn take_off(&mut self) {
        for (_, crew) in std::mem::take(&mut self.crews) {
            if let Some(task) = crew.take_off(self.cache, self.ttl, &mut self.load) {
                self.runtime.spawn(task);
            }
        }
    }
}
