//! Loads on several runtimes: tokio's, and event loops of the tests' own that share flights across threads.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tierce::{Cache, Hub};

use crate::fixture::{Broken, Source, ms, secs};
use crate::toy::{Baton, Toy, turn, until};

fn numbers() -> Cache<u64, u64> {
    Hub::embedded().local_cache("number").build()
}

#[test]
fn a_waiter_leads_when_the_tokio_runtime_of_the_load_is_shut_down() {
    for background in [true, false] {
        let (cache, stuck) = (numbers(), Source::waiting());
        let theirs = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (leader, source) = (cache.clone(), stuck.clone());
        theirs.spawn(async move { leader.get_or_load(&1, || source.load()).await });
        until("the load runs", || stuck.calls() == 1);
        let (waiter, own) = (cache.clone(), Source::open());
        let source = own.clone();
        let waiting = ours.spawn(async move { waiter.get_or_load(&1, || source.load()).await });
        ours.block_on(async {
            while cache.stats().coalesced == 0 {
                tokio::task::yield_now().await;
            }
            if background {
                theirs.shutdown_background();
            } else {
                thread::spawn(move || drop(theirs)).join().unwrap();
            }
            let got = tokio::time::timeout(secs(20), waiting).await;
            assert_eq!(got.expect("it does not wait for the dead").unwrap().unwrap(), 1);
        });
        assert_eq!((own.calls(), stuck.calls(), cache.peek(&1)), (1, 1, Some(1)));
        assert_eq!(cache.stats().loading, 0);
    }
}

#[test]
fn a_cache_outlives_the_runtimes_it_is_used_on() {
    let (cache, source) = (numbers(), Source::open());
    for n in 1..=5 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), n);
            cache.invalidate(&1).await.unwrap();
            // Left behind unfinished, with its runtime.
            let (cache, stuck) = (cache.clone(), Source::waiting());
            tokio::spawn(async move { cache.get_or_load(&1, || stuck.load()).await });
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        });
    }
    assert_eq!(cache.stats().loading, 0);
}

/// Two loops, and what the thread of each gave.
struct Pair {
    toys: [Arc<Toy>; 2],
    given: mpsc::Receiver<(usize, Option<tierce::Result<u64, Broken>>)>,
    giver: mpsc::Sender<(usize, Option<tierce::Result<u64, Broken>>)>,
}

impl Pair {
    fn new() -> Self {
        let baton = Arc::default();
        let (giver, given) = mpsc::channel();
        Pair { toys: [Toy::new(&baton), Toy::new(&baton)], given, giver }
    }

    /// Drives one loop in a thread of its own until its lookup has ended.
    fn ask(&self, which: usize, cache: &Cache<u64, u64>, source: &Source) {
        let (cache, source) = (cache.clone(), source.clone());
        let (toy, giver) = (Arc::clone(&self.toys[which]), self.giver.clone());
        thread::spawn(move || {
            let given = toy.run(async move { cache.get_or_load(&1, || source.load()).await });
            giver.send((which, given)).expect("the test waits");
        });
    }

    /// What the next lookup to end gave; `None` if its loop was frozen.
    fn next(&self) -> (usize, Option<u64>) {
        let (which, given) = self.given.recv_timeout(Duration::from_secs(20)).expect("nobody hangs");
        (which, given.map(|got| got.expect("a value")))
    }
}

#[test]
fn two_loops_in_two_threads_share_one_flight() {
    let (pair, cache, source) = (Pair::new(), numbers(), Source::waiting());
    pair.ask(0, &cache, &source);
    until("the load runs", || source.calls() == 1);
    pair.ask(1, &cache, &source);
    until("it is joined", || cache.stats().coalesced == 1);
    source.answer();
    let mut got = [pair.next(), pair.next()];
    got.sort_unstable();
    assert_eq!((got, source.calls()), ([(0, Some(1)), (1, Some(1))], 1));
}

