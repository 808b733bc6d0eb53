//! Hubs and names: what is shared, what is not, what is refused, how it ends.

use std::time::Duration;

use tierce::{Cache, CacheBuilder, Early, Hub, Kind, ManualClock};

use crate::fixture::{Source, hub_at, ms, panic_text, secs, settle};

#[tokio::test]
async fn one_name_is_one_cache_and_another_name_another() {
    let hub = Hub::embedded();
    let one: Cache<u64, u64> = hub.local_cache("user").capacity(5).build();
    let same: Cache<u64, u64> = hub.clone().local_cache("user").capacity(500).build();
    let shared: Cache<u64, u64> = hub.cache("user").build();
    let other: Cache<u64, u64> = hub.local_cache("lamp").build();
    one.set(1, 10).await.unwrap();
    assert_eq!((same.get(&1).await, shared.get(&1).await, other.get(&1).await), (Some(10), Some(10), None));
    assert_eq!((same.stats().capacity, same.name()), (Some(5), "user"));
}

#[tokio::test]
async fn a_name_of_another_shape_is_refused_until_it_is_free() {
    let hub = Hub::embedded();
    let users: Cache<u64, u64> = hub.local_cache("user").build();
    users.set(1, 1).await.unwrap();
    let errors = [
        hub.local_cache::<u64, String>("user").try_build().err(),
        hub.local_cache::<String, u64>("user").try_build().err(),
        hub.local_cache::<u64, u64>("user").version(2).try_build().err(),
    ];
    for error in errors {
        let error = error.expect("a conflict");
        assert_eq!((error.kind(), error.operation()), (Kind::Conflict, "build"));
        assert_eq!(error.to_string(), "build: the hub has a cache named \"user\" with other types or another version");
    }
    drop(users);
    let newer: Cache<u64, u64> = hub.local_cache("user").version(2).try_build().unwrap();
    assert_eq!(newer.get(&1).await, None);
}

#[track_caller]
fn check_refused(options: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>, expected: &str) {
    let error = options(Hub::embedded().local_cache("number")).try_build().expect_err(expected);
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().starts_with(&format!("build: {expected}")), "{error}");
}

#[test]
fn options_that_make_no_sense_are_refused_with_a_reason() {
    check_refused(|cache| cache.ttl(Duration::ZERO), "a ttl of zero keeps nothing");
    check_refused(|cache| cache.jitter(1.5), "jitter is a share from 0 to 1, not 1.5");
    check_refused(|cache| cache.jitter(-0.1), "jitter is a share");
    check_refused(|cache| cache.jitter(f64::NAN), "jitter is a share");
    check_refused(|cache| cache.capacity(5).unbounded(), "say one of capacity, max_weight and unbounded");
    check_refused(|cache| cache.capacity(5).max_weight(5, |_, _| 1), "say one of");
    check_refused(|cache| cache.max_concurrent_loads(0), "max_concurrent_loads of zero loads nothing");
    for early in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        check_refused(|cache| cache.refresh_early(Early::XFetch { beta: early }), "XFetch");
    }
    for share in [-0.1, 1.1, f64::NAN] {
        check_refused(|cache| cache.refresh_early(Early::Fraction(share)), "Fraction");
    }
    let long = "n".repeat(65);
    for name in ["", "a b", "a:b", "{a}", "ü", "a\n", &long] {
        let error = Hub::embedded().local_cache::<u64, u64>(name).try_build().unwrap_err();
        assert!(error.to_string().contains("must be 1 to 64 of A-Z a-z 0-9 _ . -"), "{error}");
    }
    for name in ["a", "A-z_0.9", &long[1..]] {
        assert!(Hub::embedded().local_cache::<u64, u64>(name).try_build().is_ok());
    }
}

#[test]
fn build_panics_with_the_reason_that_try_build_gives() {
    let build = || Hub::embedded().local_cache::<u64, u64>("a b").build();
    let text = panic_text(&*std::panic::catch_unwind(build).unwrap_err());
    assert!(text.starts_with("build: the name \"a b\" must be"), "{text}");
}

#[tokio::test]
async fn two_hubs_share_nothing() {
    let (one, other) = (Hub::embedded(), Hub::embedded());
    let first: Cache<u64, u64> = one.local_cache("user").build();
    let second: Cache<u64, u64> = other.local_cache("user").build();
    let strings: Cache<u64, String> = Hub::embedded().local_cache("user").build();
    first.entry(&1).tags(["t"]).set(1).await.unwrap();
    second.entry(&1).tags(["t"]).set(2).await.unwrap();
    strings.set(1, "x".to_string()).await.unwrap();
    one.invalidate_tag("t").await.unwrap();
    assert_eq!((first.get(&1).await, second.get(&1).await), (None, Some(2)));
    first.set(1, 1).await.unwrap();
    other.purge().await.unwrap();
    assert_eq!((first.get(&1).await, second.get(&1).await), (Some(1), None));
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_the_loads_that_run_at_most_as_long_as_told() {
    let hub = Hub::embedded();
    let (cache, source): (Cache<u64, u64>, _) = (hub.local_cache("number").build(), Source::waiting());
    assert_eq!(hub.drain(secs(1)).await, 0);
    let callers = (0..3).map(|key| {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.get_or_load(&key, || source.load()).await })
    });
    let callers: Vec<_> = callers.collect();
    settle().await;
    assert_eq!(hub.drain(secs(1)).await, 3);
    let drain = tokio::spawn(async move { hub.drain(secs(30)).await });
    settle().await;
    assert!(!drain.is_finished());
    source.answer();
    assert_eq!(drain.await.unwrap(), 0);
    for caller in callers {
        assert!(caller.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_draining_hub_refreshes_nothing_behind_and_still_loads_for_callers() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> =
        hub.local_cache("number").ttl(secs(10)).jitter(0.0).stale_while_revalidate(secs(5)).build();
    cache.get_or_load(&1, || source.load()).await.unwrap();
    hub.drain(ms(1)).await;
    clock.advance(secs(12));
    assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), 1);
    settle().await;
    assert_eq!(source.calls(), 1);
    assert_eq!(cache.get_or_load(&2, || source.load()).await.unwrap(), 2);
}

#[test]
fn hubs_caches_and_memories_say_what_they_are() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    let memory = tierce::Memory::<u64, u64>::new(3);
    let told = [format!("{hub:?}"), format!("{cache:?}"), format!("{memory:?}")];
    assert!(
        told[0].contains("number") && told[1].contains("number") && told[2].contains("capacity: Some(3)"),
        "{told:?}"
    );
}
