//! What a cache is to be like.

use std::any::Any;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Cache;
use super::backoff::Backoff;
use super::core::{Cold, Core, ErrorFilter, Limits};
use super::flight::Table;
use super::gone::{Gone, Reason};
use super::inner::{Inner, Typed};
use super::permits::Permits;
use super::shelf::{Pack, Shape, Shelf, Unpack};
use super::stamped::Stamped;
use crate::clock::to_ms;
use crate::error::{Error, Kind};
use crate::expiry::{Ages, Early};
use crate::key::{Key, Value};
use crate::memory::{self, Cause, Policy};
use crate::shared::{Owner, Shared};
use crate::stats::Counters;
use crate::store::{Codec, Coherence, Compression};
use crate::sync::atomic::AtomicU64;

/// How long a value is fresh unless said.
const TTL: Duration = Duration::from_secs(300);
/// How long an absence is believed at most unless said.
const NEGATIVE_TTL: Duration = Duration::from_secs(30);
/// The share of the ttl that chance takes off unless said, so that what was filled together does not end together.
const JITTER: f64 = 0.1;
/// How long a load may take unless said: longer than any request a user still waits for, shorter than an outage.
const LOAD_DEADLINE: Duration = Duration::from_secs(60);
/// How long a stale value is served after a failed load before the next is tried, unless said.
const THROTTLE: Duration = Duration::from_secs(1);
/// How many entries are thought of where their number is not said.
const ENTRIES: usize = 10_000;
pub(crate) const LONGEST_NAME: usize = 64;

type Shelved = (Box<Shelf>, Arc<Coherence>);
type Weigh<K, V> = Box<dyn Fn(&K, &Stamped<V>) -> u32 + Send + Sync>;
type Tell<K, V> = Box<dyn Fn(&K, Option<&V>, Cause) + Send + Sync>;

/// Says what a [`Cache`] is to be like.
///
/// Without further words: 10,000 entries, fresh for 5 minutes less up to 10 % of jitter, absences for 30 seconds,
/// nothing stale served, loads abandoned after a minute.
#[must_use = "nothing is made before build()"]
pub struct Builder<K, V> {
    said: Settings,
    weigh: Option<Weigh<K, V>>,
    tell: Option<Tell<K, V>>,
}

/// All of it that has nothing to do with types.
struct Settings {
    hub: Arc<Shared>,
    name: String,
    version: u32,
    capacity: Option<usize>,
    weight: Option<u64>,
    unbounded: bool,
    policy: Policy,
    ages: Ages,
    limits: Limits,
    tolerates: Option<ErrorFilter>,
    most_loads: Option<usize>,
    owner: Owner,
    /// Of a cache that may be shared.
    shape: Option<Shape>,
}

impl<K: Key, V: Value> Builder<K, V> {
    pub(crate) fn new(hub: Arc<Shared>, name: &str) -> Self {
        Builder { said: Settings::new(hub, name), weigh: None, tell: None }
    }

    /// Its entries are shared with other processes, where the hub has a store.
    pub(crate) fn shared(mut self) -> Self
    where
        K: Serialize,
        V: Serialize + DeserializeOwned,
    {
        self.said.shape = Some(Shape::of_types::<K, V>());
        self
    }

    /// The same, by functions that pack and unpack values.
    pub(crate) fn packed(mut self, codec: Codec, pack: Pack<V>, unpack: Unpack<V>) -> Self
    where
        K: Serialize,
    {
        self.said.shape = Some(Shape::packed::<K, V>(codec, pack, unpack));
        self
    }

    /// Says who alone may build this cache again.
    pub(crate) fn owner(mut self, owner: Owner) -> Self {
        self.said.owner = owner;
        self
    }

    /// The version of the values' shape: raise it when they change, so that old ones are not read.
    pub fn version(mut self, version: u32) -> Self {
        self.said.version = version;
        self
    }

