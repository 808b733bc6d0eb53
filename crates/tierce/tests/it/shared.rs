//! Two processes and a store between them: two hubs of one test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tierce::store::Fault;
use tierce::testing::{ManualClock, Shelf, Source, Watch};
use tierce::{Cache, Hub, InStore, Kind, Loaded};

struct Processes {
    clock: ManualClock,
    shelf: Shelf,
}

impl Processes {
    fn new() -> Self {
        let clock = ManualClock::new();
        Processes { shelf: Shelf::new(clock.clock()), clock }
    }

    /// A process that starts now.
    fn start(&self) -> (Hub, Cache<u64, String>) {
        let hub = Hub::builder().clock(self.clock.clock()).seed(7).store(self.shelf.clone()).build();
        let lamps = hub.cache("lamp").ttl(Duration::from_secs(60)).jitter(0.0).build();
        (hub, lamps)
    }

    /// Memory is believed no longer.
    fn later(&self) {
        self.clock.advance(Duration::from_millis(1001));
    }
}

fn lamps() -> Source<u64, String> {
    Source::from([(7, "a lamp".to_string()), (8, "another".to_string())])
}

/// So many loads have begun.
async fn begun(db: &Source<u64, String>, loads: u64) {
    let begun = async {
        while db.loads() < loads {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.expect("it begins");
}

#[tokio::test]
async fn what_one_process_loaded_the_others_find_and_so_does_the_next_to_start() {
    let (processes, db) = (Processes::new(), lamps());
    let (_a, in_a) = processes.start();
    assert_eq!(in_a.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
    let (_b, in_b) = processes.start();
    let watch = Watch::new(&in_b);
    assert_eq!(in_b.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"));
    watch.hits(1).misses(1).loads(0);
    assert_eq!((db.loads(), in_b.stats().store_hits), (1, 1));
}

#[tokio::test]
async fn get_asks_the_store_and_keeps_what_it_finds() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    assert_eq!(in_b.get(&7).await, None);
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"));
    assert_eq!(in_b.peek(&7).as_deref(), Some("a lamp"));
}

#[tokio::test]
async fn an_absence_is_shared_and_told_from_a_miss() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    assert_eq!(in_a.find_or_load(&9, || db.find(&9)).await.unwrap(), None);
    assert_eq!(in_b.find_or_load(&9, || db.find(&9)).await.unwrap(), None);
    assert_eq!(db.loads(), 1);
    // Who accepts values only loads.
    assert!(in_b.get_or_load(&9, || async { Ok::<_, std::io::Error>("new".to_string()) }).await.is_ok());
}

#[tokio::test]
async fn an_invalidation_is_seen_at_once_where_it_was_asked_and_elsewhere_when_memory_is_believed_no_longer() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    for cache in [&in_a, &in_b] {
        cache.get_or_load(&7, || db.load(&7)).await.unwrap();
    }
    db.set(7, "a new lamp".to_string());
    in_a.invalidate(&7).await.unwrap();
    assert_eq!(in_a.get_or_load(&7, || db.load(&7)).await.unwrap(), "a new lamp");
    processes.later();
    assert_eq!(in_b.get_or_load(&7, || db.load(&7)).await.unwrap(), "a new lamp");
    assert_eq!(db.loads(), 2);
}

#[tokio::test]
async fn a_tag_ends_what_has_it_in_all_processes_by_one_write() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    for cache in [&in_a, &in_b] {
        cache.entry(&7).tags(["lamps"]).get_or_load(|| db.load(&7)).await.unwrap();
        cache.entry(&8).tags(["others"]).get_or_load(|| db.load(&8)).await.unwrap();
    }
    assert_eq!(db.loads(), 2);
    a.invalidate_tag("lamps").await.unwrap();
    assert_eq!(in_a.get(&7).await, None);
    processes.later();
    assert_eq!((in_b.get(&7).await, in_b.get(&8).await.as_deref()), (None, Some("another")));
}

