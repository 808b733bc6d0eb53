//! Batches in a simulated process: callers of many keys, and callers who share their loads.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tierce::{Batched, Freshness, Loaded, Lookup};

use super::checker::{End, Row, Scope, WINDOW_MS};
use super::race::Race;
use super::world::{Asking, DEADLINE, KEYS, Over, World};

/// The loader whose callers share their loads; it needs the world, and the world needs it.
#[derive(Clone, Default)]
pub(crate) struct Joint(Arc<Mutex<Option<Rows>>>);

type Rows = Batched<u32, Row, &'static str>;

impl Joint {
    fn get(&self) -> Rows {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("the world is not over")
    }
}

/// What a loader says of many keys.
type Said = Result<Vec<(u32, Result<Loaded<Row>, &'static str>)>, &'static str>;

/// A lookup's number for loads of which nobody can say whose they are.
const NOBODYS: u64 = u64::MAX;

impl World {
    /// Makes the loader that is shared.
    pub(crate) fn join_up(&self) {
        let world = self.clone();
        let load = move |keys: Vec<u32>| {
            let over = world.book(&keys, |_| NOBODYS, None);
            world.clone().load_many(keys, None, over)
        };
        let batched = self.cache.batched_with(Duration::from_millis(WINDOW_MS), 4, load);
        *self.joint.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(batched);
    }

    /// Ends the circle of the two.
    pub(crate) fn part(&self) {
        drop(self.joint.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Two to five keys that have the argument tags of this one, it and some others, some of them twice.
    ///
    /// A caller whose tag no load of the key has named may find that it was forgotten, and loads once too often.
    fn some_keys(&self, first: u32) -> Vec<u32> {
        let alike = |key: &u32| Self::argument_tags(*key) == Self::argument_tags(first);
        let alike: Vec<_> = (0..u32::try_from(KEYS).expect("few keys")).filter(alike).collect();
        let others = (0..1 + self.sim.below(4)).map(|_| usize::try_from(self.sim.below(5)).expect("few"));
        std::iter::once(first).chain(others.map(|other| alike[other % alike.len()])).collect()
    }

    /// Loads of these keys in the books. `place` is the runtime; unknown, it may be any.
    fn book(&self, keys: &[u32], asked: impl Fn(u32) -> u64, place: Option<usize>) -> Vec<Over> {
        let (began, now_ms) = (self.sim.now(), self.now_ms());
        let book = |key: &u32| {
            let load = self.checker().loading(*key, asked(*key), Self::argument_tags(*key), now_ms);
            let mut shared = self.shared();
            let places = place.map_or_else(|| 0..shared.runtimes.len(), |place| place..place + 1);
            shared.loads_on.extend(places.map(|place| (place, load)));
            Over { began, world: self.clone(), load, end: End::Dropped }
        };
        keys.iter().map(book).collect()
    }

    async fn load_many(self, keys: Vec<u32>, place: Option<usize>, mut over: Vec<Over>) -> Said {
        let mut unique = keys.clone();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() < keys.len() || keys.is_empty() {
            self.checker().violate(format!("a batch's loader was asked for {keys:?}"));
        }
        self.pause(40).await;
        let read_at = self.checker().next();
        let tags: Vec<_> = keys.iter().map(|key| self.row_tag(*key)).collect();
        self.pause(40).await;
        match (self.sim.below(100), place) {
            (0..6, _) => {
                over.iter_mut().for_each(|over| over.end = End::Failed);
                return Err("the database is away");
            }
            (6..9, _) => {
                over.iter_mut().for_each(|over| over.end = End::Panicked);
                std::panic::panic_any("a loader's panic");
            }
            (9..12, _) => self.sim.sleep(DEADLINE * 2).await,
            (12..17, Some(place)) => self.read_inside(keys[0], place).await,
            _ => {}
        }
        let mut said = Vec::new();
        for ((key, tag), over) in keys.iter().zip(tags).zip(&mut over) {
            over.end = End::Loaded;
            let mut tags = Self::argument_tags(*key);
            tags.push(tag);
            let mut checker = self.checker();
            checker.note_result_tags(over.load, &tags);
            if keys.len() > 1 && checker.was_changed(over.load) {
                checker.met(Race::OneOfBatchChanged);
            }
            match self.sim.below(40) {
                0 => self.say_absent(*key),
                1 => {
                    self.say_absent(*key);
                    said.push((*key, Ok(Loaded::absent())));
                }
                2 => {
                    over.end = End::Failed;
                    said.push((*key, Err("the row is damaged")));
                }
                _ => {
                    let names = tags.iter().map(|tag| format!("t{tag}")).collect::<Vec<_>>();
                    let row = checker.row(*key, tags, read_at, self.now_ms());
                    said.push((*key, Ok(names.into_iter().fold(Loaded::new(row), Loaded::tag))));
                }
            }
        }
        Ok(said)
    }

    /// A lookup of many keys that may load.
    pub(crate) async fn read_many(&self, first: u32, place: usize) {
        let keys = self.some_keys(first);
        let began_ms = self.now_ms();
        let mut asking: Vec<_> = keys.iter().map(|key| Asking::begin(self, *key, place, false)).collect();
        let numbers: Vec<_> = keys.iter().copied().zip(asking.iter().map(|asking| asking.number)).collect();
        let asked = |key| numbers.iter().find(|(known, _)| *known == key).map_or(NOBODYS, |(_, number)| *number);
        let loading = keys.iter().filter(|key| self.checker().loads_of(**key) > 0).count();
        let load = |missing: Vec<u32>| {
            if loading > 0 {
                self.checker().met(Race::BatchesOverlapped);
            }
            let over = self.book(&missing, asked, Some(place));
            self.clone().load_many(missing, Some(place), over)
        };
        let at_most = 1 + usize::try_from(self.sim.below(4)).expect("few");
        let tags = Self::argument_tags(first).into_iter().map(|tag| format!("t{tag}"));
        let found = self.cache.entries(&keys).tags(tags).at_most(at_most).load_with(load).await;
        asking.iter_mut().for_each(|asking| asking.over = true);
        if found.len() != keys.len() {
            self.checker().violate(format!("{} answers for {keys:?}", found.len()));
        }
        for (asking, found) in asking.iter().zip(found) {
            self.check_at(asking.number, found, began_ms, true);
        }
    }

    /// A lookup of many keys that is cancelled after a while.
    pub(crate) async fn read_many_and_leave(&self, first: u32, place: usize) {
        let patience = self.sim.sleep(Duration::from_millis(self.sim.below(60)));
        let mut read = pin!(self.read_many(first, place));
        let mut patience = pin!(patience);
        let finished = poll_fn(|cx| {
            if read.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            patience.as_mut().poll(cx).map(|()| false)
        });
        if !finished.await {
            self.checker().met(Race::BatchCancelled);
        }
    }

    /// A lookup whose load is shared with other callers', of a key without argument tags.
    pub(crate) async fn read_jointly(&self, key: u32, place: usize) {
        let key = key | 1;
        let began_ms = self.now_ms();
        let mut asking = Asking::begin(self, key, place, false);
        let joint = self.joint.get();
        let found = joint.find_or_load(&key).await;
        asking.over = true;
        // It does not say how fresh its answers are: all that is known is that they are not past every limit.
        let lookup = |row: Option<Row>| {
            row.map_or(Lookup::Negative(Freshness::Loaded), |row| Lookup::Hit(row, Freshness::Stale))
        };
        self.check_at(asking.number, found.map(lookup), began_ms, true);
    }

    pub(crate) async fn invalidate_many(&self, first: u32) {
        let keys = self.some_keys(first);
        let began: Vec<_> = keys.iter().map(|key| self.begin_to_end(*key)).collect();
        self.cache.invalidate_many(&keys).await.expect("there is no store to fail");
        for (key, began) in keys.iter().zip(began) {
            self.checker().invalidated(Scope::Key(*key), began);
        }
    }

    pub(crate) async fn invalidate_matching(&self, by: u32) {
        let matching = |key: &u32| key % 5 == by % 5;
        let keys: Vec<_> = (0..u32::try_from(KEYS).expect("few keys")).filter(matching).collect();
        let began: Vec<_> = keys.iter().map(|key| self.begin_to_end(*key)).collect();
        self.cache.invalidate_where(matching).expect("there is no store to fail");
        for (key, began) in keys.iter().zip(began) {
            self.checker().invalidated(Scope::Key(*key), began);
        }
    }
}
