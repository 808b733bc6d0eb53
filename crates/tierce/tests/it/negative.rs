//! Hit, negative and miss are three things; empty values are values.

use std::time::Duration;

use tierce::{Cache, CacheBuilder, Freshness, Loaded, Lookup, ManualClock, Reason};

use crate::fixture::{Broken, Source, hub_at, ms, secs};

type Options = fn(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>;

fn cache(clock: &ManualClock, options: Options) -> Cache<u64, u64> {
    options(hub_at(clock).local_cache("number").jitter(0.0)).build()
}

async fn find_none(cache: &Cache<u64, u64>, source: &Source) -> Option<u64> {
    let source = source.clone();
    cache.find_or_load(&1, || async move { source.load().await.map(|_| None) }).await.unwrap()
}

/// How long an absence is believed.
async fn check_believed(options: Options, expected: Duration) {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = cache(&clock, options);
    assert_eq!(find_none(&cache, &source).await, None);
    clock.advance(expected - ms(1));
    assert_eq!((find_none(&cache, &source).await, source.calls()), (None, 1), "believed for {expected:?}");
    assert_eq!(cache.lookup(&1).await, Lookup::Negative(Freshness::Fresh));
    clock.advance(ms(1));
    assert_eq!((find_none(&cache, &source).await, source.calls()), (None, 2), "not longer than {expected:?}");
}

#[tokio::test]
async fn an_absence_is_believed_for_its_own_time_at_most_the_ttl_and_never_stale() {
    check_believed(|cache| cache, secs(30)).await;
    check_believed(|cache| cache.negative_ttl(secs(5)), secs(5)).await;
    check_believed(|cache| cache.ttl(secs(10)), secs(10)).await;
    check_believed(|cache| cache.ttl(Duration::MAX), secs(30)).await;
    check_believed(|cache| cache.ttl(secs(10)).negative_ttl(secs(60)), secs(10)).await;
    check_believed(|cache| cache.stale_if_error(secs(60)).stale_while_revalidate(secs(60)), secs(30)).await;
}

#[tokio::test]
async fn an_absence_is_believed_no_longer_because_values_of_the_call_live_long() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = cache(&clock, |cache| cache);
    let loaded = cache.entry(&1).ttl(secs(3600)).find_or_load(|| async { Ok::<Option<u64>, Broken>(None) });
    assert_eq!(loaded.await.unwrap(), None);
    clock.advance(secs(31));
    assert_eq!((find_none(&cache, &source).await, source.calls()), (None, 1));
}

#[tokio::test]
async fn a_loader_may_say_how_long_its_absence_is_believed() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = cache(&clock, |cache| cache);
    let load = |_| async { Ok::<_, Broken>(Loaded::absent().ttl(secs(100))) };
    assert_eq!(cache.entry(&1).load_with(load).await.unwrap(), Lookup::Negative(Freshness::Loaded));
    clock.advance(secs(99));
    assert_eq!((find_none(&cache, &source).await, source.calls()), (None, 0));
}

#[tokio::test]
async fn a_lookup_that_wants_a_value_loads_although_an_absence_is_known() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = cache(&clock, |cache| cache);
    find_none(&cache, &source).await;
    assert_eq!((cache.get(&1).await, cache.peek(&1)), (None, None));
    assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), 2);
    assert_eq!(find_none(&cache, &source).await, Some(2));
    assert_eq!(source.calls(), 2);
}

#[tokio::test]
async fn a_waiter_for_a_value_loads_again_when_an_absence_lands() {
    let (clock, source) = (ManualClock::new(), Source::waiting());
    let cache = cache(&clock, |cache| cache);
    let finder = {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { find_none(&cache, &source).await })
    };
    crate::fixture::settle().await;
    let getters = (0..10).map(|_| {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
    });
    let getters: Vec<_> = getters.collect();
    crate::fixture::settle().await;
    source.answer();
    assert_eq!(finder.await.unwrap(), None);
    for getter in getters {
        assert_eq!(getter.await.unwrap().unwrap(), 2);
    }
    assert_eq!(source.calls(), 2, "one load for all who want a value");
}

#[tokio::test]
async fn a_failed_load_is_no_absence() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache = cache(&clock, |cache| cache);
    source.fail();
    let load = || {
        let load = source.load();
        async move { load.await.map(|_| None) }
    };
    assert!(cache.find_or_load(&1, load).await.is_err());
    assert!(matches!(cache.lookup(&1).await, Lookup::Miss(_)));
}

#[tokio::test]
async fn an_absence_is_set_touched_invalidated_and_replaced_like_a_value() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache);
    cache.entry(&1).set_absent().await.unwrap();
    clock.advance(secs(20));
    assert!(cache.touch(&1).await.unwrap());
    clock.advance(secs(20));
    assert_eq!(cache.lookup(&1).await, Lookup::Negative(Freshness::Fresh));
    cache.invalidate(&1).await.unwrap();
    assert_eq!(cache.lookup(&1).await, Lookup::Miss(Reason::Invalidated));
    cache.entry(&1).ttl(secs(2)).set_absent().await.unwrap();
    cache.set(1, 7).await.unwrap();
    assert_eq!(cache.get(&1).await, Some(7));
    cache.entry(&1).set_absent().await.unwrap();
    assert_eq!((cache.get(&1).await, cache.stats().len), (None, 1));
}

/// A value that other languages take for nothing is kept and found.
async fn check_value<V: Clone + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static>() {
    let cache = tierce::Hub::embedded().local_cache::<u64, V>("empty").build();
    for _ in 0..3 {
        assert_eq!(cache.get_or_load(&1, || async { Ok::<_, Broken>(V::default()) }).await.unwrap(), V::default());
        let found = cache.find_or_load(&1, || async { Err(Broken("not asked")) }).await;
        assert_eq!(found.unwrap(), Some(V::default()));
    }
    assert_eq!((cache.stats().loads, cache.stats().negative_hits), (1, 0));
    assert_eq!(cache.lookup(&1).await, Lookup::Hit(V::default(), Freshness::Fresh));
}

#[tokio::test]
async fn empty_values_are_values() {
    check_value::<u64>().await;
    check_value::<f64>().await;
    check_value::<bool>().await;
    check_value::<String>().await;
    check_value::<Vec<u8>>().await;
    check_value::<()>().await;
    check_value::<Option<u64>>().await;
}