    /// At most this many entries in this process; 10,000 unless said.
    pub fn capacity(mut self, entries: usize) -> Self {
        self.said.capacity = Some(entries);
        self
    }

    /// At most this much weight in this process, as the closure weighs each value; a known absence weighs 1. See
    /// [`MemoryBuilder::max_weight`](crate::MemoryBuilder::max_weight).
    pub fn max_weight(mut self, weight: u64, weigh: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> Self {
        let weigh = move |key: &K, stamped: &Stamped<V>| stamped.value().map_or(1, |value| weigh(key, value));
        self.said.weight = Some(weight);
        self.weigh = Some(Box::new(weigh));
        self
    }

    /// No bound. Only for a set of keys that is known to be small.
    pub fn unbounded(mut self) -> Self {
        self.said.unbounded = true;
        self
    }

    /// How to choose what to evict; [`Policy::S3Fifo`] unless said.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.said.policy = policy;
        self
    }

    /// How long a value is fresh; 5 minutes unless said. [`Duration::MAX`] is for good.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.said.ages.ttl_ms = to_ms(ttl);
        self
    }

    /// How long an absence is believed, at most the ttl; 30 seconds unless said.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.said.ages.negative_ttl_ms = to_ms(ttl);
        self
    }

    /// The largest share (0 to 1) that chance takes off each ttl, so that what was filled together does not end
    /// together; 0.1 unless said.
    pub fn jitter(mut self, share: f64) -> Self {
        self.said.ages.jitter = share;
        self
    }

    /// For this long past its freshness a value is served at once, while one caller's load replaces it behind; off
    /// unless said. Never after an invalidation.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.said.ages.revalidate_ms = to_ms(time);
        self
    }

    /// For this long past its freshness a value stands in for a load that fails or times out; off unless said. Never
    /// after an invalidation.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.said.ages.on_error_ms = to_ms(time);
        self
    }

    /// Which errors of type `E` a stale value may stand in for; all of every type unless said. Errors of other types
    /// are then passed on.
    pub fn stale_only_for<E: 'static>(mut self, tolerates: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        let filter = move |error: &(dyn Any + Send + Sync)| error.downcast_ref::<E>().is_some_and(&tolerates);
        self.said.tolerates = Some(Box::new(filter));
        self
    }

    /// After a failed load a stale value is served this long before the next load is tried; 1 second unless said. After
    /// one behind a caller, of a stale value or of a fresh one that was refreshed early, none is tried behind others for
    /// as long; who has to wait for a load is not held back.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.said.ages.throttle_ms = to_ms(time);
        self
    }

    /// A value that nobody reads for this long goes, though it be fresh. Reads put that off, never past the ttl; one
    /// that comes before half of the time is over writes nothing, so a value may go after half of it.
    pub fn idle(mut self, time: Duration) -> Self {
        self.said.ages.idle_ms = to_ms(time);
        self
    }

    /// Refreshes values that are asked for shortly before their end, behind the caller; off unless said.
    pub fn refresh_early(mut self, early: Early) -> Self {
        self.said.ages.early = early;
        self
    }

    /// With a stale value at hand, a caller waits this long for the load and then takes it; off unless said.
    pub fn soft_timeout(mut self, time: Duration) -> Self {
        self.said.limits.soft = Some(time);
        self
    }

    /// A caller waits this long for a load and then gives up; the load goes on. Off unless said.
    pub fn hard_timeout(mut self, time: Duration) -> Self {
        self.said.limits.hard = Some(time);
        self
    }

    /// A load is abandoned after this: those who wait get [`Timeout`](crate::LoadError::Timeout), the key is free, a
    /// late result is dropped. A loader that blocks its thread cannot be abandoned; callers give it up 100 ms later. One
    /// minute unless said.
    pub fn load_deadline(mut self, time: Duration) -> Self {
        self.said.limits.deadline = time;
        self
    }

    /// At most this many loads at once; up to 64 times as many queue, and beyond that callers get
    /// [`Busy`](crate::LoadError::Busy). No limit unless said.
    ///
    /// The loader is called, and its future made, before its turn: only the polling waits. What is to be limited belongs
    /// into the future.
    ///
    /// A load for which another load of the same cache waits is not counted, also where one of another cache is between
    /// them: it would wait for the other's permit. Two things are not seen, and end at the deadline: lookups that a
    /// loader makes in a task it spawned, and loads of two limited caches that need each other's permits. A load that is
    /// given up ([`load_deadline`](Builder::load_deadline)) gives its permit back, though its thread may be blocked
    /// still.
    pub fn max_concurrent_loads(mut self, loads: usize) -> Self {
        self.said.most_loads = Some(loads);
        self
    }

    /// Is told of every entry that leaves memory, and why, without any lock; `None` for a known absence.
    pub fn listener(mut self, tell: impl Fn(&K, Option<&V>, Cause) + Send + Sync + 'static) -> Self {
        self.tell = Some(Box::new(tell));
        self
    }

    /// How values are written where the hub has a store; MessagePack unless said. They are read however they were written.
    pub fn codec(mut self, codec: Codec) -> Self {
        if let Some(shape) = &mut self.said.shape {
            shape.codec = codec;
        }
        self
    }

    /// How values are made smaller where the hub has a store; not at all unless said.
    pub fn compression(mut self, compression: Compression) -> Self {
        if let Some(shape) = &mut self.said.shape {
            shape.compression = compression;
        }
        self
    }

    /// The cache. If the hub has one of this name, types and version, that one, as it was first built.
    ///
    /// # Panics
    /// On a contradiction in what was said, and when the name belongs to a cache of another shape: see
    /// [`try_build`](Builder::try_build).
    #[must_use]
    pub fn build(self) -> Cache<K, V> {
        self.try_build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The cache, or what is wrong with it.
    ///
    /// # Errors
    /// [`Kind::Conflict`]: the hub has a cache of this name with other types or another version, or a function's.
    /// [`Kind::Invalid`]: an option is out of range or contradicts another.
    pub fn try_build(self) -> Result<Cache<K, V>, Error> {
        self.said.check()?;
        let hub = Arc::clone(&self.said.hub);
        let (name, shape) = (self.said.name.clone(), (self.said.version, self.said.owner));
        let inner = hub.register(&name, shape, || Arc::new(self.inner()))?;
        Ok(Cache { inner })
    }

    /// The cache, under a name that the hub does not note: as many of one name as there are instances that have one.
    ///
    /// # Panics
    /// On a contradiction in what was said.
    pub(crate) fn build_unlisted(self) -> Cache<K, V> {
        self.said.check().unwrap_or_else(|error| panic!("{error}"));
        Cache { inner: Arc::new(self.inner()) }
    }

    fn inner(self) -> Typed<K, V> {
        let Builder { said, weigh, tell } = self;
        let hasher = memory::Hasher::default();
        let (size, policy) = (said.size(), said.policy);
        let core = said.core();
        let noted = (hasher.clone(), Arc::clone(&core.gone));
        let tell = move |key: &K, stamped: &Stamped<V>, cause| {
            note(&noted, cause, &|hasher| hasher.hash_one(key));
            if let Some(tell) = &tell {
                tell(key, stamped.value(), cause);
            }
        };
        let clock = core.hub.clock.clone();
        let memory = memory::Builder::of(size, policy, (clock, hasher), weigh, Some(Box::new(tell))).build_with();
        Inner { core, memory }
    }
}

