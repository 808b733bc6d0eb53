//! One key with what a call says about it: tags, ttl, timeout.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::answer::{Freshness, Lookup};
use super::asking::{Asking, Nothing};
use super::consult::Fetching;
use super::core::{Accepts, Serves, Sight};
use super::hold::{self, Hold};
use super::inner::{Inner, Typed};
use super::load::{Load, Loaded};
use super::lookup::{Call, OnFailure, Path, Served};
use super::trip::Manner;
use crate::error::{Error, LoadError, WriteError};
use crate::expiry::Age;
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::stats::Counters;

/// One key of a [`Cache`](crate::Cache), with options for one call.
///
/// ```
/// # use std::time::Duration;
/// # use tierce::Hub;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let cache = Hub::embedded().local_cache::<u64, String>("product").build();
/// let product = cache
///     .entry(&7)
///     .tags(["products", "category:3"])
///     .ttl(Duration::from_secs(600))
///     .get_or_load(|| async { Ok::<_, std::io::Error>("a lamp".to_string()) })
///     .await;
/// # assert_eq!(product.unwrap(), "a lamp");
/// # }
/// ```
#[must_use = "nothing happens until a method that looks up or stores is called"]
pub struct Entry<'a, K: Key, V: Value, Q: ?Sized> {
    pub(super) cache: &'a Arc<Typed<K, V>>,
    pub(super) key: &'a Q,
    pub(super) call: Call,
}

