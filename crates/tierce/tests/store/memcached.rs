//! The store on Memcached: what every store promises, and what becomes of it when servers fail.

use std::time::Duration;

use tierce::Clock;
use tierce::store::memcached::Memcached;
use tierce::store::{Address, Fault, Key, Lease, Store, Tag, Tell, Token, check_store};

use crate::leases::is_given_back_when_it_comes_too_late;
use crate::server::Server;

const WITHIN: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(3600);
const ENTRY: &[u8] = b"\xC4\x01\x00entry";

fn open(servers: &[&Server]) -> Memcached {
    let places: Vec<_> = servers.iter().map(|server| server.place()).collect();
    Memcached::open(&Address::parse(&format!("memcached://{}", places.join(","))).unwrap()).unwrap()
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
    store.fill(key, token, ENTRY, LONG, Tell::Nobody, WITHIN).await
}

#[tokio::test]
async fn memcached_keeps_what_a_store_promises() {
    let server = Server::memcached(&[]);
    check_store(&open(&[&server])).await;
}

#[tokio::test]
async fn so_do_several_servers() {
    let servers = [Server::memcached(&[]), Server::memcached(&[]), Server::memcached(&[])];
    check_store(&open(&servers.each_ref())).await;
}

#[tokio::test]
async fn a_lease_from_before_a_restart_is_refused_though_its_number_comes_again() {
    let mut server = Server::memcached(&[]);
    let store = open(&[&server]);
    let key = key("restarted");
    let token = win(&store, &key).await;
    server.kill();
    server.start();
    // The same number is now another's, who came after whatever the first has not seen.
    let again = server.told(&format!("ms {} 1 T30 F1 ME c\r\nx\r\n", key.as_str()));
    assert_eq!(again, format!("HD c{}\r\n", token.number));
    let mut filled = fill(&store, &key, token).await;
    while filled.is_err() {
        filled = fill(&store, &key, token).await;
    }
    assert_eq!(filled, Ok(false));
    // Also once the new connection is there.
    assert_eq!(store.get(&key, WITHIN).await, Ok(None));
    assert_eq!(fill(&store, &key, token).await, Ok(false));
    assert_eq!(store.extend(&key, token, LONG, WITHIN).await, Ok(false));
    store.give_back(&key, token, WITHIN).await.unwrap();
    assert_eq!(store.lease(&key, None, LONG, WITHIN).await, Ok(Lease::Lost));
}

#[tokio::test]
async fn a_lease_that_comes_too_late_is_given_back() {
    let server = Server::memcached(&[]);
    is_given_back_when_it_comes_too_late(&server, &open(&[&server])).await;
}

#[tokio::test]
async fn a_frozen_server_costs_every_verb_its_time_and_no_more() {
    let server = Server::memcached(&[]);
    let store = open(&[&server]);
    let (key, tag) = (key("frozen"), Tag::new("{test:tag}"));
    let token = win(&store, &key).await;
    server.signal("STOP");
    let hasty = Duration::from_millis(30);
    let keys = std::slice::from_ref(&key);
    // Its threads stop one by one.
    while store.get(&key, hasty).await != Err(Fault::Timeout) {}
    let began = Clock::system().precise();
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
    assert_eq!(store.servers(hasty).await, Err(Fault::Timeout));
    let took = Clock::system().precise().saturating_sub(began);
    assert!(took < Duration::from_secs(5), "{took:?}");
    server.signal("CONT");
    store.set(&key, ENTRY, LONG, WITHIN).await.unwrap();
    assert!(store.get(&key, WITHIN).await.unwrap().is_some());
}

#[tokio::test]
async fn a_dead_server_is_a_miss_that_no_other_takes_over() {
    let (one, mut two) = (Server::memcached(&[]), Server::memcached(&[]));
    let store = open(&[&one, &two]);
    let keys: Vec<_> = (0..100).map(|number| key(&number.to_string())).collect();
    for key in &keys {
        store.set(key, ENTRY, LONG, WITHIN).await.unwrap();
    }
    two.kill();
    let there = store.get_many(&keys, WITHIN).await.unwrap();
    let living = there.iter().flatten().count();
    assert!((20..80).contains(&living), "{living} of 100 entries are on the first server");
    for (key, there) in keys.iter().zip(&there).take(20) {
        // Whoever asks the dead one waits for the next attempt to reach it, or as long as he will.
        let within = if there.is_some() { WITHIN } else { Duration::from_millis(20) };
        let got = store.get(key, within).await;
        assert_eq!(got.is_ok(), there.is_some());
        let is_set = store.set(key, ENTRY, LONG, within).await.is_ok();
        assert_eq!(is_set, there.is_some());
    }
    let ended = store.invalidate(&keys, WITHIN).await.unwrap_err();
    assert!(matches!(&ended, Fault::Lost | Fault::Down(_) | Fault::Away(_)), "{ended}");
    let facts = store.servers(WITHIN).await.unwrap();
    assert!(facts[0].facts.iter().any(|(name, _)| name == "version"));
    assert_eq!(facts[1].facts[0].0, "fault");
    let mut one = one;
    one.kill();
    assert!(store.get_many(&keys, WITHIN).await.is_err());
}

