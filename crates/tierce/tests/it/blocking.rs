//! Lookups by threads that are not async: who loads, on which thread, and what they are told.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, RwLock};
use std::thread;
use std::time::Duration;

use tierce::{Cache, Hub, LoadError, ManualClock, block_on};

use crate::fixture::{Broken, Source, hub_at, secs};
use crate::toy::until;

type Numbers = Cache<u64, u64>;

fn numbers(hub: &Hub) -> Numbers {
    hub.local_cache("number").ttl(secs(10)).jitter(0.0).build()
}

fn this_thread() -> Option<String> {
    thread::current().name().map(str::to_string)
}

#[test]
fn threads_that_ask_for_one_key_share_one_load() {
    const THREADS: u64 = 8;
    let cache = numbers(&Hub::embedded());
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                let counted = cache.clone();
                // Ends when all the others wait for it.
                let load = move || {
                    until("all wait", || counted.stats().coalesced == THREADS - 1);
                    Ok::<_, Broken>(7)
                };
                assert_eq!(cache.blocking_get_or_load(&1, load).unwrap(), 7);
            });
        }
    });
    assert_eq!((cache.stats().loads, cache.stats().coalesced), (1, THREADS - 1));
}

#[test]
fn a_load_runs_on_the_thread_of_its_caller() {
    let cache = numbers(&Hub::embedded());
    let caller = thread::current().id();
    let load = move || Ok::<_, Broken>(u64::from(thread::current().id() == caller));
    assert_eq!(cache.blocking_get_or_load(&1, load).unwrap(), 1);
}

#[test]
fn an_error_and_a_panic_are_told_and_not_kept() {
    let cache = numbers(&Hub::embedded());
    let failed = cache.blocking_get_or_load(&1, || Err(Broken("down"))).unwrap_err();
    assert_eq!(failed.load(), Some(&Broken("down")));
    let panicked = cache.blocking_get_or_load(&1, || -> Result<u64, Broken> { panic!("ouch") }).unwrap_err();
    assert!(matches!(&panicked, LoadError::Panicked(message) if &**message == "ouch"), "{panicked:?}");
    assert_eq!(cache.blocking_get_or_load(&1, || Ok::<_, Broken>(3)).unwrap(), 3);
}

#[test]
fn a_load_that_asks_for_its_own_key_is_told_so() {
    let cache = numbers(&Hub::embedded());
    let inner = cache.clone();
    let told = cache.blocking_get_or_load(&1, move || inner.blocking_get_or_load(&1, || Ok::<_, Broken>(1)));
    assert!(matches!(told.unwrap_err().load(), Some(LoadError::Cycle)));
}

#[test]
fn two_threads_whose_loads_need_each_other_are_told_so() {
    let cache = numbers(&Hub::embedded());
    let both = Arc::new(Barrier::new(2));
    let ask = |key: u64, other: u64| {
        let (inner, both) = (cache.clone(), Arc::clone(&both));
        cache.blocking_get_or_load(&key, move || {
            both.wait();
            inner.blocking_get_or_load(&other, || Ok::<_, Broken>(0))
        })
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(1, 2));
        let second = ask(2, 1);
        // One of them was refused, and so has no value; what the other is told is that one's error.
        let both = [first.join().unwrap(), second];
        let refused = |ended: &Result<u64, LoadError<LoadError<Broken>>>| {
            ended.as_ref().is_err_and(|error| matches!(error.load(), Some(LoadError::Cycle)))
        };
        assert!(both.iter().any(refused), "{both:?}");
    });
}

