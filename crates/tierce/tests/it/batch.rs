//! Many keys in one call: one load for what is missing, and every promise for each id.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use tierce::{Cache, CacheBuilder, Freshness, Hub, LoadError, Loaded, Lookup, ManualClock, Partial, Reason};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::fixture::{Broken, Source, hub_at, ms, secs, settle};

/// Ids from here on have no value.
const NOBODY: u64 = 900;

/// A source of many: the n-th load brings `1000 * id + n`, and notes what it was asked.
#[derive(Clone)]
struct Shelf(Arc<State>);

struct State {
    asked: Mutex<Vec<Vec<u64>>>,
    failing: AtomicBool,
    open: watch::Sender<bool>,
}

impl Shelf {
    fn open() -> Self {
        let (asked, failing) = (Mutex::default(), AtomicBool::new(false));
        Shelf(Arc::new(State { asked, failing, open: watch::Sender::new(true) }))
    }

    fn waiting() -> Self {
        let shelf = Shelf::open();
        shelf.0.open.send_replace(false);
        shelf
    }

    fn answer(&self) {
        self.0.open.send_replace(true);
    }

    fn fail(&self, failing: bool) {
        self.0.failing.store(failing, SeqCst);
    }

    /// The ids of each load.
    fn asked(&self) -> Vec<Vec<u64>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn load(&self, ids: Vec<u64>) -> impl Future<Output = Result<HashMap<u64, u64>, Broken>> + Send + 'static + use<> {
        let shelf = self.clone();
        async move {
            let number = {
                let mut asked = shelf.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.push(ids.clone());
                asked.len() as u64
            };
            shelf.0.open.subscribe().wait_for(|open| *open).await.expect("the shelf holds the sender");
            if shelf.0.failing.load(SeqCst) {
                return Err(Broken("down"));
            }
            Ok(ids.into_iter().filter(|id| *id < NOBODY).map(|id| (id, 1000 * id + number)).collect())
        }
    }
}

struct Stage {
    clock: ManualClock,
    hub: Hub,
    cache: Cache<u64, u64>,
    shelf: Shelf,
}

fn stage(options: impl FnOnce(CacheBuilder<u64, u64>) -> CacheBuilder<u64, u64>, shelf: Shelf) -> Stage {
    let clock = ManualClock::new();
    let hub = hub_at(&clock);
    let cache = options(hub.local_cache("number").ttl(secs(10)).jitter(0.0)).build();
    Stage { clock, hub, cache, shelf }
}

type Found = Result<Vec<Option<u64>>, Partial<u64, Broken>>;

impl Stage {
    async fn ask(&self, ids: &[u64]) -> Found {
        self.cache.get_many_or_load(ids, |ids| self.shelf.load(ids)).await
    }

    fn spawn(&self, ids: &[u64]) -> tokio::task::JoinHandle<Found> {
        let (cache, shelf, ids) = (self.cache.clone(), self.shelf.clone(), ids.to_vec());
        tokio::spawn(async move { cache.get_many_or_load(&ids, |ids| shelf.load(ids)).await })
    }
}

#[tokio::test]
async fn get_many_gives_what_is_here_and_fresh_in_the_order_of_the_ids() {
    let stage = stage(|cache| cache.stale_if_error(secs(100)), Shelf::open());
    stage.cache.set_many([(1, 10), (2, 20)]).await.unwrap();
    stage.cache.entry(&4).set_absent().await.unwrap();
    assert_eq!(stage.cache.get_many(&[2, 3, 1, 2, 4]).await, [Some(20), None, Some(10), Some(20), None]);
    assert_eq!(stage.cache.stats().hits, 3 + 1, "a known absence is a hit, as for one key");
    stage.clock.advance(secs(10));
    stage.cache.set(2, 21).await.unwrap();
    assert_eq!(stage.cache.get_many(&[1, 2]).await, [None, Some(21)], "what is stale is not fresh");
}

