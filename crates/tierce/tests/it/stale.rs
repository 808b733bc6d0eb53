//! Values past their freshness: who gets them, how long, and never after an invalidation.

use tierce::{Cache, CacheBuilder, Freshness, Hub, Lookup, ManualClock};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

struct Stage {
    hub: Hub,
    clock: ManualClock,
    cache: Cache<u64, u64>,
    source: Source,
}

/// A cache of values that are fresh for ten seconds, with one of them filled.
async fn stage(options: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>) -> Stage {
    let (clock, source) = (ManualClock::new(), Source::open());
    let hub = hub_at(&clock);
    let cache = options(hub.local_cache("number").ttl(secs(10)).jitter(0.0)).build();
    let stage = Stage { hub, clock, cache, source };
    assert_eq!(stage.get().await, Ok((1, Freshness::Loaded)));
    stage
}

impl Stage {
    /// The value and how fresh it is, or the source's error.
    async fn get(&self) -> Result<(u64, Freshness), String> {
        let source = self.source.clone();
        let load = |_| async move { source.load().await.map(|n| Some(n).into()) };
        match self.cache.entry(&1).tags(["t"]).load_with(load).await {
            Ok(Lookup::Hit(value, freshness)) => Ok((value, freshness)),
            Ok(other) => panic!("no value: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Several callers at once.
    async fn crowd(&self) -> Vec<Option<u64>> {
        let callers = (0..20).map(|_| {
            let (cache, source) = (self.cache.clone(), self.source.clone());
            tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await.ok() })
        });
        let callers: Vec<_> = callers.collect();
        settle().await;
        let mut got = Vec::new();
        for caller in callers {
            got.push(caller.await.unwrap());
        }
        got
    }
}

#[tokio::test]
async fn stale_value_is_served_while_one_caller_reloads() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(5))).await;
    stage.clock.advance(secs(12));
    stage.source.hold();
    assert_eq!(stage.crowd().await, [Some(1); 20]);
    assert_eq!((stage.source.calls(), stage.cache.stats().stale_hits), (2, 20));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    stage.source.answer();
    settle().await;
    assert_eq!(stage.get().await, Ok((2, Freshness::Fresh)));
    assert_eq!(stage.source.calls(), 2);
}

#[tokio::test]
async fn a_value_past_the_time_for_revalidation_is_not_served() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(5))).await;
    stage.clock.advance(secs(15));
    assert_eq!(stage.get().await, Ok((2, Freshness::Loaded)));
}

#[tokio::test]
async fn get_and_peek_give_fresh_values_only_and_lookup_says_stale() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(5))).await;
    stage.clock.advance(secs(12));
    assert_eq!((stage.cache.get(&1).await, stage.cache.peek(&1)), (None, None));
    assert_eq!(stage.cache.lookup(&1).await, Lookup::Hit(1, Freshness::Stale));
    assert_eq!(stage.source.calls(), 1, "none of them loads");
}

/// What a failing source's caller gets at this age in seconds: the stale value, or the error.
async fn check_on_error(age: u64, served: bool) {
    let stage = stage(|cache| cache.stale_if_error(secs(30))).await;
    stage.source.fail();
    stage.clock.advance(secs(age));
    let expected = if served { Ok((1, Freshness::Stale)) } else { Err("load failed: down".to_string()) };
    assert_eq!(stage.get().await, expected, "at {age} s");
    assert_eq!(stage.source.calls(), 2);
}

#[tokio::test]
async fn a_stale_value_stands_in_for_an_error_until_its_time_is_over() {
    check_on_error(10, true).await;
    check_on_error(39, true).await;
    check_on_error(40, false).await;
    check_on_error(400, false).await;
}

#[tokio::test]
async fn a_value_that_stands_in_for_errors_is_replaced_by_a_load_that_succeeds() {
    let stage = stage(|cache| cache.stale_if_error(secs(30))).await;
    stage.clock.advance(secs(12));
    assert_eq!(stage.get().await, Ok((2, Freshness::Loaded)));
    assert_eq!(stage.get().await, Ok((2, Freshness::Fresh)));
}

