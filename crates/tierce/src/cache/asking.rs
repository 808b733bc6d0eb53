//! A lookup's own end, which knows the types of its cache.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Asked, Begun, Failure};
use super::cargo::{Seek, Sought};
use super::core::{Accepts, Because, Sight};
use super::flight::{AnyError, Boarding, Flight};
use super::inner::{Inner, Typed};
use super::load::{Bare, Load, Loaded};
use super::lookup::{Call, Served};
use super::run::LoadFuture;
use super::trip::{self, Manner};
use super::vault::{Fallout, Spill};
use crate::error::LoadError;
use crate::key::{Key, ToKey, Value};
use crate::tag::Cell;

/// A key of a cache with a loader.
pub(crate) struct Asking<'a, K: Key, V: Value, Q: ?Sized, L, E> {
    cache: &'a Arc<Typed<K, V>>,
    seek: Seek<'a, K, Q>,
    hash: u64,
    found: Option<V>,
    load: Option<L>,
    error: PhantomData<fn() -> E>,
}

/// Of an asker who never loads.
pub(super) type Nothing<V, E> = fn(Load<V>) -> std::future::Ready<Result<Loaded<V>, E>>;

impl<'a, K, V, Q, L, E> Asking<'a, K, V, Q, L, E>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
{
    pub(crate) fn new(cache: &'a Arc<Typed<K, V>>, key: &'a Q, load: Option<L>) -> Self {
        let hash = cache.memory.hash(key);
        Asking { cache, seek: Seek::new(key), hash, found: None, load, error: PhantomData }
    }

    /// Keeps what was seen already.
    pub(super) fn seen(&mut self, sight: Option<Sight<V>>) -> Option<Sight<()>> {
        let Sight { value, age } = sight?;
        self.found = value;
        Some(Sight { value: self.found.as_ref().map(|_| ()), age })
    }

    pub(super) fn found(self) -> Option<V> {
        self.found
    }
}

impl<K, V, Q, L, F, E> Asking<'_, K, V, Q, L, E>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    L: FnOnce(Load<V>) -> F,
    F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    /// The whole path, for lookups that did not find a fresh value at once.
    ///
    /// `first` is what memory had, counted already.
    pub(super) async fn travel(
        mut self,
        call: &Call,
        manner: Manner,
        first: Option<Sight<V>>,
    ) -> Result<Served<V>, LoadError<E>> {
        let cache: Arc<Inner> = self.cache.clone();
        let first = self.seen(first);
        let ended = trip::drive((cache, call, manner), first, &mut self, |asking| asking).await;
        let freshness = ended.map_err(Failure::known)?;
        Ok(Served { value: self.found, freshness })
    }

    /// The same where all may be sent, and most of it is compiled already. Gives what the caller is to be told.
    pub(crate) async fn travel_sent(
        mut self,
        call: &Call,
        manner: Manner,
        first: Option<Sight<V>>,
    ) -> Result<Option<V>, LoadError<E>>
    where
        Self: Send,
    {
        let first = self.seen(first);
        let ended = trip::sent(self.cache.clone(), call, manner, first, &mut self).await;
        ended.map(|_| self.found).map_err(Failure::known)
    }
}

impl<K, V, Q, L, F, E> Asked for Asking<'_, K, V, Q, L, E>
where
    K: Key,
    V: Value,
    Q: ToKey<K> + ?Sized,
    L: FnOnce(Load<V>) -> F,
    F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    E: Send + Sync + 'static,
{
    fn hash(&self) -> u64 {
        self.hash
    }

    fn key(&self) -> &dyn Sought {
        &self.seek
    }

    fn flight(&self, boarding: Boarding<'_>) -> Arc<Flight> {
        let key = self.seek.key().to_key();
        let named = self.cache.named(&key);
        Flight::new::<K, V>(key, named, boarding)
    }

    fn has_fresh(&self, accepts: Accepts) -> bool {
        self.cache.has_fresh(self.seek.key(), accepts)
    }

    fn take(&self, out: &mut Spill) {
        let mut fell = Fallout::new();
        self.cache.memory.take(self.seek.key(), &mut fell);
        out.add::<K, V>(fell);
    }

    fn glance(&mut self) -> Option<Sight<()>> {
        let sight = self.cache.glance(self.seek.key());
        self.seen(sight)
    }

    fn stale(&mut self, because: Because) -> Option<Sight<()>> {
        let sight = self.cache.stale(self.seek.key(), because);
        self.seen(sight)
    }

    fn collect(&mut self, flight: &Flight) {
        self.found = flight.carried::<K, V>().value().cloned();
    }

    fn knows(&self, error: &AnyError) -> bool {
        error.is::<E>()
    }

    fn can_load(&self) -> bool {
        self.load.is_some()
    }

    fn begin(&mut self, flight: &Arc<Flight>, ttl: Option<Duration>) -> Begun {
        let load = self.load.take().expect("it was asked whether there is one");
        let stale = self.cache.replaced(self.seek.key());
        let kept_tags = names(stale.as_ref().map_or(&[], |stale| &*stale.tags));
        let called = flight.node.polled(|| catch_unwind(AssertUnwindSafe(|| load(Load { stale }))));
        let flight = Arc::clone(flight);
        let load = called.map(|load| -> LoadFuture<Bare> {
            Box::pin(async move {
                let loaded = load.await.map_err(|error| -> AnyError { Arc::new(error) })?;
                Ok(kept::<K, V>(loaded, &flight).or_for(ttl))
            })
        });
        (load, kept_tags)
    }
}

/// Puts a load's value into its flight.
pub(super) fn kept<K: Key, V: Value>(loaded: Loaded<V>, flight: &Flight) -> Bare {
    let Loaded { value, bare } = loaded;
    if let Some(value) = value {
        flight.carried::<K, V>().put(value);
    }
    bare
}

fn names(cells: &[Arc<Cell>]) -> Vec<Arc<str>> {
    cells.iter().map(|cell| Arc::from(cell.name())).collect()
}