#[tokio::test]
async fn a_batch_asks_its_loader_for_what_is_missing_each_id_once_and_in_order() {
    let stage = stage(|cache| cache, Shelf::open());
    stage.cache.set(3, 33).await.unwrap();
    let found = stage.ask(&[7, 3, 5, 7, 3, 5]).await.unwrap();
    assert_eq!(found, [7001, 33, 5001, 7001, 33, 5001].map(Some));
    assert_eq!(stage.shelf.asked(), [[7, 5]]);
    assert_eq!(stage.ask(&[5, 7]).await.unwrap(), [5001, 7001].map(Some));
    assert_eq!(stage.shelf.asked().len(), 1, "all are kept");
}

#[tokio::test]
async fn a_batch_of_a_hundred_with_ninety_hits_is_ninety_hits_ten_misses_and_one_load() {
    let stage = stage(|cache| cache, Shelf::open());
    stage.cache.set_many((0..90).map(|id| (id, id))).await.unwrap();
    let ids: Vec<u64> = (0..100).collect();
    stage.ask(&ids).await.unwrap();
    let stats = stage.cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads, stats.coalesced), (90, 10, 1, 0));
    assert_eq!((stats.load_time.count(), stats.loading, stats.len), (1, 0, 100));
}

#[tokio::test]
async fn an_id_that_is_not_brought_is_a_known_absence_and_what_nobody_asked_for_is_not_kept() {
    let stage = stage(|cache| cache.negative_ttl(secs(5)), Shelf::open());
    assert_eq!(stage.ask(&[1, NOBODY]).await.unwrap(), [Some(1001), None]);
    assert_eq!(stage.ask(&[NOBODY]).await.unwrap(), [None]);
    assert_eq!((stage.shelf.asked().len(), stage.cache.stats().negative_hits), (1, 1));
    stage.clock.advance(secs(5));
    stage.ask(&[1, NOBODY]).await.unwrap();
    assert_eq!(stage.shelf.asked().last(), Some(&vec![NOBODY]));

    let generous = |_: Vec<u64>| async { Ok::<_, Broken>(vec![(50, 1), (51, 1), (52, 1), (51, 2)]) };
    assert_eq!(stage.cache.get_many_or_load(&[51], generous).await.unwrap(), [Some(2)], "the last of two counts");
    assert_eq!((stage.cache.peek(&50), stage.cache.peek(&52), stage.cache.stats().unasked), (None, None, 2));
}

#[tokio::test]
async fn a_failed_batch_says_what_was_found_all_the_same() {
    let stage = stage(|cache| cache.stale_if_error(secs(100)), Shelf::open());
    stage.cache.set(1, 10).await.unwrap();
    stage.ask(&[2]).await.unwrap();
    stage.clock.advance(secs(10));
    stage.cache.set(1, 11).await.unwrap();
    stage.shelf.fail(true);
    let partial = stage.ask(&[3, 1, 2, 4, 3]).await.unwrap_err();
    assert_eq!(partial.found(), [None, Some(11), Some(2001), None, None], "2 is stale, and stands in");
    assert_eq!(partial.failed(), [0, 3, 4]);
    assert_eq!(partial.to_string(), "3 of 5 ids failed: load failed: down");
    let stats = stage.cache.stats();
    assert_eq!((stage.shelf.asked().len(), stats.load_errors, stats.stale_hits), (2, 1, 1));
    let boxed: Box<dyn Error + Send + Sync> = partial.clone().into();
    assert!(boxed.source().is_some());
    assert!(matches!(LoadError::<Broken>::from(partial), LoadError::Load(error) if *error == Broken("down")));
    stage.shelf.fail(false);
    assert_eq!(stage.ask(&[3, 4]).await.unwrap(), [3003, 4003].map(Some), "an error is not kept");
    // One of the two may have overwritten the other's.
    let reasons = [stage.cache.explain(&3).await.last_gone, stage.cache.explain(&4).await.last_gone];
    assert!(reasons.contains(&Reason::LoadFailed), "{reasons:?}");
}