#[test]
fn a_waiter_notices_within_its_watch_that_the_leaders_loop_stands_still() {
    let (pair, cache, stuck, own) = (Pair::new(), numbers(), Source::waiting(), Source::open());
    pair.ask(0, &cache, &stuck);
    until("the load runs", || stuck.calls() == 1);
    pair.ask(1, &cache, &own);
    until("it is joined", || cache.stats().coalesced == 1 && pair.toys[1].rests());
    pair.toys[1].advance(ms(1000));
    until("it has looked", || pair.toys[1].rests());
    pair.toys[0].freeze();
    assert_eq!(pair.next(), (0, None), "nobody drives it any more");
    pair.toys[1].advance(ms(99));
    until("it waits for the end of the watch", || pair.toys[1].rests());
    assert_eq!(own.calls(), 0, "the loop lived when it was looked at");
    // The watch is 100 ms and began anew when it last looked.
    pair.toys[1].advance(ms(1));
    assert_eq!((pair.next(), cache.peek(&1)), ((1, Some(1)), Some(1)));
    assert_eq!(stuck.calls(), 1);
}

#[test]
fn a_caller_does_not_join_a_load_whose_loop_stands_still() {
    let (pair, cache, stuck, own) = (Pair::new(), numbers(), Source::waiting(), Source::open());
    pair.ask(0, &cache, &stuck);
    until("the load runs", || stuck.calls() == 1);
    pair.toys[0].freeze();
    assert_eq!(pair.next(), (0, None));
    pair.ask(1, &cache, &own);
    assert_eq!((pair.next(), own.calls()), ((1, Some(1)), 1));
}

#[test]
fn the_late_result_of_a_loop_that_stood_still_is_dropped() {
    let (pair, cache, stuck) = (Pair::new(), numbers(), Source::waiting());
    pair.ask(0, &cache, &stuck);
    until("the load runs", || stuck.calls() == 1);
    pair.toys[0].freeze();
    assert_eq!(pair.next(), (0, None));
    let own = Source::open();
    let (inner, source) = (cache.clone(), own.clone());
    let newer = async move {
        inner.refresh(&1, || source.load()).await.unwrap();
        inner.refresh(&1, || source.load()).await
    };
    assert_eq!(pair.toys[1].run(newer).map(Result::unwrap), Some(2));
    pair.toys[0].thaw();
    stuck.answer();
    let (inner, toy) = (cache.clone(), Arc::clone(&pair.toys[0]));
    let ended = toy.run(async move {
        for _ in 0..100 {
            turn().await;
        }
        inner.stats().loading
    });
    // It was given up when the key was asked for again, and is dropped when it is polled.
    assert_eq!((ended, cache.peek(&1), cache.stats().load_time.count()), (Some(0), Some(2), 2));
}

#[test]
fn a_waiter_is_told_at_once_when_the_leaders_loop_drops_its_tasks() {
    let (pair, cache, stuck, own) = (Pair::new(), numbers(), Source::waiting(), Source::open());
    pair.ask(0, &cache, &stuck);
    until("the load runs", || stuck.calls() == 1);
    pair.ask(1, &cache, &own);
    until("it is joined", || cache.stats().coalesced == 1);
    pair.toys[0].freeze();
    assert_eq!(pair.next(), (0, None));
    pair.toys[0].close();
    assert_eq!((pair.next(), own.calls()), ((1, Some(1)), 1), "without any time passing");
}

#[test]
fn an_entered_runtime_is_preferred_to_tokios_and_left_again() {
    let (cache, source) = (numbers(), Source::open());
    let toy = Toy::new(&Arc::default());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let inside = tokio.enter();
    let (inner, held) = (cache.clone(), source.clone());
    // Nobody drives the tokio runtime: a load that was spawned there would never end.
    assert_eq!(toy.run(async move { inner.get_or_load(&1, || held.load()).await }).map(Result::unwrap), Some(1));
    drop(inside);
    tokio.block_on(cache.purge()).unwrap();
    assert_eq!(tokio.block_on(cache.get_or_load(&1, || source.load())).unwrap(), 2);
}

/// Says of a type whether it is `Send`.
struct Probe<T>(std::marker::PhantomData<T>);

