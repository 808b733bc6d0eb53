//! tierce behind the faces of the bench. Nothing else names its API.

mod shared;

pub(crate) use shared::{Condition, Layers, NAMESPACE, Shop};

use std::time::Duration;

use tierce::store::{self, Address, Store};
use tierce::{Cache, Hub, LoadError, Memory, Policy};

use crate::client::{self, Broken, Client, MANY};
use crate::contender::{Contender, Expiry, Key, Shape, Value};
use crate::loading::{Failure, Loading};

macro_rules! contender {
    ($name:ident, $policy:expr) => {
        impl<K: Key, V: Value> Contender<K, V> for $name<K, V> {
            const EXPIRY: Expiry = Expiry::Optional;

            fn new(shape: Shape) -> Self {
                let builder = Memory::builder().capacity(shape.capacity).policy($policy);
                Self(match shape.ttl {
                    Some(ttl) => builder.ttl(ttl).build(),
                    None => builder.build(),
                })
            }

            fn get(&self, key: &K) -> Option<V> {
                self.0.get(key)
            }

            fn insert(&self, key: K, value: V) {
                self.0.insert(key, value);
            }

            fn len(&self) -> usize {
                self.0.len()
            }
        }
    };
}

/// `Memory` as it comes.
pub(crate) struct S3Fifo<K, V>(Memory<K, V>);

/// `Memory` in strict order of use.
pub(crate) struct Lru<K, V>(Memory<K, V>);

contender!(S3Fifo, Policy::S3Fifo);
contender!(Lru, Policy::Lru);

/// Tag names in the cases with tags; an entry carries two of them.
const TAG_NAMES: u64 = 100;

/// `Cache` on an embedded hub, statistics on as they always are.
pub(crate) struct Loads(Cache<u64, u64>);

impl Loads {
    /// A cache with its entries' freshness said: a time, or for good.
    pub(crate) fn lasting(capacity: usize, ttl: Option<Duration>) -> Self {
        let builder = Hub::embedded().local_cache("bench").capacity(capacity);
        Self(builder.ttl(ttl.unwrap_or(Duration::MAX)).build())
    }

    /// Many keys in one call, each its own value; how many were answered.
    pub(crate) async fn many(&self, keys: &[u64]) -> usize {
        let load = |missing: Vec<u64>| async move { Ok::<_, Failure>(missing.into_iter().map(|key| (key, key))) };
        let Ok(found) = self.0.get_many_or_load(keys, load).await else { return 0 };
        found.iter().zip(keys).filter(|(value, key)| **value == Some(**key)).count()
    }

    /// Entries held.
    pub(crate) fn len(&self) -> usize {
        self.0.stats().len as usize
    }
}

impl Loading for Loads {
    type Error = LoadError<Failure>;
    fn new(capacity: usize) -> Self {
        Self::lasting(capacity, None)
    }

    fn get_or_load<'a, F>(
        &'a self,
        key: &'a u64,
        load: impl FnOnce() -> F + Send + 'a,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send + 'a
    where
        F: Future<Output = Result<u64, Failure>> + Send + 'static,
    {
        self.0.get_or_load(key, load)
    }

    async fn fill(&self, key: u64, tags: usize) {
        let name = |index: usize| format!("tag:{}", (key ^ index as u64) % TAG_NAMES);
        let entry = self.0.entry(&key).tags((0..tags).map(name));
        // What did not get in shows as a miss in the pass that is timed.
        let _ = entry.get_or_load(|| async move { Ok::<_, Failure>(key) }).await;
    }
}

/// How long a client waits for an answer: longer than any takes here.
const PATIENCE: Duration = Duration::from_secs(5);

macro_rules! client {
    ($name:ident, $store:ty, $scheme:literal) => {
        /// The store of this server, as caches ask it.
        pub(crate) struct $name {
            store: $store,
            keys: Vec<store::Key>,
        }

        impl Client for $name {
            async fn connect(place: String) -> Result<Self, Broken> {
                let store = <$store>::open(&Address::parse(&format!(concat!($scheme, "://{}"), place))?)?;
                Ok(Self { store, keys: client::keys().into_iter().map(store::Key::new).collect() })
            }

            async fn get(&self, _: usize, key: usize) -> Result<usize, Broken> {
                let stored = self.store.get(&self.keys[key], PATIENCE).await?;
                Ok(stored.map_or(0, |stored| client::worth(&stored.bytes, key)))
            }

            async fn get_many(&self, first: usize) -> Result<usize, Broken> {
                let stored = self.store.get_many(&self.keys[first..first + MANY], PATIENCE).await?;
                Ok(client::worth_of(stored.iter().map(|stored| stored.as_ref().map(|stored| &*stored.bytes)), first))
            }
        }
    };
}

client!(Redis, store::redis::Redis, "redis");
client!(Memcached, store::memcached::Memcached, "memcached");