/// Notes why an entry has left.
fn note((hasher, gone): &(memory::Hasher, Arc<Gone>), cause: Cause, hash: &dyn Fn(&memory::Hasher) -> u64) {
    if let Some(reason) = Reason::of(cause) {
        gone.note(hash(hasher), reason);
    }
}

impl Settings {
    fn new(hub: Arc<Shared>, name: &str) -> Self {
        let ages = Ages {
            ttl_ms: to_ms(TTL),
            negative_ttl_ms: to_ms(NEGATIVE_TTL),
            jitter: JITTER,
            revalidate_ms: 0,
            on_error_ms: 0,
            throttle_ms: to_ms(THROTTLE),
            idle_ms: 0,
            early: Early::Off,
        };
        Settings {
            hub,
            name: name.to_string(),
            version: 1,
            capacity: None,
            weight: None,
            unbounded: false,
            policy: Policy::default(),
            ages,
            limits: Limits { soft: None, hard: None, deadline: LOAD_DEADLINE },
            tolerates: None,
            most_loads: None,
            owner: Owner::default(),
            shape: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let name_fits = !self.name.is_empty() && self.name.len() <= LONGEST_NAME;
        let plain = self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        let bounds = [self.capacity.is_some(), self.weight.is_some(), self.unbounded];
        let wrong = if !name_fits || !plain {
            format!("the name {:?} must be 1 to {LONGEST_NAME} of A-Z a-z 0-9 _ . -", self.name)
        } else if self.ages.ttl_ms == 0 {
            "a ttl of zero keeps nothing; say do_not_keep() in the loader, or do without a cache".to_string()
        } else if !(0.0..=1.0).contains(&self.ages.jitter) {
            format!("jitter is a share from 0 to 1, not {}", self.ages.jitter)
        } else if bounds.into_iter().filter(|said| *said).count() > 1 {
            "say one of capacity, max_weight and unbounded".to_string()
        } else if !early_fits(self.ages.early) {
            format!("{:?} is out of range: beta above 0, a fraction from 0 to 1", self.ages.early)
        } else if self.most_loads == Some(0) {
            "max_concurrent_loads of zero loads nothing".to_string()
        } else if let Some(feature) = self.shape.as_ref().and_then(Shape::missing_feature) {
            format!("this needs the feature `{feature}`: tierce = {{ features = [\"{feature}\", …] }} in Cargo.toml")
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::Invalid, "build", wrong))
    }