trait Otherwise {
    const SEND: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: Send> Probe<T> {
    const SEND: bool = true;
}

#[test]
fn the_guard_of_an_entered_runtime_cannot_leave_its_thread() {
    const { assert!(Probe::<u8>::SEND && !Probe::<std::rc::Rc<u8>>::SEND) };
    let sent = Probe::<tierce::runtime::Guard>::SEND;
    assert!(!sent, "dropped on another thread, it leaves a runtime that was entered there");
}

/// A value whose drop is foreign code too.
#[derive(Clone)]
struct Handed(Arc<Inner>);

struct Inner(u64, Arc<Baton>);

impl Drop for Inner {
    fn drop(&mut self) {
        self.1.pass();
    }
}

#[test]
fn no_lock_is_held_while_a_waker_or_a_value_takes_the_locks_of_its_loop() {
    const ROUNDS: u64 = 1000;
    let baton = Arc::<Baton>::default();
    let hub = Hub::embedded();
    let cache: Cache<u64, Handed> = hub.local_cache("number").capacity(16).build();
    let (done, ended) = mpsc::channel();
    let shared = Arc::new(AtomicU64::new(0));
    for which in 0..2 {
        let (toy, done, cache, hub) = (Toy::new(&baton), done.clone(), cache.clone(), hub.clone());
        let (baton, shared) = (Arc::clone(&baton), Arc::clone(&shared));
        thread::spawn(move || {
            let rounds = async move {
                for round in 0..ROUNDS {
                    // Neither runs ahead of the other: they meet in most rounds.
                    shared.fetch_add(1, SeqCst);
                    while shared.load(SeqCst) < 2 * round {
                        turn().await;
                    }
                    let baton = Arc::clone(&baton);
                    let load = || async move {
                        turn().await;
                        turn().await;
                        Ok::<_, Broken>(Handed(Arc::new(Inner(round, baton))))
                    };
                    let key = round % 40;
                    let got = cache.entry(&key).tags(["t"]).get_or_load(load).await.expect("a value");
                    assert!(got.0.0 <= round && got.0.0 % 40 == key);
                    match (round + which) % 5 {
                        0 => cache.invalidate(&key).await.expect("no store"),
                        1 => cache.mark_stale(&key).await.expect("no store"),
                        2 if round % 50 == 0 => cache.purge().await.expect("no store"),
                        3 if round % 20 == 0 => hub.invalidate_tag("t").await.expect("no store"),
                        _ => {}
                    }
                }
            };
            done.send(toy.run(rounds)).expect("the test waits");
        });
    }
    for _ in 0..2 {
        let ended = ended.recv_timeout(Duration::from_secs(60));
        assert_eq!(ended.expect("two loops wait for each other"), Some(()));
    }
    let stats = cache.stats();
    assert_eq!((stats.loading, stats.hits + stats.misses), (0, 2 * ROUNDS));
    assert!(stats.coalesced > ROUNDS / 20, "they met {} times", stats.coalesced);
}

#[test]
fn a_load_on_a_runtime_that_nobody_drives_is_given_up_after_its_deadline() {
    let build = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (idle, ours) = (build(), build());
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").load_deadline(ms(50)).build();
    let (stuck, source) = (Source::waiting(), Source::open());
    idle.block_on(async {
        let lookup = cache.get_or_load(&1, || stuck.load());
        assert!(tokio::time::timeout(ms(1), lookup).await.is_err(), "the caller leaves, and the load stays behind");
    });
    ours.block_on(async {
        let waited = cache.get_or_load(&1, || source.load()).await;
        assert!(matches!(waited, Err(tierce::LoadError::Timeout)), "{waited:?}");
        assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), 1, "the key is free");
    });
}

/// The deadline of loads that stand still: long enough for those that do not on a slow machine.
const DEADLINE: Duration = ms(200);

/// A cache with one permit, held by a load of key 1 on a runtime that says it is alive and that nobody drives.
struct Frozen {
    hub: Hub,
    cache: Cache<u64, u64>,
    idle: tokio::runtime::Runtime,
    stuck: Source,
}

impl Frozen {
    fn new(deadline: Duration) -> Self {
        let idle = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let hub = Hub::embedded();
        let cache = hub.local_cache("number").load_deadline(deadline).max_concurrent_loads(1).build();
        let stuck = Source::waiting();
        idle.block_on(async {
            let lookup = cache.get_or_load(&1, || stuck.load());
            assert!(tokio::time::timeout(ms(1), lookup).await.is_err(), "the caller leaves, and the load stays behind");
        });
        assert_eq!((stuck.calls(), cache.stats().loading), (1, 1));
        Frozen { hub, cache, idle, stuck }
    }

