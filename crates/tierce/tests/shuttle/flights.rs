//! The flight table under several threads: nothing older than what was announced, one load at a time, nobody left
//! waiting (a thread that waits for good is a deadlock to the model checker).

use std::sync::Arc;
use std::time::Duration;

use shuttle::rand::Rng;
use shuttle::thread;
use tierce::{Cache, Hub, ManualClock};

use crate::source::Source;
use crate::{linger, on_threads};

/// More than any check has.
const ANY: u64 = u64::MAX;

fn cache() -> (Hub, Cache<u8, u64>) {
    let hub = Hub::builder().seed(1).build();
    let cache = hub.local_cache("check").capacity(8).build();
    (hub, cache)
}

fn read(cache: &Cache<u8, u64>, source: &Arc<Source>, at_once: u64) -> u64 {
    let shared = Arc::clone(source);
    let load = || async move { shared.load(at_once).await };
    on_threads(cache.get_or_load(&1, load)).expect("the load does not fail")
}

fn reader(cache: &Cache<u8, u64>, source: &Arc<Source>, lookups: usize) -> thread::JoinHandle<()> {
    let (cache, source) = (cache.clone(), Arc::clone(source));
    thread::spawn(move || {
        for _ in 0..lookups {
            let floor = source.floor();
            let value = read(&cache, &source, ANY);
            assert!(value >= floor, "{value} was served after {floor} had been announced");
        }
    })
}

/// A load tells its callers before it says that it has ended, hence the drain.
fn at_rest(hub: &Hub, cache: &Cache<u8, u64>) {
    assert_eq!(on_threads(hub.drain(Duration::MAX)), 0);
    assert!(!on_threads(cache.explain(&1)).loading, "a flight stands at rest");
    assert_eq!(cache.stats().loading, 0);
}

/// Lookups while their key is invalidated.
pub(crate) fn no_load_outlives_its_key() {
    let ((hub, cache), source) = (cache(), Arc::new(Source::default()));
    let readers = [reader(&cache, &source, 2), reader(&cache, &source, 2)];
    for _ in 0..2 {
        linger();
        let value = source.write();
        on_threads(cache.invalidate(&1)).expect("there is no store to fail");
        source.announce(value);
    }
    readers.into_iter().for_each(|reader| reader.join().expect("it does not panic"));
    at_rest(&hub, &cache);
}

/// A refresh that is called while older loads run.
pub(crate) fn a_refresh_is_as_new_as_its_call() {
    let ((hub, cache), source) = (cache(), Arc::new(Source::default()));
    let readers = [reader(&cache, &source, 1), reader(&cache, &source, 1)];
    linger();
    let value = source.write();
    let shared = Arc::clone(&source);
    let load = || async move { shared.load(ANY).await };
    let refreshed = on_threads(cache.refresh(&1, load)).expect("the load does not fail");
    assert!(refreshed >= value, "{refreshed} was brought by a refresh after {value} had been written");
    readers.into_iter().for_each(|reader| reader.join().expect("it does not panic"));
    at_rest(&hub, &cache);
}

#[test]
fn nothing_older_than_an_invalidation_is_served() {
    crate::check(no_load_outlives_its_key);
}

#[test]
fn nothing_older_than_any_change_is_served() {
    crate::check(|| {
        let ((hub, cache), source) = (cache(), Arc::new(Source::default()));
        let readers = [reader(&cache, &source, 2), reader(&cache, &source, 2)];
        for _ in 0..2 {
            linger();
            let value = source.write();
            let done = match shuttle::rand::thread_rng().gen_range(0..4) {
                0 => on_threads(cache.set(1, value)),
                1 => on_threads(cache.mark_stale(&1)),
                2 => on_threads(cache.purge()),
                _ => on_threads(cache.invalidate(&1)),
            };
            done.expect("there is no store to fail");
            source.announce(value);
        }
        readers.into_iter().for_each(|reader| reader.join().expect("it does not panic"));
        at_rest(&hub, &cache);
    });
}

#[test]
fn a_refresh_brings_what_was_there_when_it_was_called() {
    crate::check(a_refresh_is_as_new_as_its_call);
}

#[test]
fn callers_share_one_load() {
    crate::check(|| {
        let ((hub, cache), source) = (cache(), Arc::new(Source::default()));
        let caller = |_| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || read(&cache, &source, 1))
        };
        let callers: Vec<_> = (0..3).map(caller).collect();
        callers.into_iter().for_each(|caller| assert_eq!(caller.join().expect("it does not panic"), 0));
        assert_eq!(source.loads(), 1);
        at_rest(&hub, &cache);
    });
}

#[test]
fn loads_of_one_cache_keep_to_their_number() {
    crate::check(|| {
        let hub = Hub::builder().seed(1).build();
        let builder = hub.local_cache::<u8, u64>("check").capacity(8);
        let cache = builder.max_concurrent_loads(1).build();
        let source = Arc::new(Source::default());
        let caller = |key: u8| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || on_threads(cache.get_or_load(&key, || async move { source.load(1).await })).is_ok())
        };
        let callers: Vec<_> = (0..3).map(caller).collect();
        callers.into_iter().for_each(|caller| assert!(caller.join().expect("it does not panic")));
        assert_eq!(source.loads(), 3);
    });
}

#[test]
fn nothing_is_refreshed_once_a_drain_has_found_nothing_running() {
    crate::check(|| {
        let clock = ManualClock::new();
        let hub = Hub::builder().seed(1).clock(clock.clock()).build();
        let builder = hub.local_cache::<u8, u64>("check").capacity(8).ttl(Duration::from_secs(1)).jitter(0.0);
        let cache = builder.stale_while_revalidate(Duration::from_secs(9)).build();
        let source = Arc::new(Source::default());
        on_threads(cache.set(1, 0)).expect("there is no store to fail");
        clock.advance(Duration::from_secs(2));
        // Is served what is stale, and has it refreshed behind him if he may.
        let caller = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || read(&cache, &source, 1))
        };
        linger();
        assert_eq!(on_threads(hub.drain(Duration::MAX)), 0);
        let loads = source.loads();
        assert_eq!(caller.join().expect("it does not panic"), 0);
        assert_eq!(on_threads(hub.drain(Duration::MAX)), 0);
        assert_eq!(source.loads(), loads, "a refresh began after the drain");
    });
}
