//! Caches: named, typed families of entries with loads, ages and tags.

mod answer;
mod asked;
mod asking;
mod backoff;
mod batch;
mod blocking;
mod builder;
mod cargo;
mod consult;
mod core;
mod cycle;
mod entry;
mod explain;
mod fill;
mod fleet;
mod flight;
mod gone;
mod heard;
mod hold;
mod inner;
mod inventory;
mod leased;
mod leased_many;
mod load;
mod lookup;
mod marks;
mod matching;
pub(crate) mod outside;
mod partial;
mod permits;
mod rounds;
mod run;
mod seats;
mod seen;
mod shelf;
mod stamped;
mod stock;
mod tell;
mod trip;
mod typed;
mod vault;
mod wait;
mod window;
mod writers;

use std::any::Any;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

pub use answer::{Freshness, Lookup};
pub(crate) use asking::Asking;
pub use batch::Entries;
pub use builder::Builder;
pub(crate) use builder::LONGEST_NAME;
pub(crate) use core::{Accepts, Sight};
pub(crate) use cycle::{Node, innermost};
pub use entry::Entry;
pub use explain::Explanation;
pub use gone::Reason;
pub(crate) use heard::Heard;
pub use hold::Hold;
pub use inventory::InStore;
pub(crate) use load::Bare;
pub use load::{Load, Loaded, Stale};
pub(crate) use lookup::{Call, OnFailure};
pub use matching::KeyPattern;
pub use partial::Partial;
pub(crate) use run::LoadFuture;
pub(crate) use tell::untold;
pub(crate) use trip::Manner;
pub use window::Batched;

use crate::error::{Error, LoadError, WriteError};
use crate::expiry::Age;
use crate::key::{Key, KeyRef, ToKey, Value};
use crate::shared::Family;
use crate::stats::Stats;
use core::Serves;
use inner::Typed;

/// One named, typed family of entries: memory, loads that are shared, ages, tags.
///
/// Made by [`Hub::local_cache`](crate::Hub::local_cache) or [`Hub::cache`](crate::Hub::cache); cheap to clone, and
/// all clones are one cache. A hit clones the value out, so let `V` be an [`Arc`] where cloning is dear.
///
/// What it promises within one process (`docs/guarantees.md`): after [`invalidate`](Cache::invalidate) has returned,
/// no lookup that begins later gets what was loaded before; one load per key at a time; a caller who gives up takes
/// nothing from the others.
///
/// ```
/// use std::sync::Arc;
/// use tierce::Hub;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::embedded();
/// let users = hub.local_cache::<u64, Arc<str>>("user").build();
///
/// let name = users.get_or_load(&7, || async { Ok::<_, std::io::Error>("Ada".into()) }).await?;
/// assert_eq!(&*name, "Ada");
/// users.invalidate(&7).await?;
/// assert_eq!(users.get(&7).await, None);
/// # Ok(()) }
/// ```
pub struct Cache<K, V> {
    inner: Arc<Typed<K, V>>,
}

