//! Holds: a writer tells the cache of a change in the source, from before the change until after it.
//!
//! **Problem.** To write to the source and `set` afterwards leaves the older value when two writers overtake each other
//! between the two; and a reader who loads in between may fill what is about to be rolled back.
//!
//! **Idea.** A hold notes its beginning under the lock under which loads fill. While it lasts no load of the key is kept,
//! and what was kept before is served: the change has not been told yet. At its end, in one step under that lock, the load
//! that runs is detached, and the new value is kept only if nothing else happened to the key since the hold began: no other
//! writer, no change, no load that brought a value. Otherwise the entry goes, and the next caller asks the source, which
//! alone knows who came last. A hold that is dropped (a cancelled caller, a panic, an early `?`) may have changed the
//! source or not, so the entry goes as well.
//!
//! **Cost.** Two locks of a slice of the flight table, and an entry there; a hit pays nothing.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::cargo::Seek;
use super::gone::Reason;
use super::inner::Typed;
use super::load::{Bare, Keep, Loaded};
use super::lookup::Call;
use super::marks::NOWHERE;
use super::stamped::Ties;
use super::vault::{self, Fallout, Fresh, New};
use super::writers::Held;
use crate::error::{Error, WriteError};
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::tag::Cell;

/// A key that its holder is about to change in the source: no load of it is kept until this ends.
///
/// Made by [`Cache::hold`](crate::Cache::hold) or [`Entry::hold`](crate::Entry::hold) *before* the change becomes visible
/// to readers, and ended after the commit:
///
/// | how the change ended | end the hold with |
/// |---|---|
/// | committed, and the new value is known | [`set`](Hold::set) |
/// | committed | [`invalidate`](Hold::invalidate) |
/// | rolled back, nothing was changed | [`unchanged`](Hold::unchanged) |
/// | nobody knows: an error, a panic, a cancelled task | drop it: the entry goes |
///
/// What was cached before is served until then. Holds never wait for each other, so one transaction may have many.
///
/// ```
/// # use tierce::Hub;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tierce::Error> {
/// # let accounts = Hub::embedded().local_cache::<u64, i64>("account").build();
/// # struct Transaction; impl Transaction { async fn commit(self) {} }
/// # let transaction = Transaction;
/// let from = accounts.hold(&1).await?;
/// let to = accounts.hold(&2).await?;
/// // ... move the money ...
/// transaction.commit().await;
/// from.invalidate().await?;
/// to.invalidate().await?;
/// # Ok(()) }
/// ```
#[must_use = "a hold that is dropped invalidates its key at once"]
pub struct Hold<K: Key, V: Value> {
    cache: Arc<Typed<K, V>>,
    key: Held,
    types: PhantomData<fn() -> K>,
    hash: u64,
    call: Call,
    tags: Box<[Arc<Cell>]>,
    /// The hub's epoch before the change: a tag that is invalidated meanwhile ends the new value as well.
    began: u64,
    /// Whether the table still says that the key is held.
    entered: bool,
    ended: bool,
}

/// How a hold ends.
enum End<V> {
    Set(Loaded<V>),
    Invalidate,
    Unchanged,
}

impl<K: Key, V: Value> Hold<K, V> {
    pub(super) fn new<Q>(cache: &Arc<Typed<K, V>>, key: &Q, call: Call) -> Self
    where
        Q: ToKey<K> + ?Sized,
    {
        let hash = cache.memory.hash(key);
        let owned: Held = Arc::new(key.to_key());
        let tags = cache.hub.tags.cells(&call.tags);
        let began = cache.hub.tags.epoch();
        let shared = cache.flights.lock(hash).writers().enter(hash, &Seek::new(key), &owned);
        drop(owned);
        let cache = Arc::clone(cache);
        Hold { cache, key: shared, types: PhantomData, hash, call, tags, began, entered: true, ended: false }
    }

    fn key(&self) -> &K {
        self.key.downcast_ref().expect("writers of a cache hold its keys")
    }

    /// The change is committed, and this is the value now. It is kept if nobody else wrote, changed or loaded the key
    /// meanwhile; otherwise the key is invalidated. Whether it was kept. Where the hub has a store the key is always
    /// invalidated.
    ///
    /// # Errors
    /// None without a store. [`Kind::Store`](crate::Kind::Store): it did not take the invalidation, and will be told again.
    pub async fn set(self, value: V) -> Result<bool, Error> {
        self.set_with(Loaded::new(value)).await
    }

    /// As [`set`](Hold::set), for a value with tags and a ttl of its own, or the absence of one.
    ///
    /// # Errors
    /// As [`set`](Hold::set).
    pub async fn set_with(mut self, loaded: Loaded<V>) -> Result<bool, Error> {
        if self.cache.shelf.is_some() {
            self.invalidate().await?;
            return Ok(false);
        }
        Ok(self.end(End::Set(loaded)))
    }

