//! One simulated process: runtimes, a hub, a cache, a database that changes, and callers who do everything at once.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tierce::testing::{Death, Sim, SimRuntime};
use tierce::{Cache, Early, Freshness, Hub, Load, LoadError, Loaded, Lookup};

use super::batch::Joint;
use super::checker::{Checker, End, Row, Scope};
use super::limits::Limits;
use super::race::{Met, Race};

pub(crate) const KEYS: u64 = 10;
/// Result tags: few enough to be met again, many enough for some to be forgotten.
const TAGS: u64 = 30;
const TTL_MS: u64 = 300;
const REVALIDATE_MS: u64 = 100;
const ON_ERROR_MS: u64 = 400;
/// Long enough for another caller of the key to come.
const RETRY_MS: u64 = 50;
pub(crate) const NEGATIVE_MS: u64 = 60;
/// How many loads may run at once.
pub(crate) const LOADS: u64 = 8;
pub(crate) const DEADLINE: Duration = Duration::from_millis(200);
const HARD: Duration = Duration::from_millis(250);

pub(crate) type Found = Result<Lookup<Row>, LoadError<&'static str>>;
type LoadResult = Result<Loaded<Row>, &'static str>;

/// What everybody in a simulation shares.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) hub: Hub,
    pub(crate) cache: Cache<u32, Row>,
    checker: Arc<Mutex<Checker<'static>>>,
    shared: Arc<Mutex<Shared>>,
    /// The loader whose callers share their loads.
    pub(crate) joint: Joint,
    pub(crate) limits: Limits,
}

pub(crate) struct Shared {
    /// The tag of each row in the database.
    tags: BTreeMap<u32, u32>,
    /// The living and, in their places for good, the dead.
    pub(crate) runtimes: Vec<(Arc<SimRuntime>, bool)>,
    /// Which runtime (its place) each load and each lookup runs on.
    pub(crate) loads_on: Vec<(usize, u64)>,
    lookups_on: Vec<(usize, u64)>,
    junk: u64,
}

/// Ends a load in the books when its future is dropped, however that comes.
pub(crate) struct Over {
    pub(crate) world: World,
    pub(crate) load: u64,
    pub(crate) began: Duration,
    pub(crate) end: End,
}

impl Drop for Over {
    fn drop(&mut self) {
        let now_ms = self.world.now_ms();
        if self.end == End::Dropped && self.world.sim.now().saturating_sub(self.began) >= DEADLINE {
            self.end = End::TimedOut;
        }
        self.world.checker().load_over(self.load, self.end, now_ms, now_ms + RETRY_MS);
    }
}

