//! What went wrong once between a lookup and its store: each test is a fault that was found.

use std::sync::mpsc;
use std::time::Duration;

use tierce::testing::{ManualClock, Shelf, Source};
use tierce::{Cache, Freshness, Hub, LoadError, Lookup};

struct Processes {
    clock: ManualClock,
    shelf: Shelf,
}

const SECOND: Duration = Duration::from_secs(1);

impl Processes {
    fn new() -> Self {
        let clock = ManualClock::new();
        Processes { shelf: Shelf::new(clock.clock()), clock }
    }

    /// A process that starts now, with stale values for a minute.
    fn start(&self, memory: Duration) -> (Hub, Cache<u64, String>) {
        let hub = Hub::builder().clock(self.clock.clock()).seed(7).store(self.shelf.clone()).memory_age(memory).build();
        let lamps = hub.cache("lamp").ttl(SECOND * 60).jitter(0.0).stale_if_error(SECOND * 60).soft_timeout(SECOND);
        let lamps = lamps.build();
        (hub, lamps)
    }
}

fn database() -> Source<u64, String> {
    Source::from([(7, "a lamp".to_string()), (8, "another".to_string())])
}

/// A load that has begun, of a database that answers when it is released.
async fn begun<T: Send + 'static>(
    db: &Source<u64, String>,
    load: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    db.freeze();
    let loads = db.loads();
    let load = tokio::spawn(load);
    while db.loads() == loads {
        tokio::task::yield_now().await;
    }
    load
}

/// Other tasks have gone as far as they can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_plain_function_that_takes_longer_than_a_lease_is_stored_all_the_same() {
    let shelf = Shelf::default();
    let start = || Hub::builder().store(shelf.clone()).build().cache::<u64, String>("lamp").build();
    let (here, there) = (start(), start());
    let slow = || {
        // Nobody sends anything: it takes its time, and its thread's.
        let (sender, receiver) = mpsc::channel::<()>();
        let waited = receiver.recv_timeout(Duration::from_millis(2600));
        drop(sender);
        assert!(waited.is_err());
        Ok::<_, std::io::Error>("a lamp".to_string())
    };
    assert_eq!(here.blocking_get_or_load(&7, slow).unwrap(), "a lamp");
    assert_eq!(tierce::block_on(there.get(&7)).as_deref(), Some("a lamp"));
}

#[tokio::test]
async fn a_stale_entry_that_memory_may_not_serve_is_loaded_and_not_asked_for_again_and_again() {
    let clock = ManualClock::new();
    // By the same clock: by the system's the store would have nothing a minute later, and who asks till then be answered.
    let shelf = Shelf::new(clock.clock());
    let hub = Hub::builder().clock(clock.clock()).seed(7).store(shelf).memory_age(Duration::ZERO).build();
    let lamps = hub.cache::<u64, String>("lamp").ttl(SECOND).jitter(0.0).stale_while_revalidate(SECOND * 60).build();
    let db = database();
    lamps.get_or_load(&7, || db.load(&7)).await.unwrap();
    clock.advance(SECOND * 2);
    db.set(7, "a new lamp".to_string());
    assert_eq!(lamps.get_or_load(&7, || db.load(&7)).await.unwrap(), "a new lamp");
}

#[tokio::test]
async fn a_batch_stores_over_what_a_tag_has_ended() {
    let processes = Processes::new();
    let ((a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    let load = || in_a.entries(&[7, 8]).tags(["lamps"]).get_or_load(|ids| db.load_many(ids));
    load().await.unwrap();
    a.invalidate_tag("lamps").await.unwrap();
    assert_eq!(in_b.get_many(&[7, 8]).await, [None, None]);
    load().await.unwrap();
    let both = [Some("a lamp".to_string()), Some("another".to_string())];
    assert_eq!(in_b.get_many(&[7, 8]).await, both);
}

#[tokio::test]
async fn what_is_loaded_while_its_key_is_held_is_not_stored() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    let hold = in_a.hold(&7).await.unwrap();
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    in_a.get_many_or_load(&[7, 8], |ids| db.load_many(ids)).await.unwrap();
    hold.unchanged();
    assert_eq!(in_b.get_many(&[7, 8]).await, [None, Some("another".to_string())]);
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"));
}

#[tokio::test]
async fn of_many_who_ask_the_store_at_once_each_gets_what_it_has() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    in_a.get_many_or_load(&[7, 8], |ids| db.load_many(ids)).await.unwrap();
    processes.shelf.freeze();
    let singles: Vec<_> = (0..10).map(|_| in_b.clone()).map(|in_b| async move { in_b.get(&7).await }).collect();
    let singles: Vec<_> = singles.into_iter().map(tokio::spawn).collect();
    let many: Vec<_> = (0..3).map(|_| in_b.clone()).map(|in_b| async move { in_b.get_many(&[7, 8]).await }).collect();
    let many: Vec<_> = many.into_iter().map(tokio::spawn).collect();
    settle().await;
    processes.shelf.release();
    for single in singles {
        assert_eq!(single.await.unwrap().as_deref(), Some("a lamp"));
    }
    for many in many {
        assert_eq!(many.await.unwrap(), [Some("a lamp".to_string()), Some("another".to_string())]);
    }
}

