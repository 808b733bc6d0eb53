//! Loads that callers share: what goes missing within a window is brought by one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tierce::testing::{Death, Sim};
use tierce::{Batched, Cache, Hub, LoadError, Loaded};
use tokio::time::timeout;

use crate::fixture::{Broken, Source, ms, secs, settle};

const LONG: Duration = Duration::from_secs(3600);

/// What a loader was asked, load by load.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Vec<u64>>>>);

impl Asked {
    fn note(&self, ids: &[u64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ids.to_vec());
    }

    fn all(&self) -> Vec<Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn numbers() -> Cache<u64, u64> {
    Hub::embedded().local_cache("number").build()
}

/// A loader that brings ten times each id.
fn batched(cache: &Cache<u64, u64>, window: Duration, at_most: usize) -> (Batched<u64, u64, Broken>, Asked) {
    let asked = Asked::default();
    let notes = asked.clone();
    let load = move |ids: Vec<u64>| {
        notes.note(&ids);
        async move { Ok(ids.into_iter().map(|id| (id, 10 * id))) }
    };
    (cache.batched(window, at_most, load), asked)
}

fn find(by_id: &Batched<u64, u64, Broken>, id: u64) -> tokio::task::JoinHandle<Result<Option<u64>, LoadError<Broken>>> {
    let by_id = by_id.clone();
    tokio::spawn(async move { by_id.find_or_load(&id).await })
}

#[tokio::test(start_paused = true)]
async fn ids_that_go_missing_within_a_window_are_one_load() {
    let cache = numbers();
    let (by_id, asked) = batched(&cache, ms(5), 100);
    let one = find(&by_id, 1);
    settle().await;
    let (many, two) = (by_id.get_many_or_load(&[3, 1, 4]), by_id.find_or_load(&2));
    let (many, two) = tokio::join!(many, two);
    assert_eq!((many.unwrap(), two.unwrap()), ([30, 10, 40].map(Some).to_vec(), Some(20)));
    assert_eq!(one.await.unwrap().unwrap(), Some(10));
    assert_eq!(asked.all(), [[1, 3, 4, 2]]);
    assert_eq!(by_id.find_or_load(&9).await.unwrap(), Some(90), "the next window");
    assert_eq!((asked.all().len(), cache.stats().loads, cache.stats().loading), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_load_with_as_many_ids_as_it_takes_begins_at_once() {
    let (by_id, asked) = batched(&numbers(), LONG, 2);
    let ids: Vec<u64> = (0..6).collect();
    let found = timeout(ms(1), by_id.get_many_or_load(&ids)).await.expect("no window is waited for");
    assert_eq!((found.unwrap().len(), asked.all()), (6, vec![vec![0, 1], vec![2, 3], vec![4, 5]]));
}

#[tokio::test(start_paused = true)]
async fn who_hits_waits_for_no_window() {
    let cache = numbers();
    cache.set(1, 7).await.unwrap();
    let (by_id, asked) = batched(&cache, LONG, 9);
    let both = async { (by_id.find_or_load(&1).await.unwrap(), by_id.get_many_or_load(&[1, 1]).await.unwrap()) };
    let found = timeout(ms(1), both).await.expect("no window is waited for");
    assert_eq!((found, asked.all().len()), ((Some(7), vec![Some(7), Some(7)]), 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_within_the_window_takes_nothing_from_the_others() {
    let cache = numbers();
    let (by_id, asked) = batched(&cache, ms(5), 9);
    let opener = find(&by_id, 1);
    settle().await;
    let other = find(&by_id, 2);
    settle().await;
    opener.abort();
    assert_eq!(other.await.unwrap().unwrap(), Some(20));
    assert_eq!((asked.all(), cache.peek(&1)), (vec![vec![1, 2]], Some(10)));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_invalidated_within_the_window_and_asked_for_again_is_loaded_once_and_kept() {
    let cache = numbers();
    let (by_id, asked) = batched(&cache, ms(5), 9);
    let before = find(&by_id, 1);
    settle().await;
    cache.invalidate(&1).await.unwrap();
    let after = find(&by_id, 1);
    let single = cache.get_or_load(&1, || async { Ok::<_, Broken>(0) });
    assert_eq!(after.await.unwrap().unwrap(), Some(10));
    assert_eq!((before.await.unwrap().unwrap(), single.await.unwrap()), (Some(10), 10));
    assert_eq!((asked.all(), cache.peek(&1)), (vec![vec![1]], Some(10)));
}

#[tokio::test(start_paused = true)]
async fn a_single_lookup_joins_what_waits_for_its_window() {
    let cache = numbers();
    let (by_id, asked) = batched(&cache, ms(5), 9);
    let opener = find(&by_id, 1);
    settle().await;
    let single = cache.get_or_load(&1, || async { Ok::<_, Broken>(0) }).await;
    assert_eq!((single.unwrap(), opener.await.unwrap().unwrap(), asked.all().len()), (10, Some(10), 1));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_one_id_is_its_callers_alone() {
    let load = |ids: Vec<u64>| async move {
        let say = |id| if id == 2 { Err(Broken("odd")) } else { Ok(Loaded::new(id)) };
        Ok(ids.into_iter().filter(|id| *id != 3).map(move |id| (id, say(id))))
    };
    let by_id = numbers().batched_with(ms(1), 9, load);
    let (one, two, three) = tokio::join!(by_id.find_or_load(&1), by_id.find_or_load(&2), by_id.find_or_load(&3));
    assert_eq!((one.unwrap(), three.unwrap()), (Some(1), None));
    assert_eq!(two.unwrap_err().load(), Some(&Broken("odd")));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_needs_its_own_id_through_the_window_is_told_so() {
    let cache = numbers();
    let own: Arc<Mutex<Option<Batched<u64, u64, String>>>> = Arc::default();
    let inner = Arc::clone(&own);
    let load = move |ids: Vec<u64>| {
        let by_id = inner.lock().unwrap().clone().unwrap();
        async move { by_id.find_or_load(&ids[0]).await.map(|_| Vec::new()).map_err(|error| error.to_string()) }
    };
    let by_id = cache.batched(ms(1), 9, load);
    *own.lock().unwrap() = Some(by_id.clone());
    let got = timeout(secs(5), by_id.find_or_load(&1)).await.expect("no deadlock");
    assert!(got.unwrap_err().to_string().contains("load waits for itself"));
    own.lock().unwrap().take();
}

#[tokio::test(start_paused = true)]
async fn a_load_that_holds_the_only_permit_waits_for_no_window_that_needs_one() {
    for opened_by_another in [false, true] {
        let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").max_concurrent_loads(1).build();
        let (by_id, asked) = batched(&cache, ms(5), 9);
        let other = opened_by_another.then(|| find(&by_id, 3));
        settle().await;
        let inner = by_id.clone();
        let load = || async move { Ok::<_, Broken>(inner.find_or_load(&2).await.unwrap().unwrap()) };
        let got = timeout(secs(5), cache.get_or_load(&1, load)).await.expect("no deadlock");
        assert_eq!((got.unwrap(), asked.all().len()), (20, 1));
        if let Some(other) = other {
            assert_eq!(other.await.unwrap().unwrap(), Some(30));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_inside_a_load_is_not_turned_away_by_a_window_whose_queue_is_full() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").max_concurrent_loads(1).build();
    let (by_id, asked) = batched(&cache, ms(5), 9);
    let (begun, crowd) = (Source::waiting(), Source::waiting());
    let (outer, first) = (cache.clone(), begun.clone());
    let load = || async move {
        first.load().await?;
        Ok::<_, Broken>(by_id.find_or_load(&2).await.map_err(|_| Broken("inside"))?.unwrap())
    };
    let outer = tokio::spawn(async move { outer.get_or_load(&1, load).await });
    settle().await;
    for key in 100..164 {
        let (cache, crowd) = (cache.clone(), crowd.clone());
        tokio::spawn(async move { cache.get_or_load(&key, || crowd.load()).await });
    }
    settle().await;
    begun.answer();
    let got = timeout(secs(5), outer).await.expect("it waits for its own permit until the deadline").unwrap();
    assert_eq!((got.unwrap(), asked.all()), (20, vec![vec![2]]));
}

#[tokio::test(start_paused = true)]
async fn a_load_inside_a_load_takes_no_permit_through_a_window() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").max_concurrent_loads(2).build();
    let held = Source::waiting();
    let slow = held.clone();
    let by_id = cache.batched(ms(5), 9, move |ids: Vec<u64>| {
        let slow = slow.clone();
        async move { Ok::<_, Broken>(vec![(ids[0], slow.load().await?)]) }
    });
    let outer = cache.clone();
    let load = || async move { Ok::<_, Broken>(by_id.find_or_load(&2).await.map_err(|_| Broken("inside"))?.unwrap()) };
    let outer = tokio::spawn(async move { outer.get_or_load(&1, load).await });
    tokio::time::sleep(ms(10)).await;
    assert_eq!((held.calls(), cache.stats().loading), (1, 2));
    let other = timeout(secs(1), cache.get_or_load(&3, || async { Ok::<_, Broken>(30) })).await;
    assert_eq!(other.expect("the second permit is free").unwrap(), 30);
    held.answer();
    assert_eq!(outer.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_window_takes_its_permit_though_a_load_of_the_cache_came_by_and_found_its_id_elsewhere() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").max_concurrent_loads(1).build();
    let (by_id, _) = batched(&cache, ms(5), 9);
    let (begun, slow) = (Source::waiting(), Source::waiting());
    let (outer, inner, first) = (cache.clone(), by_id.clone(), begun.clone());
    let load = || async move {
        first.load().await?;
        Ok::<_, Broken>(inner.find_or_load(&3).await.map_err(|_| Broken("inside"))?.unwrap())
    };
    let outer = tokio::spawn(async move { outer.get_or_load(&1, load).await });
    settle().await;
    let (single, source) = (cache.clone(), slow.clone());
    tokio::spawn(async move { single.get_or_load(&3, || source.load()).await });
    let other = find(&by_id, 4);
    settle().await;
    begun.answer();
    tokio::time::sleep(ms(20)).await;
    let loads = cache.stats().loads;
    assert_eq!((slow.calls(), loads), (1, 2), "the only permit is that of the load that came by");
    slow.answer();
    assert_eq!((outer.await.unwrap().unwrap(), other.await.unwrap().unwrap()), (1, Some(40)));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_invalidated_within_the_window_is_asked_for_again_while_the_others_are_loaded() {
    let cache = numbers();
    let (asked, source) = (Asked::default(), Source::waiting());
    let (notes, slow) = (asked.clone(), source.clone());
    let by_id = cache.batched(ms(5), 9, move |ids: Vec<u64>| {
        notes.note(&ids);
        let slow = slow.clone();
        async move { slow.load().await.map(|number| ids.into_iter().map(move |id| (id, 10 * id + number))) }
    });
    let asking = tokio::spawn(async move { by_id.get_many_or_load(&[1, 2, 3, 4]).await });
    settle().await;
    cache.invalidate_many(&[1, 3]).await.unwrap();
    tokio::time::sleep(ms(100)).await;
    assert_eq!(asked.all(), [[2, 4], [1, 3]], "none of them has been answered yet");
    source.answer();
    assert_eq!(asking.await.unwrap().unwrap(), [12, 21, 32, 41].map(Some));
    assert_eq!(cache.get_many(&[1, 2, 3, 4]).await, [12, 21, 32, 41].map(Some), "all are kept");
}

#[tokio::test(start_paused = true)]
async fn who_opened_a_window_and_came_too_late_for_its_load_looks_again() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    let loads = Arc::new(Mutex::new(0));
    let load = move |ids: Vec<u64>| {
        let loads = Arc::clone(&loads);
        async move {
            tokio::time::sleep(ms(10)).await;
            *loads.lock().unwrap() += 1;
            let number = *loads.lock().unwrap();
            Ok::<_, Broken>(ids.into_iter().map(|id| (id, Ok(Loaded::new(number).tag("all")))).collect::<Vec<_>>())
        }
    };
    let by_id = cache.batched_with(ms(5), 9, load);
    let opened = find(&by_id, 7);
    settle().await;
    cache.invalidate(&7).await.unwrap();
    let other = find(&by_id, 7);
    settle().await;
    // Before the first asks again, and after the second's load counts as begun.
    hub.invalidate_tag("all").await.unwrap();
    assert_eq!(other.await.unwrap().unwrap(), Some(1), "he came before the tag was invalidated");
    assert_eq!(opened.await.unwrap().unwrap(), Some(2), "he asked again after it was");
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_what_waits_for_its_window() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    let (by_id, asked) = batched(&cache, ms(50), 9);
    let asking = find(&by_id, 1);
    settle().await;
    assert_eq!(hub.drain(secs(1)).await, 0);
    assert_eq!((asked.all().len(), asking.await.unwrap().unwrap()), (1, Some(10)));

    let stuck = cache.batched(ms(50), 9, |_| std::future::pending::<Result<Vec<(u64, u64)>, Broken>>());
    let asking = find(&stuck, 2);
    settle().await;
    assert_eq!(hub.drain(ms(20)).await, 1, "it is about to begin");
    assert_eq!(hub.drain(ms(100)).await, 1, "it runs, and is one");
    asking.abort();
}

#[test]
fn those_who_board_are_not_lost_with_the_runtime_that_was_to_end_the_window() {
    let cache = numbers();
    let (by_id, asked) = batched(&cache, LONG, 9);
    let theirs = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ours = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let opener = by_id.clone();
    theirs.spawn(async move { opener.find_or_load(&1).await });
    while !ours.block_on(cache.explain(&1)).loading {
        std::thread::yield_now();
    }
    let got = ours.block_on(async {
        let other = find(&by_id, 2);
        while cache.stats().coalesced < 1 {
            tokio::task::yield_now().await;
        }
        std::thread::spawn(move || drop(theirs)).join().unwrap();
        timeout(2 * LONG, other).await.expect("it is not lost").unwrap()
    });
    assert_eq!((got.unwrap(), asked.all()), (Some(20), vec![vec![2]]));
    assert!(!ours.block_on(cache.explain(&1)).loading);
}

#[test]
fn nobody_boards_where_the_runtime_stands_still() {
    for death in [Death::Freezes, Death::StandsStill, Death::DropsTasks] {
        let sim = Sim::new(3);
        let hub = Hub::builder().clock(sim.clock()).build();
        let cache: Cache<u64, u64> = hub.local_cache("number").load_deadline(secs(2)).build();
        let (by_id, asked) = batched(&cache, ms(5), 9);
        let (first, second) = (sim.runtime(), sim.runtime());
        let (opener, boards) = (by_id.clone(), by_id.clone());
        sim.spawn(&first, async move { drop(opener.find_or_load(&1).await) });
        let (s, f) = (sim.clone(), Arc::clone(&first));
        let given = Asked::default();
        let notes = given.clone();
        sim.spawn(&second, async move {
            s.sleep(ms(2)).await;
            s.kill(&f, death);
            s.sleep(ms(200)).await;
            let begun = s.now();
            let found = boards.find_or_load(&2).await.unwrap().unwrap();
            notes.note(&[found, u64::try_from((s.now() - begun).as_millis()).unwrap()]);
            // What had boarded there is given up with its load's deadline, or with its runtime where that is known.
            let found = boards.find_or_load(&1).await;
            assert_eq!(matches!(found, Err(LoadError::Timeout)), death == Death::StandsStill);
            notes.note(&[boards.find_or_load(&1).await.unwrap().unwrap()]);
        });
        sim.run();
        assert_eq!(given.all(), [vec![20, 5], vec![10]], "{death:?}");
        assert_eq!(asked.all(), [[2], [1]], "{death:?}");
        sim.bury();
    }
}

#[test]
fn of_a_thousand_callers_in_windows_every_id_is_loaded_once() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cache = numbers();
    let (by_id, asked) = batched(&cache, ms(1), 16);
    let callers = (0..1000_u64).map(|caller| {
        let by_id = by_id.clone();
        runtime.spawn(async move {
            let ids: Vec<u64> = (0..5).map(|n| (caller * 7 + n * 13) % 300).collect();
            let found = by_id.get_many_or_load(&ids).await.unwrap();
            assert!(ids.iter().zip(found).all(|(id, value)| value == Some(10 * id)));
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        runtime.block_on(async { timeout(secs(20), caller).await.expect("nobody hangs").unwrap() });
    }
    let loads = asked.all();
    assert!(loads.iter().all(|ids| !ids.is_empty() && ids.len() <= 16));
    let mut ids = loads.concat();
    ids.sort_unstable();
    assert_eq!(ids, (0..300).collect::<Vec<_>>());
}
