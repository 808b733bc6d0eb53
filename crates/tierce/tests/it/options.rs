//! What the builder, a call and a loader say about an entry: ttl, weight, jitter, idleness, touch, conditional loads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tierce::{Cache, CacheBuilder, Cause, Freshness, Hub, Load, Loaded, Lookup, ManualClock, Policy};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

type Options = fn(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>;

fn cache(clock: &ManualClock, options: Options) -> Cache<u64, u64> {
    options(hub_at(clock).local_cache("number").jitter(0.0)).build()
}

async fn value() -> Result<u64, Broken> {
    Ok(1)
}

#[tokio::test]
async fn a_value_is_fresh_for_five_minutes_less_a_tenth_if_nothing_is_said() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = hub_at(&clock).local_cache("number").build();
    for key in 0..1000 {
        cache.set(key, key).await.unwrap();
    }
    clock.advance(ms(269_999));
    assert!((0..1000).all(|key| cache.peek(&key).is_some()));
    clock.advance(secs(15));
    let half = (0..1000).filter(|key| cache.peek(key).is_some()).count();
    assert!((400..600).contains(&half), "{half} of 1000 live after 285 s");
    clock.advance(secs(16));
    assert!((0..1000).all(|key| cache.peek(&key).is_none()));
}

#[tokio::test]
async fn a_ttl_comes_from_the_loader_else_the_call_else_the_cache() {
    for (of_loader, of_call, expected) in
        [(None, None, 10), (None, Some(20), 20), (Some(5), Some(20), 5), (Some(50), None, 50)]
    {
        let clock = ManualClock::new();
        let cache = cache(&clock, |cache| cache.ttl(secs(10)));
        let entry = cache.entry(&1);
        let entry = if let Some(ttl) = of_call { entry.ttl(secs(ttl)) } else { entry };
        let load = move |_| async move {
            let loaded = Loaded::new(1);
            Ok::<_, Broken>(if let Some(ttl) = of_loader { loaded.ttl(secs(ttl)) } else { loaded })
        };
        entry.load_with(load).await.unwrap();
        clock.advance(ms(expected * 1000 - 1));
        assert_eq!(cache.peek(&1), Some(1), "{of_loader:?} {of_call:?}");
        clock.advance(ms(1));
        assert_eq!(cache.peek(&1), None, "{of_loader:?} {of_call:?}");
    }
}

#[tokio::test]
async fn a_value_with_a_ttl_of_zero_is_given_and_not_kept() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache);
    let zero = |_| async { Ok::<_, Broken>(Loaded::new(1).ttl(Duration::ZERO)) };
    assert_eq!(cache.entry(&1).load_with(zero).await.unwrap(), Lookup::Hit(1, Freshness::Loaded));
    assert_eq!(cache.get(&1).await, None);
    cache.entry(&2).ttl(Duration::ZERO).set(2).await.unwrap();
    assert_eq!(cache.get(&2).await, None);
}

#[tokio::test]
async fn a_value_may_live_for_good() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache.ttl(Duration::MAX).stale_if_error(Duration::MAX));
    cache.get_or_load(&1, value).await.unwrap();
    clock.advance(secs(100 * 31_536_000));
    assert_eq!(cache.get(&1).await, Some(1));
    assert!(cache.touch(&1).await.unwrap());
    assert_eq!(cache.explain(&1).await.memory.unwrap().fresh_for, None);
}

#[tokio::test]
async fn jitter_takes_off_at_most_its_share_and_spreads() {
    let clock = ManualClock::new();
    let cache: Cache<u64, u64> = hub_at(&clock).local_cache("number").ttl(secs(1000)).jitter(0.3).build();
    let mut lives = Vec::new();
    for key in 0..300 {
        cache.set(key, 0).await.unwrap();
        lives.push(cache.explain(&key).await.memory.unwrap().fresh_for.unwrap());
    }
    assert!(lives.iter().all(|life| (secs(700)..=secs(1000)).contains(life)), "{lives:?}");
    assert!(*lives.iter().min().unwrap() < secs(720) && *lives.iter().max().unwrap() > secs(980));
}

#[tokio::test]
async fn a_value_that_is_read_stays_and_one_that_is_not_goes() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache.ttl(secs(100)).idle(secs(10)));
    cache.set(1, 1).await.unwrap();
    cache.set(2, 2).await.unwrap();
    for _ in 0..16 {
        clock.advance(secs(6));
        assert_eq!(cache.get(&1).await, Some(1));
    }
    assert_eq!(cache.get(&2).await, None);
    clock.advance(secs(4));
    assert_eq!(cache.get(&1).await, None, "never past the ttl");
}