#[test]
fn a_stale_value_is_served_while_a_thread_of_the_crate_refreshes_it() {
    let clock = ManualClock::new();
    let cache: Numbers =
        hub_at(&clock).local_cache("number").ttl(secs(10)).jitter(0.0).stale_while_revalidate(secs(60)).build();
    cache.blocking_get_or_load(&1, || Ok::<_, Broken>(1)).unwrap();
    clock.advance(secs(20));
    let (told, hears) = mpsc::channel();
    let (goes_on, waits) = mpsc::channel::<()>();
    let refresh = move || {
        told.send(this_thread()).unwrap();
        waits.recv().unwrap();
        Ok::<_, Broken>(2)
    };
    // The caller's thread is gone before the load ends.
    let caller = cache.clone();
    let stale = thread::spawn(move || caller.blocking_get_or_load(&1, refresh).unwrap()).join().unwrap();
    assert_eq!(stale, 1);
    assert_eq!(hears.recv().unwrap().as_deref(), Some("tierce-loads"));
    goes_on.send(()).unwrap();
    until("it is refreshed", || cache.peek(&1) == Some(2));
    check_more_refreshes_than_threads();
}

/// All are done, whoever does them: while the crate's threads are taken, who asks. Part of the test above, since the threads
/// are the process's: beside it this could leave none free.
fn check_more_refreshes_than_threads() {
    const KEYS: u64 = 40;
    /// As many as there are threads.
    const SLOW: u64 = 8;
    let clock = ManualClock::new();
    let cache: Numbers =
        hub_at(&clock).local_cache("number").ttl(secs(10)).jitter(0.0).stale_while_revalidate(secs(60)).build();
    (0..KEYS).for_each(|key| assert_eq!(cache.blocking_get_or_load(&key, || Ok::<_, Broken>(0)).unwrap(), 0));
    clock.advance(secs(20));
    let (gate, began) = (Arc::new(RwLock::new(())), Arc::new(AtomicU64::new(0)));
    let closed = gate.write().unwrap();
    // Each from a thread of its own, which does it itself where another test has taken one of the crate's.
    let slow = |key| {
        let (cache, gate, began) = (cache.clone(), Arc::clone(&gate), Arc::clone(&began));
        let refresh = move || {
            began.fetch_add(1, SeqCst);
            drop(gate.read());
            Ok::<_, Broken>(1)
        };
        thread::spawn(move || assert_eq!(cache.blocking_get_or_load(&key, refresh).unwrap(), 0))
    };
    let callers: Vec<_> = (0..SLOW).map(slow).collect();
    until("all threads are taken", || began.load(SeqCst) == SLOW);
    (SLOW..KEYS).for_each(|key| assert_eq!(cache.blocking_get_or_load(&key, || Ok::<_, Broken>(1)).unwrap(), 0));
    until("the others are refreshed", || (SLOW..KEYS).all(|key| cache.peek(&key) == Some(1)));
    drop(closed);
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    until("all are refreshed", || (0..KEYS).all(|key| cache.peek(&key) == Some(1)));
}

/// A load on another thread that has begun, and goes on when the sender is dropped.
fn slow_load(cache: &Numbers) -> (mpsc::Sender<()>, thread::JoinHandle<Result<u64, LoadError<Broken>>>) {
    let (goes_on, waits) = mpsc::channel::<()>();
    let (began, begins) = mpsc::channel();
    let caller = cache.clone();
    let leader = thread::spawn(move || {
        caller.blocking_get_or_load(&1, move || {
            began.send(()).unwrap();
            let _ = waits.recv();
            Ok::<_, Broken>(2)
        })
    });
    begins.recv().unwrap();
    (goes_on, leader)
}

#[test]
fn a_caller_gives_up_waiting_for_another_threads_slow_load() {
    let cache = numbers(&Hub::embedded());
    let (goes_on, leader) = slow_load(&cache);
    let load = || async { Ok::<_, Broken>(9) };
    let gave_up = block_on(cache.entry(&1).timeout(Duration::from_millis(1)).get_or_load(load));
    assert!(matches!(gave_up, Err(LoadError::Timeout)), "{gave_up:?}");
    drop(goes_on);
    assert_eq!(leader.join().unwrap().unwrap(), 2);
    assert_eq!(cache.stats().loads, 1);
}

