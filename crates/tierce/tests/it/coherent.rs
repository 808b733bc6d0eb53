//! Memory that a store keeps coherent: two hubs of one test are two processes.

use std::time::Duration;

use tierce::store::OnDisconnect;
use tierce::testing::{ManualClock, Shelf, Source};
use tierce::{Cache, Hub, Loaded};

struct Processes {
    clock: ManualClock,
    shelf: Shelf,
}

/// One of them, and its connection.
struct Process {
    hub: Hub,
    lamps: Cache<u64, String>,
    line: Shelf,
}

impl Processes {
    fn new() -> Self {
        let clock = ManualClock::new();
        Processes { shelf: Shelf::new(clock.clock()).telling(), clock }
    }

    /// A process that starts now and is told of changes.
    async fn start(&self, on_disconnect: OnDisconnect) -> Process {
        let line = self.shelf.another();
        let hub = Hub::builder().clock(self.clock.clock()).seed(7).store(line.clone());
        let hub = hub.on_disconnect(on_disconnect).build();
        let lamps = hub.cache("lamp").ttl(Duration::from_secs(600)).jitter(0.0).build();
        let process = Process { hub, lamps, line };
        process.coherent(true).await;
        process
    }

    async fn two(&self) -> (Process, Process) {
        let serve = OnDisconnect::ServeFor(Duration::from_secs(10));
        (self.start(serve).await, self.start(serve).await)
    }
}

impl Process {
    async fn load(&self, db: &Source<u64, String>) -> String {
        self.lamps.get_or_load(&7, || db.load(&7)).await.unwrap()
    }

    /// Loads until memory has it: a store's tags are new at first, which is told as a change is.
    async fn keep(&self, db: &Source<u64, String>) {
        while self.has().is_none() {
            self.load(db).await;
            tokio::task::yield_now().await;
        }
    }

    /// What memory has, without the store's being asked.
    fn has(&self) -> Option<String> {
        self.lamps.peek(&7)
    }

    /// Until its store has told it, or has stayed away, for so long.
    async fn coherent(&self, is_coherent: bool) {
        let known = async {
            while self.hub.store_health().unwrap().is_coherent != is_coherent {
                self.lamps.get(&0).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), known).await.expect("it is known within 20 s");
    }
}

fn lamps() -> Source<u64, String> {
    Source::from([(7, "a lamp".to_string())])
}

#[tokio::test]
async fn memory_is_served_for_as_long_as_values_are_fresh_and_no_longer_than_they_are_unchanged() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    a.keep(&db).await;
    b.keep(&db).await;
    for _ in 0..5 {
        processes.clock.advance(Duration::from_secs(100));
        b.coherent(true).await;
        assert_eq!(b.has().as_deref(), Some("a lamp"));
    }
    a.lamps.invalidate(&7).await.unwrap();
    assert_eq!((a.has(), b.has()), (None, None));
    assert_eq!(b.lamps.get(&7).await, None);
}

#[tokio::test]
async fn whatever_changes_a_key_elsewhere_is_told() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    let load = || b.lamps.entry(&7).tags(["lamps", "light"]).get_or_load(|| db.load(&7));
    for change in 0..6 {
        // A tag is new to the store at first, which is told as well.
        while b.has().is_none() {
            load().await.unwrap();
        }
        match change {
            0 => a.lamps.invalidate(&7).await.unwrap(),
            1 => a.lamps.set(7, "a new lamp".to_string()).await.unwrap(),
            2 => a.lamps.mark_stale(&7).await.unwrap(),
            3 => a.hub.invalidate_tag("light").await.unwrap(),
            4 => a.lamps.purge().await.unwrap(),
            _ => a.hub.purge().await.unwrap(),
        }
        assert_eq!(b.has(), None, "change {change}");
    }
}

#[tokio::test]
async fn a_load_that_runs_while_others_change_its_key_is_not_kept_and_not_joined() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    db.freeze();
    let loading = tokio::spawn({
        let (cache, db) = (b.lamps.clone(), db.clone());
        async move { cache.get_or_load(&7, || db.load(&7)).await }
    });
    while db.loads() < 1 {
        tokio::task::yield_now().await;
    }
    a.lamps.invalidate(&7).await.unwrap();
    let later = tokio::spawn({
        let (cache, db) = (b.lamps.clone(), db.clone());
        async move { cache.get_or_load(&7, || async move { db.load(&7).await.map(|lamp| lamp + "!") }).await }
    });
    while db.loads() < 2 {
        tokio::task::yield_now().await;
    }
    db.release();
    assert_eq!(loading.await.unwrap().unwrap(), "a lamp");
    assert_eq!(later.await.unwrap().unwrap(), "a lamp!");
    assert_ne!(b.has().as_deref(), Some("a lamp"));
}

