//! Hubs over real servers: several processes are several hubs of one test.
#![allow(clippy::disallowed_methods, reason = "what real servers cost is measured by real time")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tierce::store::redis::{Client, Redis, Reply};
use tierce::store::{Address, Listener, OnDisconnect, Store};
use tierce::testing::Source;
use tierce::{Any, Cache, Hub, HubBuilder, KeyPattern, Kind, Like, ManualClock};

use crate::server::{Server, free_port};

struct Process {
    hub: Hub,
    lamps: Cache<u64, String>,
}

/// A process that waits for its store however slow a machine is.
async fn start(server: &Server) -> Process {
    let patient = Hub::builder().store_budget(Duration::from_secs(10)).coherence(Duration::from_secs(5));
    connect(patient, server).await
}

async fn connect(hub: HubBuilder, server: &Server) -> Process {
    let hub = hub.namespace("shop").connect(&server.url()).await.unwrap();
    let lamps = hub.cache("lamp").build();
    Process { hub, lamps }
}

impl Process {
    async fn load(&self, db: &Source<u64, String>) -> String {
        self.lamps.entry(&7).tags(["lamps"]).get_or_load(|| db.load(&7)).await.unwrap()
    }

    /// Until it is so.
    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) -> Duration {
        let began = Instant::now();
        let so = async {
            while !is_so(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), so).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"));
        began.elapsed()
    }

    fn is_coherent(&self) -> bool {
        self.hub.store_health().unwrap().is_coherent
    }

    async fn keep(&self, db: &Source<u64, String>) {
        self.until("coherent", Self::is_coherent).await;
        while self.lamps.peek(&7).is_none() {
            self.load(db).await;
            tokio::task::yield_now().await;
        }
    }
}

fn lamps() -> Source<u64, String> {
    Source::from([(7, "a lamp".to_string())])
}