#[tokio::test]
async fn a_tag_is_missed_no_longer_than_memory_is_believed_though_its_version_was_read_before() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    for key in [7, 8] {
        in_a.entry(&key).tags(["lamps"]).get_or_load(|| db.load(&key)).await.unwrap();
    }
    assert!(in_b.get(&7).await.is_some());
    a.invalidate_tag("lamps").await.unwrap();
    processes.clock.advance(Duration::from_millis(900));
    // By the version that came with the other key.
    assert!(in_b.get(&8).await.is_some());
    processes.clock.advance(Duration::from_millis(101));
    assert_eq!(in_b.get(&8).await, None);
}

#[tokio::test]
async fn a_purge_ends_one_cache_or_all_and_they_load_anew() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    in_a.purge().await.unwrap();
    assert_eq!((in_a.get(&7).await, in_b.get(&7).await), (None, None));
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap();
    a.purge().await.unwrap();
    processes.later();
    assert_eq!((in_a.get(&7).await, in_b.get(&7).await), (None, None));
}

#[tokio::test]
async fn a_load_during_an_invalidation_elsewhere_is_neither_stored_nor_kept() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    db.freeze();
    let loading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_or_load(&7, || db.load(&7)).await }
    });
    begun(&db, 1).await;
    in_b.invalidate(&7).await.unwrap();
    db.release();
    assert_eq!(loading.await.unwrap().unwrap(), "a lamp");
    assert_eq!((in_a.get(&7).await, in_b.get(&7).await), (None, None));
}

#[tokio::test]
async fn a_tag_that_was_invalidated_elsewhere_during_the_load_ends_what_it_brings() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (b, in_b)) = (processes.start(), processes.start());
    db.freeze();
    let loading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.entry(&7).tags(["lamps"]).get_or_load(|| db.load(&7)).await }
    });
    begun(&db, 1).await;
    b.invalidate_tag("lamps").await.unwrap();
    db.release();
    loading.await.unwrap().unwrap();
    assert_eq!(in_b.get(&7).await, None);
    processes.later();
    assert_eq!(in_a.get(&7).await, None);
}

#[tokio::test]
async fn a_tag_of_the_result_is_stamped_only_with_a_version_from_before_the_load() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (b, in_b)) = (processes.start(), processes.start());
    let load = |db: Source<u64, String>| async move { db.load(&7).await.map(|lamp| Loaded::new(lamp).tag("lamps")) };
    // Nobody knows the tag's version from before: it is not kept, but known from now on.
    in_a.entry(&7).load_with(|_| load(db.clone())).await.unwrap();
    assert_eq!(in_a.get(&7).await, None);
    in_a.entry(&7).load_with(|_| load(db.clone())).await.unwrap();
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"));
    // Invalidated elsewhere while it is loaded.
    in_a.invalidate(&7).await.unwrap();
    db.freeze();
    let loading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.entry(&7).load_with(|_| load(db)).await }
    });
    begun(&db, 3).await;
    b.invalidate_tag("lamps").await.unwrap();
    db.release();
    loading.await.unwrap().unwrap();
    assert_eq!((in_a.get(&7).await, in_b.get(&7).await), (None, None));
}

#[tokio::test]
async fn of_many_callers_in_two_processes_one_loads() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    db.freeze();
    let callers: Vec<_> = (0..100)
        .map(|i| {
            let (cache, db) = (if i % 2 == 0 { in_a.clone() } else { in_b.clone() }, db.clone());
            tokio::spawn(async move { cache.get_or_load(&7, || db.load(&7)).await.unwrap() })
        })
        .collect();
    begun(&db, 1).await;
    db.release();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "a lamp");
    }
    assert_eq!(db.loads(), 1);
}

#[tokio::test]
async fn a_failed_load_gives_its_lease_back() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    db.fail_next(1);
    in_a.get_or_load(&7, || db.load(&7)).await.unwrap_err();
    assert_eq!(in_b.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
}

#[tokio::test]
async fn what_is_set_is_found_everywhere_and_a_load_from_before_is_refused() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    db.freeze();
    let loading = tokio::spawn({
        let (in_a, db) = (in_a.clone(), db.clone());
        async move { in_a.get_or_load(&7, || db.load(&7)).await }
    });
    begun(&db, 1).await;
    in_b.set(7, "a new lamp".to_string()).await.unwrap();
    db.release();
    loading.await.unwrap().unwrap();
    assert_eq!(in_a.get(&7).await.as_deref(), Some("a new lamp"));
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a new lamp"));
}