#[tokio::test]
async fn a_process_that_stood_still_asks_before_it_serves() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    b.keep(&db).await;
    processes.clock.advance(Duration::from_millis(151));
    assert_eq!(b.has(), None);
    assert_eq!(b.lamps.get(&7).await.as_deref(), Some("a lamp"));
    b.coherent(true).await;
    assert_eq!(b.has().as_deref(), Some("a lamp"));
    drop(a);
}

#[tokio::test]
async fn a_process_that_is_cut_off_serves_for_its_grace_and_after_that_what_it_loads_for_as_long() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    b.keep(&db).await;
    b.line.cut();
    b.coherent(false).await;
    a.lamps.invalidate(&7).await.unwrap();
    db.set(7, "a new lamp".to_string());
    processes.clock.advance(Duration::from_secs(9));
    assert_eq!(b.load(&db).await, "a lamp");
    processes.clock.advance(Duration::from_secs(2));
    assert_eq!(b.load(&db).await, "a new lamp");
    // Its own is served as long; that it is apart, and may be, is known at the next beat.
    b.keep(&db).await;
    let loads = db.loads();
    processes.clock.advance(Duration::from_secs(9));
    assert_eq!((b.load(&db).await.as_str(), db.loads()), ("a new lamp", loads));
    processes.clock.advance(Duration::from_secs(2));
    assert_eq!((b.load(&db).await.as_str(), db.loads()), ("a new lamp", loads + 1));
}

#[tokio::test]
async fn a_process_that_bypasses_serves_nothing_while_it_is_cut_off() {
    let (processes, db) = (Processes::new(), lamps());
    let b = processes.start(OnDisconnect::Bypass).await;
    b.keep(&db).await;
    b.line.cut();
    processes.clock.advance(Duration::from_millis(151));
    b.coherent(false).await;
    let loads = db.loads();
    for more in 1..4 {
        assert_eq!((b.load(&db).await.as_str(), db.loads()), ("a lamp", loads + more));
        assert_eq!(b.has(), None);
    }
}

#[tokio::test]
async fn what_was_missed_while_it_was_cut_off_is_not_served_when_it_is_back() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    b.keep(&db).await;
    b.line.cut();
    b.coherent(false).await;
    a.lamps.invalidate(&7).await.unwrap();
    db.set(7, "a new lamp".to_string());
    assert_eq!(b.has().as_deref(), Some("a lamp"));
    b.line.reconnect();
    b.coherent(true).await;
    assert_eq!(b.load(&db).await, "a new lamp");
}

#[tokio::test]
async fn a_tag_of_the_result_that_is_invalidated_elsewhere_ends_what_has_it() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, b) = processes.two().await;
    let load = |db: Source<u64, String>| async move { db.load(&7).await.map(|lamp| Loaded::new(lamp).tag("lamps")) };
    while b.has().is_none() {
        b.lamps.entry(&7).load_with(|_| load(db.clone())).await.unwrap();
    }
    a.hub.invalidate_tag("lamps").await.unwrap();
    assert_eq!(b.has(), None);
    assert_eq!(b.lamps.get(&7).await, None);
}

#[tokio::test]
async fn the_health_says_how_long_memory_goes_on_without_its_store() {
    let (processes, db) = (Processes::new(), lamps());
    let (a, _b) = processes.two().await;
    a.keep(&db).await;
    let health = a.hub.store_health().unwrap();
    assert_eq!((health.is_coherent, health.grace), (true, None));
    assert!(health.to_string().starts_with("asked, memory coherent"), "{health}");

    a.line.cut();
    processes.clock.advance(Duration::from_millis(200));
    let in_grace = async {
        while a.hub.store_health().unwrap().grace.is_none() {
            a.lamps.get(&0).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), in_grace).await.expect("it is cut off");
    let grace = a.hub.store_health().unwrap().grace.unwrap();
    // The grace counts from the last beat that was answered.
    assert!(grace > Duration::from_secs(9) && grace < Duration::from_secs(10), "{grace:?}");
    processes.clock.advance(Duration::from_secs(4));
    assert_eq!(a.hub.store_health().unwrap().grace, Some(grace.checked_sub(Duration::from_secs(4)).unwrap()));
    assert!(a.has().is_some());

    a.line.reconnect();
    a.coherent(true).await;
    assert_eq!(a.hub.store_health().unwrap().grace, None);
}
