//! The store on Redis: what every store promises, and what becomes of it when the server fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tierce::store::redis::{Client, Redis, Reply};
use tierce::store::{Address, Fault, Key, Lease, Listener, Store, Tag, Tell, Token, check_store};
use tierce::testing::Shelf;
use tierce::{Clock, ManualClock};

use crate::leases::is_given_back_when_it_comes_too_late;
use crate::server::Server;

const WITHIN: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);
const ENTRY: &[u8] = b"\xC4\x01\x00entry";

fn open(server: &Server) -> Redis {
    Redis::open(&Address::parse(&server.url()).unwrap()).unwrap()
}

fn commands(server: &Server) -> Client {
    Client::open(&Address::parse(&server.url()).unwrap(), WITHIN)
}

fn key(name: &str) -> Key {
    Key::new(format!("{{test:cache:1:{name}}}"))
}

async fn win(store: &dyn Store, key: &Key) -> Token {
    match store.lease(key, None, LONG, WITHIN).await {
        Ok(Lease::Won(token)) => token,
        other => panic!("the lease was not won: {other:?}"),
    }
}

async fn fill(store: &dyn Store, key: &Key, token: Token) -> Result<bool, Fault> {
    store.fill(key, token, ENTRY, LONG, Tell::Everybody, WITHIN).await
}

async fn told(commands: &Client, parts: &[&str]) -> Reply {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    commands.command(&parts).await.unwrap()
}

#[tokio::test]
async fn redis_keeps_what_a_store_promises() {
    let server = Server::begin(&[]);
    check_store(&open(&server)).await;
}

#[tokio::test]
async fn so_does_the_store_in_the_process() {
    check_store(&Shelf::default()).await;
}

#[tokio::test]
async fn a_tag_that_was_lost_never_comes_back_as_it_was() {
    let shelf = Shelf::new(ManualClock::new().clock());
    let tag = [Tag::new("{test:tag}")];
    let before = shelf.versions(&tag, WITHIN).await.unwrap();
    shelf.evict_tag(&tag[0]);
    assert_ne!(shelf.versions(&tag, WITHIN).await.unwrap(), before);

    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    let before = store.versions(&tag, WITHIN).await.unwrap();
    told(&commands, &["DEL", "t{test:tag}"]).await;
    let after = store.versions(&tag, WITHIN).await.unwrap();
    assert_ne!(after, before);
    // What is no version is none.
    told(&commands, &["SET", "t{test:tag}", "7"]).await;
    assert_ne!(store.versions(&tag, WITHIN).await.unwrap(), after);
}

#[tokio::test]
async fn of_what_was_asked_only_entries_leases_and_tags_are_left() {
    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    let (one, two, tag) = (key("one"), key("two"), Tag::new("{test:tag}"));
    store.set(&one, ENTRY, LONG, WITHIN).await.unwrap();
    store.mark_stale(&one, LONG, WITHIN).await.unwrap();
    let token = win(&store, &two).await;
    store.renew(&tag, WITHIN).await.unwrap();
    let mut names = ["{test:cache:1:one}", "l{test:cache:1:two}", "t{test:tag}"].map(ToString::to_string).to_vec();
    names.sort();
    assert_eq!(all_names(&commands).await, names);
    assert_eq!(fill(&store, &two, token).await, Ok(true));
    store.invalidate(&[one, two], WITHIN).await.unwrap();
    assert_eq!(all_names(&commands).await, ["t{test:tag}"]);
}

async fn all_names(commands: &Client) -> Vec<String> {
    let Reply::List(names) = told(commands, &["KEYS", "*"]).await else { panic!("no names") };
    let name = |name| match name {
        Reply::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?} is no name"),
    };
    let mut names: Vec<_> = names.into_iter().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_lease_that_comes_too_late_is_given_back() {
    let server = Server::begin(&[]);
    is_given_back_when_it_comes_too_late(&server, &open(&server)).await;
}