impl<K: Key, V: Value> Cache<K, V> {
    /// The value; loaded if it is not here, by one caller for all.
    ///
    /// The loader's future runs on the caller's runtime, detached from the caller: who stops waiting stops nobody's
    /// load. Callers who come while it runs wait for it, unless their key or one of its tags was invalidated since it
    /// began. Errors go to all who wait and are not kept.
    ///
    /// # Errors
    /// [`LoadError`]: when the load fails, panics, is too slow or turned away, and no stale value may stand in.
    ///
    /// # Panics
    /// Outside any runtime, when it has to load.
    #[inline]
    pub async fn get_or_load<Q, L, F, E>(&self, key: &Q, load: L) -> Result<V, LoadError<E>>
    where
        Q: ToKey<K> + ?Sized,
        L: FnOnce() -> F,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.inner.hit(key) {
            return Ok(value);
        }
        self.entry(key).look_and_load(load).await
    }

    /// The value or its known absence; loaded if neither is here. An absence (`Ok(None)`) is kept as a negative entry,
    /// for 30 s unless the builder says otherwise.
    ///
    /// # Errors
    /// As [`get_or_load`](Cache::get_or_load).
    pub async fn find_or_load<Q, L, F, E>(&self, key: &Q, load: L) -> Result<Option<V>, LoadError<E>>
    where
        Q: ToKey<K> + ?Sized,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.entry(key).find_or_load(load).await
    }

    /// One key with options for one call: tags, ttl, timeout, a loader that sees the stale value.
    #[inline]
    pub fn entry<'a, Q: ?Sized>(&'a self, key: &'a Q) -> Entry<'a, K, V, Q> {
        Entry { cache: &self.inner, key, call: Call::default() }
    }

    /// The value if it is here and fresh.
    pub async fn get<Q>(&self, key: &Q) -> Option<V>
    where
        Q: ToKey<K> + ?Sized,
    {
        if let Some(value) = self.inner.hit(key) {
            return Some(value);
        }
        self.entry(key).get().await
    }

    /// What is here, how fresh, or why not. Loads nothing.
    #[allow(clippy::unused_async, reason = "with a store it waits for it")]
    pub async fn lookup<Q>(&self, key: &Q) -> Lookup<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let Some(sight) = self.inner.sight(key, Serves::All) else {
            return Lookup::Miss(self.inner.gone.reason(self.inner.memory.hash(key)));
        };
        let freshness = match sight.age {
            Age::Fresh | Age::Early => Freshness::Fresh,
            Age::Revalidate | Age::OnError | Age::Throttled => Freshness::Stale,
        };
        sight.value.map_or(Lookup::Negative(freshness), |value| Lookup::Hit(value, freshness))
    }

    /// The value if it is in this process and fresh; neither counted nor taken as a sign that it is wanted.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        Q: KeyRef<K> + ?Sized,
    {
        let sight = self.inner.glance(key)?;
        matches!(sight.age, Age::Fresh | Age::Early).then_some(sight.value).flatten()
    }

    /// Puts a value in that the caller knows to be current. A load of the key that runs now is not kept.
    ///
    /// After a write to the source rather [`invalidate`](Cache::invalidate), or write by
    /// [`set_through`](Cache::set_through): two writers who `set` can leave the older value.
    ///
    /// # Errors
    /// None without a store.
    pub async fn set(&self, key: K, value: V) -> Result<(), Error> {
        self.entry(&key).set(value).await
    }

    /// Writes to the source, then keeps what the write gave: two writers cannot leave the older value, and no reader
    /// fills in between.
    ///
    /// The value is kept if nobody else wrote, changed or loaded the key while the write ran; otherwise the key is
    /// invalidated, and the next caller loads. The write runs in the caller's own task. If it fails, panics or is
    /// cancelled nobody knows what became of it, and the key is invalidated as well. For a transaction of several keys see
    /// [`hold`](Cache::hold); for a value with tags or a ttl of its own
    /// [`Entry::set_through_with`](crate::Entry::set_through_with).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let products = tierce::Hub::embedded().local_cache::<u64, String>("product").build();
    /// # async fn update(_: u64, name: &str) -> Result<String, std::io::Error> { Ok(name.to_string()) }
    /// let lamp = products.set_through(&7, || update(7, "a lamp")).await?;
    /// assert_eq!(products.get(&7).await, Some(lamp));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`WriteError::Source`]: the write's own error.
    pub async fn set_through<Q, W, F, E>(&self, key: &Q, write: W) -> Result<V, WriteError<E>>
    where
        Q: ToKey<K> + ?Sized,
        W: FnOnce() -> F,
        F: Future<Output = Result<V, E>>,
    {
        self.entry(key).set_through(write).await
    }

    /// Says that the caller is about to change a key in the source: until the [`Hold`] ends no load of it is kept.
    ///
    /// Take it before the change can be seen by others, and end it after the commit.
    ///
    /// # Errors
    /// None without a store.
    pub async fn hold<Q>(&self, key: &Q) -> Result<Hold<K, V>, Error>
    where
        Q: ToKey<K> + ?Sized,
    {
        self.entry(key).hold().await
    }

    /// Ends a key: no lookup that begins after this has returned gets what was loaded before.
    ///
    /// A load that runs now still answers those who waited for it before, and is not kept.
    ///
    /// # Errors
    /// None without a store.
    pub async fn invalidate<Q>(&self, key: &Q) -> Result<(), Error>
    where
        Q: ToKey<K> + ?Sized,
    {
        self.inner.invalidate_everywhere(key).await
    }

    /// Ends a key's freshness: it may still be served where stale values may, while it is reloaded.
    ///
    /// # Errors
    /// None without a store.
    pub async fn mark_stale<Q>(&self, key: &Q) -> Result<(), Error>
    where
        Q: ToKey<K> + ?Sized,
    {
        self.inner.mark_stale_everywhere(key).await
    }

    /// Loads now, whatever is here, and keeps the new value; readers get the old one meanwhile.
    ///
    /// Callers share one load, but only one that began after they called: what it brings is as new as the call.
    ///
    /// # Errors
    /// As [`get_or_load`](Cache::get_or_load); no stale value stands in.
    pub async fn refresh<Q, L, F, E>(&self, key: &Q, load: L) -> Result<V, LoadError<E>>
    where
        Q: ToKey<K> + ?Sized,
        L: FnOnce() -> F,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.entry(key).refresh(load).await
    }

    /// Gives a fresh entry its time anew; whether there was one. A stale entry stays so.
    ///
    /// # Errors
    /// None without a store.
    pub async fn touch<Q>(&self, key: &Q) -> Result<bool, Error>
    where
        Q: ToKey<K> + ?Sized,
    {
        self.entry(key).touch().await
    }

    /// Ends every entry and load of this cache.
    ///
    /// # Errors
    /// None without a store.
    pub async fn purge(&self) -> Result<(), Error> {
        self.inner.untyped().purge_everywhere().await
    }

    /// All that is known of a key: where it is, its ages, tags and cost, and why the last lookup missed.
    ///
    /// With a store it is asked too, and waited for as long as a lookup waits.
    pub async fn explain<Q>(&self, key: &Q) -> Explanation
    where
        Q: ToKey<K> + ?Sized,
    {
        self.inner.explain_fully(key).await
    }

    /// What was counted since the cache was built.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// One who asks for a key, with a loader.
    pub(crate) fn asking<'a, Q, L, E>(&'a self, key: &'a Q, load: L) -> Asking<'a, K, V, Q, L, E>
    where
        Q: ToKey<K> + ?Sized,
    {
        Asking::new(&self.inner, key, Some(load))
    }

    /// The same, whatever its types; for [`of_any`](Cache::of_any).
    pub(crate) fn into_any(self) -> Arc<dyn Any + Send + Sync> {
        self.inner
    }

    pub(crate) fn of_any(any: Arc<dyn Any + Send + Sync>) -> Option<Self> {
        any.downcast().ok().map(|inner| Cache { inner })
    }

    /// The cache's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }
}

// As `Memory`: a panic of foreign code leaves it whole.
impl<K: Key, V: Value> UnwindSafe for Cache<K, V> {}
impl<K: Key, V: Value> RefUnwindSafe for Cache<K, V> {}

impl<K: Key, V: Value> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Cache { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Key, V: Value> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.inner.name).field("stats", &self.stats()).finish()
    }
}