async fn command(server: &Server, parts: &[&str]) -> Reply {
    let client = Client::open(&Address::parse(&server.url()).unwrap(), Duration::from_secs(10));
    client.command(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tells_other_processes_of_every_change() {
    let server = Server::begin(&[]);
    let (a, b, db) = (start(&server).await, start(&server).await, lamps());
    for change in 0..6 {
        a.keep(&db).await;
        b.keep(&db).await;
        match change {
            0 => a.lamps.invalidate(&7).await.unwrap(),
            1 => a.lamps.set(7, "set".to_string()).await.unwrap(),
            2 => a.hub.invalidate_tag("lamps").await.unwrap(),
            3 => a.lamps.purge().await.unwrap(),
            4 => a.hub.purge().await.unwrap(),
            _ => drop(command(&server, &["FLUSHALL"]).await),
        }
        assert!(change == 5 || a.lamps.peek(&7).is_none(), "change {change}");
        let took = b.until("told", |b| b.lamps.peek(&7).is_none()).await;
        assert!(b.is_coherent() || took > Duration::from_millis(100), "it was told, and not only in doubt");
    }
    let loads = db.loads();
    a.keep(&db).await;
    b.keep(&db).await;
    assert!(db.loads() <= loads + 2, "what one loads the other finds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_and_hits_are_told_to_nobody() {
    let server = Server::begin(&[]);
    let (a, b, db) = (start(&server).await, start(&server).await, lamps());
    a.keep(&db).await;
    b.keep(&db).await;
    let (store, told) = (Redis::open(&Address::parse(&server.url()).unwrap()).unwrap(), Arc::new(AtomicU64::new(0)));
    assert!(store.listen("shop", Arc::new(Told(Arc::clone(&told)))));
    store.beat(Duration::from_secs(10)).await.unwrap();
    for id in 100..200 {
        let load = || async move { Ok::<_, std::io::Error>(id.to_string()) };
        a.lamps.entry(&id).tags(["lamps"]).get_or_load(load).await.unwrap();
        assert_eq!(b.lamps.get(&id).await, Some(id.to_string()));
    }
    for id in 100..200 {
        assert_eq!((a.lamps.peek(&id), b.lamps.peek(&id)), (Some(id.to_string()), Some(id.to_string())));
    }
    store.beat(Duration::from_secs(10)).await.unwrap();
    assert_eq!(told.load(Relaxed), 0);
    a.lamps.invalidate(&100).await.unwrap();
    store.beat(Duration::from_secs(10)).await.unwrap();
    assert_eq!(told.load(Relaxed), 1);
}

/// Counts what it is told.
struct Told(Arc<AtomicU64>);

impl Listener for Told {
    fn key_changed(&self, _: &str) {
        self.0.fetch_add(1, Relaxed);
    }

    fn tag_changed(&self, _: &str) {
        self.0.fetch_add(1, Relaxed);
    }

    fn all_changed(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_killed_is_opened_again_and_what_was_missed_is_not_served() {
    let server = Server::begin(&[]);
    let (a, b, db) = (start(&server).await, start(&server).await, lamps());
    for _ in 0..5 {
        a.keep(&db).await;
        b.keep(&db).await;
        drop(command(&server, &["CLIENT", "KILL", "TYPE", "normal"]).await);
        // Its own connection may be what was killed.
        while a.lamps.invalidate(&7).await.is_err() {
            tokio::task::yield_now().await;
        }
        b.until("not served", |b| b.lamps.peek(&7).is_none()).await;
        b.until("coherent", Process::is_coherent).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_costs_a_lookup_its_budget_at_most_and_soon_nothing_and_memory_is_served_meanwhile() {
    let server = Server::begin(&[]);
    let (a, db) = (connect(Hub::builder(), &server).await, lamps());
    a.keep(&db).await;
    server.signal("STOP");
    let began = Instant::now();
    let load = || async { Ok::<_, std::io::Error>("from the source".to_string()) };
    assert_eq!(a.lamps.get_or_load(&1, load).await.unwrap(), "from the source");
    assert!(began.elapsed() < Duration::from_secs(2), "a lookup waited {:?}", began.elapsed());
    a.until("away", |a| a.hub.store_health().unwrap().is_away).await;
    a.until("in grace", |a| a.lamps.peek(&7).is_some()).await;
    let began = Instant::now();
    for id in 1000..1100 {
        a.lamps.get_or_load(&id, load).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(2), "100 lookups waited {:?}", began.elapsed());
    server.signal("CONT");
    a.until("back", |a| a.is_coherent() && !a.hub.store_health().unwrap().is_away).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_anew_finds_what_the_last_one_stored() {
    let server = Server::begin(&[]);
    let db = lamps();
    start(&server).await.load(&db).await;
    let again = start(&server).await;
    assert_eq!((again.load(&db).await.as_str(), db.loads()), ("a lamp", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_no_error_unless_it_is_required() {
    let url = format!("redis://:secret@127.0.0.1:{}", free_port());
    let hub = Hub::connect(&url).await.unwrap();
    let (cache, db) = (hub.cache::<u64, String>("lamp").build(), lamps());
    assert_eq!(cache.get_or_load(&7, || db.load(&7)).await.unwrap(), "a lamp");
    assert!(hub.store_health().unwrap().faults > 0);
    let error = Hub::builder().require_store().connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Store);
    assert!(!error.to_string().contains("secret"), "{error}");
    assert_eq!(Hub::connect("http://127.0.0.1").await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_memcached_holds_is_believed_for_the_age_of_memory() {
    let server = Server::memcached(&[]);
    let (a, b, db) = (start(&server).await, start(&server).await, lamps());
    a.load(&db).await;
    b.load(&db).await;
    assert_eq!(db.loads(), 1);
    let health = a.hub.store_health().unwrap();
    assert!(!health.tells && !health.is_coherent, "{health:?}");
    db.set(7, "a new lamp".to_string());
    a.hub.invalidate_tag("lamps").await.unwrap();
    assert_eq!(a.load(&db).await, "a new lamp");
    let took = b.until("no longer believed", |b| b.lamps.peek(&7).is_none()).await;
    assert!(took < Duration::from_secs(3), "believed for {took:?}");
    assert_eq!(b.load(&db).await, "a new lamp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_leave_to_track_has_the_age_of_memory() {
    let server = Server::begin(&[]);
    drop(
        command(&server, &["ACL", "SETUSER", "small", "on", ">secret", "~*", "&*", "+@all", "-client|tracking"]).await,
    );
    let url = server.url().replace("redis://", "redis://small:secret@");
    let hub = Hub::builder().on_disconnect(OnDisconnect::ServeFor(Duration::from_secs(1))).connect(&url).await.unwrap();
    let a = Process { lamps: hub.cache("lamp").build(), hub };
    let db = lamps();
    a.load(&db).await;
    a.until("known", |a| a.hub.store_health().unwrap().faults > 0).await;
    assert!(!a.is_coherent());
    a.load(&db).await;
    assert!(!a.hub.store_health().unwrap().is_away, "it answers all else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_match_a_pattern_are_ended_in_all_processes() {
    let server = Server::begin(&[]);
    let (a, b) = (start(&server).await, start(&server).await);
    let carts = |process: &Process| process.hub.cache::<(String, u64), u64>("cart").build();
    let (own, other) = (carts(&a), carts(&b));
    b.until("coherent", Process::is_coherent).await;
    let key = |shop: &str, id: u64| (shop.to_string(), id);
    let load = |id: u64| move || async move { Ok::<_, std::io::Error>(id) };
    for id in 0..300 {
        for shop in ["acme", "ac*e"] {
            other.get_or_load(&key(shop, id), load(id)).await.unwrap();
        }
    }
    b.keep(&lamps()).await;
    // In b's memory alone: the server made room.
    let gone = |name: &str| name.contains("\"acme,7)");
    let Reply::List(names) = command(&server, &["KEYS", "{shop:cart:*"]).await else { panic!("no names") };
    for name in names {
        let Reply::Bytes(name) = name else { panic!("no name") };
        let name = String::from_utf8(name).unwrap();
        if gone(&name) {
            command(&server, &["DEL", &name]).await;
        }
    }
    assert!(other.peek(&key("acme", 7)).is_some());
    let pattern = KeyPattern::of(&("acme", Any)).unwrap();
    assert_eq!(own.invalidate_matching(&pattern).await.unwrap(), 299);
    b.until("told", |_| (0..300).all(|id| other.peek(&key("acme", id)).is_none())).await;
    assert!(b.lamps.peek(&7).is_some(), "another cache is left alone");
    for id in 0..300 {
        let found = (own.get(&key("acme", id)).await, own.get(&key("ac*e", id)).await);
        assert_eq!(found, (None, Some(id)), "a star in a key is no star of a pattern");
    }
    let pattern = KeyPattern::of(&(Like("ac*e"), 7)).unwrap();
    assert_eq!(own.invalidate_matching(&pattern).await.unwrap(), 1);
    assert_eq!(own.invalidate_where(|_| true).unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_whose_key_matches_is_not_stored() {
    let server = Server::begin(&[]);
    let (a, b) = (start(&server).await, start(&server).await);
    let db = Arc::new(lamps());
    db.freeze();
    let loading = tokio::spawn({
        let (lamps, db) = (a.lamps.clone(), Arc::clone(&db));
        async move { lamps.get_or_load(&7, || db.load(&7)).await.unwrap() }
    });
    a.until("loading", |_| db.loads() == 1).await;
    b.lamps.invalidate_matching(&KeyPattern::of(&Any).unwrap()).await.unwrap();
    db.release();
    loading.await.unwrap();
    assert_eq!(b.lamps.entry(&7).strong().get().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memcached_refuses_patterns_and_says_what_to_do() {
    let server = Server::memcached(&[]);
    let a = start(&server).await;
    let error = a.lamps.invalidate_matching(&KeyPattern::of(&Any).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("give the entries a tag"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_the_users_own_are_answered_and_what_would_hold_up_others_is_refused() {
    let server = Server::begin(&[]);
    let a = start(&server).await;
    assert_eq!(a.hub.command(&["INCR", "visits"]).await.unwrap(), Reply::Int(1));
    let bytes: [&[u8]; 3] = [b"SET", b"a\0b", b"\xFF"];
    assert_eq!(a.hub.command(&bytes).await.unwrap(), Reply::Okay);
    assert_eq!(a.hub.command(&[&b"GET"[..], &b"a\0b"[..]]).await.unwrap(), Reply::Bytes(vec![0xFF]));
    let refused = a.hub.command(&["LPUSH", "visits", "1"]).await.unwrap_err();
    assert!(refused.kind() == Kind::Store && refused.to_string().contains("WRONGTYPE"), "{refused}");
    for command in [&["BLPOP", "a", "0"][..], &["SUBSCRIBE", "a"], &["select", "1"], &[]] {
        assert_eq!(a.hub.command(command).await.unwrap_err().kind(), Kind::Invalid, "{command:?}");
    }
    let memcached = Server::memcached(&[]);
    assert_eq!(start(&memcached).await.hub.command(&["GET", "a"]).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(Hub::embedded().command(&["GET", "a"]).await.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_say_how_they_are_each_for_itself() {
    let server = Server::begin(&["--maxmemory", "64mb"]);
    let a = start(&server).await;
    command(&server, &["CONFIG", "RESETSTAT"]).await;
    command(&server, &["SET", "a", "1"]).await;
    for key in ["a", "a", "a", "b"] {
        command(&server, &["GET", key]).await;
    }
    let [told] = <[_; 1]>::try_from(a.hub.servers().await.unwrap()).unwrap();
    assert_eq!((told.hits(), told.misses(), told.evictions()), (Some(3), Some(1), Some(0)));
    assert_eq!((told.hit_rate(), told.memory_limit_bytes(), told.fault()), (Some(0.75), Some(64 << 20), None));
    assert!(told.memory_bytes() > Some(0) && told.clients() > Some(0) && told.uptime().is_some());
    assert!(told.version().is_some() && matches!(told.software(), Some("redis" | "valkey")));

    let (one, mut two) = (Server::memcached(&[]), Server::memcached(&[]));
    let hub = Hub::connect(&format!("memcached://{},{}", one.place(), two.place())).await.unwrap();
    two.kill();
    let told = hub.servers().await.unwrap();
    assert_eq!(told.iter().map(|server| server.address.as_str()).collect::<Vec<_>>(), [one.place(), two.place()]);
    assert_eq!((told[0].software(), told[0].fault()), (Some("memcached"), None));
    assert!(told[0].memory_limit_bytes() > Some(0) && told[1].fault().is_some() && told[1].hits().is_none());
}

/// Issue 4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_without_end_are_served_without_end() {
    let server = Server::begin(&[]);
    let forever = Hub::builder().on_disconnect(OnDisconnect::ServeFor(Duration::MAX)).coherence(Duration::MAX);
    let (a, db) = (connect(forever, &server).await, lamps());
    a.keep(&db).await;
    drop(server);
    a.until("cut off", |a| !a.is_coherent()).await;
    assert_eq!(a.lamps.peek(&7).as_deref(), Some("a lamp"));
    assert_eq!(a.load(&db).await, "a lamp");
}

/// Issue 4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_server_cannot_be_told_keeps_nothing_from_the_others() {
    let (one, mut two) = (Server::memcached(&[]), Server::memcached(&[]));
    let url = format!("memcached://{},{}", one.place(), two.place());
    let hub = Hub::builder().namespace("shop").connect(&url).await.unwrap();
    let a = Process { lamps: hub.cache("lamp").build(), hub };
    two.kill();
    let ids: Vec<_> = (0..400).collect();
    a.lamps.invalidate_many(&ids).await.unwrap_err();
    for id in 0..100 {
        // Some are on the server that lives, and all may be kept.
        drop(a.hub.invalidate_tag(&format!("tag {id}")).await);
    }
    let untold = |a: &Process| a.hub.store_health().unwrap().untold;
    // Half of them, or about that.
    a.until("told", |a| untold(a) < 350).await;
    let began = Instant::now();
    let mut before = (0, 0);
    // What is told is told once: the server that lives has rest, though what the other is to be told is tried for ever.
    while before != (changes(&one), untold(&a)) {
        before = (changes(&one), untold(&a));
        assert!(began.elapsed() < Duration::from_secs(20), "{before:?}");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!((150..350).contains(&before.1), "{} are untold", before.1);
    two.start();
    a.until("all told", |a| untold(a) == 0).await;
}

/// How many items were asked to go or to be stored.
fn changes(server: &Server) -> u64 {
    let stats = server.told("stats\r\n");
    let counts = ["cmd_set", "delete_hits", "delete_misses"].map(|name| {
        let line = stats.lines().find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().trim().parse::<u64>().unwrap()
    });
    counts.iter().sum()
}

/// Issue 4: what is asked for so that the server keeps it holds up no beat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_are_asked_for_again_between_beats() {
    let (server, clock) = (Server::begin(&[]), ManualClock::new());
    let a = connect(Hub::builder().clock(clock.clock()).store_budget(Duration::from_secs(10)), &server).await;
    a.until("coherent", Process::is_coherent).await;
    for id in 0..600 {
        let load = || async move { Ok::<_, std::io::Error>(id.to_string()) };
        // A tag that is new is told of, and known only after that.
        while a.lamps.peek(&id).is_none() {
            a.lamps.entry(&id).tags([format!("lamp {id}")]).get_or_load(load).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    let mut watch = TcpStream::connect(server.place()).unwrap();
    watch.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    watch.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(watch).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "+OK");
    clock.advance(Duration::from_secs(31));
    let (began, mut asked, mut beats) = (Instant::now(), 0, 0);
    while asked < 600 {
        assert!(began.elapsed() < Duration::from_secs(20), "{asked} were asked for");
        let line = lines.next().unwrap();
        if line.contains(" lua] ") {
            continue;
        }
        match line.matches("\"t{shop:").count() {
            0 => beats += usize::from(line.contains("\"PING\"")),
            tags => {
                assert!(asked == 0 || beats > 0, "{asked} and {tags} more were asked for without a beat");
                (asked, beats) = (asked + tags, 0);
            }
        }
    }
}

/// Issue 4: a fleet is not given up for one of its servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_keeps_nobody_from_the_others() {
    let (one, two) = (Server::memcached(&[]), Server::memcached(&[]));
    let url = format!("memcached://{},{}", one.place(), two.place());
    let open = async |number: u32| {
        let hub = Hub::builder().namespace(&format!("shop{number}")).connect(&url).await.unwrap();
        Process { lamps: hub.cache("lamp").build(), hub }
    };
    // Where the tags that all entries have are on the server that stays.
    let has = |server: &Server, name: String| server.told(&format!("mg {name} t\r\n")).starts_with("HD");
    let mut number = 0;
    let a = loop {
        let a = open(number).await;
        a.load(&lamps()).await;
        if has(&one, format!("t{{shop{number}:*}}")) && has(&one, format!("t{{shop{number}:*lamp:1}}")) {
            break a;
        }
        number += 1;
    };
    for id in 1000..1300 {
        let load = || async move { Ok::<_, std::io::Error>(id.to_string()) };
        a.lamps.get_or_load(&id, load).await.unwrap();
    }
    two.signal("STOP");
    let (b, loads) = (open(number).await, Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    for id in 1000..1300 {
        let loads = Arc::clone(&loads);
        let load = move || async move {
            loads.fetch_add(1, Relaxed);
            Ok::<_, std::io::Error>(id.to_string())
        };
        assert_eq!(b.lamps.get_or_load(&id, load).await.unwrap(), id.to_string());
    }
    let (took, loads) = (began.elapsed(), loads.load(Relaxed));
    assert!(took < Duration::from_secs(5), "300 lookups waited {took:?}");
    // Half of them, or about that.
    assert!((90..210).contains(&loads), "{loads} of 300 were loaded");
    assert!(!b.hub.store_health().unwrap().is_away, "one server answers");
    two.signal("CONT");
    let began = Instant::now();
    // By who had found it away.
    for id in 1000..1300 {
        while b.lamps.entry(&id).strong().get().await.is_none() {
            assert!(began.elapsed() < Duration::from_secs(20), "{id} is not found again");
            tokio::task::yield_now().await;
        }
    }
}
