//! Batches against a plain model, under random ids, answers, failures and departures.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;
use tierce::{Cache, Hub, LoadError, Loaded, Lookup};

use crate::fixture::{Broken, settle};

const IDS: u64 = 12;

#[derive(Clone, Debug)]
enum Op {
    /// A batch, at most so many ids a load, that leaves after so many turns if it is not done.
    Ask(Vec<u64>, usize, Option<usize>),
    Single(u64),
    Invalidate(u64),
    InvalidateMany(Vec<u64>),
    InvalidateMatching(u64),
    SetMany(Vec<u64>),
    Tag(u64),
    /// Lets so many turns pass.
    Wait(usize),
}

/// What the source says of an id.
#[derive(Clone, Copy, Debug)]
enum Says {
    Value,
    Nothing,
    Error,
    Panic,
}

fn ids() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..IDS, 0..8)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (ids(), 1..5_usize, prop::option::weighted(0.2, 0..6_usize)).prop_map(|(a, b, c)| Op::Ask(a, b, c)),
        3 => (0..IDS).prop_map(Op::Single),
        2 => (0..IDS).prop_map(Op::Invalidate),
        1 => ids().prop_map(Op::InvalidateMany),
        1 => (2..5_u64).prop_map(Op::InvalidateMatching),
        1 => ids().prop_map(Op::SetMany),
        1 => (0..3_u64).prop_map(Op::Tag),
        4 => (0..6_usize).prop_map(Op::Wait),
    ]
}

fn says() -> impl Strategy<Value = Vec<Says>> {
    let one =
        prop_oneof![8 => Just(Says::Value), 3 => Just(Says::Nothing), 2 => Just(Says::Error), 1 => Just(Says::Panic)];
    prop::collection::vec(one, 40)
}

/// What everybody shares: the sequence of events, and what began when.
struct World {
    cache: Cache<u64, u64>,
    hub: Hub,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    now: u64,
    says: Vec<Says>,
    loads: usize,
    /// When each id was last ended, or set.
    ended: BTreeMap<u64, u64>,
    /// Ids that are loaded, with whether they were ended since.
    loading: BTreeMap<u64, Vec<u64>>,
    wrong: Vec<String>,
}

/// What an id has at a time, by which it shows whose it is and when it was read.
fn value(time: u64, id: u64) -> u64 {
    time * IDS + id
}

impl World {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, ids: impl Iterator<Item = u64>) {
        let mut book = self.book();
        book.now += 1;
        let now = book.now;
        for id in ids {
            book.ended.insert(id, now);
            book.loading.remove(&id);
        }
    }

    /// A load of many, which says what it found in one order or the other.
    fn load(
        self: &Arc<Self>,
        ids: Vec<u64>,
    ) -> impl Future<Output = Result<Vec<Pair>, Broken>> + Send + 'static + use<> {
        let world = Arc::clone(self);
        let over = Over(Arc::clone(self), ids.clone(), {
            let mut book = self.book();
            book.now += 1;
            let now = book.now;
            let unique: BTreeSet<_> = ids.iter().collect();
            if unique.len() < ids.len() || ids.is_empty() {
                book.wrong.push(format!("asked for {ids:?}"));
            }
            for id in &ids {
                if book.loading.get(id).is_some_and(|loads| !loads.is_empty()) {
                    book.wrong.push(format!("{id} is loaded twice at once"));
                }
                book.loading.entry(*id).or_default().push(now);
            }
            now
        });
        async move {
            let over = over;
            for _ in 0..ids[0] % 4 {
                tokio::task::yield_now().await;
            }
            let say = |id: u64| {
                let mut book = world.book();
                book.loads += 1;
                let says = book.says[book.loads % book.says.len()];
                drop(book);
                match says {
                    Says::Value => Some(Ok(Loaded::new(value(over.2, id)).tag(format!("t{}", id % 3)))),
                    Says::Nothing => None,
                    Says::Error => Some(Err(Broken("no"))),
                    Says::Panic => std::panic::panic_any("a loader's panic"),
                }
            };
            let mut said: Vec<Pair> = ids.iter().filter_map(|id| Some((*id, say(*id)?))).collect();
            if over.2 % 2 == 1 {
                said.reverse();
            }
            Ok(said)
        }
    }

    /// Nothing older than what had ended when it was asked.
    fn check(&self, ids: &[u64], asked: &BTreeMap<u64, u64>, answers: &[Result<Lookup<u64>, LoadError<Broken>>]) {
        let mut book = self.book();
        if ids.len() != answers.len() {
            book.wrong.push(format!("{} answers for {ids:?}", answers.len()));
        }
        for (id, answer) in ids.iter().zip(answers) {
            match answer {
                Ok(Lookup::Hit(value, _)) if value % IDS != *id => {
                    book.wrong.push(format!("{id} got what {} has", value % IDS));
                }
                Ok(Lookup::Hit(value, _)) if value / IDS < asked.get(id).copied().unwrap_or(0) => {
                    book.wrong.push(format!("{id} from {}, ended at {asked:?}", value / IDS));
                }
                Ok(_) | Err(LoadError::Load(_) | LoadError::Panicked(_)) => {}
                Err(error) => book.wrong.push(format!("{id}: {error}")),
            }
        }
    }
}

