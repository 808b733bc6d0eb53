//! The mistakes of the guide that this project was born from, as far as they concern one process: one test each, with
//! the number that the review of that guide gave it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use tierce::{Cache, Early, Freshness, Hub, Kind, Loaded, Lookup, ManualClock, Memory};

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

/// A database of one row, which is read when the load begins and answers when it is let.
#[derive(Clone)]
struct Db {
    row: Arc<AtomicU64>,
    answers: Source,
}

impl Db {
    fn new() -> Self {
        Db { row: Arc::default(), answers: Source::waiting() }
    }

    fn write(&self, row: u64) {
        self.row.store(row, SeqCst);
    }

    fn read(&self) -> impl Future<Output = Result<u64, Broken>> + Send + 'static + use<> {
        let (row, answer) = (self.row.load(SeqCst), self.answers.load());
        async move { answer.await.map(|_| row) }
    }
}

fn products(hub: &Hub) -> Cache<u64, u64> {
    hub.local_cache("product").build()
}

#[tokio::test]
async fn flaw_6_an_empty_value_is_a_hit() {
    let cache: Cache<u64, Vec<u64>> = Hub::embedded().local_cache("list").build();
    let calls = Arc::new(AtomicU64::new(0));
    for _ in 0..100 {
        let calls = Arc::clone(&calls);
        let load = || async move {
            calls.fetch_add(1, SeqCst);
            Ok::<_, Broken>(Vec::new())
        };
        assert!(cache.get_or_load(&1, load).await.unwrap().is_empty());
    }
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test]
async fn flaw_7_an_absent_id_asks_the_database_once() {
    let (cache, source) = (products(&Hub::embedded()), Source::open());
    for _ in 0..100 {
        let source = source.clone();
        let load = || async move { source.load().await.map(|_| None) };
        assert_eq!(cache.find_or_load(&404, load).await.unwrap(), None);
    }
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn flaws_9_and_49_keys_that_read_alike_are_different_keys() {
    let cache: Cache<(String, String), u64> = Hub::embedded().local_cache("pair").build();
    let key = |a: &str, b: &str| (a.to_string(), b.to_string());
    cache.set(key("a:b", "c"), 1).await.unwrap();
    cache.set(key("a", "b:c"), 2).await.unwrap();
    cache.set(key("", "a:b:c"), 3).await.unwrap();
    assert_eq!(cache.get(&key("a:b", "c")).await, Some(1));
    assert_eq!((cache.get(&key("a", "b:c")).await, cache.stats().len), (Some(2), 3));
}

#[tokio::test]
async fn flaw_11_one_name_for_two_things_is_an_error() {
    let hub = Hub::embedded();
    let _users: Cache<u64, u64> = hub.local_cache("get").build();
    let orders = hub.local_cache::<u64, String>("get").try_build();
    assert_eq!(orders.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn flaw_16_a_load_that_read_the_old_row_does_not_outlive_the_delete() {
    let (cache, db) = (products(&Hub::embedded()), Db::new());
    db.write(1);
    let reader = {
        let (cache, db) = (cache.clone(), db.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || db.read()).await })
    };
    settle().await;
    db.write(2);
    cache.invalidate(&1).await.unwrap();
    db.answers.answer();
    assert_eq!(reader.await.unwrap().unwrap(), 1);
    assert_eq!(cache.get_or_load(&1, || db.read()).await.unwrap(), 2);
}

#[tokio::test]
async fn flaw_17_two_writers_who_invalidate_leave_no_older_value() {
    // Both orders of the invalidations, and a reader between any two steps.
    for first_to_tell in [0, 1] {
        for read_at in 0..4 {
            let (cache, db) = (products(&Hub::embedded()), Db::new());
            db.answers.answer();
            db.write(9);
            cache.get_or_load(&1, || db.read()).await.unwrap();
            let mut step = 0;
            for row in [10, 11] {
                if step == read_at {
                    cache.get_or_load(&1, || db.read()).await.unwrap();
                }
                db.write(row);
                step += 1;
            }
            for writer in [first_to_tell, 1 - first_to_tell] {
                if step == read_at {
                    cache.get_or_load(&1, || db.read()).await.unwrap();
                }
                cache.invalidate(&1).await.unwrap();
                step += 1;
                assert!(writer < 2);
            }
            assert_eq!(cache.get_or_load(&1, || db.read()).await.unwrap(), 11);
        }
    }
}

#[tokio::test]
async fn flaw_19_loads_are_shared_and_ttls_are_spread() {
    let clock = ManualClock::new();
    let cache = products(&hub_at(&clock));
    let mut ends = HashSet::new();
    for key in 0..50 {
        cache.set(key, key).await.unwrap();
        ends.insert(cache.explain(&key).await.memory.unwrap().kept_for);
    }
    assert!(ends.len() > 25, "{} different ends of 50 entries filled together", ends.len());
}

#[tokio::test]
async fn flaw_20_no_lock_is_left_of_a_key_that_was_loaded() {
    let (cache, source) = (products(&Hub::embedded()), Source::open());
    for key in 0..2001 {
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    assert_eq!(cache.stats().loading, 0);
    for key in 0..2001 {
        assert!(!cache.explain(&key).await.loading);
    }
}

#[tokio::test]
async fn flaw_21_a_failing_loader_is_called_once_for_all_who_wait() {
    let (cache, source) = (products(&Hub::embedded()), Source::waiting());
    source.fail();
    let waiters = (0..50).map(|_| {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
    });
    let waiters: Vec<_> = waiters.collect();
    settle().await;
    source.answer();
    for waiter in waiters {
        assert!(waiter.await.unwrap().is_err());
    }
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn flaw_22_a_short_lived_member_does_not_shorten_its_tag() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache = products(&hub);
    cache.entry(&1).tags(["t"]).ttl(secs(600)).set(1).await.unwrap();
    cache.entry(&2).tags(["t"]).ttl(secs(1)).set(2).await.unwrap();
    clock.advance(secs(62));
    assert_eq!((cache.get(&1).await, cache.get(&2).await), (Some(1), None));
    hub.invalidate_tag("t").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn flaw_23_a_member_that_joins_while_its_tag_is_invalidated_is_not_orphaned() {
    let hub = Hub::embedded();
    let (cache, source) = (products(&hub), Source::waiting());
    let joining = {
        let (cache, source) = (cache.clone(), source.clone());
        let load = |_| async move { source.load().await.map(|n| Loaded::new(n).tag("t")) };
        tokio::spawn(async move { cache.entry(&1).load_with(load).await })
    };
    settle().await;
    hub.invalidate_tag("t").await.unwrap();
    source.answer();
    joining.await.unwrap().unwrap();
    assert_eq!(cache.get(&1).await, None, "not kept beyond the reach of its tag");
    cache.entry(&1).tags(["t"]).set(5).await.unwrap();
    hub.invalidate_tag("t").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn flaw_25_a_tag_works_however_many_others_came_between() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("product").capacity(100).build();
    cache.entry(&1).tags(["old"]).set(1).await.unwrap();
    for n in 0..5000 {
        cache.entry(&2).tags([format!("tag:{n}")]).set(2).await.unwrap();
        cache.get(&1).await;
    }
    assert_eq!(cache.get(&1).await, Some(1));
    hub.invalidate_tag("old").await.unwrap();
    assert_eq!(cache.get(&1).await, None);
}

#[tokio::test]
async fn flaw_27_an_id_that_looks_like_a_pattern_is_only_itself() {
    let hub = Hub::embedded();
    let cache: Cache<String, u64> = hub.local_cache("product").build();
    let ids = ["*", "[a]", "\\", "?", "abc", "^", "-"];
    for id in ids {
        cache.entry(id).tags([id]).set(1).await.unwrap();
    }
    cache.invalidate("*").await.unwrap();
    hub.invalidate_tag("?").await.unwrap();
    let mut left = Vec::new();
    for id in ids {
        left.extend(cache.get(id).await.map(|_| id));
    }
    assert_eq!(left, ["[a]", "\\", "abc", "^", "-"]);
}

#[tokio::test]
async fn flaw_35_a_ttl_of_zero_is_refused_when_the_cache_is_built_not_after_a_load() {
    let zero = Hub::embedded().local_cache::<u64, u64>("product").ttl(secs(0)).try_build();
    assert_eq!(zero.unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn flaw_36_a_memory_is_bounded_and_what_has_expired_goes_unread() {
    let clock = ManualClock::new();
    let memory: Memory<u64, u64> = Memory::builder().capacity(10_000).ttl(ms(100)).clock(clock.clock()).build();
    for key in 0..20_000 {
        memory.insert(key, key);
        clock.advance(ms(1));
    }
    assert!(memory.len() < 200, "{} entries for 100 live ones", memory.len());
}

#[tokio::test]
async fn flaw_37_a_caller_who_edits_what_he_got_edits_his_own() {
    let cache: Cache<u64, Vec<String>> = Hub::embedded().local_cache("roles").build();
    let load = || async { Ok::<_, Broken>(vec!["reader".to_string()]) };
    let mut mine = cache.get_or_load(&1, load).await.unwrap();
    mine.push("admin".to_string());
    assert_eq!(cache.get(&1).await, Some(vec!["reader".to_string()]));
}

#[test]
fn flaw_39_threads_that_ask_at_once_make_one_call() {
    let (cache, calls) = (products(&Hub::embedded()), Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let asked = (0..200).map(|_| {
        let (cache, calls) = (cache.clone(), Arc::clone(&calls));
        let load = || async move {
            tokio::task::yield_now().await;
            Ok::<_, Broken>(calls.fetch_add(1, SeqCst))
        };
        runtime.spawn(async move { cache.get_or_load(&1, load).await })
    });
    let asked: Vec<_> = asked.collect();
    for one in asked {
        assert_eq!(runtime.block_on(one).unwrap().unwrap(), 0);
    }
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test]
async fn flaw_42_the_hit_rate_of_nothing_is_none_and_of_one_hit_is_one() {
    let cache = products(&Hub::embedded());
    assert_eq!(cache.stats().hit_rate(), None);
    cache.set(1, 1).await.unwrap();
    cache.get(&1).await;
    assert_eq!(cache.stats().hit_rate(), Some(1.0));
}

#[test]
fn flaw_44_no_count_is_lost_among_threads_and_stale_hits_and_errors_are_counted() {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache = hub.local_cache("product").ttl(secs(10)).jitter(0.0).stale_if_error(secs(60)).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let ask = |cache: &Cache<u64, u64>, works: bool| {
        let cache = cache.clone();
        runtime.spawn(async move {
            for key in 0..500 {
                let load = || async move { if works { Ok(key) } else { Err(Broken("down")) } };
                cache.get_or_load(&(key % 50), load).await.unwrap();
            }
        })
    };
    for works in [true, false] {
        let threads: Vec<_> = (0..8).map(|_| ask(&cache, works)).collect();
        for thread in threads {
            runtime.block_on(thread).unwrap();
        }
        clock.advance(secs(11));
    }
    let stats = cache.stats();
    assert_eq!(stats.hits + stats.misses, 2 * 8 * 500);
    assert_eq!((stats.loads, stats.load_errors, stats.stale_hits), (100, 50, 8 * 500));
    let told: Vec<_> = hub.stats().into_iter().map(|(name, _)| name).collect();
    assert_eq!(told, ["product"]);
}

#[tokio::test]
async fn flaw_45_a_hot_key_is_refreshed_though_it_is_read_all_the_time() {
    let (clock, source) = (ManualClock::new(), Source::open());
    let cache: Cache<u64, u64> = hub_at(&clock).local_cache("product").ttl(secs(60)).idle(secs(10)).build();
    for _ in 0..120 {
        clock.advance(secs(1));
        cache.get_or_load(&1, || source.load()).await.unwrap();
    }
    assert!((2..=3).contains(&source.calls()), "{} loads in two minutes of a minute each", source.calls());
}

#[tokio::test]
async fn flaw_46_what_is_dear_to_load_is_refreshed_earlier_than_what_is_cheap() {
    let mut refreshed = Vec::new();
    for cost in [ms(1), secs(20)] {
        let (clock, source) = (ManualClock::new(), Source::open());
        let cache = hub_at(&clock).local_cache("product").ttl(secs(60)).jitter(0.0);
        let cache: Cache<u64, u64> = cache.refresh_early(Early::XFetch { beta: 1.0 }).build();
        let slow = clock.clone();
        let load = || async move {
            slow.advance(cost);
            Ok::<_, Broken>(0)
        };
        cache.get_or_load(&1, load).await.unwrap();
        clock.advance(secs(50));
        for _ in 0..10 {
            cache.get_or_load(&1, || source.load()).await.unwrap();
            settle().await;
        }
        refreshed.push(source.calls() > 0);
    }
    assert_eq!(refreshed, [false, true]);
}

#[tokio::test]
async fn a_stale_value_served_for_an_error_is_never_passed_off_as_fresh() {
    let (clock, told) = (ManualClock::new(), Mutex::new(Vec::new()));
    let cache: Cache<u64, u64> = hub_at(&clock).local_cache("product").ttl(secs(10)).stale_if_error(secs(60)).build();
    cache.set(1, 1).await.unwrap();
    clock.advance(secs(11));
    for _ in 0..3 {
        let found = cache.entry(&1).load_with(|_| async { Err(Broken("down")) }).await.unwrap();
        told.lock().unwrap().push(found);
    }
    assert_eq!(*told.lock().unwrap(), vec![Lookup::Hit(1, Freshness::Stale); 3]);
}