#[tokio::test]
async fn a_value_without_end_goes_when_it_is_idle() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache.ttl(Duration::MAX).idle(secs(10)));
    cache.set(1, 1).await.unwrap();
    clock.advance(secs(9));
    assert_eq!(cache.get(&1).await, Some(1));
    clock.advance(secs(9));
    assert_eq!(cache.get(&1).await, Some(1), "it was read nine seconds ago");
    clock.advance(secs(10));
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn a_touch_gives_freshness_anew_and_says_whether_there_was_an_entry() {
    let clock = ManualClock::new();
    let cache = cache(&clock, |cache| cache.ttl(secs(10)));
    assert!(!cache.touch(&1).await.unwrap());
    cache.set(1, 1).await.unwrap();
    for _ in 0..5 {
        clock.advance(secs(9));
        assert!(cache.touch(&1).await.unwrap());
    }
    clock.advance(secs(9));
    assert_eq!(cache.get(&1).await, Some(1));
    assert!(cache.entry(&1).ttl(secs(100)).touch().await.unwrap());
    clock.advance(secs(99));
    assert_eq!(cache.get(&1).await, Some(1));
    clock.advance(secs(1));
    assert!(!cache.touch(&1).await.unwrap());
}

#[tokio::test]
async fn a_touch_does_not_bring_back_what_was_invalidated() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    cache.entry(&1).tags(["t"]).set(1).await.unwrap();
    hub.invalidate_tag("t").await.unwrap();
    assert!(!cache.touch(&1).await.unwrap());
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn a_weight_comes_from_the_loader_else_the_weigher() {
    let hub = Hub::embedded();
    let cache = hub.local_cache("number").max_weight(100, |_: &u64, value: &u64| *value as u32).build();
    cache.get_or_load(&1, || async { Ok::<_, Broken>(30) }).await.unwrap();
    assert_eq!((cache.stats().weight, cache.stats().capacity), (30, Some(100)));
    cache.entry(&2).load_with(|_| async { Ok::<_, Broken>(Loaded::new(5).weight(60)) }).await.unwrap();
    assert_eq!(cache.stats().weight, 90);
    cache.entry(&3).set_absent().await.unwrap();
    assert_eq!(cache.stats().weight, 91, "an absence weighs 1");
    cache.set(4, 50).await.unwrap();
    assert!(cache.stats().weight <= 100);
}

#[tokio::test]
async fn a_loaders_weight_means_nothing_where_entries_are_counted() {
    let hub = Hub::embedded();
    for cache in [hub.local_cache("counted").capacity(10).policy(Policy::Lru), hub.local_cache("all").unbounded()] {
        let cache: Cache<u64, u64> = cache.build();
        for key in 0..4 {
            let heavy = |_| async move { Ok::<_, Broken>(Loaded::new(key).weight(9)) };
            cache.entry(&key).load_with(heavy).await.unwrap();
        }
        assert_eq!((cache.stats().len, cache.stats().weight), (4, 4));
    }
}

#[tokio::test]
async fn a_bound_holds_and_lru_evicts_the_least_recently_used() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").capacity(3).policy(Policy::Lru).build();
    for key in 0..3 {
        cache.set(key, key).await.unwrap();
    }
    assert_eq!(cache.get(&0).await, Some(0));
    cache.set(3, 3).await.unwrap();
    assert_eq!([0, 1, 2, 3].map(|key| cache.peek(&key).is_some()), [true, false, true, true]);
    let unbounded: Cache<u64, u64> = Hub::embedded().local_cache("number").unbounded().build();
    for key in 0..20_000 {
        unbounded.set(key, key).await.unwrap();
    }
    assert_eq!((unbounded.stats().len, unbounded.stats().capacity), (20_000, None));
}