#[tokio::test]
async fn no_stale_value_is_served_after_its_end_was_told() {
    for ending in ["invalidate", "tag", "purge", "hub"] {
        for running in [false, true] {
            let stage = stage(|cache| cache.stale_if_error(secs(30)).stale_while_revalidate(secs(30))).await;
            stage.clock.advance(secs(12));
            stage.source.fail();
            if running {
                stage.source.hold();
                assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
                settle().await;
            }
            match ending {
                "invalidate" => stage.cache.invalidate(&1).await.unwrap(),
                "tag" => stage.hub.invalidate_tag("t").await.unwrap(),
                "purge" => stage.cache.purge().await.unwrap(),
                _ => stage.hub.purge().await.unwrap(),
            }
            stage.source.answer();
            assert!(stage.get().await.is_err(), "{ending}, with a refresh running: {running}");
            assert_eq!(stage.crowd().await, [None; 20], "{ending}, with a refresh running: {running}");
            assert!(matches!(stage.cache.lookup(&1).await, Lookup::Miss(_)));
        }
    }
}

#[tokio::test]
async fn a_late_refresh_does_not_bring_back_what_was_invalidated() {
    for by_tag in [false, true] {
        let stage = stage(|cache| cache.stale_while_revalidate(secs(30))).await;
        stage.clock.advance(secs(12));
        stage.source.hold();
        assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
        settle().await;
        if by_tag {
            stage.hub.invalidate_tag("t").await.unwrap();
        } else {
            stage.cache.invalidate(&1).await.unwrap();
        }
        stage.source.answer();
        settle().await;
        assert_eq!((stage.source.calls(), stage.cache.get(&1).await), (2, None));
        assert_eq!(stage.get().await, Ok((3, Freshness::Loaded)));
    }
}

#[tokio::test]
async fn after_a_failure_the_source_is_left_alone_for_the_throttle() {
    let stage = stage(|cache| cache.stale_if_error(secs(60)).retry_after(secs(2))).await;
    stage.source.fail();
    stage.clock.advance(secs(12));
    for _ in 0..10 {
        assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    }
    assert_eq!(stage.source.calls(), 2);
    stage.clock.advance(ms(1999));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    assert_eq!(stage.source.calls(), 2);
    stage.clock.advance(ms(1));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    assert_eq!(stage.source.calls(), 3);
    stage.source.recover();
    stage.clock.advance(secs(2));
    assert_eq!(stage.get().await, Ok((4, Freshness::Loaded)));
}

#[tokio::test]
async fn the_throttle_prolongs_no_value_past_its_time() {
    let stage = stage(|cache| cache.stale_if_error(secs(5)).retry_after(secs(100))).await;
    stage.source.fail();
    stage.clock.advance(secs(14));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    stage.clock.advance(secs(1));
    assert!(stage.get().await.is_err());
    assert_eq!(stage.source.calls(), 3);
}

#[tokio::test]
async fn a_throttled_value_is_not_called_fresh_by_anybody() {
    let stage = stage(|cache| cache.stale_if_error(secs(60)).retry_after(secs(2))).await;
    stage.source.fail();
    stage.clock.advance(secs(12));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    assert_eq!((stage.cache.get(&1).await, stage.cache.peek(&1)), (None, None));
    assert_eq!(stage.cache.lookup(&1).await, Lookup::Hit(1, Freshness::Stale));
    let told = stage.cache.explain(&1).await.memory.unwrap();
    assert_eq!((told.fresh_for, told.served), (Some(secs(0)), true));
}

#[tokio::test]
async fn stale_values_cover_only_the_errors_they_are_allowed_to() {
    let covers_down = |cache: CacheBuilder<u64, u64>| {
        cache.stale_if_error(secs(30)).stale_only_for(|error: &Broken| error.0 == "down").retry_after(secs(0))
    };
    let stage = stage(covers_down).await;
    stage.clock.advance(secs(12));
    let failing = |what| stage.cache.get_or_load(&1, move || async move { Err(Broken(what)) });
    assert_eq!(failing("down").await.ok(), Some(1));
    assert_eq!(failing("forbidden").await.unwrap_err().load(), Some(&Broken("forbidden")));
    let other = stage.cache.get_or_load(&1, || async { Err::<u64, _>("another type") });
    assert_eq!(other.await.unwrap_err().load(), Some(&"another type"));
    let panics = stage.cache.get_or_load(&1, || async { panic!("covered: no error of the loader's") });
    assert_eq!(panics.await.map_err(|error: tierce::LoadError<Broken>| error.to_string()), Ok(1));
}