#[tokio::test]
async fn a_frozen_server_costs_every_verb_its_time_and_no_more() {
    let server = Server::begin(&[]);
    let store = open(&server);
    let (key, tag, token) = (key("frozen"), Tag::new("{test:tag}"), Token { number: 1, connection: 0 });
    assert_eq!(store.get(&key, WITHIN).await, Ok(None));
    server.signal("STOP");
    let hasty = Duration::from_millis(30);
    let keys = std::slice::from_ref(&key);
    let began = Clock::system().precise();
    assert_eq!(store.get(&key, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.get_many(keys, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.lease(&key, None, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.extend(&key, token, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.fill(&key, token, ENTRY, LONG, Tell::Nobody, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.give_back(&key, token, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.hold(&key, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.set(&key, ENTRY, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.touch(&key, ENTRY, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.invalidate(keys, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.mark_stale(&key, LONG, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.versions(std::slice::from_ref(&tag), hasty).await, Err(Fault::Timeout));
    assert_eq!(store.renew(&tag, hasty).await, Err(Fault::Timeout));
    assert_eq!(store.invalidate_matching("{test:", "*", hasty).await, Err(Fault::Timeout));
    assert_eq!(store.servers(hasty).await, Err(Fault::Timeout));
    assert_eq!(store.get(&key, Duration::ZERO).await, Err(Fault::Timeout));
    let took = Clock::system().precise().saturating_sub(began);
    // Fifteen times as long as one; the upper bound is for machines that are busy with builds.
    assert!(took < Duration::from_secs(5), "{took:?}");
    server.signal("CONT");
    store.set(&key, ENTRY, LONG, WITHIN).await.unwrap();
    assert!(store.get(&key, WITHIN).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_does_not_outlive_a_server_that_was_killed() {
    let mut server = Server::begin(&[]);
    let store = open(&server);
    let key = key("killed");
    let token = win(&store, &key).await;
    server.kill();
    let fault = fill(&store, &key, token).await.unwrap_err();
    assert!(matches!(fault, Fault::Lost | Fault::Down(_)), "{fault}");
    server.start();
    let mut filled = fill(&store, &key, token).await;
    while filled.is_err() {
        filled = fill(&store, &key, token).await;
    }
    assert_eq!(filled, Ok(false));
    let token = win(&store, &key).await;
    assert_eq!(fill(&store, &key, token).await, Ok(true));
}

#[tokio::test]
async fn a_server_that_was_emptied_refuses_fills_and_gives_new_versions() {
    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    let (key, tag) = (key("flushed"), [Tag::new("{test:tag}")]);
    let token = win(&store, &key).await;
    let before = store.versions(&tag, WITHIN).await.unwrap();
    assert_eq!(told(&commands, &["FLUSHALL"]).await, Reply::Okay);
    assert_eq!(fill(&store, &key, token).await, Ok(false));
    assert_ne!(store.versions(&tag, WITHIN).await.unwrap(), before);
}

#[tokio::test]
async fn a_server_without_memory_still_ends_what_is_asked() {
    let server = Server::begin(&["--maxmemory", "8mb", "--maxmemory-policy", "noeviction"]);
    let (store, commands) = (open(&server), commands(&server));
    let tag = [Tag::new("{test:tag}")];
    let [old, gone, marked, loading, replaced] = ["old", "gone", "marked", "loading", "replaced"].map(key);
    for key in [&old, &gone, &marked, &replaced] {
        store.set(key, ENTRY, LONG, WITHIN).await.unwrap();
    }
    let before = store.versions(&tag, WITHIN).await.unwrap();
    let token = win(&store, &loading).await;
    let mut number = 0;
    // The last are small, so that no room is left that a large request's own buffer gives back.
    for length in [100_000, 1000, 10] {
        let filler = "x".repeat(length);
        while told(&commands, &["SET", &number.to_string(), &filler]).await == Reply::Okay {
            number += 1;
        }
    }
    let refused = |fault: Fault| assert!(matches!(&fault, Fault::Refused(text) if text.contains("OOM")), "{fault}");
    store.renew(&tag[0], WITHIN).await.unwrap();
    assert_ne!(store.versions(&tag, WITHIN).await.unwrap(), before);
    store.invalidate(std::slice::from_ref(&gone), WITHIN).await.unwrap();
    assert_eq!(store.get(&gone, WITHIN).await, Ok(None));
    store.mark_stale(&marked, LONG, WITHIN).await.unwrap();
    assert!(store.get(&marked, WITHIN).await.unwrap().unwrap().marked);
    // There is no room for it; what it replaces is not served either.
    refused(store.set(&replaced, ENTRY, LONG, WITHIN).await.unwrap_err());
    assert_eq!(store.get(&replaced, WITHIN).await, Ok(None));
    refused(fill(&store, &loading, token).await.unwrap_err());
    refused(store.lease(&gone, None, LONG, WITHIN).await.unwrap_err());
    store.give_back(&loading, token, WITHIN).await.unwrap();
    // A writer is let in, and keeps others out.
    store.hold(&loading, LONG, WITHIN).await.unwrap();
    assert_eq!(store.lease(&loading, None, LONG, WITHIN).await, Ok(Lease::Held));
    assert_eq!(store.invalidate_matching("{test:cache:", "1:o*", WITHIN).await, Ok(1));
}

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_told_them_again() {
    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    for name in ["first", "second"] {
        let key = key(name);
        let token = win(&store, &key).await;
        assert_eq!(told(&commands, &["SCRIPT", "FLUSH"]).await, Reply::Okay);
        assert_eq!(fill(&store, &key, token).await, Ok(true));
    }
}

/// Issue 4: other programs may mark with any byte.
#[tokio::test]
async fn an_entry_whose_state_is_any_but_nothing_is_marked() {
    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    for state in [1, 2, 255] {
        let key = key(&state.to_string());
        let mut bytes = ENTRY.to_vec();
        bytes[2] = state;
        assert_eq!(commands.command(&[b"SET", key.as_str().as_bytes(), &bytes]).await, Ok(Reply::Okay));
        let seen = store.get(&key, WITHIN).await.unwrap().unwrap();
        assert_eq!((seen.bytes.as_slice(), seen.marked), (ENTRY, true), "state {state}");
        assert_eq!(store.touch(&key, &ENTRY[..3], LONG, WITHIN).await, Ok(false), "state {state}");
        let lease = store.lease(&key, Some(&seen), LONG, WITHIN).await;
        assert!(matches!(lease, Ok(Lease::Won(_))), "state {state}: {lease:?}");
    }
}

/// Issue 4: the server does what its asker did not wait for, and refuses to do it twice.
#[tokio::test]
async fn a_listener_whose_first_beat_was_too_late_is_told_after_the_next() {
    let server = Server::begin(&[]);
    let store = open(&server);
    let (key, hasty) = (key("told"), Duration::from_millis(30));
    let told = Arc::new(AtomicU32::new(0));
    assert!(store.listen("test", Arc::new(Told(Arc::clone(&told)))));
    assert_eq!(store.get(&key, WITHIN).await, Ok(None));
    server.signal("STOP");
    // Its threads stop one by one.
    while store.get(&key, hasty).await != Err(Fault::Timeout) {}
    assert_eq!(store.beat(hasty).await, Err(Fault::Timeout));
    server.signal("CONT");
    let first = store.beat(WITHIN).await.unwrap();
    store.invalidate(std::slice::from_ref(&key), WITHIN).await.unwrap();
    assert_eq!(store.beat(WITHIN).await, Ok(first));
    assert_eq!(told.load(Relaxed), 1);
}

/// Issue 4: a keeper is replaced by one on another runtime, and comes back.
#[test]
fn a_connection_that_was_told_before_is_told_again() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::begin(&[]);
    let store = open(&server);
    let told = Arc::new(AtomicU32::new(0));
    assert!(store.listen("test", Arc::new(Told(Arc::clone(&told)))));
    let (one, two) = (runtime(), runtime());
    let mut numbers = [&one, &two, &one, &two].map(|here| here.block_on(store.beat(WITHIN)).unwrap()).to_vec();
    // Between two of them something may not have been told.
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
    drop(one);
    two.block_on(async {
        store.invalidate(&[key("told")], WITHIN).await.unwrap();
        assert_eq!(store.beat(WITHIN).await, Ok(numbers[3]));
    });
    assert_eq!(told.load(Relaxed), 1);
}

/// Counts the keys that it is told of.
struct Told(Arc<AtomicU32>);

impl Listener for Told {
    fn key_changed(&self, _: &str) {
        self.0.fetch_add(1, Relaxed);
    }

    fn tag_changed(&self, _: &str) {}

    fn all_changed(&self) {}
}

#[tokio::test]
async fn a_tag_that_is_asked_for_stays() {
    let server = Server::begin(&[]);
    let (store, commands) = (open(&server), commands(&server));
    let tag = [Tag::new("{test:tag}")];
    let before = store.versions(&tag, WITHIN).await.unwrap();
    told(&commands, &["PEXPIRE", "t{test:tag}", "100000"]).await;
    for _ in 0..20 {
        assert_eq!(store.versions(&tag, WITHIN).await.unwrap(), before);
    }
    let Reply::Int(left) = told(&commands, &["PTTL", "t{test:tag}"]).await else { panic!("no time") };
    assert!(left > 6 * 24 * 3_600_000, "{left} ms are left");
}

#[test]
fn a_store_outlives_the_runtime_that_opened_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::begin(&[]);
    let store = open(&server);
    let key = key("survivor");
    let first = runtime();
    let token = first.block_on(async {
        store.set(&key, ENTRY, LONG, WITHIN).await.unwrap();
        let seen = store.get(&key, WITHIN).await.unwrap();
        match store.lease(&key, seen.as_ref(), LONG, WITHIN).await {
            Ok(Lease::Won(token)) => token,
            other => panic!("{other:?}"),
        }
    });
    drop(first);
    runtime().block_on(async {
        assert!(store.get(&key, WITHIN).await.unwrap().is_some());
        // A lease is the server's, not the connection's.
        assert_eq!(fill(&store, &key, token).await, Ok(true));
    });
}

#[test]
fn who_waits_while_the_runtime_of_the_connection_stops_is_answered_on_his_own() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::begin(&[]);
    let store = open(&server);
    let key = key("waiting");
    let first = runtime();
    first.block_on(store.set(&key, ENTRY, LONG, WITHIN)).unwrap();
    server.signal("STOP");
    let mut get = store.get(&key, WITHIN);
    let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(get.as_mut().poll(cx).is_pending()));
    // Asked on the first, which does not get to write it.
    assert!(first.block_on(poll));
    first.shutdown_background();
    server.signal("CONT");
    assert!(runtime().block_on(get).unwrap().is_some());
}

#[test]
fn a_store_that_is_none_of_redis_is_refused() {
    let refused = |url: &str| Redis::open(&Address::parse(url).unwrap()).err().unwrap().to_string();
    assert!(refused("memcached://cache").contains("is no Redis"));
}
