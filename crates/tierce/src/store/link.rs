//! A hub's store as its caches see it: bounded, broken off when it fails, and told again what it could not be told.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::breaker::{Breaker, Leave};
use super::budget::Budget;
use super::coherence::{Coherence, OnDisconnect};
use super::face::{Answer, Key, Listener, Store, Tag, Version};
use super::fault::Fault;
use super::keeping::Keeping;
use super::pending::Pending;
use super::versions::Versions;
use crate::clock::Clock;
use crate::mutant::{self, Mutant};
use crate::random::Random;
use crate::runtime;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, lock};

/// How long an application waits for its store, and how long it believes what it has read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For all that one lookup asks.
    pub(crate) lookup: Duration,
    /// For a change.
    pub(crate) change: Duration,
    /// How long an entry in memory, and the version of a tag, are believed at most without asking, where it was said.
    pub(crate) memory: Option<Duration>,
    /// What others changed is served for no longer than this, where the store tells of changes.
    pub(crate) coherence: Duration,
    /// What becomes of memory where it does not.
    pub(crate) on_disconnect: OnDisconnect,
    /// How long a lease lasts unless it is extended.
    pub(crate) lease: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            lookup: Duration::from_millis(50),
            change: Duration::from_secs(1),
            memory: None,
            coherence: Duration::from_millis(150),
            on_disconnect: OnDisconnect::ServeFor(Duration::from_secs(10)),
            lease: Duration::from_secs(2),
        }
    }
}

/// The store of a hub.
pub(crate) struct Link {
    pub(crate) store: Arc<dyn Store>,
    namespace: Box<str>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(crate) patience: Patience,
    pub(super) breaker: Breaker,
    pub(super) pending: Pending,
    pub(super) versions: Versions,
    /// How long memory may be served without asking.
    pub(crate) coherence: Arc<Coherence>,
    /// Whether the store tells of changes.
    pub(super) tells: bool,
    /// Who is told.
    listener: OnceLock<Box<dyn Listener>>,
    /// Who beats.
    pub(super) keeping: Keeping,
    /// Who tells the store what it could not be told.
    pub(super) telling: Keeping,
    pub(super) faults: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(super) last_fault: Mutex<Option<Fault>>,
    /// How long its last answer took, in nanoseconds; 0 before the first.
    pub(super) round_trip_ns: AtomicU64,
}

/// How much later than asked a time ends: a millisecond of the runtime's timer, which rounds up, and one of the coarse clock
/// (`bench outage`, `first_miss_ms`). What a lookup may spend is a bound, so one that is much longer ends so much earlier.
const LATE: Duration = Duration::from_millis(2);

/// How long memory is believed of a store that does not tell of changes, unless said.
const MEMORY: Duration = Duration::from_secs(1);