#[tokio::test]
async fn an_error_that_may_not_be_covered_is_not_throttled() {
    let stage = stage(|cache| cache.stale_if_error(secs(30)).stale_only_for(|_: &std::io::Error| true)).await;
    stage.clock.advance(secs(12));
    stage.source.fail();
    for _ in 0..3 {
        assert!(stage.get().await.is_err());
    }
    assert_eq!(stage.source.calls(), 4);
}

#[tokio::test]
async fn a_value_marked_stale_is_served_while_it_is_reloaded_for_its_time_only() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(5))).await;
    stage.cache.mark_stale(&1).await.unwrap();
    stage.source.hold();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    stage.source.answer();
    settle().await;
    assert_eq!(stage.get().await, Ok((2, Freshness::Fresh)));

    stage.cache.mark_stale(&1).await.unwrap();
    stage.clock.advance(secs(3));
    stage.cache.mark_stale(&1).await.unwrap();
    stage.clock.advance(secs(2));
    assert_eq!(stage.get().await, Ok((3, Freshness::Loaded)), "marking it again prolongs nothing");
}

#[tokio::test]
async fn a_refresh_that_runs_when_a_value_is_marked_stale_does_not_make_it_fresh() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(60))).await;
    stage.clock.advance(secs(12));
    stage.source.hold();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    stage.cache.mark_stale(&1).await.unwrap();
    stage.source.answer();
    settle().await;
    assert_eq!(stage.cache.get(&1).await, None, "it was loaded before the mark");
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    assert_eq!(stage.get().await, Ok((3, Freshness::Fresh)));
}

#[tokio::test]
async fn marking_a_value_stale_that_may_not_be_served_stale_ends_it() {
    for ttl in [secs(10), std::time::Duration::MAX] {
        let stage = stage(|cache| cache.ttl(ttl)).await;
        stage.cache.mark_stale(&1).await.unwrap();
        assert_eq!(stage.cache.lookup(&1).await.value(), None);
        assert_eq!(stage.get().await, Ok((2, Freshness::Loaded)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_behind_does_not_end_the_serving_of_stale_values() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(60)).stale_if_error(secs(60))).await;
    stage.clock.advance(secs(12));
    stage.source.fail();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    stage.source.hold();
    stage.clock.advance(secs(5));
    let crowd = tokio::time::timeout(ms(1), stage.crowd()).await;
    assert_eq!(crowd.expect("nobody waits while the value may be served at once"), [Some(1); 20]);
    assert_eq!(stage.source.calls(), 3);
    stage.source.answer();
}

#[tokio::test]
async fn a_value_stands_in_for_errors_no_longer_than_that_though_it_is_kept_to_be_revalidated() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(60)).stale_if_error(secs(5))).await;
    stage.clock.advance(secs(12));
    stage.source.fail();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    stage.clock.advance(secs(10));
    // Served while one caller reloads, or not at all; never in the place of an error.
    let load = stage.cache.get_or_load(&1, || stage.source.load()).await;
    assert!(load.is_err() || stage.cache.stats().loading == 1, "{load:?} for an error at 12 s past freshness");
}

#[tokio::test]
async fn a_refresh_behind_that_fails_says_nothing_and_loses_nothing() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(60))).await;
    stage.clock.advance(secs(12));
    stage.source.fail();
    for calls in 2..5 {
        for _ in 0..5 {
            assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
            settle().await;
            assert_eq!((stage.source.calls(), stage.cache.stats().load_errors), (calls, calls - 1));
            stage.clock.advance(ms(199));
        }
        stage.clock.advance(ms(5));
    }
    stage.source.recover();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    assert_eq!(stage.get().await, Ok((5, Freshness::Fresh)));
}

#[tokio::test]
async fn a_failure_behind_shortens_and_prolongs_no_time_in_which_a_value_is_served() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(5)).retry_after(secs(60))).await;
    stage.clock.advance(secs(12));
    stage.source.fail();
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    stage.clock.advance(ms(2999));
    assert_eq!(stage.get().await, Ok((1, Freshness::Stale)));
    settle().await;
    assert_eq!(stage.source.calls(), 2);
    stage.clock.advance(ms(1));
    assert!(stage.get().await.is_err(), "past the window there is nobody to hide behind");
    assert_eq!(stage.source.calls(), 3, "who has to wait is not made to wait longer");
}
