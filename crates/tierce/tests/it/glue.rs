//! What the glue to Python calls.

use tierce::__python::{hit, owned, tags};
use tierce::{Cache, Early, Hub, Kind, ManualClock};

use crate::fixture::{Source, hub_at, secs};

#[tokio::test]
async fn a_look_that_compares_tags_counts_a_hit_or_nothing_and_is_no_early_refresh() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let hub = hub_at(&clock);
    let cache: Cache<u64, u64> =
        hub.local_cache("number").ttl(secs(100)).jitter(0.0).refresh_early(Early::Fraction(0.75)).build();
    cache.entry(&1).tags(["one"]).get_or_load(|| source.load()).await.unwrap();
    hub.invalidate_tag("other").await.unwrap();
    assert_eq!((hit(&cache, &1), hit(&cache, &1), hit(&cache, &2)), (Some(1), Some(1), None));
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
    clock.advance(secs(80));
    hub.invalidate_tag("other").await.unwrap();
    assert_eq!(hit(&cache, &1), None, "whoever comes first now is to refresh it");
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
    assert_eq!(cache.peek(&1), Some(1), "and it stays");
    hub.invalidate_tag("one").await.unwrap();
    assert_eq!(hit(&cache, &1), None);
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
}

#[test]
fn a_name_is_another_ones_as_long_as_anything_of_his_cache_is_left() {
    let hub = Hub::embedded();
    let build = |number| owned(hub.local_cache::<u64, u64>("number"), number).try_build();
    let first = build(1).unwrap();
    let left = first.clone();
    drop(first);
    assert_eq!(build(2).unwrap_err().kind(), Kind::Conflict);
    drop(left);
    build(2).unwrap();
}

#[tokio::test]
async fn tags_of_templates_fit_whatever_they_are() {
    let (hub, long) = (Hub::embedded(), "ä".repeat(300));
    let kept = tags(vec![String::new(), "short".into(), long.clone()]);
    assert_eq!((kept.len(), &*kept[0], kept[1].len() <= 200), (2, "short", true));
    assert_eq!(tags(vec![long])[0], kept[1]);
    hub.invalidate_tag(&kept[1]).await.unwrap();
}
