//! Ending the keys that match: a pattern, here and in the store, or a closure, here alone.
//!
//! The server looks at its names, ends those that match, and tells others of each. What they have in memory and the server
//! has not, since it made room, is told of by nobody so: hence one more marker, of the cache as a whole, after which others ask
//! for its entries anew.

use std::time::Duration;

use serde::Serialize;

use super::Cache;
use super::inner::Typed;
use super::shelf::Shelf;
use crate::error::{Error, Kind};
use crate::key::{Key, Value};
use crate::memory::Cause;
use crate::store::{self, Fault};

/// Keys that have parts in common.
///
/// It is made of what a key is made of, with [`Any`](crate::Any) or [`Like`](crate::Like) in the place of what differs.
///
/// ```
/// use tierce::{Any, Hub, KeyPattern, Like};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::embedded();
/// let carts = hub.cache::<(String, u64), u32>("cart").build();
/// carts.set(("acme".to_string(), 7), 3).await?;
/// assert_eq!(carts.invalidate_matching(&KeyPattern::of(&("acme", Any))?).await?, 1);
///
/// let pages = hub.cache::<String, String>("page").build();
/// pages.set("/shop/lamps".to_string(), "<html>".to_string()).await?;
/// assert_eq!(pages.invalidate_matching(&KeyPattern::of(&Like("/shop/*"))?).await?, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    /// The canonical text of the keys, in which a `*` is any text: no text of a key has one.
    text: String,
}

/// A server with many names takes its time to look at them, and others go on meanwhile.
const LOOKS: Duration = Duration::from_secs(60);

impl KeyPattern {
    /// The keys that look so.
    ///
    /// # Errors
    /// [`Kind::Invalid`]: no key looks so, such as a float that is no number.
    pub fn of<Q: Serialize + ?Sized>(keys: &Q) -> Result<Self, Error> {
        let mut text = String::new();
        store::write_key(keys, &mut text).map_err(|why| Error::new(Kind::Invalid, "pattern", why.to_string()))?;
        Ok(KeyPattern { text })
    }
}

impl<K: Key, V: Value> Cache<K, V> {
    /// Ends the keys that match, and gives the number of entries that went, of the store where there is one: no lookup of
    /// this process that begins after this has returned gets what was loaded for such a key before it was called, nor
    /// does one of another process, as after [`invalidate`](Cache::invalidate).
    ///
    /// Redis looks at every name that it has, for a second and a half for a million of them, a thousand at a time. Others go on
    /// meanwhile; their memory of this cache is asked for anew. A tag ends as many with one write. Keys that are stored
    /// under a hash, since their text is longer than some 200 bytes, are all ended with those that match.
    ///
    /// # Errors
    /// [`Kind::Invalid`]: a `local_cache`, whose keys have no text; use [`invalidate_where`](Cache::invalidate_where).
    /// [`Kind::Store`]: the store could not look, and some are not ended elsewhere; ask again. Memcached never can: use a tag.
    pub async fn invalidate_matching(&self, pattern: &KeyPattern) -> Result<u64, Error> {
        let inner = &self.inner;
        let Some(write) = inner.write_key else {
            let detail = "the keys of a local_cache have no text; use invalidate_where, or build it with hub.cache";
            return Err(Error::new(Kind::Invalid, "invalidate_matching", detail));
        };
        let compiled = store::Pattern::new(&pattern.text);
        let matches = |key: &K| {
            let mut text = String::new();
            write(key, &mut text).is_ok() && compiled.matches(&text)
        };
        let here = inner.end_where(matches);
        let Some(shelf) = &inner.shelf else { return Ok(here as u64) };
        let ended = shelf.end_matching(&pattern.text).await;
        // Who asked the store meanwhile may have been answered with what was before.
        inner.end_where(matches);
        ended.map_err(|fault| {
            let detail = format!("done in this process, but not for all that match elsewhere; ask again: {fault}");
            Error::new(Kind::Store, "invalidate_matching", detail)
        })
    }

    /// Ends the keys that the closure names, and gives the number of entries that went: no lookup that begins after this
    /// has returned gets what was loaded for such a key before it was called.
    ///
    /// It looks at every key, a few hundred under each lock, and clones those that it ends: O(capacity). A tag ends as
    /// many with one write. What begins to load meanwhile may stay.
    ///
    /// # Errors
    /// [`Kind::Invalid`]: the cache has a store, which knows no closures. Use
    /// [`invalidate_matching`](Cache::invalidate_matching), or a tag.
    ///
    /// # Panics
    /// When the closure calls this cache; see [`Memory`](crate::Memory).
    pub fn invalidate_where(&self, matches: impl FnMut(&K) -> bool) -> Result<usize, Error> {
        if self.inner.shelf.is_some() {
            let detail = "the entries of this cache are in a store as well, where no closure can look; use \
                          invalidate_matching with a pattern, or a tag";
            return Err(Error::new(Kind::Invalid, "invalidate_where", detail));
        }
        Ok(self.inner.end_where(matches))
    }
}

impl<K: Key, V: Value> Typed<K, V> {
    /// Ends the keys that are named, here; how many had entries.
    fn end_where(&self, mut matches: impl FnMut(&K) -> bool) -> usize {
        let mut ended = 0;
        let mut end = |key: &K| ended += usize::from(self.end_key(key));
        // Flights first: one that lands before it is looked at has filled before the entries are.
        for flights in self.flights.standing() {
            let keys = flights.iter().map(|flight| &flight.carried::<K, V>().key);
            keys.filter(|key| matches(key)).for_each(&mut end);
        }
        // What a writer is about to set is older than this.
        for keys in self.flights.held() {
            let keys = keys.iter().filter_map(|key| key.downcast_ref());
            keys.filter(|key| matches(key)).for_each(&mut end);
        }
        // Named under the lock and ended without it, so that a key's flight goes with its entry in one step.
        let mut named = Vec::new();
        self.memory.remove_where(Cause::Invalidated, |key, _, _| {
            if matches(key) {
                named.push(key.clone());
            }
            false
        });
        named.iter().for_each(end);
        ended
    }
}

impl Shelf {
    /// Ends the entries of this cache whose keys' text matches; how many there were.
    async fn end_matching(&self, text: &str) -> Result<u64, Fault> {
        let begin = self.names().begin();
        let link = &self.link;
        // A hash stands for a text that nobody can compare.
        let (exact, hashed) = (format!("{text}}}"), "#*}");
        let mut ended = 0;
        for pattern in [&*exact, hashed] {
            ended += link.tell_within(LOOKS, |store, within| store.invalidate_matching(begin, pattern, within)).await?;
        }
        link.invalidate(std::slice::from_ref(&self.names().all())).await?;
        Ok(ended)
    }
}
