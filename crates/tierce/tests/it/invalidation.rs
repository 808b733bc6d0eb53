//! An invalidation wins against every load that began before it.

use tierce::{Cache, Freshness, Hub, Loaded, Lookup};
use tokio::task::JoinHandle;

use crate::fixture::{Broken, Source, settle};

type Caller = JoinHandle<tierce::Result<u64, Broken>>;

struct Stage {
    hub: Hub,
    cache: Cache<u64, u64>,
    source: Source,
}

fn stage() -> Stage {
    let hub = Hub::embedded();
    Stage { cache: hub.local_cache("number").build(), hub, source: Source::waiting() }
}

/// How values get the tag "t".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tagged {
    No,
    ByArguments,
    ByResult,
}

impl Stage {
    async fn caller(&self, tagged: Tagged) -> Caller {
        let (cache, source) = (self.cache.clone(), self.source.clone());
        let caller = tokio::spawn(async move {
            let entry = cache.entry(&1);
            match tagged {
                Tagged::No => entry.get_or_load(|| source.load()).await,
                Tagged::ByArguments => entry.tags(["t"]).get_or_load(|| source.load()).await,
                Tagged::ByResult => {
                    let load = |_| async move { Ok(Loaded::new(source.load().await?).tag("t")) };
                    entry.load_with(load).await.map(|found| found.into_value().expect("a value"))
                }
            }
        });
        settle().await;
        caller
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Invalidate,
    MarkStale,
    Purge,
    HubPurge,
    Tag,
}

async fn end(stage: &Stage, ending: Ending) {
    match ending {
        Ending::Invalidate => stage.cache.invalidate(&1).await,
        Ending::MarkStale => stage.cache.mark_stale(&1).await,
        Ending::Purge => stage.cache.purge().await,
        Ending::HubPurge => stage.hub.purge().await,
        Ending::Tag => stage.hub.invalidate_tag("t").await,
    }
    .unwrap();
}

const ENDINGS: [(Ending, Tagged); 7] = [
    (Ending::Invalidate, Tagged::No),
    (Ending::MarkStale, Tagged::No),
    (Ending::Purge, Tagged::No),
    (Ending::Purge, Tagged::ByResult),
    (Ending::HubPurge, Tagged::No),
    (Ending::Tag, Tagged::ByArguments),
    (Ending::Tag, Tagged::ByResult),
];

#[tokio::test]
async fn whoever_comes_after_an_invalidation_gets_what_was_loaded_after_it() {
    for (ending, tagged) in ENDINGS {
        let stage = stage();
        let before = stage.caller(tagged).await;
        end(&stage, ending).await;
        let after = stage.caller(tagged).await;
        stage.source.answer();
        let got = (before.await.unwrap().unwrap(), after.await.unwrap().unwrap());
        assert_eq!(got, (1, 2), "{ending:?}, {tagged:?}");
        assert_eq!((stage.cache.get(&1).await, stage.source.calls()), (Some(2), 2), "{ending:?}, {tagged:?}");
        assert_eq!((stage.cache.stats().refused, stage.cache.stats().loading), (1, 0), "{ending:?}, {tagged:?}");
    }
}

#[tokio::test]
async fn what_was_invalidated_while_it_was_loaded_is_not_kept() {
    for (ending, tagged) in ENDINGS {
        let stage = stage();
        let before = stage.caller(tagged).await;
        end(&stage, ending).await;
        stage.source.answer();
        assert_eq!(before.await.unwrap().unwrap(), 1, "{ending:?}, {tagged:?}");
        assert_eq!((stage.cache.get(&1).await, stage.cache.stats().len), (None, 0), "{ending:?}, {tagged:?}");
    }
}

#[tokio::test]
async fn an_entry_is_gone_once_its_end_was_told() {
    for (ending, tagged) in ENDINGS {
        let stage = stage();
        stage.source.answer();
        stage.caller(tagged).await.await.unwrap().unwrap();
        assert_eq!(stage.cache.get(&1).await, Some(1));
        end(&stage, ending).await;
        assert_eq!((stage.cache.get(&1).await, stage.cache.peek(&1)), (None, None), "{ending:?}, {tagged:?}");
        assert!(matches!(stage.cache.lookup(&1).await, Lookup::Miss(_)), "{ending:?}, {tagged:?}");
        assert_eq!(stage.caller(tagged).await.await.unwrap().unwrap(), 2);
        assert_eq!(stage.cache.get(&1).await, Some(2));
    }
}

#[tokio::test]
async fn an_ending_of_something_else_ends_nothing() {
    let stage = stage();
    stage.source.answer();
    stage.caller(Tagged::ByResult).await.await.unwrap().unwrap();
    stage.cache.invalidate(&2).await.unwrap();
    stage.cache.mark_stale(&2).await.unwrap();
    stage.hub.invalidate_tag("other").await.unwrap();
    stage.hub.local_cache::<u64, u64>("elsewhere").build().purge().await.unwrap();
    assert_eq!(stage.cache.get(&1).await, Some(1));
    let before = stage.source.calls();
    assert_eq!(stage.caller(Tagged::ByResult).await.await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn a_set_during_a_load_stands_and_the_load_is_not_kept() {
    let stage = stage();
    let before = stage.caller(Tagged::No).await;
    stage.cache.set(1, 100).await.unwrap();
    assert_eq!(stage.caller(Tagged::No).await.await.unwrap().unwrap(), 100);
    stage.source.answer();
    assert_eq!(before.await.unwrap().unwrap(), 1);
    assert_eq!((stage.cache.get(&1).await, stage.cache.stats().refused), (Some(100), 1));
}

#[tokio::test]
async fn a_set_absence_during_a_load_stands() {
    let stage = stage();
    let before = stage.caller(Tagged::No).await;
    stage.cache.entry(&1).set_absent().await.unwrap();
    stage.source.answer();
    assert_eq!(before.await.unwrap().unwrap(), 1);
    assert_eq!(stage.cache.lookup(&1).await, Lookup::Negative(Freshness::Fresh));
}

#[tokio::test]
async fn a_waiter_who_came_after_its_result_tag_was_invalidated_looks_again() {
    let stage = stage();
    // Nobody knows yet that the result will be tagged: the late waiter joins the load.
    let leader = stage.caller(Tagged::ByResult).await;
    stage.hub.invalidate_tag("t").await.unwrap();
    let late = stage.caller(Tagged::ByResult).await;
    assert_eq!((stage.source.calls(), stage.cache.stats().coalesced), (1, 1));
    stage.source.answer();
    assert_eq!((leader.await.unwrap().unwrap(), late.await.unwrap().unwrap()), (1, 2));
    assert_eq!(stage.cache.get(&1).await, Some(2));
}

#[tokio::test]
async fn a_waiter_with_a_tag_of_its_own_does_not_join_a_load_from_before_its_invalidation() {
    let stage = stage();
    let leader = stage.caller(Tagged::No).await;
    stage.hub.invalidate_tag("t").await.unwrap();
    let late = stage.caller(Tagged::ByArguments).await;
    stage.source.answer();
    assert_eq!((leader.await.unwrap().unwrap(), late.await.unwrap().unwrap()), (1, 2));
}

#[tokio::test]
async fn one_load_runs_between_two_invalidations_however_many_ask() {
    let stage = stage();
    let mut all = Vec::new();
    for _ in 0..5 {
        for _ in 0..10 {
            all.push(stage.caller(Tagged::No).await);
        }
        stage.cache.invalidate(&1).await.unwrap();
    }
    assert_eq!(stage.source.calls(), 5);
    stage.source.answer();
    for (at, caller) in all.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap().unwrap(), at as u64 / 10 + 1);
    }
    assert_eq!(stage.cache.get(&1).await, None, "the last invalidation came after every load");
}

#[tokio::test]
async fn a_purge_frees_the_entries_of_its_own_cache_only() {
    let hub = Hub::embedded();
    let (one, other) = (hub.local_cache::<u64, u64>("one").build(), hub.local_cache::<u64, u64>("other").build());
    for key in 0..100 {
        one.set(key, key).await.unwrap();
        other.set(key, key).await.unwrap();
    }
    one.purge().await.unwrap();
    assert_eq!((one.stats().len, one.stats().removals.purged, other.stats().len), (0, 100, 100));
    assert_eq!((one.get(&1).await, other.get(&1).await), (None, Some(1)));
    one.set(1, 5).await.unwrap();
    hub.purge().await.unwrap();
    assert_eq!((one.get(&1).await, other.get(&1).await, other.stats().len), (None, None, 0));
}