impl Link {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        namespace: &str,
        clock: Clock,
        random: Random,
        patience: Patience,
    ) -> Arc<Self> {
        Arc::new_cyclic(|link| Link {
            tells: store.listen(namespace, Arc::new(Ear(Weak::clone(link)))),
            coherence: Arc::default(),
            listener: OnceLock::new(),
            keeping: Keeping::default(),
            store,
            namespace: namespace.into(),
            clock,
            random,
            patience,
            breaker: Breaker::default(),
            pending: Pending::default(),
            versions: Versions::default(),
            telling: Keeping::default(),
            faults: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            last_fault: Mutex::new(None),
            round_trip_ns: AtomicU64::new(0),
        })
    }

    /// Who is told of changes from now on.
    pub(crate) fn tell_of_changes(&self, listener: impl Listener) {
        // One hub makes a link and says so once.
        let _ = self.listener.set(Box::new(listener));
    }

    fn listener(&self) -> Option<&dyn Listener> {
        self.listener.get().map(|listener| &**listener)
    }

    /// Nothing that was read is known to be so any more.
    pub(super) fn forget_all(&self) {
        self.versions.forget_all();
        if let Some(listener) = self.listener() {
            listener.all_changed();
        }
    }

    /// How long what is read now is believed without asking; `None` for as long as it is fresh.
    pub(crate) fn belief(&self) -> Option<Duration> {
        if self.coherence.is_coherent() {
            return self.patience.memory;
        }
        let apart = if self.tells { self.patience.on_disconnect.grace() } else { MEMORY };
        Some(self.patience.memory.map_or(apart, |said| if self.tells { said.min(apart) } else { said }))
    }

    /// How old a version of a tag may be that is believed. A store that should tell and does not is asked each time.
    fn versions_age(&self) -> Duration {
        match (self.tells, self.is_told()) {
            (true, true) => self.patience.memory.unwrap_or(Duration::MAX),
            (true, false) => Duration::ZERO,
            (false, _) => self.patience.memory.unwrap_or(MEMORY),
        }
    }

    /// How long ago a load may have begun that a caller joins: what it brings is as old as its beginning, and nobody tells what
    /// others have changed since. `None` while all of that is told.
    pub(crate) fn joins_within(&self) -> Option<Duration> {
        if !self.tells {
            return Some(self.patience.memory.unwrap_or(MEMORY));
        }
        if self.is_told() {
            return None;
        }
        let apart = self.patience.on_disconnect.grace();
        // What began within the bound is no older than what is told may be.
        Some(self.patience.memory.map_or(apart, |said| said.min(apart)).max(self.patience.coherence))
    }

    /// Whether the store tells of changes, and has up to the bound.
    fn is_told(&self) -> bool {
        self.coherence.is_coherent() && self.clock.now_ms() < self.coherence.serve_until_ms()
    }

    pub(super) fn last_fault(&self) -> Fault {
        lock(&self.last_fault).clone().unwrap_or(Fault::Timeout)
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What one lookup may spend.
    pub(crate) fn budget(&self) -> Budget {
        let time = self.patience.lookup;
        Budget::of(if time > LATE * 10 { time - LATE } else { time })
    }

    /// Asks for a lookup. `None` when the store does not answer, or is not asked: it has not answered lately, or this lookup's
    /// time for it is over. A lookup goes on without it.
    pub(crate) async fn ask<'a, T>(
        self: &'a Arc<Self>,
        budget: &mut Budget,
        verb: impl FnOnce(&'a dyn Store, Duration) -> Answer<'a, T>,
    ) -> Option<T> {
        let waits = mutant::on(Mutant::StoreWaitedFor);
        let within = if waits { self.patience.change * 4 } else { budget.left()? };
        if !waits && !self.may_ask() {
            budget.spend_all();
            return None;
        }
        let asked = self.clock.precise();
        match verb(&*self.store, within).await {
            Ok(answer) => {
                budget.spend(self.answered(asked));
                Some(answer)
            }
            Err(fault) => {
                // A server that had only the rest of a lookup's time has shown nothing by not answering.
                let had_its_time = within >= self.patience.lookup / 2;
                self.note(fault, had_its_time);
                budget.spend_all();
                None
            }
        }
    }

    /// Tells of a change, or asks on behalf of one.
    pub(crate) async fn tell<'a, T>(
        self: &'a Arc<Self>,
        verb: impl FnOnce(&'a dyn Store, Duration) -> Answer<'a, T>,
    ) -> Result<T, Fault> {
        self.tell_within(self.patience.change, verb).await
    }

    /// The same, with so much time.
    pub(crate) async fn tell_within<'a, T>(
        self: &'a Arc<Self>,
        time: Duration,
        verb: impl FnOnce(&'a dyn Store, Duration) -> Answer<'a, T>,
    ) -> Result<T, Fault> {
        if !self.may_ask() {
            return Err(self.last_fault());
        }
        match verb(&*self.store, time).await {
            Ok(answer) => {
                self.breaker.answered();
                Ok(answer)
            }
            Err(fault) => {
                self.note(fault.clone(), true);
                Err(fault)
            }
        }
    }

    /// A change that other processes may miss without harm, other than by their bound.
    pub(crate) async fn change<'a, T>(
        self: &'a Arc<Self>,
        key: &'a Key,
        verb: impl FnOnce(&'a dyn Store, Duration) -> Answer<'a, T>,
    ) -> Result<T, Fault> {
        let mut untold = Untold { link: self, keys: std::slice::from_ref(key), tags: &[], is_told: false };
        let told = self.tell(verb).await;
        untold.is_told = told.is_ok();
        told
    }

    /// Ends these keys in the store. If it cannot be told now, it will be.
    pub(crate) async fn invalidate(self: &Arc<Self>, keys: &[Key]) -> Result<(), Fault> {
        let mut untold = Untold { link: self, keys, tags: &[], is_told: false };
        let told = match mutant::on(Mutant::NotToldToStore) {
            true => Ok(()),
            false => self.tell(|store, within| store.invalidate(keys, within)).await,
        };
        untold.is_told = told.is_ok();
        keys.iter().for_each(|key| mutant::changed(key.as_str()));
        told
    }

    /// Ends what has this tag. If the store cannot be told now, it will be.
    pub(crate) async fn renew(self: &Arc<Self>, tag: &Tag) -> Result<(), Fault> {
        self.versions.forget(tag);
        let mut untold = Untold { link: self, keys: &[], tags: std::slice::from_ref(tag), is_told: false };
        let told = match mutant::on(Mutant::TagNotToldToStore) {
            true => Ok(()),
            false => self.tell(|store, within| store.renew(tag, within)).await,
        };
        // What was read while it was under way may be from before.
        self.versions.forget(tag);
        untold.is_told = told.is_ok();
        told
    }

    /// Keeps keys that the store is to be told of, by one who cannot wait.
    pub(crate) fn owe(self: &Arc<Self>, keys: &[Key]) {
        self.pending.keep(keys, &[]);
        self.retry();
    }

    /// What these tags are at now. `None` where nobody can say.
    pub(crate) async fn versions(self: &Arc<Self>, tags: &[Tag], budget: &mut Budget) -> Option<Vec<Version>> {
        Some(self.versions_of(tags, Duration::ZERO, budget).await?.0)
    }

    /// The same, so that they are held afterwards: to ask for a tag that the store has not makes it, which is told as a change
    /// is, and what is told while an answer is on its way keeps that from being held. So it is asked once more.
    pub(crate) async fn learn(self: &Arc<Self>, tags: &[Tag], budget: &mut Budget) -> Option<Vec<Version>> {
        let versions = self.versions(tags, budget).await?;
        let now = self.clock.precise();
        if tags.iter().all(|tag| self.version_before(tag, now).is_some()) {
            return Some(versions);
        }
        self.versions(tags, budget).await
    }

    /// What these tags are at, as far as this process knows or has to ask, and how long ago that was read. `None` where
    /// nobody can say.
    pub(crate) async fn known_versions(
        self: &Arc<Self>,
        tags: &[Tag],
        budget: &mut Budget,
    ) -> Option<(Vec<Version>, Duration)> {
        self.versions_of(tags, self.versions_age(), budget).await
    }

    async fn versions_of(
        self: &Arc<Self>,
        tags: &[Tag],
        age: Duration,
        budget: &mut Budget,
    ) -> Option<(Vec<Version>, Duration)> {
        if self.pending.has_any(tags) {
            return None;
        }
        let now = self.clock.precise();
        // Of no age is only what is asked for now, however slowly a clock goes.
        let held = if age.is_zero() { None } else { self.versions.since(tags, now.saturating_sub(age), now) };
        if let Some((versions, asked)) = held {
            return Some((versions, now.saturating_sub(asked)));
        }
        let asking = self.versions.asking(now);
        let versions = self.ask(budget, |store, within| store.versions(tags, within)).await?;
        let came = self.clock.precise();
        self.versions.hold(&asking, tags, &versions, came);
        Some((versions, came.saturating_sub(now)))
    }

    /// What this tag was at before that time, if this process had read it by then.
    pub(crate) fn version_before(&self, tag: &Tag, time: Duration) -> Option<Version> {
        self.versions.before(tag, time)
    }

    /// Whether the store may have something of this key that was invalidated here.
    pub(crate) fn is_untold(&self, key: &Key) -> bool {
        self.pending.has(key) && !mutant::on(Mutant::UntoldAskedFor)
    }

    /// An entry that is not what it should be.
    pub(crate) fn note_damage(&self) {
        self.damaged.fetch_add(1, Relaxed);
    }

    pub(super) fn note(self: &Arc<Self>, fault: Fault, had_its_time: bool) {
        self.faults.fetch_add(1, Relaxed);
        let is_away = match &fault {
            Fault::Timeout => had_its_time,
            Fault::Lost | Fault::Down(_) | Fault::Garbled(_) => true,
            Fault::Away(_) | Fault::Full | Fault::TooLarge | Fault::Refused(_) => false,
        };
        if is_away {
            self.breaker.failed(self.clock.now_ms(), &self.random);
        }
        let old = lock(&self.last_fault).replace(fault);
        drop(old);
    }

    /// The store answered what it was asked at that time; how long that took.
    pub(super) fn answered(&self, asked: Duration) -> Duration {
        self.breaker.answered();
        let took = self.clock.precise().saturating_sub(asked);
        self.round_trip_ns.store(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        took
    }

    /// Whether the store is to be asked; sees to it that somebody looks whether it is back.
    fn may_ask(self: &Arc<Self>) -> bool {
        if !self.pending.is_empty() {
            self.retry();
        }
        let now_ms = self.clock.now_ms();
        if self.tells && !self.keeping.is_kept(now_ms) {
            self.keep();
        }
        match self.breaker.leave(now_ms, &self.random) {
            Leave::Ask => true,
            Leave::No => false,
            Leave::Probe => {
                let Some(runtime) = runtime::lasting() else { return false };
                let link = Arc::clone(self);
                runtime.spawn(Box::pin(async move {
                    let key = Key::new(format!("{{{}:*probe}}", link.namespace));
                    match link.store.get(&key, link.patience.lookup).await {
                        // Where it is said that others are asked, they may be.
                        Ok(_) | Err(Fault::Away(_)) => link.breaker.answered(),
                        Err(fault) => link.note(fault, true),
                    }
                }));
                false
            }
        }
    }
}

/// Passes on what the store tells.
struct Ear(Weak<Link>);

impl Listener for Ear {
    fn key_changed(&self, name: &str) {
        if mutant::on(Mutant::KeyPushIgnored) || mutant::swallows(name) {
            return;
        }
        if let Some(listener) = self.0.upgrade().as_ref().and_then(|link| link.listener()) {
            listener.key_changed(name);
        }
    }

    fn tag_changed(&self, name: &str) {
        if mutant::on(Mutant::TagPushIgnored) {
            return;
        }
        let Some(link) = self.0.upgrade() else { return };
        link.versions.forget(&Tag::new(name));
        if let Some(listener) = link.listener() {
            listener.tag_changed(name);
        }
    }

    fn all_changed(&self) {
        if let Some(link) = self.0.upgrade() {
            link.forget_all();
        }
    }
}

/// A change that is being told. If it is given up, or fails, it is kept to be told again.
struct Untold<'a> {
    link: &'a Arc<Link>,
    keys: &'a [Key],
    tags: &'a [Tag],
    is_told: bool,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.link.pending.keep(self.keys, self.tags);
            self.link.owe(&[]);
        }
    }
}