#[tokio::test]
async fn a_store_that_fails_breaks_no_lookup_and_is_told_later_what_it_missed() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    in_a.entry(&7).tags(["lamps"]).get_or_load(|| db.load(&7)).await.unwrap();
    processes.shelf.fail(Fault::Timeout);
    assert_eq!(in_a.invalidate(&7).await.unwrap_err().kind(), Kind::Store);
    assert_eq!(a.invalidate_tag("others").await.unwrap_err().kind(), Kind::Store);
    for _ in 0..10 {
        assert_eq!(in_a.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
        in_a.invalidate(&7).await.unwrap_err();
    }
    let health = a.store_health().unwrap();
    assert!(health.is_away && health.untold == 2, "{health:?}");
    // It is back, with what was invalidated in it: this process does not ask for that.
    processes.shelf.mend();
    processes.clock.advance(Duration::from_secs(1));
    db.set(7, "a new lamp".to_string());
    assert_eq!(in_a.get_or_load(&7, || db.load(&7)).await.unwrap(), "a new lamp");
    let told = async {
        while a.store_health().unwrap().untold > 0 {
            in_a.get(&9).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("it is told within 20 s");
    assert_eq!(in_b.get_or_load(&7, || db.load(&7)).await.unwrap(), "a new lamp");
}

#[tokio::test]
async fn a_value_past_its_time_is_served_by_a_process_that_finds_it_in_the_store_while_it_loads_behind() {
    let processes = Processes::new();
    let start = || {
        let hub = Hub::builder().clock(processes.clock.clock()).seed(7).store(processes.shelf.clone()).build();
        let ttl = Duration::from_secs(10);
        let cache = hub.cache::<u64, u64>("count").ttl(ttl).jitter(0.0).stale_while_revalidate(ttl * 6).build();
        (hub, cache)
    };
    let ((_a, in_a), (_b, in_b)) = (start(), start());
    let count = Arc::new(AtomicU64::new(0));
    let load = || {
        let count = Arc::clone(&count);
        async move { Ok::<_, std::io::Error>(count.fetch_add(1, Relaxed)) }
    };
    assert_eq!(in_a.get_or_load(&1, load).await.unwrap(), 0);
    processes.clock.advance(Duration::from_secs(11));
    assert_eq!(in_b.get_or_load(&1, load).await.unwrap(), 0);
    let reloaded = async {
        while in_b.peek(&1) != Some(1) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reloaded).await.expect("it is loaded behind");
    processes.later();
    assert_eq!(in_a.get_or_load(&1, load).await.unwrap(), 1);
}

#[tokio::test]
async fn a_strong_read_gets_nothing_from_before_an_invalidation_elsewhere_that_has_returned() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    let load = |cache: Cache<u64, String>| {
        let db = db.clone();
        async move { cache.entry(&7).tags(["lamps"]).strong().get_or_load(|| db.load(&7)).await.unwrap() }
    };
    load(in_a.clone()).await;
    in_b.get(&7).await;
    assert_eq!((in_b.peek(&7).as_deref(), db.loads()), (Some("a lamp"), 1));
    // In the store, and still so: it is not loaded.
    assert_eq!((load(in_b.clone()).await.as_str(), db.loads()), ("a lamp", 1));
    db.set(7, "a new lamp".to_string());
    in_a.invalidate(&7).await.unwrap();
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a lamp"), "it is believed for a second");
    assert_eq!(in_b.entry(&7).strong().get().await, None);
    assert_eq!(load(in_b.clone()).await, "a new lamp");
    assert_eq!(in_b.get(&7).await.as_deref(), Some("a new lamp"), "a strong read leaves nothing older in memory");
    db.set(7, "the newest lamp".to_string());
    a.invalidate_tag("lamps").await.unwrap();
    assert_eq!(load(in_b.clone()).await, "the newest lamp");
    assert_eq!(in_b.stats().strong, 4);
}

#[tokio::test]
async fn a_strong_read_joins_no_load_that_began_before_it() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    db.freeze();
    let loading = tokio::spawn({
        let (in_b, db) = (in_b.clone(), db.clone());
        async move { in_b.get_or_load(&7, || db.load(&7)).await }
    });
    begun(&db, 1).await;
    in_a.invalidate(&7).await.unwrap();
    let strong = tokio::spawn({
        let in_b = in_b.clone();
        async move { in_b.entry(&7).strong().get_or_load(|| async { Ok::<_, std::io::Error>("new".to_string()) }).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    db.release();
    assert_eq!(loading.await.unwrap().unwrap(), "a lamp");
    assert_eq!(strong.await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_touched_entry_has_its_time_anew_in_the_store_and_for_all() {
    let (processes, db) = (Processes::new(), lamps());
    let ((_a, in_a), (b, in_b)) = (processes.start(), processes.start());
    assert!(!in_a.touch(&7).await.unwrap());
    in_a.entry(&7).tags(["lamps"]).get_or_load(|| db.load(&7)).await.unwrap();
    for _ in 0..3 {
        processes.clock.advance(Duration::from_secs(50));
        assert!(in_b.touch(&7).await.unwrap());
    }
    assert_eq!(in_a.get(&7).await.as_deref(), Some("a lamp"));
    b.invalidate_tag("lamps").await.unwrap();
    assert!(!in_b.touch(&7).await.unwrap(), "what was invalidated gets no time");
    processes.clock.advance(Duration::from_secs(50));
    assert_eq!(in_a.get(&7).await, None);
    processes.shelf.fail(Fault::Timeout);
    assert_eq!(in_a.touch(&7).await.unwrap_err().kind(), Kind::Store);
}

#[tokio::test]
async fn explain_tells_what_the_store_holds_and_how_it_is() {
    let (processes, db) = (Processes::new(), lamps());
    let ((a, in_a), (_b, in_b)) = (processes.start(), processes.start());
    let told = in_b.explain(&7).await;
    assert_eq!(told.store.as_ref().unwrap().0, InStore::Nothing);
    let loads = || db.load(&7);
    in_a.entry(&7).tags(["lamps"]).get_or_load(loads).await.unwrap();
    processes.clock.advance(Duration::from_secs(20));
    let Some((InStore::Entry(entry), health)) = in_b.explain(&7).await.store else { panic!("it holds one") };
    assert_eq!((entry.negative, entry.tags), (false, vec!["lamps".to_string()]));
    assert_eq!(entry.fresh_for, Some(Duration::from_secs(40)));
    assert!(entry.size_bytes > "a lamp".len());
    assert_eq!((health.is_away, health.faults), (false, 0));
    assert_eq!(in_b.peek(&7), None, "to explain is not to fetch");

    a.invalidate_tag("lamps").await.unwrap();
    let told = in_b.explain(&7).await;
    assert!(matches!(told.store, Some((InStore::Ended(_), _))), "{told}");
    assert!(
        told.to_string().contains("store: a value of ") && told.to_string().contains("; ended, by a tag"),
        "{told}"
    );

    processes.shelf.fail(Fault::Timeout);
    let told = in_b.explain(&7).await;
    let (in_store, health) = told.store.as_ref().unwrap();
    assert_eq!((in_store, health.faults, &health.last_fault), (&InStore::Unknown, 1, &Some(Fault::Timeout)));
    assert!(told.to_string().contains("store: does not say"), "{told}");
}

/// Another flight beside it would wait for the lease that it has itself.
#[tokio::test(start_paused = true)]
async fn a_load_that_asks_for_itself_is_told_so_though_it_is_too_old_to_be_joined() {
    let clock = ManualClock::new();
    let hub = Hub::builder().clock(clock.clock()).seed(7).store(Shelf::new(clock.clock())).build();
    let lamps = hub.cache::<u64, String>("lamp").build();
    let inside = lamps.clone();
    let load = move || async move {
        // Memory is believed for a second where the store tells nobody.
        clock.advance(Duration::from_secs(5));
        let again = || async { Ok::<_, std::io::Error>("a second load".to_string()) };
        match inside.get_or_load(&7, again).await {
            Err(tierce::LoadError::Cycle) => Ok::<_, std::io::Error>("told".to_string()),
            other => Ok(format!("{other:?}")),
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(30), lamps.get_or_load(&7, load)).await;
    assert_eq!(found.expect("it waits for itself").unwrap(), "told");
}
