//! Loads that are asked for although something is here, and those that begin by themselves before the end.

use tierce::{Cache, CacheBuilder, Early, Freshness, Hub, Load, LoadError, Loaded, Lookup, ManualClock, Reason};
use tokio::task::JoinHandle;

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

fn refresh(cache: &Cache<u64, u64>, source: &Source) -> JoinHandle<tierce::Result<u64, Broken>> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { cache.refresh(&1, || source.load()).await })
}

fn ask(cache: &Cache<u64, u64>, source: &Source) -> JoinHandle<tierce::Result<u64, Broken>> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
}

#[tokio::test]
async fn a_refresh_loads_whatever_is_here_and_readers_get_the_old_value_meanwhile() {
    let (cache, source) = (Hub::embedded().local_cache("number").build(), Source::open());
    cache.set(1, 100).await.unwrap();
    source.hold();
    let refreshed = refresh(&cache, &source);
    settle().await;
    assert_eq!((cache.get(&1).await, source.calls()), (Some(100), 1));
    source.answer();
    assert_eq!((refreshed.await.unwrap().unwrap(), cache.get(&1).await), (1, Some(1)));
}

#[tokio::test]
async fn a_refresh_joins_no_load_that_began_before_it_and_shares_its_own() {
    let (cache, source) = (Hub::embedded().local_cache("number").build(), Source::waiting());
    let older = ask(&cache, &source);
    settle().await;
    let refreshes: Vec<_> = (0..50).map(|_| refresh(&cache, &source)).collect();
    settle().await;
    source.answer();
    assert_eq!(older.await.unwrap().unwrap(), 1);
    for refreshed in refreshes {
        assert_eq!(refreshed.await.unwrap().unwrap(), 2);
    }
    assert_eq!((source.calls(), cache.get(&1).await), (2, Some(2)));
}

#[tokio::test]
async fn a_lookup_joins_a_refresh_that_runs() {
    let (cache, source) = (Hub::embedded().local_cache("number").build(), Source::waiting());
    let refreshed = refresh(&cache, &source);
    settle().await;
    let asked = ask(&cache, &source);
    settle().await;
    source.answer();
    assert_eq!((refreshed.await.unwrap().unwrap(), asked.await.unwrap().unwrap(), source.calls()), (1, 1, 1));
}

