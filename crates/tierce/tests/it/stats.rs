//! What a cache counts.

use tierce::{Cache, CacheBuilder, Hub, Loaded, ManualClock, Stats};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

struct Stage {
    clock: ManualClock,
    cache: Cache<u64, u64>,
    source: Source,
}

fn stage(options: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>) -> Stage {
    let clock = ManualClock::new();
    let cache = options(hub_at(&clock).local_cache("number").ttl(secs(10)).jitter(0.0)).build();
    Stage { clock, cache, source: Source::open() }
}

impl Stage {
    async fn ask(&self, key: u64) -> Option<u64> {
        self.cache.get_or_load(&key, || self.source.load()).await.ok()
    }

    /// Hits, misses, stale and negative hits since the last time.
    #[track_caller]
    fn check(&self, before: &mut Stats, expected: [u64; 4], what: &str) {
        let now = self.cache.stats();
        let counted = [
            now.hits - before.hits,
            now.misses - before.misses,
            now.stale_hits - before.stale_hits,
            now.negative_hits - before.negative_hits,
        ];
        assert_eq!(counted, expected, "hits, misses, stale hits, negative hits of {what}");
        *before = now;
    }
}

#[tokio::test]
async fn every_lookup_is_one_hit_or_one_miss() {
    let stage = stage(|cache| cache);
    let mut before = stage.cache.stats();
    stage.ask(1).await;
    stage.check(&mut before, [0, 1, 0, 0], "a load");
    stage.ask(1).await;
    stage.check(&mut before, [1, 0, 0, 0], "a hit");
    stage.cache.get(&1).await;
    stage.check(&mut before, [1, 0, 0, 0], "get");
    stage.cache.get(&2).await;
    stage.check(&mut before, [0, 1, 0, 0], "get of nothing");
    stage.cache.lookup(&1).await;
    stage.check(&mut before, [1, 0, 0, 0], "lookup");
    stage.cache.lookup(&2).await;
    stage.check(&mut before, [0, 1, 0, 0], "lookup of nothing");
    stage.cache.peek(&1);
    stage.cache.explain(&1).await;
    stage.cache.touch(&1).await.unwrap();
    stage.cache.set(3, 3).await.unwrap();
    stage.cache.mark_stale(&3).await.unwrap();
    stage.cache.invalidate(&1).await.unwrap();
    stage.check(&mut before, [0; 4], "what is no lookup");
    stage.ask(1).await;
    stage.check(&mut before, [0, 1, 0, 0], "a load after an invalidation");
    stage.clock.advance(secs(10));
    stage.ask(1).await;
    stage.check(&mut before, [0, 1, 0, 0], "a load after the end");
    stage.source.fail();
    stage.ask(9).await;
    stage.check(&mut before, [0, 1, 0, 0], "a load that fails");
}

#[tokio::test]
async fn callers_who_wait_are_misses_that_coalesced() {
    let stage = stage(|cache| cache);
    stage.source.hold();
    let callers = (0..10).map(|_| {
        let (cache, source) = (stage.cache.clone(), stage.source.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
    });
    let callers: Vec<_> = callers.collect();
    settle().await;
    stage.source.answer();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let stats = stage.cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.coalesced, stats.loads), (0, 10, 9, 1));
}

#[tokio::test]
async fn stale_values_that_are_served_at_once_are_stale_hits() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(10)));
    stage.ask(1).await;
    stage.clock.advance(secs(12));
    let mut before = stage.cache.stats();
    stage.source.hold();
    stage.ask(1).await;
    stage.check(&mut before, [1, 0, 1, 0], "a stale value");
    stage.source.answer();
}

#[tokio::test]
async fn stale_values_that_stand_in_for_errors_are_misses_and_stale_hits() {
    let stage = stage(|cache| cache.stale_if_error(secs(60)));
    stage.ask(1).await;
    stage.clock.advance(secs(12));
    let mut before = stage.cache.stats();
    stage.source.fail();
    assert_eq!(stage.ask(1).await, Some(1));
    stage.check(&mut before, [0, 1, 1, 0], "a covered error");
    assert_eq!(stage.ask(1).await, Some(1));
    stage.check(&mut before, [1, 0, 1, 0], "a throttled value");
}

#[tokio::test]
async fn a_get_that_gives_nothing_though_a_stale_value_is_here_is_a_miss() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(10)));
    stage.ask(1).await;
    stage.clock.advance(secs(12));
    let mut before = stage.cache.stats();
    assert_eq!(stage.cache.get(&1).await, None);
    stage.check(&mut before, [0, 1, 0, 0], "get of a stale value");
}