#[tokio::test]
async fn a_loader_says_for_each_id_how_to_keep_it_or_why_not() {
    let stage = stage(|cache| cache, Shelf::open());
    let load = |ids: Vec<u64>| async move {
        let say = |id| match id {
            1 => Ok(Loaded::new(10).ttl(secs(3))),
            2 => Ok(Loaded::new(20).tag("even")),
            3 => Ok(Loaded::new(30).do_not_keep()),
            4 => Ok(Loaded::absent()),
            _ => Err(Broken("odd")),
        };
        Ok::<_, Broken>(ids.into_iter().map(move |id| (id, say(id))))
    };
    let ask = || stage.cache.entries(&[1, 2, 3, 4, 5]).load_with(load);
    let answers = ask().await;
    let hit = |value| Lookup::Hit(value, Freshness::Loaded);
    let said: Vec<_> = answers[..4].iter().map(|answer| answer.clone().ok()).collect();
    assert_eq!(said, [hit(10), hit(20), hit(30), Lookup::Negative(Freshness::Loaded)].map(Some));
    assert_eq!(answers[4].as_ref().unwrap_err().load(), Some(&Broken("odd")));
    assert_eq!(stage.cache.get_many(&[1, 2, 3]).await, [Some(10), Some(20), None]);
    stage.hub.invalidate_tag("even").await.unwrap();
    stage.clock.advance(secs(3));
    assert_eq!(stage.cache.get_many(&[1, 2]).await, [None, None]);
    assert!(matches!(ask().await[3], Ok(Lookup::Negative(Freshness::Fresh))));
    assert_eq!((stage.cache.stats().loads, stage.cache.stats().load_errors), (2, 2));
}

#[tokio::test]
async fn a_call_gives_tags_a_ttl_and_a_bound_to_all_that_it_loads() {
    let stage = stage(|cache| cache, Shelf::open());
    let ask = |ids: &'static [u64]| {
        let entries = stage.cache.entries(ids).tags(["all"]).ttl(secs(3)).at_most(2);
        entries.get_or_load(|ids| stage.shelf.load(ids))
    };
    ask(&[1, 2, 3, 4, 5]).await.unwrap();
    let mut asked = stage.shelf.asked();
    asked.sort();
    assert_eq!(asked, [vec![1, 2], vec![3, 4], vec![5]]);
    stage.hub.invalidate_tag("all").await.unwrap();
    assert_eq!(stage.cache.get_many(&[1, 5]).await, [None, None]);
    ask(&[1]).await.unwrap();
    stage.clock.advance(secs(3));
    assert_eq!(stage.cache.get(&1).await, None, "its ttl is the call's");
}

#[tokio::test]
async fn more_ids_than_one_load_takes_are_loads_beside_each_other() {
    let stage = stage(|cache| cache, Shelf::waiting());
    let ids: Vec<u64> = (0..10).collect();
    let (cache, shelf) = (stage.cache.clone(), stage.shelf.clone());
    let asking = tokio::spawn(async move { cache.entries(&ids).at_most(4).get_or_load(|ids| shelf.load(ids)).await });
    settle().await;
    assert_eq!((stage.shelf.asked().len(), stage.cache.stats().loading), (3, 3));
    stage.shelf.answer();
    assert_eq!(asking.await.unwrap().unwrap().len(), 10);
}

#[test]
fn a_batch_of_nothing_or_of_hits_calls_nothing_and_needs_no_runtime() {
    let stage = stage(|cache| cache, Shelf::open());
    let now = |future: std::pin::Pin<Box<dyn Future<Output = Found> + '_>>| {
        let mut future = future;
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(found) => found.unwrap(),
            std::task::Poll::Pending => panic!("it waits"),
        }
    };
    assert_eq!(now(Box::pin(stage.ask(&[]))), []);
    let _ = now(Box::pin(async { stage.cache.set(1, 10).await.map(|()| Vec::new()).map_err(|_| unreachable!()) }));
    assert_eq!(now(Box::pin(stage.ask(&[1, 1]))), [Some(10), Some(10)]);
    assert_eq!(stage.shelf.asked().len(), 0);
}

