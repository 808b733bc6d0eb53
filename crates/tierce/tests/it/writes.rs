//! Writes through a cache: what two writers, readers in between and a writer who vanishes may leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tierce::{Cache, Hold, Hub, Loaded, Reason, WriteError};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use crate::fixture::{Broken, Source, hub_at, secs, settle};

fn numbers() -> (Hub, Cache<u64, u64>) {
    let hub = Hub::embedded();
    let cache = hub.local_cache("number").build();
    (hub, cache)
}

async fn load_of(cache: &Cache<u64, u64>, value: u64) -> u64 {
    cache.get_or_load(&1, || async move { Ok::<_, Broken>(value) }).await.unwrap()
}

fn reader(cache: &Cache<u64, u64>, source: &Source) -> JoinHandle<tierce::Result<u64, Broken>> {
    let (cache, source) = (cache.clone(), source.clone());
    tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
}

#[tokio::test]
async fn what_a_write_gave_is_kept_and_read_without_a_load() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    assert_eq!(cache.set_through(&1, || async { Ok::<_, Broken>(20) }).await, Ok(20));
    assert_eq!((cache.get(&1).await, cache.stats().loads), (Some(20), 0));
}

#[tokio::test]
async fn the_old_value_is_served_until_the_write_has_returned() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    let reader = cache.clone();
    let write = || async move { Ok::<_, Broken>(reader.get(&1).await.unwrap() + 1) };
    assert_eq!(cache.set_through(&1, write).await, Ok(11));
}

#[tokio::test]
async fn a_write_that_fails_ends_the_entry_and_its_error_is_the_callers() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    let failed = cache.set_through(&1, || async { Err(Broken("full")) }).await.unwrap_err();
    assert_eq!(failed, WriteError::Source(Broken("full")));
    assert_eq!(failed.to_string(), "write failed: full");
    assert_eq!(cache.get(&1).await, None);
    assert_eq!(cache.explain(&1).await.last_gone, Reason::Invalidated);
}

#[tokio::test]
async fn a_write_may_say_tags_a_ttl_and_that_there_is_no_value_now() {
    let clock = tierce::ManualClock::new();
    let hub = hub_at(&clock);
    let cache = hub.local_cache::<u64, u64>("number").ttl(secs(100)).build();
    let write = || async { Ok::<_, Broken>(Loaded::new(5).tag("five").ttl(secs(3))) };
    assert_eq!(cache.entry(&1).tags(["all"]).set_through_with(write).await, Ok(Some(5)));
    let tags = cache.explain(&1).await.memory.unwrap().tags;
    assert_eq!(tags, ["all", "five"]);
    clock.advance(secs(4));
    assert_eq!(cache.get(&1).await, None);

    let gone = || async { Ok::<_, Broken>(Loaded::absent()) };
    assert_eq!(cache.entry(&1).set_through_with(gone).await, Ok(None));
    assert!(cache.explain(&1).await.memory.unwrap().negative);
}

#[tokio::test]
async fn of_two_writers_at_once_neither_sets_and_the_source_is_asked() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    let source = Arc::new(AtomicU64::new(10));
    let committed = Arc::new(Barrier::new(2));
    let write = |value, last: bool| {
        let (cache, source, committed) = (cache.clone(), Arc::clone(&source), Arc::clone(&committed));
        tokio::spawn(async move {
            let write = || async {
                if last {
                    committed.wait().await;
                }
                source.store(value, SeqCst);
                if !last {
                    committed.wait().await;
                    // The other commits and tells the cache before this one does.
                    settle().await;
                }
                Ok::<_, Broken>(value)
            };
            cache.set_through(&1, write).await
        })
    };
    let (first, second) = (write(20, false), write(30, true));
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(20), Ok(30)));
    assert_eq!(cache.peek(&1), None);
    assert_eq!(load_of(&cache, source.load(SeqCst)).await, 30);
}

#[tokio::test]
async fn a_writer_who_was_alone_sets_after_two_who_were_not() {
    let (_, cache) = numbers();
    let (first, second) = (cache.hold(&1).await.unwrap(), cache.hold(&1).await.unwrap());
    assert_eq!((first.set(20).await, second.set(30).await), (Ok(false), Ok(false)));
    assert_eq!(cache.hold(&1).await.unwrap().set(40).await, Ok(true));
    assert_eq!(cache.get(&1).await, Some(40));
}

/// What else may happen to a key while a writer holds it.
async fn check_disturbed(by: &str) {
    let (hub, cache) = numbers();
    let hold = cache.entry(&1).tags(["t"]).hold().await.unwrap();
    match by {
        "invalidate" => cache.invalidate(&1).await.unwrap(),
        "mark_stale" => cache.mark_stale(&1).await.unwrap(),
        "set" => cache.set(1, 10).await.unwrap(),
        "load" => assert_eq!(load_of(&cache, 10).await, 10),
        "invalidate_where" => assert_eq!(cache.invalidate_where(|key| *key == 1), Ok(0)),
        "tag" => hub.invalidate_tag("t").await.unwrap(),
        "purge" => cache.purge().await.unwrap(),
        _ => hub.purge().await.unwrap(),
    }
    drop(hold.set(20).await);
    assert_eq!(cache.get(&1).await, None, "{by}");
}

#[tokio::test]
async fn a_value_is_not_set_over_what_happened_to_its_key_meanwhile() {
    for by in ["invalidate", "mark_stale", "set", "load", "invalidate_where", "tag", "purge", "hub purge"] {
        check_disturbed(by).await;
    }
}

