//! The testing kit tells the truth: a test that stands on it must be able to fail.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use tierce::Hub;
use tierce::testing::{Death, Failure, Sim, Source, Watch};

use crate::fixture::{panic_text, settle};

#[tokio::test]
async fn a_source_fails_as_often_as_told_and_counts_each_load() {
    let source = Source::from([(1, 10)]);
    source.fail_next(2);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(source.load(&1).await);
    }
    assert_eq!(answers, [Err(Failure::Down), Err(Failure::Down), Ok(10)]);
    source.fail();
    assert_eq!((source.find(&1).await, source.find_now(&1)), (Err(Failure::Down), Err(Failure::Down)));
    source.recover();
    assert_eq!((source.find(&1).await, source.find(&2).await), (Ok(Some(10)), Ok(None)));
    assert_eq!(source.load(&2).await, Err(Failure::NoRow));
    assert_eq!((source.loads(), source.loads_of(&1), source.loads_of(&2)), (8, 6, 2));
}

#[tokio::test]
async fn a_batch_is_one_load_and_leaves_out_what_is_not_there() {
    let source = Source::from([(1, 10), (2, 20)]);
    let mut rows: Vec<_> = source.load_many(vec![2, 3, 1]).await.unwrap().into_iter().collect();
    rows.sort_unstable();
    assert_eq!(rows, [(1, 10), (2, 20)]);
    assert_eq!((source.loads(), source.loads_of(&3)), (1, 1));
}

#[tokio::test]
async fn a_frozen_source_answers_when_released_with_what_is_there_then() {
    let source = Source::from([(1, 10)]);
    source.freeze();
    let waiting = [tokio::spawn(source.load(&1)), tokio::spawn(source.load(&1))];
    settle().await;
    assert!(waiting.iter().all(|load| !load.is_finished()));
    source.set(1, 11);
    source.release();
    source.freeze(); // those who waited before go on
    for load in waiting {
        assert_eq!(load.await.unwrap(), Ok(11));
    }
    assert!(source.remove(&1) && !source.remove(&1));
}

#[tokio::test]
async fn a_watch_counts_from_when_it_began_and_says_all_when_a_count_is_another() {
    let source = Source::from([(1, 10)]);
    let cache = Hub::embedded().local_cache::<u64, u64>("number").build();
    let load = || cache.get_or_load(&1, || source.load(&1));
    load().await.unwrap();
    let watch = Watch::new(&cache);
    load().await.unwrap();
    watch.hits(1).misses(0).loads(0).stale_hits(0).negative_hits(0).coalesced(0).load_errors(0).refused(0);
    watch.busy(0).evicted(0);
    let expect = || {
        watch.hits(2);
    };
    let wrong = catch_unwind(AssertUnwindSafe(expect)).unwrap_err();
    let text = panic_text(&*wrong);
    assert!(text.starts_with("cache \"number\": expected hits 2, found 1\ncounted: hits 1,"), "{text}");
}

/// Notes the simulated time of its drop, as what a task holds may do.
struct Noted {
    sim: Sim,
    dropped: Arc<AtomicBool>,
}

impl Drop for Noted {
    fn drop(&mut self) {
        assert!(!self.sim.now().is_zero());
        self.dropped.store(true, SeqCst);
    }
}

/// Kills a runtime with a task on it that has never been polled: whether that dropped the task.
fn dropped_by(death: Death) -> bool {
    let sim = Sim::new(7);
    let runtime = sim.runtime();
    let dropped = Arc::new(AtomicBool::new(false));
    let noted = Noted { sim: sim.clone(), dropped: Arc::clone(&dropped) };
    sim.spawn(&runtime, async move { drop(noted) });
    sim.kill(&runtime, death);
    let at_once = dropped.load(SeqCst);
    sim.run();
    assert_eq!(dropped.load(SeqCst), at_once, "a dead runtime polls nothing");
    sim.bury();
    assert!(dropped.load(SeqCst));
    at_once
}

#[test]
fn a_runtime_that_dies_drops_its_tasks_outside_the_simulations_lock_and_one_that_freezes_keeps_them() {
    assert!(dropped_by(Death::DropsTasks));
    assert!(!dropped_by(Death::Freezes));
    assert!(!dropped_by(Death::StandsStill));
}

#[test]
fn what_froze_is_freed_though_it_holds_the_waker_of_its_own_task() {
    let sim = Sim::new(7);
    let runtime = sim.runtime();
    let dropped = Arc::new(AtomicBool::new(false));
    let noted = Noted { sim: sim.clone(), dropped: Arc::clone(&dropped) };
    sim.spawn(&runtime, async move {
        let mut own = None;
        poll_fn(|cx| {
            own = Some(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
        drop(noted);
    });
    sim.run();
    sim.kill(&runtime, Death::Freezes);
    sim.bury();
    assert!(dropped.load(SeqCst));
}
