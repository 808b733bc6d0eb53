//! One load for all who ask: who leads, who waits, and what each of them is told.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tierce::{Cache, Hub, LoadError, Loaded};

use crate::fixture::{Broken, Source, secs, settle};

fn numbers(hub: &Hub) -> Cache<u64, u64> {
    hub.local_cache("number").build()
}

/// Starts callers of one key, and lets them all arrive.
async fn callers(
    cache: &Cache<u64, u64>,
    source: &Source,
    count: usize,
) -> Vec<tokio::task::JoinHandle<tierce::Result<u64, Broken>>> {
    let callers = (0..count).map(|_| {
        let (cache, source) = (cache.clone(), source.clone());
        tokio::spawn(async move { cache.get_or_load(&1, || source.load()).await })
    });
    let callers = callers.collect();
    // Each round lets some four thousand tasks have a turn.
    for _ in 0..=count / 1000 {
        settle().await;
    }
    callers
}

#[tokio::test]
async fn ten_thousand_callers_share_one_load() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    let all = callers(&cache, &source, 10_000).await;
    assert_eq!((source.calls(), cache.stats().loading), (1, 1));
    source.answer();
    for caller in all {
        assert_eq!(caller.await.unwrap().ok(), Some(1));
    }
    let stats = cache.stats();
    assert_eq!((source.calls(), stats.loads, stats.loading, stats.coalesced), (1, 1, 0, 9999));
    assert_eq!(cache.get(&1).await, Some(1));
}

#[tokio::test]
async fn a_failed_load_is_one_call_and_one_error_for_all_and_is_not_kept() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    source.fail();
    let all = callers(&cache, &source, 500).await;
    source.answer();
    for caller in all {
        let error = caller.await.unwrap().unwrap_err();
        assert_eq!(error.load(), Some(&Broken("down")));
        assert_eq!(error.to_string(), "load failed: down");
    }
    assert_eq!((source.calls(), cache.stats().load_errors), (1, 1));
    source.recover();
    assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_panic_is_a_typed_error_for_all() {
    async fn check(panics_in_call: bool, expected: &str) {
        let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
        let leader = {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move {
                let load = || {
                    assert!(!panics_in_call, "no loader today");
                    async move {
                        source.load().await?;
                        panic!("no load today")
                    }
                };
                cache.get_or_load(&1, load).await
            })
        };
        settle().await;
        let mut all = if panics_in_call { Vec::new() } else { callers(&cache, &Source::open(), 20).await };
        all.push(leader);
        source.answer();
        for caller in all {
            let error = caller.await.unwrap().unwrap_err();
            assert!(matches!(&error, LoadError::Panicked(text) if &**text == expected), "{error}");
        }
        assert_eq!((cache.stats().loading, cache.stats().load_errors), (0, 1));
        assert!(!cache.explain(&1).await.loading);
        assert_eq!(cache.get_or_load(&1, || Source::open().load()).await.unwrap(), 1);
    }
    check(true, "no loader today").await;
    check(false, "no load today").await;
}

#[tokio::test]
async fn a_panicking_weigher_is_a_typed_error_for_all_and_one_load() {
    let hub = Hub::embedded();
    let cache = hub.local_cache("number").max_weight(100, |_: &u64, _: &u64| panic!("no scales")).build();
    let source = Source::waiting();
    let all = callers(&cache, &source, 20).await;
    source.answer();
    for caller in all {
        let error = caller.await.unwrap().unwrap_err();
        assert!(matches!(&error, LoadError::Panicked(text) if &**text == "no scales"), "{error}");
    }
    assert_eq!((source.calls(), cache.stats().loading), (1, 0));
}

#[tokio::test]
async fn a_panicking_listener_takes_the_loaded_value_from_nobody() {
    let cache: Cache<u64, u64> =
        Hub::embedded().local_cache("number").capacity(1).listener(|_, _, _| panic!("no ears")).build();
    let source = Source::waiting();
    let _ = cache.set(7, 70).await;
    let all = callers(&cache, &source, 20).await;
    source.answer();
    for caller in all {
        assert_eq!(caller.await.unwrap().ok(), Some(1));
    }
    assert_eq!((source.calls(), cache.stats().loading), (1, 0));
}

#[tokio::test]
async fn a_cancelled_first_caller_is_noticed_by_nobody() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    let mut all = callers(&cache, &source, 10).await;
    let first = all.remove(0);
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    settle().await;
    source.answer();
    for caller in all {
        assert_eq!(caller.await.unwrap().ok(), Some(1));
    }
    assert_eq!(source.calls(), 1);
}

#[tokio::test]
async fn a_load_goes_on_when_all_its_callers_have_left() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    for caller in callers(&cache, &source, 10).await {
        caller.abort();
    }
    settle().await;
    source.answer();
    settle().await;
    assert_eq!((cache.get(&1).await, source.calls(), cache.stats().loading), (Some(1), 1, 0));
}