#[tokio::test]
async fn a_refresh_after_an_older_load_failed_loads_itself() {
    let (cache, source) = (Hub::embedded().local_cache("number").build(), Source::waiting());
    let older = {
        let (cache, source) = (cache.clone(), source.clone());
        let load = || async move { source.load().await.and(Err::<u64, _>(Broken("older"))) };
        tokio::spawn(async move { cache.get_or_load(&1, load).await })
    };
    settle().await;
    let refreshed = refresh(&cache, &source);
    settle().await;
    source.answer();
    assert!(older.await.unwrap().is_err());
    assert_eq!(refreshed.await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_tells_its_caller_and_keeps_the_old_value() {
    let clock = ManualClock::new();
    let cache = hub_at(&clock).local_cache("number").ttl(secs(10)).jitter(0.0).stale_if_error(secs(60)).build();
    let source = Source::open();
    cache.set(1, 100).await.unwrap();
    source.fail();
    assert_eq!(refresh(&cache, &source).await.unwrap().unwrap_err().load(), Some(&Broken("down")));
    assert_eq!(cache.get(&1).await, Some(100));
    clock.advance(secs(20));
    assert_eq!(refresh(&cache, &source).await.unwrap().unwrap_err().load(), Some(&Broken("down")));
    assert_eq!(cache.lookup(&1).await, Lookup::Hit(100, Freshness::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_gives_up_at_the_hard_timeout_though_it_waits_for_an_older_load() {
    let cache = Hub::embedded().local_cache("number").hard_timeout(secs(1)).build();
    let source = Source::waiting();
    let older = ask(&cache, &source);
    settle().await;
    tokio::time::advance(ms(500)).await;
    let refreshed = refresh(&cache, &source);
    settle().await;
    tokio::time::advance(ms(1001)).await;
    settle().await;
    assert!(matches!(refreshed.await.unwrap(), Err(LoadError::Timeout)));
    assert!(matches!(older.await.unwrap(), Err(LoadError::Timeout)));
}

#[tokio::test]
async fn an_invalidation_during_a_refresh_wins() {
    let (cache, source) = (Hub::embedded().local_cache("number").build(), Source::waiting());
    let refreshed = refresh(&cache, &source);
    settle().await;
    cache.invalidate(&1).await.unwrap();
    source.answer();
    assert_eq!((refreshed.await.unwrap().unwrap(), cache.get(&1).await), (1, None));
}

#[tokio::test]
async fn a_refresh_may_see_the_old_value_and_say_how_to_keep_the_new_one() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").build();
    cache.entry(&1).tags(["t"]).set(7).await.unwrap();
    let unchanged = |load: Load<u64>| async { Ok::<_, Broken>(load.stale.expect("a value is here").unchanged()) };
    assert_eq!(cache.entry(&1).refresh_with(unchanged).await.unwrap(), Lookup::Hit(7, Freshness::Loaded));
    assert_eq!(cache.explain(&1).await.memory.unwrap().tags, ["t"]);
    let absent = |_| async { Ok::<_, Broken>(Loaded::absent()) };
    assert_eq!(cache.entry(&1).refresh_with(absent).await.unwrap(), Lookup::Negative(Freshness::Loaded));
    assert_eq!(cache.lookup(&1).await, Lookup::Negative(Freshness::Fresh));
}

#[tokio::test]
async fn a_newer_value_that_is_not_to_be_kept_ends_the_older_one() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").build();
    cache.set(1, 7).await.unwrap();
    let newer = |_| async { Ok::<_, Broken>(Loaded::new(8).do_not_keep()) };
    assert_eq!(cache.entry(&1).refresh_with(newer).await.unwrap(), Lookup::Hit(8, Freshness::Loaded));
    assert_eq!(cache.lookup(&1).await, Lookup::Miss(Reason::NotKept));
}

/// A value that lives 100 seconds and took `cost` to load, on a cache that refreshes early.
async fn early(early: Early, cost_ms: u64) -> (Cache<u64, u64>, ManualClock, Source) {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache: CacheBuilder<u64, u64> = hub_at(&clock).local_cache("number");
    let cache = cache.ttl(secs(100)).jitter(0.0).refresh_early(early).build();
    let (slow, load) = (clock.clone(), source.load());
    let load = || async move {
        slow.advance(ms(cost_ms));
        load.await
    };
    cache.get_or_load(&1, load).await.unwrap();
    (cache, clock, source)
}

#[tokio::test]
async fn a_fraction_refreshes_behind_the_first_caller_after_it() {
    let (cache, clock, source) = early(Early::Fraction(0.75), 0).await;
    clock.advance(ms(74_999));
    assert_eq!(ask(&cache, &source).await.unwrap().unwrap(), 1);
    settle().await;
    assert_eq!(source.calls(), 1);
    clock.advance(ms(1));
    source.hold();
    for _ in 0..20 {
        assert_eq!(ask(&cache, &source).await.unwrap().unwrap(), 1);
    }
    settle().await;
    assert_eq!((source.calls(), cache.stats().stale_hits), (2, 0));
    source.answer();
    settle().await;
    assert_eq!((cache.get(&1).await, source.calls()), (Some(2), 2));
    clock.advance(ms(74_999));
    assert_eq!(cache.get(&1).await, Some(2), "for a whole ttl from then on");
}

#[tokio::test]
async fn xfetch_refreshes_dear_values_early_and_cheap_ones_not() {
    let (cache, clock, source) = early(Early::XFetch { beta: 1.0 }, 5000).await;
    // One second before its end, a load of five seconds: e^(-1/5), four callers in five, would refresh.
    clock.advance(secs(99));
    for _ in 0..20 {
        assert!(ask(&cache, &source).await.unwrap().is_ok());
        settle().await;
    }
    assert!(source.calls() >= 2, "refreshed before its end");
    assert_eq!(cache.stats().misses, 1, "behind the callers");

    let (cache, clock, source) = early(Early::XFetch { beta: 1.0 }, 1).await;
    clock.advance(secs(98));
    for _ in 0..200 {
        assert_eq!(ask(&cache, &source).await.unwrap().unwrap(), 1);
    }
    settle().await;
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn an_early_refresh_that_fails_leaves_the_fresh_value() {
    let (cache, clock, source) = early(Early::Fraction(0.5), 0).await;
    clock.advance(secs(60));
    source.fail();
    for calls in 2..5 {
        for _ in 0..5 {
            assert_eq!(ask(&cache, &source).await.unwrap().unwrap(), 1);
            settle().await;
            assert_eq!(source.calls(), calls, "the source is left alone for `retry_after`");
            clock.advance(ms(199));
        }
        clock.advance(ms(5));
    }
    assert_eq!(cache.get(&1).await, Some(1));
    clock.advance(secs(37));
    assert!(ask(&cache, &source).await.unwrap().is_err(), "and never past its end");
}