#[tokio::test]
async fn no_load_is_kept_while_a_writer_holds_the_key() {
    let (_, cache) = numbers();
    let hold = cache.hold(&1).await.unwrap();
    assert!(cache.explain(&1).await.held);
    assert_eq!(load_of(&cache, 10).await, 10);
    assert_eq!((cache.peek(&1), cache.stats().refused), (None, 1));
    hold.unchanged();
    assert!(!cache.explain(&1).await.held);
    assert_eq!(load_of(&cache, 11).await, 11);
    assert_eq!(cache.peek(&1), Some(11));
}

/// A load that began under a hold and ends after it.
async fn check_load_across(end: impl AsyncFnOnce(Hold<u64, u64>), left: Option<u64>) {
    let (_, cache) = numbers();
    let source = Source::waiting();
    let hold = cache.hold(&1).await.unwrap();
    let early = reader(&cache, &source);
    settle().await;
    end(hold).await;
    let late = (left.is_none()).then(|| reader(&cache, &source));
    settle().await;
    source.answer();
    assert_eq!(early.await.unwrap().unwrap(), 1);
    match late {
        Some(late) => assert_eq!(late.await.unwrap().unwrap(), 2, "who comes after the end joins no load from before"),
        None => assert_eq!(cache.peek(&1), left),
    }
}

#[tokio::test]
async fn a_load_from_before_the_end_of_a_hold_is_neither_kept_nor_joined() {
    check_load_across(async |hold| assert_eq!(hold.set(7).await, Ok(true)), Some(7)).await;
    check_load_across(async |hold| hold.invalidate().await.unwrap(), None).await;
    check_load_across(async |hold| hold.unchanged(), None).await;
    check_load_across(async |hold| drop(hold), None).await;
}

/// Seed 80488 of the simulation.
#[tokio::test]
async fn what_a_detached_load_saw_of_a_commit_is_followed_by_nothing_older() {
    let (_, cache) = numbers();
    let source = Source::waiting();
    let early = reader(&cache, &source);
    settle().await;
    cache.set(1, 10).await.unwrap(); // detaches the load
    let hold = cache.hold(&1).await.unwrap();
    source.answer(); // after the commit, before it is told: the load reads the new row
    assert_eq!(early.await.unwrap().unwrap(), 1);
    assert_eq!(cache.peek(&1), None, "the value from before the commit is not served after it");
    hold.invalidate().await.unwrap();
}

#[tokio::test]
async fn a_writer_who_is_cancelled_after_the_commit_leaves_nothing_old() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    let writer = tokio::spawn({
        let cache = cache.clone();
        async move { cache.set_through(&1, std::future::pending::<Result<u64, Broken>>).await }
    });
    settle().await;
    assert_eq!(cache.get(&1).await, Some(10));
    writer.abort();
    assert!(writer.await.unwrap_err().is_cancelled());
    assert_eq!(cache.get(&1).await, None);
    assert!(!cache.explain(&1).await.held);
}

#[tokio::test]
async fn a_panic_of_the_weigher_at_the_end_of_a_write_ends_the_entry_and_the_hold() {
    let weigh = |_: &u64, value: &u64| if *value == 13 { panic!("unlucky") } else { 1 };
    let cache = Hub::embedded().local_cache::<u64, u64>("number").max_weight(100, weigh).build();
    cache.set(1, 10).await.unwrap();
    let writer = tokio::spawn({
        let cache = cache.clone();
        async move { cache.set_through(&1, || async { Ok::<_, Broken>(13) }).await }
    });
    assert!(writer.await.unwrap_err().is_panic());
    assert_eq!((cache.peek(&1), cache.explain(&1).await.held), (None, false));
    assert_eq!((load_of(&cache, 14).await, cache.peek(&1)), (14, Some(14)));
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_leaves_what_was_cached() {
    let (_, cache) = numbers();
    cache.set(1, 10).await.unwrap();
    cache.hold(&1).await.unwrap().unchanged();
    assert_eq!(cache.get(&1).await, Some(10));
}

#[tokio::test]
async fn holds_of_several_keys_wait_for_nobody() {
    let (_, cache) = numbers();
    let mut holds = Vec::new();
    for key in [1, 2, 3, 2, 1] {
        holds.push(cache.hold(&key).await.unwrap());
    }
    for hold in holds {
        hold.invalidate().await.unwrap();
    }
    for key in [1, 2, 3] {
        assert!(!cache.explain(&key).await.held);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_and_a_thousand_readers_never_leave_the_older_value() {
    const ROUNDS: u64 = 200;
    let (_, cache) = numbers();
    // The source: who adds, commits.
    let source = Arc::new(AtomicU64::new(0));
    let write = || {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let write = || async {
                    let new = source.fetch_add(1, SeqCst) + 1;
                    tokio::task::yield_now().await;
                    Ok::<_, Broken>(new)
                };
                let written = cache.set_through(&1, write).await.unwrap();
                let seen = read(&cache, &source).await;
                assert!(seen >= written, "{seen} was read after {written} had been written");
            }
        })
    };
    let writers = [write(), write()];
    let readers: Vec<_> = (0..1000)
        .map(|_| {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            tokio::spawn(async move {
                let mut newest = 0;
                for _ in 0..20 {
                    let seen = read(&cache, &source).await;
                    assert!(seen >= newest, "{seen} was read after {newest}");
                    newest = seen;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(readers) {
        task.await.unwrap();
    }
    assert_eq!(read(&cache, &source).await, 2 * ROUNDS);
}

async fn read(cache: &Cache<u64, u64>, source: &Arc<AtomicU64>) -> u64 {
    let source = Arc::clone(source);
    let load = || async move {
        let seen = source.load(SeqCst);
        tokio::task::yield_now().await;
        Ok::<_, Broken>(seen)
    };
    cache.get_or_load(&1, load).await.unwrap()
}
