//! Batches of several processes and a store between them.

use std::time::Duration;

use tierce::store::{Fault, Key, Lease, Store};
use tierce::testing::{ManualClock, Shelf, Source};
use tierce::{Cache, Hub, Loaded};

use crate::fixture::settle;

fn start(shelf: &Shelf, clock: &ManualClock) -> Process {
    let hub = Hub::builder().clock(clock.clock()).seed(7).store(shelf.clone()).build();
    let lamps = hub.cache("lamp").ttl(Duration::from_secs(60)).jitter(0.0).build();
    (hub, lamps)
}

type Process = (Hub, Cache<u64, String>);

fn two() -> (ManualClock, Shelf, Process, Process) {
    let clock = ManualClock::new();
    let shelf = Shelf::new(clock.clock());
    let (a, b) = (start(&shelf, &clock), start(&shelf, &clock));
    (clock, shelf, a, b)
}

fn lamps() -> Source<u64, String> {
    Source::from(std::array::from_fn::<_, 10, _>(|id| (id as u64, format!("lamp {id}"))))
}

fn some(ids: impl IntoIterator<Item = u64>) -> Vec<Option<String>> {
    ids.into_iter().map(|id| Some(format!("lamp {id}"))).collect()
}

#[tokio::test]
async fn a_batch_loads_what_neither_memory_nor_the_store_has() {
    let (_clock, _shelf, (_a, in_a), (_b, in_b)) = two();
    let db = lamps();
    assert_eq!(in_a.get_many_or_load(&[1, 2, 3], |ids| db.load_many(ids)).await.unwrap(), some(1..4));
    let mut asked = Vec::new();
    let found = in_b
        .get_many_or_load(&[2, 4, 3, 4, 77], |ids| {
            asked.push(ids.clone());
            db.load_many(ids)
        })
        .await
        .unwrap();
    assert_eq!(found, [some([2, 4, 3, 4]), vec![None]].concat());
    assert_eq!(asked, [[4, 77]]);
    assert_eq!(in_b.stats().store_hits, 2);
    // All of it is in memory now, and what the second loaded is in the store.
    assert_eq!(in_b.peek(&3).as_deref(), Some("lamp 3"));
    assert_eq!(in_a.get(&4).await.as_deref(), Some("lamp 4"));
    let loads = db.loads();
    assert_eq!(in_a.get_many_or_load(&[77], |ids| db.load_many(ids)).await.unwrap(), [None]);
    assert_eq!(db.loads(), loads, "an absence is stored as well");
}

#[tokio::test]
async fn many_are_got_from_the_store_in_their_order() {
    let (_clock, _shelf, (_a, in_a), (_b, in_b)) = two();
    let db = lamps();
    in_a.get_many_or_load(&[1, 2, 3], |ids| db.load_many(ids)).await.unwrap();
    assert_eq!(in_b.get_many(&[3, 9, 1, 3]).await, [some([3]), vec![None], some([1, 3])].concat());
    assert_eq!(in_b.peek(&1).as_deref(), Some("lamp 1"));
    // Nobody waits for what get_many has looked for and not found.
    assert_eq!(in_b.get_or_load(&9, || db.load(&9)).await.unwrap(), "lamp 9");
}

#[tokio::test]
async fn a_tag_or_a_key_that_is_invalidated_while_a_batch_loads_it_is_not_stored_and_the_others_are() {
    let (clock, _shelf, (_a, in_a), (b, in_b)) = two();
    let db = lamps();
    // The tag is known to the store.
    in_a.entry(&9).tags(["light"]).get_or_load(|| db.load(&9)).await.unwrap();
    db.freeze();
    let loading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_many_or_load(&[1, 2], |ids| db.load_many(ids)).await }
    });
    let tagged = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.entries(&[3, 4]).tags(["light"]).get_or_load(|ids| db.load_many(ids)).await }
    });
    let begun = async {
        while db.loads() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.expect("both begin");
    in_b.invalidate(&1).await.unwrap();
    b.invalidate_tag("light").await.unwrap();
    db.release();
    assert_eq!(loading.await.unwrap().unwrap(), some(1..3));
    assert_eq!(tagged.await.unwrap().unwrap(), some(3..5));
    clock.advance(Duration::from_millis(1001));
    for (_, cache) in [(&b, &in_a), (&b, &in_b)] {
        assert_eq!(cache.get_many(&[1, 2, 3, 4]).await, [None, Some("lamp 2".to_string()), None, None]);
    }
}