#[tokio::test]
async fn loads_of_different_keys_run_side_by_side() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    let all: Vec<_> = (0..100)
        .map(|key| {
            let (cache, source) = (cache.clone(), source.clone());
            tokio::spawn(async move { cache.get_or_load(&key, || source.load()).await })
        })
        .collect();
    settle().await;
    assert_eq!((source.calls(), cache.stats().loading), (100, 100));
    source.answer();
    for caller in all {
        assert!(caller.await.unwrap().is_ok());
    }
    assert_eq!((cache.stats().loading, cache.stats().len), (0, 100));
}

#[tokio::test]
async fn a_waiter_whose_error_type_is_another_loads_for_itself() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    source.fail();
    let leaders = callers(&cache, &source, 3).await;
    let other = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get_or_load(&1, || async { Ok::<u64, io::Error>(77) }).await })
    };
    settle().await;
    source.answer();
    for leader in leaders {
        assert_eq!(leader.await.unwrap().unwrap_err().load(), Some(&Broken("down")));
    }
    assert_eq!(other.await.unwrap().ok(), Some(77));
    assert_eq!((source.calls(), cache.get(&1).await), (1, Some(77)));
}

#[tokio::test]
async fn a_waiter_takes_the_value_of_a_load_with_another_error_type() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    let leader = callers(&cache, &source, 1).await.remove(0);
    let other = {
        let cache = cache.clone();
        let load = || async { Err::<u64, io::Error>(io::Error::other("not asked")) };
        tokio::spawn(async move { cache.get_or_load(&1, load).await })
    };
    settle().await;
    source.answer();
    assert_eq!((leader.await.unwrap().ok(), other.await.unwrap().ok()), (Some(1), Some(1)));
}

#[tokio::test]
async fn no_lookup_hears_of_a_key_that_only_shares_its_hash_slice() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::waiting());
    let held = callers(&cache, &source, 1).await;
    for key in 2..300 {
        assert_eq!(cache.get_or_load(&key, || async move { Ok::<_, Broken>(key) }).await.unwrap(), key);
    }
    source.answer();
    for caller in held {
        assert_eq!(caller.await.unwrap().ok(), Some(1));
    }
}

#[tokio::test]
async fn an_owned_key_is_made_only_to_load() {
    let cache: Cache<String, u64> = Hub::embedded().local_cache("text").build();
    assert_eq!(cache.get_or_load("a", || async { Ok::<_, Broken>(1) }).await.unwrap(), 1);
    assert_eq!((cache.get("a").await, cache.peek("a"), cache.get("b").await), (Some(1), Some(1), None));
    assert!(cache.touch("a").await.unwrap());
    cache.invalidate("a").await.unwrap();
    assert_eq!(cache.get("a").await, None);
}

#[tokio::test]
async fn a_loader_may_use_the_cache_it_loads_for() {
    let (hub, source) = (Hub::embedded(), Source::open());
    let cache = numbers(&hub);
    let (inner, inner_hub, inner_source) = (cache.clone(), hub.clone(), source.clone());
    let load = || async move {
        inner.set(2, 20).await.unwrap();
        inner.set(1, 10).await.unwrap();
        assert_eq!(inner.get(&1).await, Some(10));
        inner.mark_stale(&2).await.unwrap();
        inner.invalidate(&1).await.unwrap();
        inner.touch(&2).await.unwrap();
        inner_hub.invalidate_tag("anything").await.unwrap();
        let nested = inner.get_or_load(&3, || inner_source.load()).await;
        nested.map_err(|_| Broken("nested"))
    };
    assert_eq!(cache.get_or_load(&1, load).await.unwrap(), 1);
    assert_eq!((cache.get(&1).await, cache.get(&2).await, cache.get(&3).await), (None, None, Some(1)));
    assert_eq!(cache.get_or_load(&1, || source.load()).await.unwrap(), 2);
}

#[tokio::test]
async fn what_a_loader_sets_under_its_own_key_outlives_its_result() {
    let cache = numbers(&Hub::embedded());
    let inner = cache.clone();
    let load = || async move {
        inner.set(1, 10).await.unwrap();
        Ok::<_, Broken>(11)
    };
    assert_eq!(cache.get_or_load(&1, load).await.unwrap(), 11);
    assert_eq!((cache.get(&1).await, cache.stats().refused), (Some(10), 1));
}

#[tokio::test]
async fn a_listener_may_use_the_cache_that_tells_it() {
    use std::sync::OnceLock;
    let place: Arc<OnceLock<Cache<u64, u64>>> = Arc::default();
    let (inner, told) = (Arc::clone(&place), Arc::new(AtomicU64::new(0)));
    let ear = Arc::clone(&told);
    let cache = Hub::embedded().local_cache("number").capacity(4).listener(move |key: &u64, _, _| {
        ear.fetch_add(1, SeqCst);
        let cache = inner.get().expect("set before the first entry leaves");
        assert!(cache.stats().len <= 4);
        cache.peek(key);
        tierce::block_on(cache.invalidate(key)).expect("no store");
    });
    let cache = cache.build();
    assert!(place.set(cache.clone()).is_ok());
    for key in 0..50 {
        cache.get_or_load(&key, || async move { Ok::<_, Broken>(key) }).await.unwrap();
        if key % 10 == 9 {
            cache.invalidate(&key).await.unwrap();
        }
    }
    cache.purge().await.unwrap();
    assert_eq!(told.load(SeqCst), 50);
}