#[tokio::test]
async fn batches_and_single_lookups_that_overlap_share_the_loads_of_their_ids() {
    let stage = stage(|cache| cache, Shelf::waiting());
    let first = stage.spawn(&[1, 2, 3]);
    settle().await;
    let second = stage.spawn(&[3, 4, 1]);
    let (cache, own) = (stage.cache.clone(), Source::open());
    let source = own.clone();
    let single = tokio::spawn(async move { cache.get_or_load(&2, || source.load()).await });
    settle().await;
    stage.shelf.answer();
    assert_eq!(first.await.unwrap().unwrap(), [1001, 2001, 3001].map(Some));
    assert_eq!(second.await.unwrap().unwrap(), [3001, 4002, 1001].map(Some));
    assert_eq!((single.await.unwrap().unwrap(), own.calls()), (2001, 0));
    assert_eq!(stage.shelf.asked(), [vec![1, 2, 3], vec![4]]);
    assert_eq!(stage.cache.stats().coalesced, 3);
}

#[tokio::test]
async fn a_batch_joins_the_load_of_a_single_lookup() {
    let stage = stage(|cache| cache, Shelf::open());
    let (cache, source) = (stage.cache.clone(), Source::waiting());
    let slow = source.clone();
    let single = tokio::spawn(async move { cache.get_or_load(&2, || slow.load()).await });
    settle().await;
    let batch = stage.spawn(&[1, 2]);
    settle().await;
    assert_eq!(stage.shelf.asked(), [[1]]);
    source.answer();
    assert_eq!(batch.await.unwrap().unwrap(), [Some(1001), Some(1)]);
    assert_eq!(single.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn an_id_that_is_invalidated_in_the_middle_of_a_batch_is_the_only_one_not_kept() {
    for how in 0..4 {
        let stage = stage(|cache| cache, Shelf::waiting());
        let early = stage.spawn(&[1, 2, 3]);
        settle().await;
        match how {
            0 => stage.cache.invalidate(&2).await.unwrap(),
            1 => stage.cache.invalidate_many(&[2, 77]).await.unwrap(),
            2 => assert_eq!(stage.cache.invalidate_where(|key| *key == 2).unwrap(), 0),
            _ => stage.cache.set(2, 22).await.unwrap(),
        }
        let late = stage.spawn(&[1, 2]);
        settle().await;
        stage.shelf.answer();
        assert_eq!(early.await.unwrap().unwrap(), [1001, 2001, 3001].map(Some), "who came before may have it");
        let newer = if how == 3 { 22 } else { 2002 };
        assert_eq!(late.await.unwrap().unwrap(), [Some(1001), Some(newer)]);
        assert_eq!(stage.cache.get_many(&[1, 2, 3]).await, [Some(1001), Some(newer), Some(3001)]);
        assert_eq!(stage.cache.stats().refused, 1);
    }
}

#[tokio::test]
async fn a_tag_that_is_invalidated_during_a_batch_ends_the_ids_that_turn_out_to_have_it() {
    let stage = stage(|cache| cache, Shelf::waiting());
    let ask = || {
        let (cache, shelf) = (stage.cache.clone(), stage.shelf.clone());
        tokio::spawn(async move {
            let load = |ids| {
                let found = shelf.load(ids);
                async move {
                    let tagged = |(id, value)| (id, Ok(Loaded::new(value).tag(format!("rest:{}", id % 2))));
                    Ok::<_, Broken>(found.await?.into_iter().map(tagged))
                }
            };
            let answers = cache.entries(&[1, 2]).load_with(load).await;
            answers.into_iter().map(|answer| answer.unwrap().into_value()).collect::<Vec<_>>()
        })
    };
    let early = ask();
    settle().await;
    stage.hub.invalidate_tag("rest:0").await.unwrap();
    let late = ask();
    settle().await;
    assert_eq!(stage.shelf.asked(), [[1, 2]], "the late one joins, for nobody knows the tag");
    stage.shelf.answer();
    assert_eq!(early.await.unwrap(), [1001, 2001].map(Some));
    assert_eq!(late.await.unwrap(), [1001, 2002].map(Some), "2 is looked up again, alone");
    assert_eq!(stage.shelf.asked(), [vec![1, 2], vec![2]]);
    assert_eq!(stage.cache.get_many(&[1, 2]).await, [1001, 2002].map(Some));
}

#[tokio::test]
async fn a_panic_in_a_batchs_loader_is_a_typed_error_for_each_id_and_one_load() {
    let stage = stage(|cache| cache, Shelf::open());
    let in_call = |_: Vec<u64>| -> std::future::Ready<Result<Vec<(u64, u64)>, Broken>> { panic!("in the call") };
    let in_future = |_: Vec<u64>| async { if true { panic!("in the future") } else { Ok::<_, Broken>(vec![(1, 1)]) } };
    let in_pairs = |_: Vec<u64>| async {
        Ok::<_, Broken>([1, 2].map(|id| (id, id)).into_iter().inspect(|_| panic!("in the pairs")))
    };
    let said = [
        stage.cache.get_many_or_load(&[1, 2], in_call).await.unwrap_err().to_string(),
        stage.cache.get_many_or_load(&[1, 2], in_future).await.unwrap_err().to_string(),
        stage.cache.get_many_or_load(&[1, 2], in_pairs).await.unwrap_err().to_string(),
    ];
    let expected = ["call", "future", "pairs"].map(|place| format!("2 of 2 ids failed: load panicked: in the {place}"));
    assert_eq!(said, expected);
    let stats = stage.cache.stats();
    assert_eq!((stats.loads, stats.load_errors, stats.loading), (3, 3, 0));
    assert_eq!(stage.ask(&[1, 2]).await.unwrap(), [1001, 2001].map(Some), "the keys are free");
}

#[tokio::test]
async fn a_weigher_that_panics_for_one_id_is_that_ids_error() {
    let weigh = |_: &u64, value: &u64| if *value == 2001 { panic!("too odd") } else { 1 };
    let stage = stage(|cache| cache.max_weight(100, weigh), Shelf::open());
    let partial = stage.ask(&[1, 2, 3]).await.unwrap_err();
    assert_eq!((partial.found(), partial.failed()), (&[Some(1001), None, Some(3001)][..], &[1][..]));
    assert!(matches!(partial.error(), LoadError::Panicked(_)));
    assert!(!stage.cache.explain(&2).await.loading);
}

#[tokio::test]
async fn a_batch_whose_caller_leaves_goes_on_for_the_others() {
    let stage = stage(|cache| cache, Shelf::waiting());
    let first = stage.spawn(&[1, 2]);
    settle().await;
    let second = stage.spawn(&[2, 3]);
    settle().await;
    first.abort();
    settle().await;
    stage.shelf.answer();
    assert_eq!(second.await.unwrap().unwrap(), [2001, 3002].map(Some));
    settle().await;
    assert_eq!((stage.cache.peek(&1), stage.cache.stats().loading), (Some(1001), 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_at_most_its_callers_time_and_serves_what_it_has() {
    let shelf = Shelf::open();
    let hub = Hub::embedded();
    let cache = hub.local_cache::<u64, u64>("number").ttl(ms(1)).stale_if_error(secs(100)).build();
    cache.get_many_or_load(&[1], |ids| shelf.load(ids)).await.unwrap();
    cache.mark_stale(&1).await.unwrap();
    cache.entry(&5).ttl(secs(50)).set(50).await.unwrap();
    shelf.0.open.send_replace(false);
    let partial = cache.entries(&[1, 2, 5]).timeout(secs(3)).get_or_load(|ids| shelf.load(ids)).await.unwrap_err();
    assert_eq!((partial.found(), partial.failed()), (&[Some(1001), None, Some(50)][..], &[1][..]));
    assert!(matches!(partial.error(), LoadError::Timeout));
    assert_eq!(cache.stats().loading, 1, "the load goes on");
    shelf.answer();
    settle().await;
    assert_eq!(cache.stats().loading, 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_soft_timeout_stale_values_are_taken_and_the_others_waited_for() {
    let stage = stage(|cache| cache.stale_if_error(secs(100)).soft_timeout(ms(20)), Shelf::open());
    stage.ask(&[1, 2]).await.unwrap();
    stage.clock.advance(secs(10));
    stage.shelf.0.open.send_replace(false);
    let all_stale = stage.ask(&[1, 2]).await.unwrap();
    assert_eq!(all_stale, [1001, 2001].map(Some), "nobody has to wait for the load, which goes on");
    let mixed = stage.spawn(&[1, 3]);
    tokio::time::sleep(ms(50)).await;
    assert!(!mixed.is_finished());
    stage.shelf.answer();
    assert_eq!(mixed.await.unwrap().unwrap(), [1001, 3003].map(Some));
    assert_eq!(stage.cache.get_many(&[1, 2]).await, [1002, 2002].map(Some));
}

#[tokio::test(start_paused = true)]
async fn a_batch_past_its_deadline_is_abandoned_and_its_late_result_dropped() {
    let stage = stage(|cache| cache.load_deadline(secs(2)), Shelf::waiting());
    let partial = timeout(secs(5), stage.ask(&[1, 2])).await.expect("the deadline comes first").unwrap_err();
    assert!(matches!(partial.error(), LoadError::Timeout));
    stage.shelf.answer();
    settle().await;
    assert_eq!((stage.cache.get_many(&[1, 2]).await, stage.cache.stats().loading), (vec![None, None], 0));
}

#[tokio::test]
async fn stale_ids_are_served_and_refreshed_behind_by_one_load_of_their_own() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(100)), Shelf::open());
    stage.ask(&[1, 2]).await.unwrap();
    stage.clock.advance(secs(10));
    stage.cache.set(3, 33).await.unwrap();
    assert_eq!(stage.ask(&[1, 4, 2, 3, 1]).await.unwrap(), [1001, 4003, 2001, 33, 1001].map(Some));
    settle().await;
    let mut asked = stage.shelf.asked();
    asked[1..].sort();
    assert_eq!(asked, [vec![1, 2], vec![1, 2], vec![4]]);
    assert_eq!(stage.cache.stats().stale_hits, 3);
    let refreshed = stage.cache.get_many(&[1, 2]).await;
    assert!(refreshed.iter().all(|value| value.is_some_and(|value| value % 1000 > 1)), "{refreshed:?}");
    stage.clock.advance(secs(10));
    assert_eq!(stage.hub.drain(secs(1)).await, 0);
    stage.ask(&[1, 2]).await.unwrap();
    settle().await;
    assert_eq!(stage.shelf.asked().len(), 3, "a draining hub refreshes nothing behind");
}

#[tokio::test]
async fn after_a_failure_behind_a_batch_its_ids_are_left_alone_for_a_while() {
    let stage = stage(|cache| cache.stale_while_revalidate(secs(100)).retry_after(secs(1)), Shelf::open());
    stage.ask(&[1, 2]).await.unwrap();
    stage.clock.advance(secs(10));
    stage.shelf.fail(true);
    for _ in 0..3 {
        assert_eq!(stage.ask(&[1, 2]).await.unwrap(), [1001, 2001].map(Some));
        settle().await;
    }
    assert_eq!(stage.shelf.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_inside_a_batch_that_needs_one_of_its_ids_is_told_so() {
    let stage = stage(|cache| cache, Shelf::open());
    let (inner, shelf) = (stage.cache.clone(), stage.shelf.clone());
    let load = move |_: Vec<u64>| {
        let (inner, shelf) = (inner.clone(), shelf.clone());
        async move {
            let partial = inner.get_many_or_load(&[2, 3], |ids| shelf.load(ids)).await.unwrap_err();
            assert_eq!((partial.found(), partial.failed()), (&[None, Some(3001)][..], &[0][..]));
            Err::<Vec<(u64, u64)>, _>(LoadError::<Broken>::from(partial))
        }
    };
    let got = timeout(secs(5), stage.cache.get_many_or_load(&[1, 2], load)).await.expect("no deadlock");
    let partial = got.unwrap_err();
    assert!(matches!(partial.error().load(), Some(LoadError::Cycle)), "{partial:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_inside_a_load_does_not_wait_for_the_permit_that_its_parent_holds() {
    let stage = stage(|cache| cache.max_concurrent_loads(1), Shelf::open());
    let (inner, shelf) = (stage.cache.clone(), stage.shelf.clone());
    let load = || async move {
        let found = inner.entries(&[2, 3]).at_most(1).get_or_load(|ids| shelf.load(ids)).await;
        Ok::<_, Broken>(found.unwrap().len() as u64)
    };
    let got = timeout(secs(5), stage.cache.get_or_load(&1, load)).await.expect("no deadlock");
    assert_eq!(got.unwrap(), 2);
}

#[tokio::test]
async fn a_batch_takes_one_permit_and_what_is_turned_away_is_all_of_it() {
    let stage = stage(|cache| cache.max_concurrent_loads(1), Shelf::waiting());
    let running = stage.spawn(&[1, 2, 3]);
    let queued: Vec<_> = (0..64).map(|n| stage.spawn(&[100 + n, 200 + n])).collect();
    settle().await;
    assert_eq!(stage.shelf.asked().len(), 1);
    let partial = stage.ask(&[8, 9]).await.unwrap_err();
    assert!(matches!(partial.error(), LoadError::Busy));
    assert_eq!((partial.failed().len(), stage.cache.stats().busy), (2, 1));
    stage.shelf.answer();
    assert!(running.await.unwrap().is_ok());
    for queued in queued {
        assert!(queued.await.unwrap().is_ok());
    }
    assert_eq!((stage.cache.stats().loads, stage.cache.stats().loading), (65, 0));
}

#[tokio::test]
async fn a_foreign_error_is_no_answer_and_the_id_is_loaded_by_who_knows_his_own() {
    let stage = stage(|cache| cache, Shelf::waiting());
    let (cache, shelf) = (stage.cache.clone(), stage.shelf.clone());
    let foreign = tokio::spawn(async move {
        let load = |ids| {
            let found = shelf.load(ids);
            async move { found.await.map_err(|_| "another type") }
        };
        cache.get_many_or_load(&[1, 2], load).await
    });
    settle().await;
    let ours = stage.spawn(&[2, 3]);
    settle().await;
    stage.shelf.fail(true);
    stage.shelf.answer();
    assert!(foreign.await.unwrap().is_err());
    let partial = ours.await.unwrap().unwrap_err();
    assert_eq!((partial.failed(), partial.error().load()), (&[0, 1][..], Some(&Broken("down"))));
    assert_eq!(stage.shelf.asked(), [vec![1, 2], vec![3], vec![2]]);
}

#[tokio::test]
async fn invalidate_where_ends_the_keys_it_names_and_counts_their_entries() {
    let stage = stage(|cache| cache.stale_if_error(secs(100)), Shelf::open());
    stage.cache.set_many((0..1000).map(|id| (id, id))).await.unwrap();
    assert_eq!(stage.cache.invalidate_where(|key| key % 10 == 3).unwrap(), 100);
    assert_eq!(stage.cache.get_many(&[3, 4, 993]).await, [None, Some(4), None]);
    assert_eq!(stage.cache.stats().removals.invalidated, 100);
    let mut explained = 0;
    for id in (3..1000).step_by(10) {
        explained += u32::from(stage.cache.explain(&id).await.last_gone == Reason::Invalidated);
    }
    // Two keys may share a place for their reasons, and one is forgotten then.
    assert!(explained >= 50, "{explained} of 100 are explained");
    stage.clock.advance(secs(10));
    assert_eq!(stage.cache.invalidate_where(|key| *key < 3).unwrap(), 3, "what is stale is kept, so it goes");
    stage.shelf.fail(true);
    assert_eq!(stage.ask(&[1, 4]).await.unwrap_err().found(), [None, Some(4)]);
}

#[tokio::test]
async fn a_closure_that_calls_the_cache_it_looks_through_is_refused() {
    let stage = stage(|cache| cache, Shelf::open());
    stage.cache.set(1, 1).await.unwrap();
    let cache = stage.cache.clone();
    let asking = tokio::spawn(async move { cache.invalidate_where(|key| cache.peek(key).is_some()) });
    assert!(asking.await.unwrap_err().is_panic());
    assert_eq!(stage.cache.get(&1).await, Some(1));
}

/// A key whose clone panics once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fragile(u64);

static CLONES_OF_NINE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0 != 9 || CLONES_OF_NINE.fetch_add(1, SeqCst) > 0, "a clone's panic");
        Fragile(self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_ids_board_leaves_no_flight_behind() {
    let cache: Cache<Fragile, u64> = Hub::embedded().local_cache("fragile").build();
    let load =
        |ids: Vec<Fragile>| async move { Ok::<_, Broken>(ids.into_iter().map(|id| (id, 5)).collect::<Vec<_>>()) };
    let asking = cache.clone();
    let broken = tokio::spawn(async move { asking.get_many_or_load(&[Fragile(1), Fragile(9)], load).await });
    assert!(broken.await.unwrap_err().is_panic());
    assert!(!cache.explain(&Fragile(1)).await.loading);
    let found = timeout(secs(1), cache.get_many_or_load(&[Fragile(1), Fragile(9)], load)).await;
    assert_eq!(found.expect("nobody is in the way").unwrap(), [Some(5), Some(5)]);
}

#[test]
fn a_batch_is_led_by_one_who_waited_when_its_runtime_is_shut_down() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").build();
    let (stuck, own) = (Shelf::waiting(), Shelf::open());
    let theirs = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (leader, shelf) = (cache.clone(), stuck.clone());
    theirs.spawn(async move { leader.get_many_or_load(&[1, 2, 3], |ids| shelf.load(ids)).await });
    crate::toy::until("the load runs", || stuck.asked().len() == 1);
    let (waiter, shelf) = (cache.clone(), own.clone());
    let waiting = ours.spawn(async move { waiter.get_many_or_load(&[3, 2, 4], |ids| shelf.load(ids)).await });
    let got = ours.block_on(async {
        while cache.stats().coalesced < 2 {
            tokio::task::yield_now().await;
        }
        theirs.shutdown_background();
        timeout(secs(20), waiting).await.expect("it does not wait for the dead").unwrap()
    });
    assert!(got.unwrap().iter().all(Option::is_some));
    let mut asked = own.asked().concat();
    asked.sort_unstable();
    assert_eq!((asked, cache.stats().loading), (vec![2, 3, 4], 0));
}

#[test]
fn of_a_thousand_callers_of_overlapping_batches_every_id_is_loaded_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").build();
    let shelf = Shelf::waiting();
    let callers: Vec<_> = (0..1000_u64)
        .map(|caller| {
            let (cache, shelf) = (cache.clone(), shelf.clone());
            let ids: Vec<u64> = (0..20).map(|n| (caller * 7 + n * 13) % 300).collect();
            runtime.spawn(async move {
                let found = cache.get_many_or_load(&ids, |ids| shelf.load(ids)).await.unwrap();
                assert!(ids.iter().zip(found).all(|(id, value)| value.is_some_and(|value| value / 1000 == *id)));
            })
        })
        .collect();
    crate::toy::until("all wait", || cache.stats().misses == 20_000);
    shelf.answer();
    runtime.block_on(async {
        for caller in callers {
            timeout(secs(20), caller).await.expect("nobody hangs").unwrap();
        }
    });
    let mut asked = shelf.asked().concat();
    asked.sort_unstable();
    assert_eq!(asked, (0..300).collect::<Vec<_>>());
}