impl<'a, K: Key, V: Value, Q: ToKey<K> + ?Sized> Entry<'a, K, V, Q> {
    /// Tags of what this call loads or sets. Their versions are noted before the load.
    ///
    /// # Panics
    /// On an empty tag, or one of more than 200 bytes.
    pub fn tags<T: Into<Arc<str>>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.call.tag(tags);
        self
    }

    /// Freshness of what this call loads or sets, instead of the cache's.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.call.ttl = Some(ttl);
        self
    }

    /// How long this call waits for a load, instead of the cache's hard timeout. The load goes on without it.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call.timeout = Some(timeout);
        self
    }

    /// Passes memory by: what this call gives is what the store has now, or else what a load brings that begins now. So it is
    /// never from before an invalidation that has returned, in whatever process; it costs what a miss of memory does. No
    /// stale value is served, and it counts as neither hit nor miss. Without a store every read is such a one.
    pub fn strong(mut self) -> Self {
        self.call.strong = self.cache.shelf.is_some() && !mutant::on(Mutant::StrongBelievesMemory);
        if self.call.strong {
            self.call.on_failure = OnFailure::Error;
        }
        self
    }

    /// The value if it is here or in the store, and fresh. See [`Cache::get`](crate::Cache::get).
    pub async fn get(self) -> Option<V> {
        if self.call.strong {
            Counters::bump(&self.cache.counters.strong);
        } else if let Some(value) = self.cache.get(self.key) {
            return Some(value);
        }
        self.cache.shelf.as_ref()?;
        let cache: Arc<Inner> = self.cache.clone();
        let (fetching, found) = self.fetching(&cache);
        match fetching? {
            Fetching::Filled => found,
            Fetching::Leads(flight, seen) => {
                let found = Box::pin(cache.fetch(Arc::clone(&flight), seen)).await;
                if found { flight.carried::<K, V>().value().cloned() } else { None }
            }
            Fetching::Follows(seen) => {
                let value = Box::pin(cache.read_through(seen)).await?;
                value.downcast().ok().map(|value| *value)
            }
        }
    }

    /// Here is all that knows the key's type, which need not be one that can be sent.
    fn fetching(&self, cache: &Arc<Inner>) -> (Option<Fetching>, Option<V>) {
        let mut asking = Asking::<_, _, _, Nothing<V, Infallible>, Infallible>::new(self.cache, self.key, None);
        let fetching = Path { cache, asked: &mut asking, call: &self.call }.fetching();
        (fetching, asking.found())
    }

    /// The value, loaded if it is not here. See [`Cache::get_or_load`](crate::Cache::get_or_load).
    ///
    /// # Errors
    /// When the load fails, panics, is too slow or turned away, and no stale value may stand in.
    pub async fn get_or_load<L, F, E>(self, load: L) -> Result<V, LoadError<E>>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if !self.call.strong
            && let Some(value) = self.cache.hit(self.key)
        {
            return Ok(value);
        }
        self.look_and_load(load).await
    }

    /// The value or its known absence, loaded if neither is here. See
    /// [`Cache::find_or_load`](crate::Cache::find_or_load).
    ///
    /// # Errors
    /// As [`get_or_load`](Entry::get_or_load).
    pub async fn find_or_load<L, F, E>(mut self, load: L) -> Result<Option<V>, LoadError<E>>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.call.accepts = Accepts::Absence;
        Ok(self.serve(option_loader(load)).await?.value)
    }

    /// As [`find_or_load`](Entry::find_or_load), with a loader that sees the stale value and says how to keep the new
    /// one, and an answer that says how fresh it is.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tierce::{Hub, Load, Loaded};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let cache = Hub::embedded().local_cache::<u64, String>("page").build();
    /// let found = cache
    ///     .entry(&7)
    ///     .load_with(|load: Load<String>| async move {
    ///         if let Some(stale) = load.stale {
    ///             return Ok(stale.unchanged()); // the source said "304 Not Modified"
    ///         }
    ///         Ok::<_, std::io::Error>(Loaded::new("a page".to_string()).tag("author:9").ttl(Duration::from_secs(5)))
    ///     })
    ///     .await;
    /// # assert_eq!(found.unwrap().value().map(String::as_str), Some("a page"));
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get_or_load`](Entry::get_or_load).
    pub async fn load_with<L, F, E>(mut self, load: L) -> Result<Lookup<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.call.accepts = Accepts::Absence;
        let Served { value, freshness } = self.serve(load).await?;
        Ok(value.map_or(Lookup::Negative(freshness), |value| Lookup::Hit(value, freshness)))
    }

    /// Loads now, whatever is here, and keeps the new value. See [`Cache::refresh`](crate::Cache::refresh).
    ///
    /// # Errors
    /// As [`get_or_load`](Entry::get_or_load); no stale value stands in.
    pub async fn refresh<L, F, E>(self, load: L) -> Result<V, LoadError<E>>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let served = self.reload(value_loader(load)).await?;
        Ok(served.value.expect("a lookup that accepts values only ends with one"))
    }

    /// As [`refresh`](Entry::refresh), with a loader that sees the old value and says how to keep the new one.
    ///
    /// # Errors
    /// As [`refresh`](Entry::refresh).
    pub async fn refresh_with<L, F, E>(mut self, load: L) -> Result<Lookup<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.call.accepts = Accepts::Absence;
        let Served { value, freshness } = self.reload(load).await?;
        Ok(value.map_or(Lookup::Negative(freshness), |value| Lookup::Hit(value, freshness)))
    }

    pub(crate) async fn reload<L, F, E>(mut self, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        self.call.on_failure = OnFailure::Error;
        Box::pin(Asking::new(self.cache, self.key, Some(load)).travel(&self.call, Manner::Refresh, None)).await
    }

    /// Puts a value in that the caller knows to be current. See [`Cache::set`](crate::Cache::set).
    ///
    /// # Errors
    /// None without a store.
    pub async fn set(self, value: V) -> Result<(), Error> {
        self.cache.set_everywhere(self.key, Some(value), self.call.ttl, &self.call.tags).await
    }

    /// Notes that the key has no value.
    ///
    /// # Errors
    /// None without a store.
    pub async fn set_absent(self) -> Result<(), Error> {
        self.cache.set_everywhere(self.key, None, self.call.ttl, &self.call.tags).await
    }

    /// Writes to the source, then keeps what the write gave. See [`Cache::set_through`](crate::Cache::set_through).
    ///
    /// # Errors
    /// [`WriteError::Source`]: the write's own error.
    pub async fn set_through<W, F, E>(self, write: W) -> Result<V, WriteError<E>>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<V, E>>,
    {
        let write = || async { write().await.map(Loaded::new) };
        let written = hold::write_through(self.cache, self.key, self.call, write).await?;
        Ok(written.expect("a write of a value gives one"))
    }

    /// As [`set_through`](Entry::set_through), for a write that says how to keep what it gave: its tags and ttl, or that
    /// the key has no value now.
    ///
    /// # Errors
    /// As [`set_through`](Entry::set_through).
    pub async fn set_through_with<W, F, E>(self, write: W) -> Result<Option<V>, WriteError<E>>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<Loaded<V>, E>>,
    {
        hold::write_through(self.cache, self.key, self.call, write).await
    }

    /// Says that the caller is about to change the key. See [`Cache::hold`](crate::Cache::hold); tags and ttl are those
    /// of the value that ends the hold.
    ///
    /// # Errors
    /// None without a store.
    #[allow(clippy::unused_async, reason = "with a store it waits for it")]
    pub async fn hold(self) -> Result<Hold<K, V>, Error> {
        Ok(Hold::new(self.cache, self.key, self.call))
    }

    /// Gives a fresh entry its time anew; whether there was one. A stale entry stays so. Where the hub has a store the entry gets
    /// the time that it was stored with, whatever this call says, and other processes see that when they ask the store next.
    ///
    /// # Errors
    /// None without a store. [`Kind::Store`](crate::Kind::Store): it did not answer, and nothing was done.
    pub async fn touch(self) -> Result<bool, Error> {
        self.cache.touch_everywhere(self.key, self.call.ttl).await
    }

    /// The rest of [`get_or_load`](Entry::get_or_load), when the value is not plainly fresh. It may be fresh all the
    /// same, once its tags are compared: that takes no runtime and no allocation. Otherwise the path of a load is
    /// boxed, so that a hit's future stays small.
    pub(super) async fn look_and_load<L, F, E>(self, load: L) -> Result<V, LoadError<E>>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<V, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let served = self.serve(value_loader(load)).await?;
        Ok(served.value.expect("a lookup that accepts values only ends with one"))
    }

    /// A look at memory; on anything but a fresh value the path of a load, boxed, so that a hit's future stays small.
    #[inline]
    pub(super) async fn serve<L, F, E>(self, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        match self.look() {
            Ok(served) => Ok(served),
            Err(sight) => self.load_past(sight, load).await,
        }
    }

    /// A counted look at memory: a fresh answer, or else what there is.
    #[inline]
    pub(crate) fn look(&self) -> Result<Served<V>, Option<Sight<V>>> {
        if self.call.strong {
            Counters::bump(&self.cache.counters.strong);
            return Err(None);
        }
        match self.cache.sight(self.key, Serves::Accepted(self.call.accepts)) {
            Some(sight) if sight.age == Age::Fresh && self.call.accepts(sight.value.is_some()) => {
                Ok(Served { value: sight.value, freshness: Freshness::Fresh })
            }
            other => Err(other),
        }
    }

    /// The path of a load, boxed, after a look that found this.
    pub(crate) async fn load_past<L, F, E>(self, sight: Option<Sight<V>>, load: L) -> Result<Served<V>, LoadError<E>>
    where
        L: FnOnce(Load<V>) -> F,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let manner = if self.call.strong { Manner::Strong } else { Manner::Lookup };
        Box::pin(Asking::new(self.cache, self.key, Some(load)).travel(&self.call, manner, sight)).await
    }

    /// Whether a known absence is an answer.
    pub(crate) fn accepts(mut self, accepts: Accepts) -> Self {
        self.call.accepts = accepts;
        self
    }
}

/// What a rich loader gives.
type Loading<V, E> = Pin<Box<dyn Future<Output = Result<Loaded<V>, E>> + Send>>;

/// A plain loader as a rich one.
pub(super) fn value_loader<V, L, F, E>(load: L) -> impl FnOnce(Load<V>) -> Loading<V, E>
where
    L: FnOnce() -> F,
    F: Future<Output = Result<V, E>> + Send + 'static,
{
    move |_| {
        let load = load();
        Box::pin(async move { load.await.map(Loaded::new) })
    }
}

/// A loader of values or absences as a rich one.
fn option_loader<V, L, F, E>(load: L) -> impl FnOnce(Load<V>) -> Loading<V, E>
where
    L: FnOnce() -> F,
    F: Future<Output = Result<Option<V>, E>> + Send + 'static,
{
    move |_| {
        let load = load();
        Box::pin(async move { load.await.map(Loaded::from) })
    }
}
