//! What is known of one key.

use std::time::Duration;

use tierce::{Cache, Hub, Loaded, Lookup, ManualClock, Policy, Reason};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

#[derive(Clone, Copy, Debug)]
enum Story {
    Nothing,
    Evicted,
    Expired,
    Invalidated,
    TagInvalidated,
    Purged,
    HubPurged,
    RefusedByTag,
    RefusedByKey,
    LoadFailed,
    LoadPanicked,
    NotKept,
}

async fn tell(story: Story, (hub, clock): (&Hub, &ManualClock), cache: &Cache<u64, u64>) {
    match story {
        Story::Nothing => {}
        Story::Evicted => {
            // One eviction alone: a reason may be overwritten by another key's.
            for key in 1..4 {
                cache.set(key, key).await.unwrap();
            }
        }
        Story::Expired => {
            cache.set(1, 1).await.unwrap();
            clock.advance(secs(10));
        }
        Story::Invalidated => {
            cache.set(1, 1).await.unwrap();
            cache.invalidate(&1).await.unwrap();
        }
        Story::TagInvalidated => {
            cache.entry(&1).tags(["t"]).set(1).await.unwrap();
            hub.invalidate_tag("t").await.unwrap();
        }
        Story::Purged => {
            cache.set(1, 1).await.unwrap();
            cache.purge().await.unwrap();
        }
        Story::HubPurged => {
            cache.set(1, 1).await.unwrap();
            hub.purge().await.unwrap();
        }
        Story::RefusedByTag | Story::RefusedByKey => {
            let (inner, hub) = (cache.clone(), hub.clone());
            let load = || async move {
                match story {
                    Story::RefusedByTag => hub.invalidate_tag("t").await.unwrap(),
                    _ => inner.invalidate(&1).await.unwrap(),
                }
                Ok::<_, Broken>(1)
            };
            cache.entry(&1).tags(["t"]).get_or_load(load).await.unwrap();
        }
        Story::LoadFailed => assert!(cache.get_or_load(&1, || async { Err(Broken("down")) }).await.is_err()),
        Story::LoadPanicked => {
            let load = || async { panic!("told") };
            assert!((cache.get_or_load(&1, load).await as tierce::Result<u64, Broken>).is_err());
        }
        Story::NotKept => {
            let load = |_| async { Ok::<_, Broken>(Loaded::new(1).do_not_keep()) };
            cache.entry(&1).load_with(load).await.unwrap();
        }
    }
}

/// Both `lookup` and `explain` say why a key is not here.
async fn check_reason(story: Story, expected: Reason) {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache = hub.local_cache("number").policy(Policy::Lru).capacity(2).ttl(secs(10)).jitter(0.0).build();
    tell(story, (&hub, &clock), &cache).await;
    assert_eq!(cache.lookup(&1).await, Lookup::Miss(expected), "{story:?}");
    let told = cache.explain(&1).await;
    assert_eq!((told.memory.clone(), told.loading, told.last_gone), (None, false, expected), "{story:?}");
    let expected = format!("memory: nothing\nload: none\nlast miss: {}", expected.as_str());
    assert_eq!(told.to_string(), expected);
}

#[tokio::test]
async fn a_key_that_is_not_here_has_its_reason() {
    check_reason(Story::Nothing, Reason::Unknown).await;
    check_reason(Story::Evicted, Reason::Evicted).await;
    check_reason(Story::Expired, Reason::Expired).await;
    check_reason(Story::Invalidated, Reason::Invalidated).await;
    check_reason(Story::Purged, Reason::Purged).await;
    check_reason(Story::HubPurged, Reason::Purged).await;
    check_reason(Story::RefusedByTag, Reason::Refused).await;
    check_reason(Story::LoadFailed, Reason::LoadFailed).await;
    check_reason(Story::LoadPanicked, Reason::LoadFailed).await;
    check_reason(Story::NotKept, Reason::NotKept).await;
}

#[tokio::test]
async fn an_entry_ended_by_its_tag_is_told_from_one_ended_by_its_key() {
    check_reason(Story::TagInvalidated, Reason::TagInvalidated).await;
}