impl World {
    pub(crate) fn new(seed: u64, met: &'static Met) -> Self {
        let sim = Sim::new(seed);
        let hub = Hub::builder().clock(sim.clock()).seed(seed).build();
        let builder = hub.local_cache::<u32, Row>("row").capacity(if seed.is_multiple_of(2) { 100 } else { 6 });
        // Without an end to their own patience callers depend on being told.
        let limits = Limits::new((!seed.is_multiple_of(4)).then_some(HARD));
        let builder = if seed.is_multiple_of(4) { builder } else { builder.hard_timeout(HARD) };
        let cache = builder
            .ttl(Duration::from_millis(TTL_MS))
            .negative_ttl(Duration::from_millis(NEGATIVE_MS))
            .stale_while_revalidate(Duration::from_millis(REVALIDATE_MS))
            .stale_if_error(Duration::from_millis(ON_ERROR_MS))
            .retry_after(Duration::from_millis(RETRY_MS))
            .refresh_early(if seed.is_multiple_of(3) { Early::XFetch { beta: 1.0 } } else { Early::Off })
            .soft_timeout(Duration::from_millis(40))
            .load_deadline(DEADLINE)
            .max_concurrent_loads(usize::try_from(LOADS).expect("few"))
            .build();
        let checker = Checker::new(met, TTL_MS, REVALIDATE_MS.max(ON_ERROR_MS));
        let runtimes = (0..3).map(|_| (sim.runtime(), true)).collect();
        let shared = Shared { tags: BTreeMap::new(), runtimes, loads_on: Vec::new(), lookups_on: Vec::new(), junk: 0 };
        let checker = Arc::new(Mutex::new(checker));
        let shared = Arc::new(Mutex::new(shared));
        let world = World { sim, hub, cache, checker, shared, joint: Joint::default(), limits };
        world.join_up();
        world
    }

    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker<'static>> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now_ms(&self) -> u64 {
        ms(self.sim.now())
    }

    pub(crate) async fn pause(&self, below_ms: u64) {
        self.sim.sleep(Duration::from_millis(self.sim.below(below_ms))).await;
    }

    /// The tags that callers of a key name: every other key has one.
    pub(crate) fn argument_tags(key: u32) -> Vec<u32> {
        if key.is_multiple_of(2) { vec![1000 + key % 4] } else { Vec::new() }
    }

    pub(crate) fn row_tag(&self, key: u32) -> u32 {
        *self.shared().tags.entry(key).or_insert(key)
    }

    /// A living runtime: its place and itself.
    pub(crate) fn some_runtime(&self) -> (usize, Arc<SimRuntime>) {
        let shared = self.shared();
        let living: Vec<_> = (0..shared.runtimes.len()).filter(|place| shared.runtimes[*place].1).collect();
        let place = living[usize::try_from(self.sim.below(living.len() as u64)).expect("few runtimes")];
        (place, Arc::clone(&shared.runtimes[place].0))
    }

    /// A loader for a lookup of this number, which runs on that runtime.
    fn loader(&self, key: u32, asked: u64, place: usize) -> Loader {
        let world = self.clone();
        Box::new(move |load| {
            let now_ms = world.now_ms();
            let number = world.checker().loading(key, asked, Self::argument_tags(key), now_ms);
            world.shared().loads_on.push((place, number));
            let over = Over { began: world.sim.now(), world: world.clone(), load: number, end: End::Dropped };
            Box::pin(world.load((key, place), load, over))
        })
    }

    async fn load(self, (key, place): (u32, usize), load: Load<Row>, mut over: Over) -> LoadResult {
        self.pause(40).await;
        let read_at = self.checker().next();
        if self.checker().is_held(key) {
            self.checker().met(Race::LoadInsideHold);
        }
        let tag = self.row_tag(key);
        self.pause(40).await;
        match self.sim.below(100) {
            0..6 => {
                over.end = End::Failed;
                return Err("the database is away");
            }
            6..9 => {
                over.end = End::Panicked;
                std::panic::panic_any("a loader's panic");
            }
            9..12 => self.sim.sleep(DEADLINE * 2).await,
            12..17 => self.read_inside(key, place).await,
            _ => {}
        }
        over.end = End::Loaded;
        let mut tags = Self::argument_tags(key);
        tags.push(tag);
        self.checker().note_result_tags(over.load, &tags);
        if self.sim.below(20) == 0 {
            self.say_absent(key);
            return Ok(Loaded::absent());
        }
        if let Some(stale) = load.stale
            && self.sim.below(2) == 0
            && self.checker().is_current(stale.value())
        {
            self.checker().met(Race::Unchanged);
            let read_at = self.checker().next();
            stale.value().confirm(read_at, self.now_ms());
            return Ok(stale.unchanged());
        }
        let row = self.checker().row(key, tags, read_at, self.now_ms());
        Ok(Loaded::new(row).tag(format!("t{tag}")))
    }

    /// A loader that looks up another key, or its own.
    pub(crate) async fn read_inside(&self, key: u32, place: usize) {
        let other = (key + u32::try_from(self.sim.below(3)).expect("small")) % u32::try_from(KEYS).expect("few");
        let read: Pin<Box<dyn Future<Output = ()> + Send + '_>> = Box::pin(self.read(other, place));
        read.await;
    }

    /// A lookup that may load.
    pub(crate) async fn read(&self, key: u32, place: usize) {
        let mut asking = Asking::begin(self, key, place, false);
        let tags = Self::argument_tags(key).into_iter().map(|tag| format!("t{tag}"));
        let found = self.cache.entry(&key).tags(tags).load_with(self.loader(key, asking.number, place)).await;
        asking.over = true;
        self.check(asking.number, found);
    }

    fn check(&self, asked: u64, found: Result<Lookup<Row>, LoadError<&'static str>>) {
        let now_ms = self.now_ms();
        self.check_at(asked, found, now_ms, false);
    }

    /// Of a batch, whose ids are served before it ends, an age is that of the moment when it began.
    pub(crate) fn check_at(&self, asked: u64, found: Found, aged_ms: u64, of_batch: bool) {
        self.check_times(asked, &found, aged_ms);
        let now_ms = self.now_ms();
        let mut checker = self.checker();
        if !of_batch
            && matches!(
                found,
                Ok(Lookup::Hit(_, Freshness::Fresh | Freshness::Stale) | Lookup::Negative(Freshness::Fresh))
            )
        {
            checker.served(asked, now_ms);
        }
        match found {
            Ok(Lookup::Hit(row, freshness)) => {
                if freshness == Freshness::Stale {
                    let age_ms = aged_ms.saturating_sub(row.confirmed_at_ms());
                    let revalidated = age_ms < TTL_MS + REVALIDATE_MS;
                    checker.met(if revalidated { Race::StaleRevalidated } else { Race::StaleOnError });
                }
                checker.answered(asked, &row, freshness, aged_ms);
            }
            Ok(Lookup::Negative(Freshness::Fresh)) => {
                checker.met(Race::NegativeServed);
                checker.gave_up(asked);
            }
            Ok(_) => checker.gave_up(asked),
            Err(error) => {
                match error {
                    LoadError::Timeout => {
                        checker.met(Race::CallerTimedOut);
                        checker.timed_out(asked, now_ms, ms(HARD), ms(DEADLINE), of_batch);
                    }
                    LoadError::Cycle => checker.met(Race::Cycle),
                    LoadError::Abandoned => {
                        checker.violate(format!("I7: lookup {asked} abandoned on a runtime that lives"));
                    }
                    _ => {}
                }
                checker.gave_up(asked);
            }
        }
    }

    /// A lookup that is cancelled after a while.
    pub(crate) async fn read_and_leave(&self, key: u32, place: usize) {
        let loads_before = self.checker().loads_of(key);
        let patience = self.sim.sleep(Duration::from_millis(self.sim.below(60)));
        let finished = {
            let mut read = pin!(self.read(key, place));
            let mut patience = pin!(patience);
            poll_fn(|cx| {
                if read.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                patience.as_mut().poll(cx).map(|()| false)
            })
            .await
        };
        if !finished {
            let race = if loads_before == 0 { Race::FirstCallerCancelled } else { Race::FollowerCancelled };
            self.checker().met(race);
        }
    }

    /// A lookup that does not load.
    pub(crate) async fn peek(&self, key: u32, place: usize) {
        let mut asking = Asking::begin(self, key, place, false);
        let found = self.cache.lookup(&key).await;
        asking.over = true;
        self.check(asking.number, Ok(found));
    }

    pub(crate) async fn refresh(&self, key: u32, place: usize) {
        let mut asking = Asking::begin(self, key, place, true);
        let tags = Self::argument_tags(key).into_iter().map(|tag| format!("t{tag}"));
        let found = self.cache.entry(&key).tags(tags).refresh_with(self.loader(key, asking.number, place)).await;
        asking.over = true;
        if let Ok(Lookup::Hit(row, _)) = &found {
            self.checker().refreshed(asking.number, row);
        }
        self.check(asking.number, found);
    }

    /// The row of a key changes, and an invalidation of it is about to be called. Gives its number.
    pub(crate) fn begin_to_end(&self, key: u32) -> u64 {
        let began = self.checker().invalidating(Scope::Key(key), Race::InvalidateDuringLoad);
        let tag = u32::try_from(self.sim.below(TAGS)).expect("few tags");
        self.shared().tags.insert(key, tag);
        began
    }

    pub(crate) async fn invalidate(&self, key: u32) {
        let began = self.begin_to_end(key);
        self.cache.invalidate(&key).await.expect("there is no store to fail");
        self.checker().invalidated(Scope::Key(key), began);
    }

    pub(crate) async fn set(&self, key: u32) {
        let began = self.checker().invalidating(Scope::Key(key), Race::SetDuringLoad);
        let tag = self.row_tag(key);
        let mut tags = Self::argument_tags(key);
        tags.push(tag);
        let row = self.checker().written_row(key, tags.clone(), began, self.now_ms());
        let names = tags.into_iter().map(|tag| format!("t{tag}"));
        self.cache.entry(&key).tags(names).set(row).await.expect("there is no store to fail");
        self.checker().invalidated(Scope::Key(key), began);
    }

    /// A write through the cache, by a closure or under a hold, that may vanish or be rolled back.
    pub(crate) async fn write(&self, key: u32) {
        let mut tags = Self::argument_tags(key);
        let names = tags.clone().into_iter().map(|tag| format!("t{tag}"));
        let entry = self.cache.entry(&key).tags(names);
        let number = self.checker().holding(key);
        let hold = entry.hold().await.expect("there is no store to fail");
        self.pause(30).await;
        let how = self.sim.below(10);
        if how < 2 {
            hold.unchanged();
            self.checker().released(number, true);
            return;
        }
        let tag = u32::try_from(self.sim.below(TAGS)).expect("few tags");
        let committed = self.checker().invalidating(Scope::Key(key), Race::WriteDuringLoad);
        self.shared().tags.insert(key, tag);
        tags.push(tag);
        self.pause(30).await;
        if self.checker().tag_changed_since(&tags, committed) {
            self.checker().met(Race::TagDuringHold);
        }
        let row = self.checker().written_row(key, tags, committed, self.now_ms());
        match how {
            2 => {
                self.checker().met(Race::WriterVanished);
                drop(hold);
            }
            3 => hold.invalidate().await.expect("there is no store to fail"),
            _ => {
                let loaded = Loaded::new(row).tag(format!("t{tag}"));
                hold.set_with(loaded).await.expect("there is no store to fail");
            }
        }
        let mut checker = self.checker();
        checker.released(number, false);
        checker.invalidated(Scope::Key(key), committed);
    }

    pub(crate) async fn mark_stale(&self, key: u32) {
        let began = self.checker().invalidating(Scope::Key(key), Race::MarkStaleDuringLoad);
        self.cache.mark_stale(&key).await.expect("there is no store to fail");
        self.checker().marked_stale(key, began);
    }

    pub(crate) async fn invalidate_tag(&self, tag: u32) {
        let began = self.checker().invalidating(Scope::Tag(tag), Race::ArgumentTagDuringLoad);
        self.hub.invalidate_tag(&format!("t{tag}")).await.expect("the tag is well formed");
        self.checker().invalidated(Scope::Tag(tag), began);
    }

    /// A tag that some row has.
    pub(crate) fn some_tag(&self, key: u32) -> u32 {
        match Self::argument_tags(key).first() {
            Some(tag) if self.sim.below(2) == 0 => *tag,
            _ => self.row_tag(key),
        }
    }

    pub(crate) async fn purge(&self) {
        let began = self.checker().invalidating(Scope::All, Race::PurgeDuringLoad);
        let purged = if self.sim.below(2) == 0 { self.hub.purge().await } else { self.cache.purge().await };
        purged.expect("there is no store to fail");
        self.checker().invalidated(Scope::All, began);
    }

    /// Makes enough tags that those which nothing names are forgotten.
    pub(crate) async fn forget_tags(&self) {
        for _ in 0..150 {
            let junk = {
                let mut shared = self.shared();
                shared.junk += 1;
                shared.junk
            };
            self.hub.invalidate_tag(&format!("junk{junk}")).await.expect("the tag is well formed");
        }
        let place = self.some_runtime().0;
        self.read(0, place).await;
        self.checker().churned();
    }

    /// One load more than may run at once, of keys that nobody else has: every permit is there, and none twice.
    pub(crate) async fn count_permits(&self, place: usize) {
        let (runtime, counts) = (self.some_place(place), Arc::new(Mutex::new((0, 0))));
        for key in 0..=LOADS {
            let (world, counts) = (self.clone(), Arc::clone(&counts));
            self.sim.spawn(&runtime, async move {
                let key = 1000 + u32::try_from(key).expect("few");
                let sim = world.sim.clone();
                let row = world.checker().row(key, Vec::new(), 0, 0);
                let load = || async move {
                    let now = || counts.lock().unwrap_or_else(PoisonError::into_inner);
                    let running = now().0 + 1;
                    let most = now().1.max(running);
                    *now() = (running, most);
                    sim.sleep(Duration::from_millis(50)).await;
                    now().0 -= 1;
                    Ok::<_, &'static str>(row)
                };
                let got = world.cache.get_or_load(&key, load).await;
                if let Err(error) = got {
                    world.checker().violate(format!("at rest a load ends with {error}"));
                }
            });
        }
        self.sim.sleep(Duration::from_secs(1)).await;
        let most: u64 = counts.lock().unwrap_or_else(PoisonError::into_inner).1;
        if most != LOADS {
            self.checker().violate(format!("{most} loads at once, of {LOADS} that may"));
        }
    }

    fn some_place(&self, place: usize) -> Arc<SimRuntime> {
        Arc::clone(&self.shared().runtimes[place].0)
    }

    /// A runtime dies, and another takes its place.
    pub(crate) fn kill(&self, death: Death) {
        let (place, runtime) = self.some_runtime();
        let (loads, lookups) = {
            let mut shared = self.shared();
            shared.runtimes[place].1 = false;
            let new = self.sim.runtime();
            shared.runtimes.push((new, true));
            let on = |of: &[(usize, u64)]| of.iter().filter(|(p, _)| *p == place).map(|(_, n)| *n).collect::<Vec<_>>();
            (on(&shared.loads_on), on(&shared.lookups_on))
        };
        let now_ms = self.now_ms();
        let mut checker = self.checker();
        if loads.iter().any(|load| checker.is_running(*load)) {
            checker.met(match death {
                Death::DropsTasks => Race::RuntimeDropped,
                Death::Freezes => Race::RuntimeFrozen,
                Death::StandsStill => Race::RuntimeStoodStill,
            });
        }
        checker.died(&loads, &lookups, death, now_ms);
        drop(checker);
        self.sim.kill(&runtime, death);
    }
}

pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a simulation is short")
}

type Loader = Box<dyn FnOnce(Load<Row>) -> Loading + Send>;
type Loading = Pin<Box<dyn Future<Output = LoadResult> + Send>>;

/// A lookup in the books; one that is dropped unfinished was cancelled.
pub(crate) struct Asking<'a> {
    world: &'a World,
    pub(crate) number: u64,
    pub(crate) over: bool,
}

impl<'a> Asking<'a> {
    pub(crate) fn begin(world: &'a World, key: u32, place: usize, freely: bool) -> Self {
        let now_ms = world.now_ms();
        let mut checker = world.checker();
        let number = if freely { checker.ask_freely(key, now_ms) } else { checker.ask(key, now_ms) };
        drop(checker);
        world.shared().lookups_on.push((place, number));
        Asking { world, number, over: false }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.world.checker().gave_up(self.number);
        }
    }
}