#[tokio::test]
async fn a_lookup_that_had_to_load_is_a_miss_though_an_absence_was_known() {
    let stage = stage(|cache| cache);
    stage.cache.entry(&1).set_absent().await.unwrap();
    let mut before = stage.cache.stats();
    let found = stage.cache.find_or_load(&1, || async { Ok::<Option<u64>, Broken>(None) }).await;
    assert_eq!(found.unwrap(), None);
    stage.check(&mut before, [1, 0, 0, 1], "a known absence");
    assert_eq!(stage.ask(1).await, Some(1));
    stage.check(&mut before, [0, 1, 0, 0], "a load although an absence was known");
}

#[tokio::test]
async fn a_hit_rate_of_nothing_is_none() {
    let stage = stage(|cache| cache);
    assert_eq!(stage.cache.stats().hit_rate(), None);
    stage.cache.set(1, 1).await.unwrap();
    assert_eq!(stage.cache.stats().hit_rate(), None);
    stage.ask(1).await;
    assert_eq!(stage.cache.stats().hit_rate(), Some(1.0));
    for key in 2..5 {
        stage.ask(key).await;
    }
    assert_eq!(stage.cache.stats().hit_rate(), Some(0.25));
}

#[tokio::test]
async fn time_saved_is_what_the_hits_would_have_cost() {
    let stage = stage(|cache| cache);
    let (clock, load) = (stage.clock.clone(), stage.source.load());
    let slow = || async move {
        clock.advance(ms(200));
        load.await
    };
    stage.cache.get_or_load(&1, slow).await.unwrap();
    assert_eq!(stage.cache.stats().time_saved, ms(0));
    for _ in 0..5 {
        stage.ask(1).await;
    }
    let stats = stage.cache.stats();
    assert_eq!(stats.time_saved, ms(1000));
    assert_eq!((stats.load_time.count(), stats.load_time.sum(), stats.load_time.mean()), (1, ms(200), Some(ms(200))));
    let median = stats.load_time.quantile(0.5).unwrap();
    assert!((ms(200)..ms(400)).contains(&median), "{median:?}");
}

#[tokio::test]
async fn a_histogram_of_nothing_has_no_mean_and_its_quantiles_bound_what_is_in_it() {
    let stage = stage(|cache| cache);
    let empty = stage.cache.stats().load_time;
    assert_eq!((empty.count(), empty.mean(), empty.quantile(0.5), empty.buckets().count()), (0, None, None, 0));
    for key in 0..100 {
        let clock = stage.clock.clone();
        let load = || async move {
            clock.advance(ms(key));
            Ok::<_, Broken>(key)
        };
        stage.cache.get_or_load(&key, load).await.unwrap();
    }
    let times = stage.cache.stats().load_time;
    assert_eq!((times.count(), times.sum()), (100, ms(4950)));
    for q in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
        let told = times.quantile(q).unwrap();
        let exact = ms((q * 100.0_f64).ceil().max(1.0) as u64 - 1);
        assert!(told >= exact && told <= (exact * 2).max(ms(1)), "{q}: {told:?} for {exact:?}");
    }
    assert_eq!(times.buckets().map(|(_, count)| count).sum::<u64>(), 100);
}

#[tokio::test]
async fn errors_refusals_and_departures_are_counted_by_their_kind() {
    let stage = stage(|cache| cache.capacity(4));
    for key in 0..10 {
        stage.ask(key).await;
    }
    let panics = stage.cache.get_or_load(&90, || async { panic!("counted") }).await;
    assert!((panics as tierce::Result<u64, Broken>).is_err());
    stage.source.fail();
    stage.ask(91).await;
    stage.source.recover();
    let inner = stage.cache.clone();
    let overtaken = || async move {
        inner.invalidate(&92).await.unwrap();
        Ok::<_, Broken>(92)
    };
    stage.cache.get_or_load(&92, overtaken).await.unwrap();
    let unkept = |_| async { Ok::<_, Broken>(Loaded::new(93).do_not_keep()) };
    stage.cache.entry(&93).load_with(unkept).await.unwrap();
    let stats = stage.cache.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.refused, stats.loading), (14, 2, 1, 0));
    assert_eq!((stats.len, stats.capacity, stats.removals.evicted), (4, Some(4), 6));
}

#[tokio::test]
async fn a_hub_tells_the_counts_of_its_caches_by_name() {
    let hub = Hub::embedded();
    let users: Cache<u64, u64> = hub.local_cache("user").build();
    let lamps: Cache<u64, String> = hub.local_cache("lamp").build();
    users.set(1, 1).await.unwrap();
    users.get(&1).await;
    lamps.get(&1).await;
    let told: Vec<_> =
        hub.stats().into_iter().map(|(name, stats)| (name, stats.hits, stats.misses, stats.len)).collect();
    assert_eq!(told, [("lamp".to_string(), 0, 1, 0), ("user".to_string(), 1, 0, 1)]);
    drop(lamps);
    assert_eq!(hub.stats().len(), 1);
}
