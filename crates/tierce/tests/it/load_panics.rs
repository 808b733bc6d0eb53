//! Panics in the code that loads run, at every place and every visit to it: whoever waits is told or loads for himself.

use std::cell::Cell;
use std::rc::Rc;

use tierce::{Batched, Cache, Hub, ManualClock};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fixture::{Broken, Source, hub_at, secs, settle};
use crate::memory_reentry::{Key, Place, Value, at, hook, unhook};

const PLACES: [Place; 8] = [
    Place::Hash,
    Place::Eq,
    Place::KeyClone,
    Place::KeyDrop,
    Place::ValueClone,
    Place::ValueDrop,
    Place::Listener,
    Place::Weigher,
];

/// Keys that the scenes use; the first has a value that may stand in for errors.
const KEYS: u64 = 3;

/// More loads than may run and queue.
const CROWD: u64 = 65;

struct Stage {
    clock: ManualClock,
    hub: Hub,
    cache: Cache<Key, Value>,
    joint: Batched<Key, Value, Broken>,
    source: Source,
    panicked: Rc<Cell<bool>>,
}

/// How a caller looks up.
#[derive(Clone, Copy, Debug)]
enum How {
    Single,
    Refresh,
    Batch,
    Jointly,
}

const HOW: [How; 4] = [How::Single, How::Refresh, How::Batch, How::Jointly];

fn stage(permits: usize) -> Stage {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let weigher = |_: &Key, _: &Value| {
        at(Place::Weigher);
        1
    };
    let builder =
        hub.local_cache("chatty").ttl(secs(10)).jitter(0.0).stale_if_error(secs(1000)).max_weight(80, weigher);
    let cache = builder.max_concurrent_loads(permits).listener(|_, _, _| at(Place::Listener)).build();
    let source = Source::waiting();
    let of_joint = source.clone();
    let joint = cache.batched(secs(0), 9, move |ids| many(ids, of_joint.clone()));
    Stage { clock, hub, cache, joint, source, panicked: Rc::default() }
}

async fn many(ids: Vec<Key>, source: Source) -> Result<Vec<(Key, Value)>, Broken> {
    let number = source.load().await?;
    Ok(ids.into_iter().map(|id| (id, Value(number))).collect())
}

impl Stage {
    /// A caller of two keys, the first of which is everybody's.
    fn ask(&self, how: How) -> JoinHandle<()> {
        let (cache, joint, source) = (self.cache.clone(), self.joint.clone(), self.source.clone());
        tokio::spawn(async move {
            let keys = [Key(0), Key(1)];
            let one = source.load();
            let load = move || async move { Ok::<_, Broken>(Value(one.await?)) };
            match how {
                How::Single => drop(cache.get_or_load(&keys[0], load).await),
                How::Refresh => drop(cache.refresh(&keys[0], load).await),
                How::Batch => drop(cache.get_many_or_load(&keys, |ids| many(ids, source.clone())).await),
                How::Jointly => drop(joint.get_many_or_load(&keys).await),
            }
        })
    }

    /// Lets the n-th visit to a place panic from now on.
    fn break_at(&self, place: Place, nth: usize) {
        let (visits, panicked) = (Cell::new(0), Rc::clone(&self.panicked));
        hook(move |at| {
            if at == place {
                visits.set(visits.get() + 1);
                panicked.set(panicked.get() || visits.get() == nth + 1);
                assert!(visits.get() != nth + 1, "{place:?} is broken");
            }
        });
    }

    /// Everybody has been told, and all keys can be loaded.
    async fn check(self, waiting: Vec<JoinHandle<()>>, what: &str) -> bool {
        unhook();
        self.source.recover();
        self.source.answer();
        for caller in waiting {
            // A panic may be the caller's own.
            let ended = timeout(secs(1), caller).await;
            assert!(ended.is_ok(), "somebody waits for nothing: {what}");
        }
        settle().await;
        for key in (0..KEYS).map(Key) {
            assert!(!self.cache.explain(&key).await.loading, "a flight of {key:?} is left: {what}");
            let load = || async { Ok::<_, Broken>(Value(7)) };
            let loaded = timeout(secs(1), self.cache.refresh(&key, load)).await;
            assert_eq!(loaded.expect(what).expect(what).0, 7, "{what}");
        }
        assert_eq!((self.cache.stats().loading, self.hub.drain(secs(1)).await), (0, 0), "{what}");
        self.panicked.get()
    }
}