#[tokio::test]
async fn a_value_refused_since_its_key_was_invalidated_is_told_as_refused() {
    check_reason(Story::RefusedByKey, Reason::Refused).await;
}

#[tokio::test]
async fn an_entry_tells_its_ages_tags_and_cost() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> = hub.local_cache("number").ttl(secs(10)).jitter(0.0).stale_if_error(secs(5)).build();
    let slow = clock.clone();
    let load = |_| async move {
        slow.advance(ms(40));
        Ok::<_, Broken>(Loaded::new(1).tag("b"))
    };
    cache.entry(&1).tags(["a"]).load_with(load).await.unwrap();
    clock.advance(secs(4));
    let told = cache.explain(&1).await;
    let entry = told.memory.clone().unwrap();
    assert_eq!((entry.age, entry.fresh_for, entry.kept_for), (Some(secs(4)), Some(secs(6)), Some(secs(11))));
    assert_eq!((entry.negative, entry.served, entry.cost), (false, true, ms(40)));
    assert_eq!(entry.tags, ["a", "b"]);
    let text = "memory: a value, 4s old, fresh for 6s, kept for 11s, loaded in 40ms, tags a b\nload: none\nlast miss: \
                not seen before, or long ago";
    assert_eq!(told.to_string(), text);
    clock.advance(secs(8));
    let entry = cache.explain(&1).await.memory.unwrap();
    assert_eq!((entry.age, entry.fresh_for, entry.kept_for), (Some(secs(12)), Some(secs(0)), Some(secs(3))));
    assert!(!entry.served);
    clock.advance(secs(3));
    assert_eq!(cache.explain(&1).await.memory, None);
}

#[tokio::test]
async fn an_absence_and_an_endless_entry_are_told_as_what_they_are() {
    let cache: Cache<u64, u64> = hub_at(&ManualClock::new()).local_cache("number").ttl(Duration::MAX).build();
    cache.entry(&1).set_absent().await.unwrap();
    cache.set(2, 2).await.unwrap();
    let (absence, endless) = (cache.explain(&1).await, cache.explain(&2).await);
    assert!(absence.memory.as_ref().unwrap().negative);
    assert!(absence.to_string().starts_with("memory: a known absence, 0ns old, fresh for 2"), "{absence}");
    assert!(endless.to_string().starts_with("memory: a value, never expires, loaded in 0ns\n"), "{endless}");
}

#[tokio::test]
async fn a_load_that_runs_is_told_and_nothing_is_changed_by_asking() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").build();
    let source = Source::waiting();
    let caller = {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
    };
    settle().await;
    let told = cache.explain(&1).await;
    assert!(told.loading && told.to_string().contains("\nload: running\n"), "{told}");
    assert!(!cache.explain(&2).await.loading);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (0, 1, 1));
    source.answer();
    caller.await.unwrap().unwrap();
    assert!(!cache.explain(&1).await.loading);
}

#[tokio::test]
async fn an_age_that_is_not_remembered_is_not_made_up() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> = hub.local_cache("c").ttl(secs(10)).jitter(0.0).stale_if_error(secs(100)).build();
    cache.set(1, 1).await.unwrap();
    clock.advance(secs(1));
    cache.mark_stale(&1).await.unwrap();
    let marked = cache.explain(&1).await;
    assert_eq!(marked.memory.as_ref().map(|entry| entry.age), Some(None));
    assert!(marked.to_string().starts_with("memory: a value, fresh for 0ns, kept for 100s"), "{marked}");

    cache.set(1, 1).await.unwrap();
    clock.advance(secs(11));
    assert!(cache.get_or_load(&1, || async { Err::<u64, _>(Broken) }).await.is_ok(), "a stale one stands in");
    let failed = cache.explain(&1).await;
    assert!(failed.to_string().starts_with("memory: a value, fresh for 0ns, kept for 99s"), "{failed}");

    cache.entry(&2).ttl(secs(365 * 86_400)).set(2).await.unwrap();
    clock.advance(secs(60 * 86_400));
    assert_eq!(cache.explain(&2).await.memory.map(|entry| entry.age), Some(None));
}