#[test]
fn a_caller_with_a_stale_value_takes_it_when_another_threads_load_is_slow() {
    let clock = ManualClock::new();
    let cache: Numbers = hub_at(&clock)
        .local_cache("number")
        .ttl(secs(10))
        .jitter(0.0)
        .stale_if_error(secs(60))
        .soft_timeout(Duration::from_millis(1))
        .build();
    cache.blocking_get_or_load(&1, || Ok::<_, Broken>(1)).unwrap();
    clock.advance(secs(20));
    let (goes_on, leader) = slow_load(&cache);
    assert_eq!(cache.blocking_get_or_load(&1, || Ok::<_, Broken>(9)).unwrap(), 1);
    drop(goes_on);
    assert_eq!(leader.join().unwrap().unwrap(), 2);
}

#[test]
fn a_load_past_its_deadline_is_told_to_those_who_wait_for_it() {
    let cache: Numbers = Hub::embedded().local_cache("number").load_deadline(Duration::from_millis(1)).build();
    let (goes_on, leader) = slow_load(&cache);
    let waited = cache.blocking_get_or_load(&1, || Ok::<_, Broken>(9));
    assert!(matches!(waited, Err(LoadError::Timeout) | Ok(9)), "{waited:?}");
    drop(goes_on);
    // He is told as well, or else what he loaded, which nobody keeps.
    let _ = leader.join().unwrap();
    assert_ne!(cache.peek(&1), Some(2));
}

#[test]
fn what_is_invalidated_during_a_threads_load_is_not_kept() {
    let cache = numbers(&Hub::embedded());
    let (goes_on, leader) = slow_load(&cache);
    block_on(cache.invalidate(&1)).unwrap();
    drop(goes_on);
    assert_eq!(leader.join().unwrap().unwrap(), 2);
    assert_eq!(cache.peek(&1), None);
}

#[test]
fn any_future_of_the_crate_can_be_waited_for() {
    let hub = Hub::embedded();
    let cache = numbers(&hub);
    let source = Source::open();
    assert_eq!(block_on(cache.get_or_load(&1, || source.load())).unwrap(), 1);
    let both = async {
        source.hold();
        let answer = async {
            until("both wait", || source.calls() == 3);
            source.answer();
        };
        tokio::join!(cache.get_or_load(&2, || source.load()), cache.get_or_load(&3, || source.load()), later(answer))
    };
    let (second, third, ()) = block_on(both);
    assert_eq!(second.unwrap() + third.unwrap(), 5);
    source.hold();
    let (goes_on, leader) = slow_load(&hub.local_cache("slow").build());
    assert_eq!(block_on(hub.drain(Duration::from_millis(1))), 1);
    drop(goes_on);
    leader.join().unwrap().unwrap();
    assert_eq!(block_on(hub.drain(secs(20))), 0);
}

/// Runs a future from another task's turn on, so that what stands beside it has begun.
async fn later(future: impl Future<Output = ()>) {
    crate::toy::turn().await;
    crate::toy::turn().await;
    future.await;
}

#[test]
fn a_plain_loader_may_wait_for_another_runtime_that_uses_the_cache() {
    let hub = Hub::embedded();
    let (outer, inner) = (numbers(&hub), hub.local_cache::<u64, u64>("inner").build());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let handle = runtime.handle().clone();
    let load = move || {
        let _tokio = handle.enter();
        handle.block_on(inner.get_or_load(&1, || async { Ok::<_, Broken>(5) }))
    };
    // The runtime is driven by another thread, as a service's is.
    let (stops, stopped) = tokio::sync::oneshot::channel::<()>();
    let driver = thread::spawn(move || drop(runtime.block_on(stopped)));
    assert_eq!(outer.blocking_get_or_load(&1, load).unwrap(), 5);
    stops.send(()).unwrap();
    driver.join().unwrap();
}
