//! The face of a cache for callers that are not async.

use super::Cache;
use super::entry::value_loader;
use crate::error::LoadError;
use crate::key::{Key, KeyRef, ToKey, Value};
use crate::runtime::blocking::{aside, block_on};

impl<K: Key, V: Value> Cache<K, V> {
    /// The value; loaded by a plain function if it is not here, by one caller for all. For code that is not async.
    ///
    /// As [`get_or_load`](Cache::get_or_load), and beside it: threads and tasks that ask for one key share one load. The
    /// closure runs on this thread, so it may recurse into the cache; a refresh behind a stale value runs on a thread of
    /// the crate's own. It cannot be interrupted: a caller's own hard timeout, or the load's deadline, is noticed by those
    /// who wait for his load, not by him. Do not call it from async code that must not block.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let files = tierce::Hub::embedded().local_cache::<String, String>("file").build();
    /// let text = files.blocking_get_or_load("Cargo.toml", || std::fs::read_to_string("Cargo.toml"))?;
    /// assert_eq!(tierce::block_on(files.get("Cargo.toml")), Some(text));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`LoadError`]: when the load fails, panics, waits for itself, is too slow or turned away, and no stale value may
    /// stand in.
    #[inline]
    pub fn blocking_get_or_load<Q, L, E>(&self, key: &Q, load: L) -> Result<V, LoadError<E>>
    where
        Q: ToKey<K> + ?Sized,
        L: FnOnce() -> Result<V, E> + Send + 'static,
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.hit(key) {
            return Ok(value);
        }
        self.look_or_block(key, load)
    }

    /// A plainly fresh value.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hit<Q>(&self, key: &Q) -> Option<V>
    where
        Q: ToKey<K> + ?Sized,
    {
        self.inner.hit(key)
    }

    /// As [`invalidate`](Cache::invalidate), which waits for nothing where nothing leaves the process.
    pub(crate) fn invalidate_here<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.inner.invalidate(key);
    }

    /// As [`mark_stale`](Cache::mark_stale), in this process.
    pub(crate) fn mark_stale_here<Q>(&self, key: &Q)
    where
        Q: KeyRef<K> + ?Sized,
    {
        self.inner.mark_stale(key);
    }

    /// As [`purge`](Cache::purge), in this process.
    pub(crate) fn purge_here(&self) {
        self.inner.untyped().purge();
    }

    #[cold]
    fn look_or_block<Q, L, E>(&self, key: &Q, load: L) -> Result<V, LoadError<E>>
    where
        Q: ToKey<K> + ?Sized,
        L: FnOnce() -> Result<V, E> + Send + 'static,
        E: Send + Sync + 'static,
    {
        let entry = self.entry(key);
        let served = match entry.look() {
            Ok(served) => served,
            Err(sight) => {
                let load = value_loader(|| async move { aside(load) });
                block_on(entry.load_past(sight, load))?
            }
        };
        Ok(served.value.expect("a lookup that accepts values only ends with one"))
    }
}