#[tokio::test]
async fn a_value_given_without_being_kept_is_loaded_again() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::open());
    for expected in 1..=3 {
        let source = source.clone();
        let found =
            cache.entry(&1).load_with(|_| async move { source.load().await.map(|n| Loaded::new(n).do_not_keep()) });
        assert_eq!(found.await.unwrap().into_value(), Some(expected));
        assert_eq!(cache.get(&1).await, None);
    }
    assert_eq!(cache.stats().len, 0);
}

#[tokio::test]
async fn an_error_is_cheap_to_clone_and_says_its_source() {
    use std::error::Error;
    let cache = numbers(&Hub::embedded());
    let error = cache.get_or_load(&1, || async { Err(Broken("down")) }).await.unwrap_err();
    let copy = error.clone();
    assert_eq!(copy.source().unwrap().to_string(), "down");
    assert_eq!(format!("{copy:?}"), "Load(Broken(\"down\"))");
    assert!(LoadError::<Broken>::Timeout.source().is_none());
    let from: LoadError<Broken> = Broken("x").into();
    assert_eq!(from.load(), Some(&Broken("x")));
}

#[test]
fn a_lookup_that_must_load_outside_any_runtime_says_what_to_do() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    let cache = numbers(&Hub::embedded());
    let poll = || pin!(cache.get_or_load(&1, || Source::open().load())).poll(&mut Context::from_waker(Waker::noop()));
    let text = crate::fixture::panic_text(&*std::panic::catch_unwind(std::panic::AssertUnwindSafe(poll)).unwrap_err());
    assert!(text.starts_with("no runtime here"), "{text}");
    let mut set = pin!(cache.set(1, 10));
    assert!(matches!(set.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))));
    assert!(matches!(poll(), Poll::Ready(Ok(10))), "a hit needs none");
}

#[tokio::test(start_paused = true)]
async fn a_flight_leaves_nothing_behind() {
    let (cache, source) = (numbers(&Hub::embedded()), Source::open());
    for key in 0..200 {
        source.fail();
        let _ = cache.get_or_load(&key, || source.load()).await;
        source.recover();
        cache.get_or_load(&key, || source.load()).await.unwrap();
    }
    let stats = cache.stats();
    assert_eq!((stats.loading, stats.loads, stats.load_errors), (0, 400, 200));
    for key in 0..200 {
        assert!(!cache.explain(&key).await.loading);
    }
    tokio::time::timeout(secs(1), cache.purge()).await.unwrap().unwrap();
}

type Dynamic = Box<dyn std::error::Error + Send + Sync>;

async fn ask_of(cache: &Cache<u64, u64>) -> Result<u64, Dynamic> {
    Ok(cache.get_or_load(&1, || async { Err(Broken("down")) }).await?)
}

#[tokio::test]
async fn a_load_error_goes_into_a_box_of_any_error_and_names_its_source() {
    let error = ask_of(&numbers(&Hub::embedded())).await.unwrap_err();
    assert_eq!(error.to_string(), "load failed: down");
    assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&Broken("down")));
    let known = error.downcast_ref::<LoadError<Broken>>().and_then(LoadError::load);
    assert_eq!(known, Some(&Broken("down")));
}

/// A loader whose error is no `Error` itself, but has one inside: a box, or what `anyhow` makes.
async fn ask_boxed(cache: &Cache<u64, u64>) -> Result<u64, Dynamic> {
    let load = || async { Err::<u64, Dynamic>(Box::new(Broken("down"))) };
    Ok(cache.get_or_load(&1, load).await.map_err(LoadError::into_error)?)
}

#[tokio::test]
async fn a_load_error_of_a_boxed_error_goes_into_a_box_too() {
    let cache = numbers(&Hub::embedded());
    let error = ask_boxed(&cache).await.unwrap_err();
    assert_eq!(
        (error.to_string(), format!("{error:?}")),
        ("load failed: down".into(), "Load(Broken(\"down\"))".into())
    );
    assert_eq!(error.source().and_then(|source| source.downcast_ref()), Some(&Broken("down")));
    let text = cache.get_or_load(&1, || async { Err("only a word") }).await.unwrap_err();
    assert_eq!(text.to_string(), "load failed: only a word");
    let panics: LoadError<Dynamic> = cache.get_or_load(&1, || async { panic!("ouch") }).await.unwrap_err();
    let panics: Dynamic = panics.into_error().into();
    assert!(panics.source().is_none() && panics.to_string().ends_with("panicked: ouch"), "{panics}");
}