/// A process that has a stale value, whose store and database do not answer.
async fn all_stand_still() -> (Processes, (Hub, Cache<u64, String>), Source<u64, String>) {
    let (processes, db) = (Processes::new(), database());
    let process = processes.start(SECOND * 1000);
    process.1.get_or_load(&7, || db.load(&7)).await.unwrap();
    processes.clock.advance(SECOND * 70);
    processes.shelf.freeze();
    db.freeze();
    (processes, process, db)
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_served_when_it_is_time_for_it_while_the_store_is_asked() {
    let (_processes, (_hub, lamps), db) = all_stand_still().await;
    let asked = tokio::time::timeout(
        SECOND * 5,
        lamps.entry(&7).load_with(|_| async move { db.load(&7).await.map(|lamp| Some(lamp).into()) }),
    );
    assert_eq!(asked.await.unwrap().unwrap(), Lookup::Hit("a lamp".to_string(), Freshness::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_store_no_longer_than_for_its_load() {
    let (_processes, (_hub, lamps), db) = all_stand_still().await;
    let asked = tokio::time::timeout(SECOND * 5, lamps.entries(&[7, 8]).get_or_load(|ids| db.load_many(ids)));
    // Its soft timeout passes, with nothing for the one and a stale value for the other; then its own.
    assert!(asked.await.is_err());
    let asked = lamps.entries(&[8]).timeout(SECOND).get_or_load(|ids| db.load_many(ids));
    let partial = tokio::time::timeout(SECOND * 5, asked).await.expect("it is over in time").unwrap_err();
    assert!(matches!(partial.error(), LoadError::Timeout), "{partial}");
}

#[tokio::test]
async fn who_wants_a_value_loads_it_though_another_process_stores_an_absence_meanwhile() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    let absence = begun(&db, {
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.find_or_load(&9, || db.find(&9)).await }
    });
    let absence = absence.await;
    let value = tokio::spawn({
        let in_b = in_b.clone();
        async move { in_b.get_or_load(&9, || async { Ok::<_, std::io::Error>("new".to_string()) }).await }
    });
    settle().await;
    db.release();
    assert_eq!(absence.await.unwrap().unwrap(), None);
    assert_eq!(value.await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn what_was_loaded_across_a_hold_is_not_stored() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    let loading = begun(&db, {
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_or_load(&7, || db.load(&7)).await }
    });
    let loading = loading.await;
    in_a.hold(&7).await.unwrap().unchanged();
    db.release();
    assert_eq!(loading.await.unwrap().unwrap(), "a lamp");
    assert_eq!(in_b.get(&7).await, None);
    // Nobody has held it since.
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"));
}

#[tokio::test]
async fn what_the_store_refused_is_told_as_invalidated_and_counted() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    let loading = begun(&db, {
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_or_load(&7, || db.load(&7)).await }
    });
    let loading = loading.await;
    in_b.invalidate(&7).await.unwrap();
    db.release();
    loading.await.unwrap().unwrap();
    assert_eq!((in_a.peek(&7), in_a.stats().refused), (None, 1));
    let told = in_a.explain(&7).await.to_string();
    assert!(told.contains("loaded, but invalidated before the load ended"), "{told}");
}

#[tokio::test]
async fn what_is_too_large_for_the_store_is_kept_by_a_load_and_not_by_a_set_and_is_counted() {
    let processes = Processes::new();
    let (_a, in_a) = processes.start(SECOND * 1000);
    let large = "a".repeat(1 << 20);
    in_a.set(7, "a lamp".to_string()).await.unwrap();
    in_a.set(7, large.clone()).await.unwrap();
    assert_eq!((in_a.get(&7).await, in_a.stats().unshared), (None, 1));
    let load = || async { Ok::<_, std::io::Error>(large) };
    in_a.get_or_load(&7, load).await.unwrap();
    assert_eq!((in_a.peek(&7).map(|value| value.len()), in_a.stats().unshared), (Some(1 << 20), 2));
}

#[tokio::test]
async fn a_batch_asks_at_once_for_what_it_leads_and_what_it_follows() {
    let processes = Processes::new();
    let ((_a, in_a), (_b, in_b)) = (processes.start(SECOND), processes.start(SECOND));
    let db = database();
    in_a.get_many_or_load(&[7, 8], |ids| db.load_many(ids)).await.unwrap();
    processes.shelf.freeze();
    let single = tokio::spawn({
        let in_b = in_b.clone();
        async move { in_b.get(&7).await }
    });
    settle().await;
    assert_eq!(processes.shelf.waiting(), 1);
    let many = tokio::spawn(async move { in_b.get_many(&[7, 8]).await });
    settle().await;
    assert_eq!(processes.shelf.waiting(), 3, "one question would wait for the other's answer");
    processes.shelf.release();
    assert!(single.await.unwrap().is_some());
    assert_eq!(many.await.unwrap(), [Some("a lamp".to_string()), Some("another".to_string())]);
}
