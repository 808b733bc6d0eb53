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
use crate::random::Random;
use crate::runtime;
use crate::shared::{Shared, Sites};
use crate::stats::Stats;
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

/// Says what a [`Hub`] is to be like.
#[derive(Default)]
#[must_use = "nothing is made before build()"]
pub struct Builder {
    clock: Clock,
    seed: Option<u64>,
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
        cache::Builder::new(Arc::clone(&self.shared), name)
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
    #[allow(clippy::unused_async, reason = "with a store it waits for it")]
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        tag::check(tag, "invalidate_tag")?;
        self.shared.tags.invalidate(tag);
        trace::tag_invalidated(tag);
        Ok(())
    }

    /// Ends every entry and load of every cache.
    ///
    /// # Errors
    /// None without a store.
    #[allow(clippy::unused_async, reason = "with a store it waits for it")]
    pub async fn purge(&self) -> Result<(), Error> {
        self.shared.tags.purge();
        for (_, cache) in self.shared.caches() {
            cache.give_room_back();
        }
        Ok(())
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

    /// The caches that functions have in it.
    pub(crate) fn sites(&self) -> &Sites {
        &self.sites
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

    /// The hub, without a store.
    #[must_use]
    pub fn build(self) -> Hub {
        let random = self.seed.map_or_else(Random::from_process, Random::seeded);
        Hub { shared: Arc::new(Shared::new(self.clock, random)), sites: Arc::default() }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("caches", &self.stats()).finish()
    }
}
