//! Tags: what they end, where they come from, what they may be called.

use tierce::{Cache, Hub, Kind, Loaded};

use crate::fixture::{Broken, Source, panic_text, settle};

async fn load(cache: &Cache<u64, u64>, key: u64, by_arguments: &[&str], by_result: &[&str]) -> u64 {
    let by_result: Vec<String> = by_result.iter().map(ToString::to_string).collect();
    let tagged = |_| async move {
        let loaded = by_result.into_iter().fold(Loaded::new(key), Loaded::tag);
        Ok::<_, Broken>(loaded)
    };
    let found = cache.entry(&key).tags(by_arguments.iter().copied()).load_with(tagged).await;
    found.unwrap().into_value().unwrap()
}

/// Which of these entries an invalidation of "x" ends.
#[tokio::test]
async fn a_tag_ends_the_entries_that_have_it_wherever_it_came_from() {
    let hub = Hub::embedded();
    let cache = hub.local_cache("a").build();
    let other: Cache<u64, u64> = hub.local_cache("b").build();
    let cases: [(&[&str], &[&str], bool); 7] = [
        (&["x"], &[], true),
        (&[], &["x"], true),
        (&["x"], &["x"], true),
        (&["y", "x"], &["z"], true),
        (&["y"], &["z", "x"], true),
        (&["y"], &["xx"], false),
        (&[], &[], false),
    ];
    for (key, (arguments, result, _)) in (0..).zip(cases) {
        load(&cache, key, arguments, result).await;
    }
    load(&other, 1, &["x"], &[]).await;
    other.entry(&2).tags(["x"]).set(2).await.unwrap();
    other.entry(&3).tags(["x"]).set_absent().await.unwrap();
    hub.invalidate_tag("x").await.unwrap();
    for (key, (arguments, result, ended)) in (0..).zip(cases) {
        assert_eq!(cache.get(&key).await.is_none(), ended, "{arguments:?} and {result:?}");
    }
    assert_eq!((other.get(&1).await, other.get(&2).await), (None, None));
    assert!(other.lookup(&3).await.freshness().is_none());
}

#[tokio::test]
async fn what_is_loaded_after_an_invalidation_is_kept_again() {
    let hub = Hub::embedded();
    let cache = hub.local_cache("a").build();
    for _ in 0..3 {
        load(&cache, 1, &["x"], &["y"]).await;
        assert_eq!(cache.get(&1).await, Some(1));
        hub.invalidate_tag("y").await.unwrap();
        assert_eq!(cache.get(&1).await, None);
        load(&cache, 1, &["x"], &["y"]).await;
        hub.invalidate_tag("x").await.unwrap();
        assert_eq!(cache.get(&1).await, None);
    }
}

#[tokio::test]
async fn a_thousand_other_invalidations_end_no_entry() {
    let hub = Hub::embedded();
    let cache = hub.local_cache("a").build();
    load(&cache, 1, &["mine"], &["too"]).await;
    for n in 0..5000 {
        hub.invalidate_tag(&format!("other:{n}")).await.unwrap();
        if n % 100 == 0 {
            load(&cache, 2, &[&format!("new:{n}")], &[]).await;
        }
        assert_eq!(cache.peek(&1), Some(1));
    }
    assert_eq!(cache.get(&1).await, Some(1));
    hub.invalidate_tag("too").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn a_load_that_ends_after_its_tag_was_forgotten_is_not_kept() {
    let hub = Hub::embedded();
    let (cache, source): (Cache<u64, u64>, _) = (hub.local_cache("a").build(), Source::waiting());
    let leader = {
        let (cache, source) = (cache.clone(), source.clone());
        let load = |_| async move { Ok::<_, Broken>(Loaded::new(source.load().await?).tag("early")) };
        tokio::spawn(async move { cache.entry(&1).load_with(load).await })
    };
    settle().await;
    hub.invalidate_tag("early").await.unwrap();
    for n in 0..5000 {
        load(&cache, 2, &[&format!("many:{n}")], &[]).await;
        cache.invalidate(&2).await.unwrap();
    }
    source.answer();
    assert_eq!(leader.await.unwrap().unwrap().into_value(), Some(1));
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn a_tag_is_not_empty_and_at_most_200_bytes() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("a").build();
    let long = "x".repeat(201);
    for (tag, start) in [("", "a tag must not be empty"), (&long, "a tag must not be longer than 200 bytes")] {
        let error = hub.invalidate_tag(tag).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (Kind::Invalid, "invalidate_tag"));
        assert!(error.to_string().starts_with(&format!("invalidate_tag: {start}")), "{error}");
        let by_arguments = || drop(cache.entry(&1).tags([tag]));
        let by_result = || drop(Loaded::new(1).tag(tag));
        for text in [panicked(by_arguments), panicked(by_result)] {
            assert!(text.contains(start), "{text}");
        }
    }
    hub.invalidate_tag(&long[1..]).await.unwrap();
    let strange = ["ü", " ", "a:{b}%*", "\0"];
    load(&cache, 1, &strange, &[&long[1..]]).await;
    assert_eq!(cache.get(&1).await, Some(1));
    hub.invalidate_tag("\0").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
}

fn panicked(call: impl FnOnce()) -> String {
    panic_text(&*std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err())
}