#[tokio::test]
async fn the_listener_hears_of_every_departure_and_why() {
    type Told = Arc<Mutex<Vec<(u64, Option<u64>, Cause)>>>;
    let (clock, told) = (ManualClock::new(), Told::default());
    let ear = Arc::clone(&told);
    let listener = move |key: &u64, value: Option<&u64>, cause| {
        ear.lock().unwrap().push((*key, value.copied(), cause));
    };
    let hub = hub_at(&clock);
    let cache = hub.local_cache("number").policy(Policy::Lru).capacity(2).ttl(secs(10)).jitter(0.0).listener(listener);
    let cache: Cache<u64, u64> = cache.build();
    cache.set(1, 10).await.unwrap();
    cache.set(1, 11).await.unwrap();
    cache.set(2, 20).await.unwrap();
    cache.set(3, 30).await.unwrap();
    cache.invalidate(&2).await.unwrap();
    cache.entry(&4).set_absent().await.unwrap();
    clock.advance(secs(10));
    assert_eq!((cache.get(&3).await, cache.get(&4).await), (None, None));
    cache.entry(&5).tags(["t"]).set(50).await.unwrap();
    hub.invalidate_tag("t").await.unwrap();
    assert_eq!(cache.get(&5).await, None);
    cache.set(6, 60).await.unwrap();
    cache.purge().await.unwrap();
    let expected = [
        (1, Some(10), Cause::Replaced),
        (1, Some(11), Cause::Evicted),
        (2, Some(20), Cause::Invalidated),
        (3, Some(30), Cause::Expired),
        (4, None, Cause::Expired),
        (5, Some(50), Cause::Invalidated),
        (6, Some(60), Cause::Purged),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

/// A loader that answers "unchanged" when it sees a stale value, and says what it saw.
async fn conditional(cache: &Cache<u64, u64>, seen: &Arc<Mutex<Vec<Option<u64>>>>) -> Lookup<u64> {
    let seen = Arc::clone(seen);
    let load = |load: Load<u64>| async move {
        seen.lock().unwrap().push(load.stale.as_ref().map(|stale| *stale.value()));
        Ok::<_, Broken>(match load.stale {
            Some(stale) => stale.unchanged(),
            None => Loaded::new(1).tag("t"),
        })
    };
    cache.entry(&1).load_with(load).await.unwrap()
}

#[tokio::test]
async fn a_conditional_load_makes_the_stale_value_fresh_under_the_tags_it_had() {
    let (clock, seen) = (ManualClock::new(), Arc::default());
    let hub = hub_at(&clock);
    let cache = hub.local_cache("number").ttl(secs(10)).jitter(0.0).stale_if_error(secs(60)).build();
    assert_eq!(conditional(&cache, &seen).await, Lookup::Hit(1, Freshness::Loaded));
    for _ in 0..3 {
        clock.advance(secs(15));
        assert_eq!(conditional(&cache, &seen).await, Lookup::Hit(1, Freshness::Loaded));
        assert_eq!(conditional(&cache, &seen).await, Lookup::Hit(1, Freshness::Fresh));
        assert_eq!(cache.explain(&1).await.memory.unwrap().tags, ["t"]);
    }
    assert_eq!(*seen.lock().unwrap(), [None, Some(1), Some(1), Some(1)]);
    hub.invalidate_tag("t").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
    conditional(&cache, &seen).await;
    assert_eq!(seen.lock().unwrap().last(), Some(&None), "what was invalidated is not shown to a loader");
}

#[tokio::test]
async fn an_unchanged_value_whose_tag_was_invalidated_during_the_load_is_not_kept() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache = hub.local_cache("number").ttl(secs(10)).jitter(0.0).stale_if_error(secs(60)).build();
    cache.entry(&1).tags(["t"]).set(1).await.unwrap();
    clock.advance(secs(15));
    let source = Source::waiting();
    let caller = {
        let (cache, source) = (cache.clone(), source.clone());
        let load = |load: Load<u64>| async move {
            source.load().await?;
            Ok::<_, Broken>(load.stale.expect("a stale value").unchanged())
        };
        tokio::spawn(async move { cache.entry(&1).load_with(load).await })
    };
    settle().await;
    hub.invalidate_tag("t").await.unwrap();
    source.answer();
    assert_eq!(caller.await.unwrap().unwrap().into_value(), Some(1));
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn a_touch_gives_an_entry_the_ttl_it_was_given_and_no_longer_one() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> = hub.local_cache("c").ttl(secs(300)).jitter(0.1).build();
    let load = |_| async { Ok::<_, Broken>(Loaded::new(1).ttl(secs(5))) };
    cache.entry(&1).load_with(load).await.unwrap();
    cache.entry(&2).ttl(secs(5)).set(2).await.unwrap();
    for key in [1, 2] {
        // Again and again: jitter takes nothing off a time that it has been taken off already.
        for _ in 0..10 {
            clock.advance(secs(4));
            assert!(cache.touch(&key).await.unwrap(), "of {key}");
        }
        clock.advance(secs(5));
        assert_eq!(cache.peek(&key), None);
        cache.entry(&2).ttl(secs(5)).set(2).await.unwrap();
    }
}
