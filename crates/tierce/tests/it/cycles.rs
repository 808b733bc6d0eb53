//! Loads that wait for themselves end with an error, at once where it can be seen; loads that only meet do not.

use std::collections::HashMap;
use std::sync::Arc;

use tierce::{Cache, Hub, LoadError};
use tokio::time::timeout;

use crate::fixture::{Broken, Source, secs, settle};

type Text = Cache<String, u64>;
/// Which keys the load of a key looks up, one after the other, in which of two caches.
type Needs = Arc<HashMap<At, Vec<At>>>;
/// A cache's number and a key.
type At = (usize, &'static str);

const CYCLE: &str = "load waits for itself";

fn ask(caches: &[Text; 2], needs: &Needs, at: At) -> Ask {
    let (caches, needs) = (caches.clone(), Arc::clone(needs));
    Box::pin(async move {
        let cache = caches[at.0].clone();
        let load = || async move {
            let mut sum = 1;
            for next in needs.get(&at).into_iter().flatten() {
                // Lets loads that began together be in the middle of it together.
                tokio::task::yield_now().await;
                sum += ask(&caches, &needs, *next).await?;
            }
            Ok::<_, String>(sum)
        };
        cache.get_or_load(at.1, load).await.map_err(|error| error.to_string())
    })
}

type Ask = std::pin::Pin<Box<dyn Future<Output = Result<u64, String>> + Send>>;

/// Asks for the first key (or for all at once), and sums up the loads; `None` is a cycle somewhere.
async fn check(needs: &[(At, &[At])], at_once: bool, expected: Option<u64>) {
    let hub = Hub::embedded();
    let caches: [Text; 2] = [hub.local_cache("first").build(), hub.local_cache("second").build()];
    let table: Needs = Arc::new(needs.iter().map(|(key, needs)| (*key, needs.to_vec())).collect());
    let asked = &needs[..if at_once { needs.len() } else { 1 }];
    let all: Vec<_> = asked.iter().map(|(key, _)| tokio::spawn(ask(&caches, &table, *key))).collect();
    let mut results = Vec::new();
    for one in all {
        let one = timeout(secs(5), one).await;
        results.push(one.unwrap_or_else(|_| panic!("{needs:?} waits for its deadline")).unwrap());
    }
    match expected {
        Some(sum) => assert_eq!(results[0], Ok(sum), "{needs:?}"),
        None => assert!(
            results.iter().any(|result| result.as_ref().is_err_and(|error| error.contains(CYCLE))),
            "{needs:?}: {results:?}"
        ),
    }
    for cache in &caches {
        assert_eq!(cache.stats().loading, 0, "{needs:?}");
        for (key, _) in needs {
            assert!(!cache.explain(key.1).await.loading);
            assert_eq!(cache.refresh(key.1, || async { Ok::<_, Broken>(9) }).await.unwrap(), 9, "the keys are free");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_looks_up_its_own_key_is_told_so() {
    check(&[((0, "a"), &[(0, "a")])], false, None).await;
    check(&[((0, "a"), &[(0, "b"), (0, "a")])], false, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_loads_is_told_so_within_and_across_caches() {
    for at_once in [false, true] {
        check(&[((0, "a"), &[(0, "b")]), ((0, "b"), &[(0, "a")])], at_once, None).await;
        check(&[((0, "a"), &[(1, "a")]), ((1, "a"), &[(0, "a")])], at_once, None).await;
        check(
            &[((0, "a"), &[(0, "b")]), ((0, "b"), &[(1, "c")]), ((1, "c"), &[(1, "d")]), ((1, "d"), &[(0, "a")])],
            at_once,
            None,
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn loads_that_meet_in_a_third_are_no_circle() {
    for at_once in [false, true] {
        check(&[((0, "a"), &[(0, "c")]), ((0, "b"), &[(0, "c")]), ((0, "c"), &[])], at_once, Some(2)).await;
        let diamond: &[(At, &[At])] = &[
            ((0, "top"), &[(0, "left"), (1, "right")]),
            ((0, "left"), &[(0, "bottom")]),
            ((1, "right"), &[(0, "bottom")]),
        ];
        check(diamond, at_once, Some(5)).await;
        check(&[((0, "a"), &[(1, "a")]), ((1, "b"), &[(0, "b")])], at_once, Some(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn branches_of_one_load_may_wait_for_the_same_key() {
    let cache: Text = Hub::embedded().local_cache("text").build();
    let inner = cache.clone();
    let load = || async move {
        let branch = || inner.get_or_load("b", || Source::open().load());
        let (one, other) = tokio::join!(branch(), branch());
        Ok::<_, LoadError<Broken>>(one? + other?)
    };
    let got = timeout(secs(5), cache.get_or_load("a", load)).await.expect("no deadlock");
    assert_eq!(got.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_of_ones_own_key_is_a_cycle_too() {
    let cache: Text = Hub::embedded().local_cache("text").build();
    let inner = cache.clone();
    let load = || async move { inner.refresh("a", || Source::open().load()).await };
    let got = timeout(secs(5), cache.get_or_load("a", load)).await.expect("no deadlock");
    let error = got.unwrap_err();
    assert!(matches!(error.load(), Some(LoadError::Cycle)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_given_up_closes_no_circle() {
    let cache: Text = Hub::embedded().local_cache("text").build();
    let source = Source::waiting();
    let (inner, held) = (cache.clone(), source.clone());
    // "a" waits for "b" for a while, gives up, and goes on; then "b" waits for "a".
    let a = cache.clone();
    let first = tokio::spawn(async move {
        let load = || async move {
            let given_up = inner.entry("b").timeout(secs(1)).get_or_load(|| held.load()).await;
            assert!(matches!(given_up, Err(LoadError::Timeout)));
            tokio::time::sleep(secs(3)).await;
            Ok::<_, Broken>(10)
        };
        a.get_or_load("a", load).await
    });
    settle().await;
    tokio::time::advance(secs(2)).await;
    settle().await;
    cache.invalidate("b").await.unwrap();
    let inner = cache.clone();
    let load = || async move { inner.get_or_load("a", || Source::open().load()).await };
    let second = timeout(secs(10), cache.get_or_load("b", load)).await.expect("no deadlock");
    assert_eq!((second.unwrap(), first.await.unwrap().unwrap()), (10, 10));
}

#[tokio::test(start_paused = true)]
async fn a_circle_through_spawned_tasks_ends_at_the_deadline() {
    let cache: Text = Hub::embedded().local_cache("text").load_deadline(secs(2)).build();
    let inner = cache.clone();
    let load = || async move {
        let hidden = tokio::spawn(async move { inner.get_or_load("a", || Source::open().load()).await });
        hidden.await.unwrap().map_err(|error| error.to_string())
    };
    let got = timeout(secs(5), cache.get_or_load("a", load)).await.expect("the deadline comes first");
    assert!(matches!(got, Err(LoadError::Timeout)), "{got:?}");
    assert_eq!(cache.stats().loading, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn circles_closed_from_two_threads_at_once_are_seen_too() {
    for _ in 0..200 {
        check(&[((0, "a"), &[(0, "b")]), ((0, "b"), &[(0, "a")])], true, None).await;
    }
}
