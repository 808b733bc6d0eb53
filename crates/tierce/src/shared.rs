//! What the caches of one hub share.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use crate::clock::Clock;
use crate::error::{Error, Kind};
use crate::random::Random;
use crate::stats::Stats;
use crate::store::Link;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};
use crate::tag::Tags;

pub(crate) struct Shared {
    pub(crate) tags: Tags,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) running: Running,
    /// The hub's store, if it has one.
    pub(crate) link: Option<Arc<Link>>,
    caches: Mutex<HashMap<Box<str>, Registered>>,
}

/// A cache, whatever its types.
pub(crate) trait Family: Any + Send + Sync {
    /// Its counts now.
    fn stats(&self) -> Stats;

    /// Gives up the loads that are past their deadline, and whose runtimes do not say so.
    fn give_up_overdue(&self);

    /// Drops its entries, which a purge has ended already.
    fn give_room_back(&self);

    /// Ends the entry that has this name in the store, and its load: others changed it.
    fn key_changed(&self, name: &str);

    /// Ends every entry and load if this is the tag that all of them have in the store.
    fn cache_changed(&self, tag: &str);

    /// Ends every entry and load, if they are shared through the store.
    fn all_changed(&self);
}

struct Registered {
    cache: Weak<dyn Family>,
    of: TypeId,
    version: u32,
    owner: Owner,
}

/// Who builds a cache: whoever knows its name, or one function alone, told apart by the address of its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Owner {
    #[default]
    Anybody,
    Function(usize),
}

impl Shared {
    pub(crate) fn new(clock: Clock, random: Random, link: Option<Arc<Link>>) -> Self {
        let running = Running { loads: Mutex::new(Loads::default()), draining: AtomicBool::new(false) };
        Shared { tags: Tags::new(), clock, random, running, link, caches: Mutex::new(HashMap::new()) }
    }

    /// The cache of this name, made if there is none. One of another type, version or owner under the name is an error.
    pub(crate) fn register<C: Family>(
        &self,
        name: &str,
        shape: (u32, Owner),
        make: impl FnOnce() -> Arc<C>,
    ) -> Result<Arc<C>, Error> {
        let mut make = Some(make);
        let mut make = || -> Arc<dyn Family> { make.take().expect("one cache is made")() };
        let cache: Arc<dyn Any + Send + Sync> = self.registered(name, TypeId::of::<C>(), shape, &mut make)?;
        Ok(cache.downcast().unwrap_or_else(|_| unreachable!("its type was compared")))
    }

    /// The same, compiled once for all types.
    fn registered(
        &self,
        name: &str,
        of: TypeId,
        (version, owner): (u32, Owner),
        make: &mut dyn FnMut() -> Arc<dyn Family>,
    ) -> Result<Arc<dyn Family>, Error> {
        let mut caches = lock(&self.caches);
        if let Some(known) = caches.get(name)
            && let Some(cache) = known.cache.upgrade()
        {
            if known.of != of || known.version != version {
                drop(caches);
                let detail = format!("the hub has a cache named {name:?} with other types or another version");
                return Err(Error::new(Kind::Conflict, "build", detail));
            }
            if known.owner != owner {
                drop(caches);
                return Err(Error::new(Kind::Conflict, "build", taken(name)));
            }
            return Ok(cache);
        }
        // Names of caches that are gone are forgotten, at the latest when they are as many as the others.
        let live = |known: &Registered| known.cache.strong_count() > 0;
        if caches.len() == caches.capacity() {
            caches.retain(|_, known| live(known));
        }
        let cache = make();
        caches.insert(name.into(), Registered { cache: Arc::downgrade(&cache), of, version, owner });
        Ok(cache)
    }

    /// The cache of this name, if it is still in use.
    pub(crate) fn cache(&self, name: &str) -> Option<Arc<dyn Family>> {
        lock(&self.caches).get(name)?.cache.upgrade()
    }

    /// The caches that are still in use, by name.
    pub(crate) fn caches(&self) -> Vec<(String, Arc<dyn Family>)> {
        let caches = lock(&self.caches);
        let live = caches.iter().filter_map(|(name, known)| Some((name.to_string(), known.cache.upgrade()?)));
        let mut live: Vec<_> = live.collect();
        drop(caches);
        live.sort_by(|(a, _), (b, _)| a.cmp(b));
        live
    }
}

fn taken(name: &str) -> String {
    format!(
        "the hub has a cache named {name:?} that is another's, and two functions never share one: write `name = \"…\"` \
         on one of them, or ask the function for its own with `cache()`"
    )
}

/// The loads of a hub that have not ended, for `drain`.
pub(crate) struct Running {
    loads: Mutex<Loads>,
    /// As the loads say: looked at without their lock.
    draining: AtomicBool,
}

/// Leave to begin a load behind a caller. The load counts itself; this is kept until it has.
pub(crate) struct Behind<'a>(&'a Running);

impl Drop for Behind<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[derive(Default)]
struct Loads {
    running: usize,
    draining: bool,
    waiting: Vec<Waker>,
}

impl Running {
    pub(crate) fn begin(&self) {
        lock(&self.loads).running += 1;
    }

    pub(crate) fn end(&self) {
        let mut loads = lock(&self.loads);
        loads.running -= 1;
        if loads.running > 0 {
            return;
        }
        let waiting = std::mem::take(&mut loads.waiting);
        drop(loads);
        for waker in waiting {
            waker.wake();
        }
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.loads).running
    }

    /// From now on nothing is refreshed in the background. Whoever was allowed to before is counted.
    pub(crate) fn drain(&self) {
        lock(&self.loads).draining = true;
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it drains: mostly what it costs to ask before a load behind a caller, of which few begin.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Leave to begin a load behind a caller, which is counted from here on; none while the hub drains.
    pub(crate) fn behind(&self) -> Option<Behind<'_>> {
        let mut loads = lock(&self.loads);
        if loads.draining {
            return None;
        }
        loads.running += 1;
        drop(loads);
        Some(Behind(self))
    }

    /// Ready when no load runs.
    pub(crate) fn poll_idle(&self, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let mut loads = lock(&self.loads);
        if loads.running == 0 {
            drop(loads);
            return Poll::Ready(());
        }
        loads.waiting.push(waker);
        Poll::Pending
    }
}

/// The caches that functions have in a hub, each by the address of the function's place.
///
/// They live beside what caches share and not in it, or they would hold each other.
#[derive(Default)]
pub(crate) struct Sites(Mutex<HashMap<usize, Arc<dyn Any + Send + Sync>>>);

impl Sites {
    pub(crate) fn get(&self, at: usize) -> Option<Arc<dyn Any + Send + Sync>> {
        lock(&self.0).get(&at).cloned()
    }

    pub(crate) fn keep(&self, at: usize, cache: Arc<dyn Any + Send + Sync>) {
        let old = lock(&self.0).insert(at, cache);
        drop(old);
    }
}