/// Plays a scene with the n-th visit to each place broken, for every n that is reached; how many panics that were.
async fn check<F: Future<Output = bool>>(scene: impl Fn(How, Place, usize) -> F) -> usize {
    let mut panics = 0;
    for how in HOW {
        for place in PLACES {
            let mut nth = 0;
            while scene(how, place, nth).await {
                nth += 1;
            }
            panics += nth;
        }
    }
    panics
}

/// A stale value of the first key, and a load of it whose tag was invalidated: the next caller passes it by.
async fn passed_by(how: How, place: Place, nth: usize) -> bool {
    let stage = stage(9);
    stage.cache.set(Key(0), Value(0)).await.unwrap();
    stage.clock.advance(secs(10));
    let (cache, source) = (stage.cache.clone(), stage.source.clone());
    let older = tokio::spawn(async move {
        let load = |_| async move { source.load().await.map(|number| Some(Value(number)).into()) };
        drop(cache.entry(&Key(0)).tags(["t"]).load_with(load).await);
    });
    settle().await;
    stage.hub.invalidate_tag("t").await.unwrap();
    stage.break_at(place, nth);
    let first = stage.ask(how);
    settle().await;
    let second = stage.ask(how);
    settle().await;
    stage.source.answer();
    settle().await;
    stage.check(vec![older, first, second], &format!("passed by, {how:?}, visit {nth} to {place:?}")).await
}

/// More loads than may queue, and a stale value of the first key: who comes is turned away.
async fn turned_away(how: How, place: Place, nth: usize) -> bool {
    let stage = stage(1);
    stage.cache.set(Key(0), Value(0)).await.unwrap();
    stage.clock.advance(secs(10));
    let mut waiting = Vec::new();
    for key in 0..CROWD {
        let (cache, source) = (stage.cache.clone(), stage.source.clone());
        waiting.push(tokio::spawn(async move {
            let load = || async move { source.load().await.map(Value) };
            drop(cache.get_or_load(&Key(100 + key), load).await);
        }));
    }
    settle().await;
    stage.break_at(place, nth);
    waiting.extend([stage.ask(how), stage.ask(how)]);
    settle().await;
    waiting.push(stage.ask(how));
    settle().await;
    stage.check(waiting, &format!("turned away, {how:?}, visit {nth} to {place:?}")).await
}

/// A load that fails, with a stale value to stand in.
async fn failed(how: How, place: Place, nth: usize) -> bool {
    let stage = stage(9);
    stage.cache.set(Key(0), Value(0)).await.unwrap();
    stage.clock.advance(secs(10));
    stage.source.fail();
    stage.break_at(place, nth);
    let mut waiting = vec![stage.ask(how), stage.ask(How::Single)];
    settle().await;
    waiting.push(stage.ask(how));
    settle().await;
    stage.source.answer();
    settle().await;
    stage.check(waiting, &format!("failed, {how:?}, visit {nth} to {place:?}")).await
}

/// A load whose key is invalidated, loaded again meanwhile, and left by its first caller.
async fn overtaken(how: How, place: Place, nth: usize) -> bool {
    let stage = stage(9);
    stage.break_at(place, nth);
    let first = stage.ask(how);
    // A window has not closed yet.
    tokio::task::yield_now().await;
    let cache = stage.cache.clone();
    let invalidating = tokio::spawn(async move { drop(cache.invalidate(&Key(0)).await) });
    let second = stage.ask(how);
    settle().await;
    first.abort();
    stage.source.answer();
    settle().await;
    stage.check(vec![second, invalidating], &format!("overtaken, {how:?}, visit {nth} to {place:?}")).await
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_while_a_load_is_passed_by_keeps_nobody_waiting() {
    assert!(check(passed_by).await > 50);
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_while_a_load_is_turned_away_keeps_nobody_waiting() {
    assert!(check(turned_away).await > 50);
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_while_a_load_fails_keeps_nobody_waiting() {
    assert!(check(failed).await > 50);
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_while_a_load_is_overtaken_keeps_nobody_waiting() {
    assert!(check(overtaken).await > 50);
}