    /// How large memory is: a bound on entries or on weight.
    fn size(&self) -> u64 {
        match (self.weight, self.capacity) {
            (Some(weight), _) => weight,
            _ if self.unbounded => u64::MAX,
            (_, entries) => entries.unwrap_or(ENTRIES) as u64,
        }
    }

    fn core(self) -> Core {
        let Settings { hub, name, version, capacity, weight, ages, limits, tolerates, most_loads, shape, .. } = self;
        let write_key = shape.as_ref().map(Shape::write_key);
        let (shelf, coherence) = shape.and_then(|shape| shelf(&hub, shape, (&name, version), capacity)).unzip();
        let cold = Cold {
            name: name.into(),
            flights: Table::new(),
            purged_at: AtomicU64::new(0),
            weighed: weight.is_some(),
            limits,
            tolerates,
            permits: most_loads.map(Permits::new),
            counters: Counters::default(),
            gone: Arc::new(Gone::new()),
            backoff: (ages.early != Early::Off || ages.revalidate_ms > 0).then(Backoff::new),
            shelf,
            write_key,
            ages,
        };
        Core { hub, plain: cold.ages.are_plain(), coherence, cold: Box::new(cold) }
    }
}

/// The cache's place in the hub's store, and how long its memory may be served without asking there.
fn shelf(hub: &Shared, shape: Shape, named: (&str, u32), capacity: Option<usize>) -> Option<Shelved> {
    let link = hub.link.as_ref()?;
    let shelf = Shelf::new(link, shape, named, hub.clock.clone(), capacity.unwrap_or(ENTRIES));
    Some((Box::new(shelf), Arc::clone(&link.coherence)))
}

fn early_fits(early: Early) -> bool {
    match early {
        Early::Off => true,
        Early::XFetch { beta } => beta.is_finite() && beta > 0.0,
        Early::Fraction(share) => (0.0..=1.0).contains(&share),
    }
}