    /// The change is committed: no lookup that begins after this has returned gets what was loaded before.
    ///
    /// # Errors
    /// As [`set`](Hold::set).
    pub async fn invalidate(mut self) -> Result<(), Error> {
        self.end(End::Invalidate);
        if self.cache.shelf.is_none() || mutant::on(Mutant::HoldNotToldToStore) {
            return Ok(());
        }
        self.cache.invalidate_everywhere(self.key()).await
    }

    /// Nothing was changed: what is cached stays, unless somebody loaded the key meanwhile; what he got is not kept.
    pub fn unchanged(mut self) {
        self.end(End::Unchanged);
    }

    /// Whether the value was kept.
    fn end(&mut self, end: End<V>) -> bool {
        if self.ended {
            return false;
        }
        // Foreign code: a weigher, a clone. If it panics the hold is dropped, and ends as one that was cancelled.
        let takes = !matches!(end, End::Unchanged);
        let mut fresh = match end {
            End::Set(loaded) if loaded.bare.keep == Keep::Yes => Some(self.fresh(loaded)),
            _ => None,
        };
        let mut out = Fallout::new();
        let mut slice = self.cache.flights.lock(self.hash);
        if self.cache.shelf.is_some() {
            slice.writers().remember(self.hash, self.cache.flights.ticket());
        }
        let undisturbed = std::mem::take(&mut self.entered) && slice.writers().leave(self.hash, &self.key);
        let alone = undisturbed || mutant::on(Mutant::WritersNotCompared);
        let detached =
            if mutant::on(Mutant::HoldNotDetaching) { None } else { slice.detach(&Seek::<K, K>::new(self.key())) };
        let mut kept = false;
        match fresh.take() {
            Some(new) if alone => {
                self.cache.memory.put(self.hash, new, &mut out);
                kept = true;
            }
            refused => {
                fresh = refused;
                if takes {
                    self.cache.memory.take(self.key(), &mut out);
                }
            }
        }
        drop(slice);
        self.ended = true;
        drop((detached, fresh));
        self.cache.memory.settle(out);
        if takes && !kept {
            self.cache.gone.note(self.hash, Reason::Invalidated);
        }
        kept
    }

    fn fresh(&self, loaded: Loaded<V>) -> Fresh<K, V> {
        let Loaded { value, bare: Bare { tags, cells, ttl, weight, .. } } = loaded;
        let ttl = ttl.or(self.call.ttl.filter(|_| value.is_some()));
        let named = self.cache.hub.tags.cells(&tags);
        let all = super::fill::distinct(self.tags.iter().chain(&named).chain(&cells));
        // Stamped with the epoch before the change: an invalidation since then is found at the next lookup.
        let late = mutant::on(Mutant::HoldStampedLate);
        let began = if late { self.cache.hub.tags.epoch() } else { self.began };
        // With a store nothing is set here, so that no store tells of it.
        let ties = Ties { tags: &all, place: NOWHERE };
        let times = self.cache.times(ttl, value.is_none(), 0);
        let new = New { weight, ties, began, times, cost_us: 0 };
        vault::fresh(&self.cache.memory, &self.cache, self.key().clone(), value, new)
    }
}

/// Writes to the source under a hold; on success keeps what it gives.
pub(super) async fn write_through<K, V, Q, W, F, E>(
    cache: &Arc<Typed<K, V>>,
    key: &Q,
    call: Call,
    write: W,
) -> Result<Option<V>, WriteError<E>>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    W: FnOnce() -> F,
    F: Future<Output = Result<Loaded<V>, E>>,
{
    let hold = Hold::new(cache, key, call);
    // On an error nobody knows whether it was written: the hold is dropped, and the entry goes.
    let written = write().await.map_err(WriteError::Source)?;
    let value = written.value.clone();
    hold.set_with(written).await.map_err(WriteError::Cache)?;
    Ok(value)
}

impl<K: Key, V: Value> Drop for Hold<K, V> {
    fn drop(&mut self) {
        let end = if mutant::on(Mutant::DroppedHoldKeeps) { End::Unchanged } else { End::Invalidate };
        // A key's `Eq` that panics again must not end the process.
        drop(catch_unwind(AssertUnwindSafe(|| {
            let is_left = !self.ended;
            self.end(end);
            if is_left && let Some((shelf, name)) = self.cache.stored_name(self.key()) {
                shelf.link.owe(&[name]);
            }
        })));
    }
}

impl<K: Key + fmt::Debug, V: Value> fmt::Debug for Hold<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("cache", &self.cache.name).field("key", self.key()).finish_non_exhaustive()
    }
}
