//! The hub: what the caches of one application share.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cache;
use crate::clock::Clock;
use crate::error::Error;
use crate::key::{Key, Value};
use crate::mutant::{self, Mutant};
use crate::random::Random;
use crate::runtime::{self, Tls};
use crate::shared::{Shared, Sites};
use crate::stats::Stats;
use crate::store::{self, Link, OnDisconnect, Patience, Store};
use crate::tag;
use crate::trace;

/// What the caches of one application share: tags, a clock, statistics.
///
/// Cheap to clone, and all clones are one hub.
///
/// ```
/// use tierce::Hub;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Hub::embedded();
/// let lamps = hub.local_cache::<u64, String>("lamp").build();
/// let load = || async { Ok::<_, std::io::Error>("a lamp".to_string()) };
/// lamps.entry(&1).tags(["category:3"]).get_or_load(load).await?;
///
/// hub.invalidate_tag("category:3").await?;
/// assert_eq!(lamps.get(&1).await, None);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    sites: Arc<Sites>,
}

/// Less would be over before an answer to a beat can be here.
const LEAST_COHERENCE: Duration = Duration::from_millis(50);

/// Says what a [`Hub`] is to be like.
#[derive(Default)]
#[must_use = "nothing is made before build()"]
pub struct Builder {
    clock: Clock,
    seed: Option<u64>,
    pub(crate) store: Option<Arc<dyn Store>>,
    /// Whether it is an error when the store does not answer.
    pub(crate) store_required: bool,
    /// How a store's certificate is verified.
    pub(crate) tls: Option<Tls>,
    namespace: Option<String>,
    patience: Patience,
}

impl Hub {
    /// A hub without a store: values live in this process.
    pub fn embedded() -> Self {
        Self::builder().build()
    }

    /// Says what the hub is to be like.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A cache whose values may be shared through a store, when the hub has one: they must be serialisable.
    ///
    /// The name (`A-Z a-z 0-9 _ . -`) is part of every key; two caches of one name are one cache.
    pub fn cache<K, V>(&self, name: &str) -> cache::Builder<K, V>
    where
        K: Key + Serialize,
        V: Value + Serialize + DeserializeOwned,
    {
        cache::Builder::new(Arc::clone(&self.shared), name).shared()
    }

    /// A cache whose values stay in this process whatever the hub has: any `V: Clone + Send + Sync`.
    ///
    /// It lives as long as somebody holds a clone of it: build it once and keep it.
    pub fn local_cache<K: Key, V: Value>(&self, name: &str) -> cache::Builder<K, V> {
        cache::Builder::new(Arc::clone(&self.shared), name)
    }

    /// Ends every entry, of every cache, that has this tag, and every load that will turn out to have it: no lookup
    /// that begins after this has returned gets what was loaded before.
    ///
    /// One write, whatever the number of entries.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): the tag is empty or longer than 200 bytes.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        tag::check(tag, "invalidate_tag")?;
        self.shared.tags.invalidate(tag);
        trace::tag_invalidated(tag);
        let Some(link) = &self.shared.link else { return Ok(()) };
        let told = link.renew(&store::tag(link.namespace(), tag)).await;
        // Who asked the store meanwhile may have been answered by what was before.
        if !mutant::on(Mutant::TagEndedBeforeToldOnly) {
            self.shared.tags.invalidate(tag);
        }
        told.map_err(|fault| cache::untold("invalidate_tag", &fault))
    }

    /// Ends every entry and load of every cache.
    ///
    /// # Errors
    /// None without a store.
    pub async fn purge(&self) -> Result<(), Error> {
        self.shared.tags.purge();
        for (_, cache) in self.shared.caches() {
            cache.give_room_back();
        }
        let Some(link) = &self.shared.link else { return Ok(()) };
        let told = link.renew(&store::purge_tag(link.namespace())).await;
        self.shared.tags.purge();
        told.map_err(|fault| cache::untold("purge", &fault))
    }

    /// For shutdown: begins no more refreshes behind callers, and waits until no load runs or the time is over. Gives
    /// the number of loads that still run; those that are 100 ms past their deadline are given up.
    ///
    /// # Panics
    /// Outside any runtime.
    pub async fn drain(&self, at_most: Duration) -> usize {
        self.shared.running.drain();
        self.give_up_overdue();
        let mut alarm = runtime::current().sleep(at_most);
        std::future::poll_fn(|cx| {
            if alarm.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            self.shared.running.poll_idle(cx.waker())
        })
        .await;
        self.give_up_overdue();
        self.shared.running.count()
    }

    fn give_up_overdue(&self) {
        for (_, cache) in self.shared.caches() {
            cache.give_up_overdue();
        }
    }

    /// Its store, if it has one.
    pub(crate) fn link(&self) -> Option<&Arc<Link>> {
        self.shared.link.as_ref()
    }

    /// The caches that functions have in it.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// How its store is; `None` without one.
    pub fn store_health(&self) -> Option<store::Health> {
        self.shared.link.as_ref().map(|link| link.health())
    }

    /// The counts of each cache in use, by name.
    pub fn stats(&self) -> Vec<(String, Stats)> {
        self.shared.caches().into_iter().map(|(name, cache)| (name, cache.stats())).collect()
    }
}

impl Builder {
    /// Takes time from this clock; the system's unless said.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes jitter and early refreshes repeatable, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Shares the values of [`Hub::cache`] with all processes that use this store under the same namespace.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What the names of all that is stored begin with: 1 to 40 of `A-Z a-z 0-9 _ . -`; `tierce` unless said.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_string());
        self
    }

    /// How long one lookup waits for the store, all it asks together; 50 ms unless said.
    pub fn store_budget(mut self, time: Duration) -> Self {
        self.patience.lookup = time;
        self
    }

    /// How long memory is believed at most before the store is asked again. Unless said, a second where the store does not
    /// tell of changes (Memcached), which is the bound on what other processes' invalidations may be missed; and for as
    /// long as values are fresh where it does (Redis). There it bounds how long deletions by other programs are missed.
    pub fn memory_age(mut self, time: Duration) -> Self {
        self.patience.memory = Some(time);
        self
    }

    /// What other processes change is served here from memory for no longer than this, where the store tells of changes;
    /// 150 ms unless said, and at least 50 ms.
    pub fn coherence(mut self, bound: Duration) -> Self {
        self.patience.coherence = bound.max(LEAST_COHERENCE);
        self
    }

    /// What becomes of memory when the store no longer tells; [`ServeFor`](OnDisconnect::ServeFor) ten seconds unless said.
    pub fn on_disconnect(mut self, what: OnDisconnect) -> Self {
        self.patience.on_disconnect = what;
        self
    }

    /// The hub.
    ///
    /// # Panics
    /// On a namespace that is none: see [`try_build`](Builder::try_build).
    #[must_use]
    pub fn build(self) -> Hub {
        self.try_build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The hub, or what is wrong with what was said.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): the namespace.
    pub fn try_build(self) -> Result<Hub, Error> {
        let namespace = self.namespace.as_deref().unwrap_or("tierce");
        store::check_namespace(namespace)?;
        let random = || self.seed.map_or_else(Random::from_process, Random::seeded);
        let link = self.store.map(|store| Link::new(store, namespace, self.clock.clone(), random(), self.patience));
        let shared = Arc::new(Shared::new(self.clock, random(), link));
        if let Some(link) = &shared.link {
            link.tell_of_changes(cache::Heard::new(&shared, namespace));
        }
        Ok(Hub { shared, sites: Arc::default() })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("caches", &self.stats()).finish()
    }
}