    /// The load goes on after all: it brings nothing, and gives back no permit that it no longer has.
    async fn check_thawed(&self) {
        let source = Source::waiting();
        let ask = |key| {
            let (cache, source) = (self.cache.clone(), source.clone());
            tokio::spawn(async move { cache.get_or_load(&key, || source.load()).await })
        };
        let callers: Vec<_> = (10..13).map(ask).collect();
        crate::fixture::settle().await;
        assert_eq!((source.calls(), self.cache.stats().loading), (1, 3), "one has the permit");
        source.answer();
        for caller in callers {
            caller.await.unwrap().unwrap();
        }
        assert_eq!((self.cache.stats().loading, self.cache.peek(&1)), (0, None));
    }

    fn thaw(&self) {
        self.stuck.answer();
        self.idle.block_on(async { tokio::time::sleep(ms(20)).await });
        assert_eq!((self.cache.peek(&1), self.cache.stats().loading), (None, 0));
        let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        ours.block_on(self.check_thawed());
    }
}

#[test]
fn who_gives_a_load_up_takes_its_permit_and_ends_its_counting() {
    let (frozen, source) = (Frozen::new(DEADLINE), Source::open());
    let cache = &frozen.cache;
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ours.block_on(async {
        let waited = cache.get_or_load(&1, || source.load()).await;
        assert!(matches!(waited, Err(tierce::LoadError::Timeout)), "{waited:?}");
        let stats = cache.stats();
        assert_eq!((stats.loading, stats.load_errors), (0, 1));
        assert_eq!(frozen.hub.drain(ms(0)).await, 0);
        assert_eq!(cache.get_or_load(&2, || source.load()).await.unwrap(), 1, "the permit is free");
    });
    frozen.thaw();
}

#[test]
fn a_load_that_nobody_waits_for_is_given_up_by_the_next_who_needs_its_permit_or_its_key() {
    for key in [1, 2] {
        let (frozen, source) = (Frozen::new(DEADLINE), Source::open());
        let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let got = ours.block_on(async {
            tokio::time::sleep(DEADLINE + ms(110)).await;
            frozen.cache.get_or_load(&key, || source.load()).await
        });
        assert_eq!((got.unwrap(), frozen.cache.stats().loading), (1, 0));
        if key == 2 {
            frozen.thaw();
        }
    }
}

#[test]
fn a_load_that_never_had_its_turn_is_busy_and_no_failed_load() {
    let (frozen, source) = (Frozen::new(ms(300)), Source::open());
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let got = ours.block_on(async { frozen.cache.get_or_load(&2, || source.load()).await });
    assert!(matches!(got, Err(tierce::LoadError::Busy)), "{got:?}");
    let stats = frozen.cache.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.busy, stats.loading), (1, 0, 1, 1));
}

#[test]
fn a_drain_gives_up_the_loads_that_are_past_their_deadline() {
    let frozen = Frozen::new(DEADLINE);
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ours.block_on(async {
        assert_eq!(frozen.hub.drain(ms(1)).await, 1);
        assert_eq!(frozen.hub.drain(DEADLINE + ms(110)).await, 0);
    });
    frozen.thaw();
}

#[test]
fn a_runtime_without_a_timer_is_told_to_enable_it() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").max_concurrent_loads(1).build();
    let hasty: Cache<u64, u64> = Hub::embedded().local_cache("number").hard_timeout(secs(1)).build();
    let source = Source::open();
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for cache in [cache, hasty] {
        bare.block_on(async {
            for _ in 0..2 {
                let asked = cache.get_or_load(&1, || source.load()).await;
                let Err(tierce::LoadError::Panicked(message)) = asked else { panic!("{asked:?}") };
                assert!(message.contains("tokio::runtime::Builder::enable_time"), "{message}");
                let refreshed = cache.refresh(&1, || source.load()).await;
                assert!(matches!(refreshed, Err(tierce::LoadError::Panicked(_))), "{refreshed:?}");
            }
            cache.set(2, 2).await.unwrap();
            assert_eq!(cache.get_or_load(&2, || source.load()).await.unwrap(), 2, "a hit needs no timer");
        });
        let timed = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        assert!(timed.block_on(cache.get_or_load(&1, || source.load())).is_ok());
        assert_eq!(cache.stats().loading, 0);
    }
}