#[tokio::test]
async fn tags_that_only_the_result_names_are_stored_with_versions_from_before_the_load() {
    let (_clock, _shelf, (_a, in_a), (b, in_b)) = two();
    let load = |ids: Vec<u64>| async move {
        let lamp = |id| Ok(Loaded::new(format!("lamp {id}")).tag(format!("room:{}", id % 2)));
        Ok::<_, std::io::Error>(ids.into_iter().map(move |id| (id, lamp(id))).collect::<Vec<_>>())
    };
    // At first nobody knows what the tags were at before the load.
    in_a.entries(&[1, 2]).load_with(load).await;
    assert_eq!(in_b.get_many(&[1, 2]).await, [None, None]);
    in_a.entries(&[1, 2]).load_with(load).await;
    assert_eq!(in_b.get_many(&[1, 2]).await, some(1..3));
    b.invalidate_tag("room:1").await.unwrap();
    assert_eq!(in_b.get_many(&[1, 2]).await, [None, Some("lamp 2".to_string())]);
}

#[tokio::test]
async fn a_batch_waits_for_no_other_process_and_gives_back_the_leases_of_a_failed_load() {
    let (_clock, shelf, (_a, in_a), (_b, in_b)) = two();
    let db = lamps();
    let (one, second) = (Key::new("{tierce:lamp:1:1}"), Duration::from_secs(1));
    let lease = shelf.lease(&one, None, second, second).await.unwrap();
    let Lease::Won(token) = lease else { panic!("{lease:?}") };
    assert_eq!(in_a.get_many_or_load(&[1, 2], |ids| db.load_many(ids)).await.unwrap(), some(1..3));
    assert_eq!(in_b.get_many(&[1, 2]).await, [None, Some("lamp 2".to_string())]);
    shelf.give_back(&one, token, second).await.unwrap();
    db.fail_next(1);
    in_b.get_many_or_load(&[5], |ids| db.load_many(ids)).await.unwrap_err();
    assert_eq!(in_a.get_or_load(&5, || db.load(&5)).await.unwrap(), "lamp 5");
    assert_eq!(in_b.get(&5).await.as_deref(), Some("lamp 5"));
}

#[tokio::test]
async fn a_batch_is_loaded_though_the_store_fails() {
    let (_clock, shelf, (_a, in_a), _b) = two();
    let db = lamps();
    shelf.fail(Fault::Timeout);
    assert_eq!(in_a.get_many(&[1, 2]).await, [None, None]);
    assert_eq!(in_a.get_many_or_load(&[1, 2], |ids| db.load_many(ids)).await.unwrap(), some(1..3));
    assert_eq!(in_a.get_many(&[1, 2]).await, some(1..3));
}

#[tokio::test]
async fn a_window_of_several_callers_asks_the_store_first() {
    let (_clock, _shelf, (_a, in_a), (_b, in_b)) = two();
    let db = lamps();
    in_a.get_many_or_load(&[1, 2], |ids| db.load_many(ids)).await.unwrap();
    let loads = db.loads();
    let joint = in_b.batched(Duration::from_millis(1), 100, {
        let db = db.clone();
        move |ids| db.load_many(ids)
    });
    let (one, three) = tokio::join!(joint.find_or_load(&1), joint.find_or_load(&3));
    assert_eq!((one.unwrap().as_deref(), three.unwrap().as_deref()), (Some("lamp 1"), Some("lamp 3")));
    assert_eq!((in_b.stats().store_hits, db.loads()), (1, loads + 1));
    assert_eq!(in_a.get(&3).await.as_deref(), Some("lamp 3"));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_a_load_that_began_after_its_leader_had_asked_the_store() {
    let (_clock, shelf, (_a, in_a), _b) = two();
    let db = lamps();
    db.freeze();
    shelf.freeze();
    let leading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_or_load(&7, || db.load(&7)).await }
    });
    settle().await;
    let following = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_many_or_load(&[7], |ids| db.load_many(ids)).await }
    });
    settle().await;
    shelf.release();
    settle().await;
    // Longer than one who asks the store is waited for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!following.is_finished(), "the load has its own time");
    db.release();
    assert_eq!(leading.await.unwrap().unwrap(), "lamp 7");
    assert_eq!(following.await.unwrap().unwrap(), some([7]));
}