#[tokio::test]
async fn a_server_that_was_emptied_refuses_fills_and_gives_new_versions() {
    let server = Server::memcached(&[]);
    let store = open(&[&server]);
    let (key, tag) = (key("flushed"), [Tag::new("{test:tag}")]);
    let token = win(&store, &key).await;
    let before = store.versions(&tag, WITHIN).await.unwrap();
    // What is no version is none.
    assert_eq!(server.told("ms t{test:tag} 1\r\n7\r\n"), "HD\r\n");
    let other = store.versions(&tag, WITHIN).await.unwrap();
    assert_ne!(other, before);
    assert_eq!(server.told(&format!("md {}\r\nmd t{{test:tag}}\r\n", key.as_str())), "HD\r\nHD\r\n");
    assert_eq!(fill(&store, &key, token).await, Ok(false));
    assert_ne!(store.versions(&tag, WITHIN).await.unwrap(), other);
}

#[tokio::test]
async fn what_is_too_large_is_not_sent_and_what_fits_is_kept() {
    let server = Server::memcached(&[]);
    let store = open(&[&server]);
    let key = key("large");
    let mut bytes = vec![0; (1 << 20) - 512];
    store.set(&key, &bytes, LONG, WITHIN).await.unwrap();
    assert_eq!(store.get(&key, WITHIN).await.unwrap().unwrap().bytes, bytes);
    bytes.push(0);
    assert_eq!(store.set(&key, &bytes, LONG, WITHIN).await, Err(Fault::TooLarge));
    let token = win(&store, &self::key("other")).await;
    let filled = store.fill(&self::key("other"), token, &bytes, LONG, Tell::Nobody, WITHIN).await;
    assert_eq!(filled, Err(Fault::TooLarge));
}

#[tokio::test]
async fn nothing_is_served_of_a_key_that_is_held() {
    let server = Server::memcached(&[]);
    let store = open(&[&server]);
    let key = key("held");
    store.set(&key, ENTRY, LONG, WITHIN).await.unwrap();
    let hold = store.hold(&key, LONG, WITHIN).await.unwrap();
    assert_eq!(store.get(&key, WITHIN).await, Ok(None));
    assert_eq!(fill(&store, &key, hold).await, Ok(true));
    assert!(store.get(&key, WITHIN).await.unwrap().is_some());
}

/// Issue 4: other programs may mark with any byte.
#[tokio::test]
async fn an_entry_whose_state_is_any_but_nothing_is_marked() {
    let server = Server::memcached(&[]);
    let (store, key) = (open(&[&server]), key("state"));
    assert_eq!(server.told(&format!("ms {} 8\r\n12\u{2}entry\r\n", key.as_str())), "HD\r\n");
    let seen = store.get(&key, WITHIN).await.unwrap().unwrap();
    assert_eq!((seen.bytes.as_slice(), seen.marked), (b"12\0entry".as_slice(), true));
    assert_eq!(store.touch(&key, b"12\0", LONG, WITHIN).await, Ok(false));
    let lease = store.lease(&key, Some(&seen), LONG, WITHIN).await;
    assert!(matches!(lease, Ok(Lease::Won(_))), "{lease:?}");
}

#[test]
fn a_store_outlives_the_runtime_that_opened_it_and_its_leases_do_not() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = Server::memcached(&[]);
    let store = open(&[&server]);
    let (there, loading) = (key("there"), key("loading"));
    let first = runtime();
    let token = first.block_on(async {
        store.set(&there, ENTRY, LONG, WITHIN).await.unwrap();
        win(&store, &loading).await
    });
    drop(first);
    runtime().block_on(async {
        assert!(store.get(&there, WITHIN).await.unwrap().is_some());
        assert_eq!(fill(&store, &loading, token).await, Ok(false));
    });
}

#[test]
fn what_is_no_memcached_is_refused() {
    let refused = Memcached::open(&Address::parse("redis://:secret@cache").unwrap()).err().unwrap().to_string();
    assert!(refused.contains("is no Memcached") && !refused.contains("secret"), "{refused}");
}
