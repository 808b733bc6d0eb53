//! Deadlines of callers and of loads, and the number of loads at once. Time is tokio's, and stands still until all wait.

use std::time::Duration;

use tierce::{Cache, CacheBuilder, Freshness, Hub, LoadError, Lookup, ManualClock};
use tokio::time::{advance, timeout};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

type Builder = CacheBuilder<u64, u64>;

fn cache(options: impl FnOnce(Builder) -> Builder) -> (Cache<u64, u64>, Source) {
    (options(Hub::embedded().local_cache("number")).build(), Source::waiting())
}

fn ask(cache: &Cache<u64, u64>, key: u64, source: &Source) -> tokio::task::JoinHandle<tierce::Result<u64, Broken>> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { cache.get_or_load(&key, || source.load()).await })
}

#[tokio::test(start_paused = true)]
async fn a_caller_gives_up_after_the_hard_timeout_and_the_load_goes_on() {
    let (cache, source) = cache(|cache| cache.hard_timeout(secs(2)));
    let caller = ask(&cache, 1, &source);
    settle().await;
    advance(ms(1998)).await;
    settle().await;
    assert!(!caller.is_finished());
    advance(ms(3)).await;
    settle().await;
    assert!(matches!(caller.await.unwrap(), Err(LoadError::Timeout)));
    assert_eq!(cache.stats().loading, 1);
    let joined = ask(&cache, 1, &source);
    settle().await;
    source.answer();
    assert_eq!((joined.await.unwrap().ok(), cache.get(&1).await, source.calls()), (Some(1), Some(1), 1));
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_timeout_replaces_the_caches() {
    let (cache, source) = cache(|cache| cache.hard_timeout(secs(2)));
    let patient = {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.entry(&1).timeout(secs(20)).get_or_load(|| source.load()).await })
    };
    let hasty = cache.entry(&1).timeout(ms(10)).get_or_load(|| source.load());
    assert!(matches!(hasty.await, Err(LoadError::Timeout)));
    advance(secs(19)).await;
    settle().await;
    source.answer();
    assert_eq!(patient.await.unwrap().ok(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_bounds_the_whole_lookup_however_many_loads_it_waits_for() {
    let (cache, source) = cache(|cache| cache.hard_timeout(secs(2)));
    source.fail();
    let leader = ask(&cache, 1, &source);
    settle().await;
    let stuck = {
        let cache = cache.clone();
        let load = || std::future::pending::<Result<u64, std::fmt::Error>>();
        tokio::spawn(async move { cache.get_or_load(&1, load).await })
    };
    settle().await;
    advance(ms(1500)).await;
    source.answer();
    assert!(leader.await.unwrap().is_err());
    settle().await;
    assert_eq!(cache.stats().loads, 2, "the error was of another type, so it loads itself");
    advance(ms(501)).await;
    settle().await;
    assert!(stuck.is_finished(), "two seconds from its beginning");
    assert!(matches!(stuck.await.unwrap(), Err(LoadError::Timeout)));
}

#[tokio::test(start_paused = true)]
async fn a_load_past_its_deadline_is_abandoned_and_its_late_result_dropped() {
    let (cache, source) = cache(|cache| cache.load_deadline(secs(5)));
    let (first, second) = (ask(&cache, 1, &source), ask(&cache, 1, &source));
    settle().await;
    advance(ms(5001)).await;
    settle().await;
    for caller in [first, second] {
        assert!(matches!(caller.await.unwrap(), Err(LoadError::Timeout)));
    }
    assert_eq!((cache.stats().loading, cache.stats().load_errors), (0, 1));
    let next = ask(&cache, 1, &source);
    settle().await;
    assert_eq!(source.calls(), 2, "the key is free");
    source.answer();
    assert_eq!((next.await.unwrap().ok(), cache.get(&1).await), (Some(2), Some(2)));
    settle().await;
    assert_eq!(cache.get(&1).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn every_load_ends_after_a_minute_if_nothing_is_said() {
    let (cache, source) = cache(|cache| cache);
    let caller = ask(&cache, 1, &source);
    settle().await;
    advance(ms(59_990)).await;
    settle().await;
    assert!(!caller.is_finished());
    advance(ms(20)).await;
    settle().await;
    assert!(matches!(caller.await.unwrap(), Err(LoadError::Timeout)));
}

/// A value at ten seconds past its freshness, whose source does not answer.
async fn stale(options: impl FnOnce(Builder) -> Builder) -> (Cache<u64, u64>, Source) {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = hub_at(&clock).local_cache("number").ttl(secs(10)).jitter(0.0).stale_if_error(secs(60));
    let cache = options(cache).build();
    cache.get_or_load(&1, || source.load()).await.unwrap();
    clock.advance(secs(20));
    source.hold();
    (cache, source)
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_taken_after_the_soft_timeout_and_the_load_ends_behind() {
    let (cache, source) = stale(|cache| cache.soft_timeout(ms(100)).hard_timeout(secs(2))).await;
    let lookup = {
        let (cache, source) = (cache.clone(), source.clone());
        let load = |_| async move { source.load().await.map(|n| Some(n).into()) };
        tokio::spawn(async move { cache.entry(&1).load_with(load).await })
    };
    settle().await;
    advance(ms(98)).await;
    settle().await;
    assert!(!lookup.is_finished());
    advance(ms(3)).await;
    settle().await;
    assert_eq!(lookup.await.unwrap().unwrap(), Lookup::Hit(1, Freshness::Stale));
    source.answer();
    settle().await;
    assert_eq!((cache.get(&1).await, cache.stats().stale_hits), (Some(2), 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_stale_value_the_soft_timeout_does_nothing() {
    let (cache, source) = cache(|cache| cache.soft_timeout(ms(100)).stale_if_error(secs(60)));
    let caller = ask(&cache, 1, &source);
    settle().await;
    advance(secs(10)).await;
    settle().await;
    assert!(!caller.is_finished());
    source.answer();
    assert_eq!(caller.await.unwrap().ok(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_stands_in_for_a_slow_load_at_the_hard_timeout_and_at_the_deadline() {
    let options: [fn(Builder) -> Builder; 2] =
        [|cache| cache.hard_timeout(ms(500)), |cache| cache.load_deadline(ms(500))];
    for option in options {
        let (cache, source) = stale(option).await;
        let caller = ask(&cache, 1, &source);
        settle().await;
        advance(ms(501)).await;
        settle().await;
        assert_eq!(caller.await.unwrap().ok(), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_invalidated_while_its_load_is_slow_does_not_stand_in() {
    let (cache, source) = stale(|cache| cache.soft_timeout(ms(100)).hard_timeout(ms(500))).await;
    let caller = ask(&cache, 1, &source);
    settle().await;
    cache.invalidate(&1).await.unwrap();
    advance(ms(501)).await;
    settle().await;
    assert!(matches!(caller.await.unwrap(), Err(LoadError::Timeout)));
}

#[tokio::test(start_paused = true)]
async fn no_more_loads_run_at_once_than_allowed_and_the_others_take_turns() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(3));
    let all: Vec<_> = (0..50).map(|key| ask(&cache, key, &source)).collect();
    settle().await;
    assert_eq!(source.calls(), 3);
    source.answer();
    for caller in all {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!((source.calls(), cache.stats().loading), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn callers_past_the_queue_are_told_that_it_is_busy() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(1));
    // One runs and 64 queue.
    let all: Vec<_> = (0..65).map(|key| ask(&cache, key, &source)).collect();
    settle().await;
    let error = ask(&cache, 100, &source).await.unwrap().unwrap_err();
    assert!(matches!(error, LoadError::Busy), "{error}");
    assert_eq!(cache.stats().loading, 65);
    source.answer();
    for caller in all {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!(ask(&cache, 100, &source).await.unwrap().ok(), Some(66));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_waits_in_line_past_its_deadline_is_busy_and_leaves_the_line() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(1).load_deadline(secs(5)));
    let running = ask(&cache, 1, &source);
    settle().await;
    advance(secs(3)).await;
    let queued = ask(&cache, 2, &source);
    settle().await;
    advance(ms(2001)).await;
    settle().await;
    assert!(matches!(running.await.unwrap(), Err(LoadError::Timeout)));
    settle().await;
    assert_eq!(source.calls(), 2, "the second has its turn");
    let third = ask(&cache, 3, &source);
    settle().await;
    advance(secs(3)).await;
    settle().await;
    assert!(matches!(queued.await.unwrap(), Err(LoadError::Timeout)));
    settle().await;
    source.answer();
    assert_eq!(third.await.unwrap().ok(), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_permit_comes_back_however_its_load_ends() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(1).load_deadline(secs(5)));
    source.answer();
    let panics = cache.get_or_load(&1, || async { panic!("in the load") });
    assert!(matches!(panics.await as Result<u64, LoadError<Broken>>, Err(LoadError::Panicked(_))));
    let panics = cache.get_or_load(&1, || -> std::future::Ready<Result<u64, Broken>> { panic!("in the loader") });
    assert!(matches!(panics.await, Err(LoadError::Panicked(_))));
    assert!(cache.get_or_load(&1, || async { Err(Broken("down")) }).await.is_err());
    let slow = cache.get_or_load(&1, std::future::pending::<Result<u64, Broken>>);
    assert!(matches!(slow.await, Err(LoadError::Timeout)));
    let alone = timeout(secs(1), cache.get_or_load(&1, || source.load()));
    assert_eq!(alone.await.expect("nobody holds the permit").unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_inside_a_load_does_not_wait_for_the_permit_that_its_parent_holds() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(1));
    source.answer();
    let inner = cache.clone();
    let nested = || async move { inner.get_or_load(&2, || source.load()).await.map_err(|_| Broken("inner")) };
    let got = timeout(secs(5), cache.get_or_load(&1, nested)).await;
    assert!(got.is_ok(), "it waits for itself until the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_load_inside_a_load_needs_no_permit_though_another_cache_is_between_them() {
    let hub = Hub::embedded();
    let x: Cache<u64, u64> = hub.local_cache("x").max_concurrent_loads(1).build();
    let y: Cache<u64, u64> = hub.local_cache("y").max_concurrent_loads(1).build();
    let (x2, y2, source) = (x.clone(), y.clone(), Source::open());
    let innermost = || async move { y2.get_or_load(&2, || source.load()).await.map_err(|_| Broken("innermost")) };
    let inner = || async move { x2.get_or_load(&2, innermost).await.map_err(|_| Broken("inner")) };
    let outer = y.clone();
    let nested = || async move { outer.get_or_load(&1, inner).await.map_err(|_| Broken("outer")) };
    let got = timeout(secs(5), x.get_or_load(&1, nested)).await;
    assert_eq!(got.expect("it waits for itself until the deadline").unwrap(), 1);
}

/// The loads of two keys of one cache with one permit: that of key 1 holds it, and waits for that of key 2, which was in
/// line before; with a load of another cache between them, or without.
async fn check_in_line(between: bool) {
    let hub = Hub::embedded();
    let x: Cache<u64, u64> = hub.local_cache("x").max_concurrent_loads(1).build();
    let y: Cache<u64, u64> = hub.local_cache("y").build();
    let (held, source) = (Source::waiting(), Source::open());
    let holder = {
        let (own, x, y, held, source) = (x.clone(), x.clone(), y.clone(), held.clone(), source.clone());
        let load = move || async move {
            held.load().await?;
            second(&x, &y, between, source).await
        };
        tokio::spawn(async move { own.get_or_load(&1, load).await })
    };
    settle().await;
    let queued = {
        let (x, y) = (x.clone(), y.clone());
        tokio::spawn(async move { second(&x, &y, between, source).await })
    };
    settle().await;
    assert_eq!(x.stats().loading, 2, "one runs and one is in line");
    held.answer();
    let got = timeout(secs(5), holder).await.expect("it waits for its own permit until the deadline");
    assert_eq!((got.unwrap().unwrap(), queued.await.unwrap().unwrap()), (1, 1));
    assert_eq!(ask(&x, 5, &Source::open()).await.unwrap().unwrap(), 1, "its permit is free");
}

/// Key 2 of the first cache, perhaps through a load of the other.
async fn second(x: &Cache<u64, u64>, y: &Cache<u64, u64>, through_y: bool, source: Source) -> Result<u64, Broken> {
    if !through_y {
        return x.get_or_load(&2, || source.load()).await.map_err(|_| Broken("x"));
    }
    let x = x.clone();
    let load = || async move { x.get_or_load(&2, || source.load()).await.map_err(|_| Broken("x")) };
    y.get_or_load(&9, load).await.map_err(|_| Broken("y"))
}

#[tokio::test(start_paused = true)]
async fn a_load_that_waits_in_line_needs_no_permit_once_its_holder_waits_for_it() {
    check_in_line(false).await;
    check_in_line(true).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_is_counted_as_busy_and_not_as_a_load() {
    let (cache, source) = cache(|cache| cache.max_concurrent_loads(1));
    let all: Vec<_> = (0..65).map(|key| ask(&cache, key, &source)).collect();
    settle().await;
    assert!(matches!(ask(&cache, 100, &source).await.unwrap(), Err(LoadError::Busy)));
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.busy, stats.loading), (1, 0, 1, 65));
    source.answer();
    for caller in all {
        caller.await.unwrap().unwrap();
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.busy, stats.loading), (65, 0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_busy_cache_serves_what_is_stale() {
    let (cache, source) = stale(|cache| cache.max_concurrent_loads(1)).await;
    let all: Vec<_> = (10..75).map(|key| ask(&cache, key, &source)).collect();
    settle().await;
    assert_eq!(ask(&cache, 1, &source).await.unwrap().ok(), Some(1));
    drop(all);
}

#[tokio::test(start_paused = true)]
async fn huge_timeouts_are_no_timeouts() {
    let max = Duration::MAX;
    let (cache, source) = cache(|cache| cache.hard_timeout(max).soft_timeout(max).load_deadline(max).ttl(max));
    let caller = ask(&cache, 1, &source);
    settle().await;
    advance(secs(86_400)).await;
    settle().await;
    assert!(!caller.is_finished());
    source.answer();
    assert_eq!(caller.await.unwrap().ok(), Some(1));
}