type Pair = (u64, Result<Loaded<u64>, Broken>);

struct Over(Arc<World>, Vec<u64>, u64);

impl Drop for Over {
    fn drop(&mut self) {
        let mut book = self.0.book();
        for id in &self.1 {
            if let Some(loads) = book.loading.get_mut(id) {
                loads.retain(|load| *load != self.2);
            }
        }
    }
}

async fn play(world: &Arc<World>, ops: Vec<Op>) {
    let mut asking = Vec::new();
    for op in ops {
        let asked = world.book().ended.clone();
        let w = Arc::clone(world);
        match op {
            Op::Ask(ids, at_most, leaves) => {
                let task = tokio::spawn(async move {
                    let answers = w.cache.entries(&ids).at_most(at_most).load_with(|ids| w.load(ids)).await;
                    w.check(&ids, &asked, &answers);
                });
                if let Some(turns) = leaves {
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    task.abort();
                } else {
                    asking.push(task);
                }
            }
            Op::Single(id) => asking.push(tokio::spawn(async move {
                let load = |_| {
                    let load = w.load(vec![id]);
                    async move { load.await?.pop().map_or(Ok(Loaded::absent()), |(_, said)| said) }
                };
                let answer = w.cache.entry(&id).load_with(load).await;
                w.check(&[id], &asked, &[answer]);
            })),
            Op::Invalidate(id) => {
                world.end([id].into_iter());
                world.cache.invalidate(&id).await.unwrap();
            }
            Op::InvalidateMany(ids) => {
                world.end(ids.iter().copied());
                world.cache.invalidate_many(&ids).await.unwrap();
            }
            Op::InvalidateMatching(by) => {
                world.end((0..IDS).filter(|id| id % by == 0));
                world.cache.invalidate_where(|id| id % by == 0).unwrap();
            }
            Op::SetMany(ids) => {
                world.end(ids.iter().copied());
                let now = world.book().now;
                world.cache.set_many(ids.into_iter().map(|id| (id, value(now, id)))).await.unwrap();
            }
            Op::Tag(tag) => {
                world.end((0..IDS).filter(|id| id % 3 == tag));
                world.hub.invalidate_tag(&format!("t{tag}")).await.unwrap();
                // What was set has no tag, and so has what has no value.
                let gone: Vec<u64> = (0..IDS).filter(|id| id % 3 == tag).collect();
                world.cache.invalidate_many(&gone).await.unwrap();
            }
            Op::Wait(turns) => {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    for task in asking {
        task.await.expect("no lookup panics");
    }
    settle().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_id_of_every_batch_is_answered_as_a_single_lookup_would_be(
        ops in prop::collection::vec(op(), 1..40),
        says in says(),
    ) {
        let hub = Hub::embedded();
        let cache = hub.local_cache("number").build();
        let book = Mutex::new(Book { says, ..Book::default() });
        let world = Arc::new(World { cache, hub, book });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(&world, ops));
        let wrong = std::mem::take(&mut world.book().wrong);
        prop_assert!(wrong.is_empty(), "{wrong:?}");
        prop_assert_eq!(world.cache.stats().loading, 0);
        let book = world.book();
        prop_assert!(book.loading.values().all(Vec::is_empty));
    }
}
