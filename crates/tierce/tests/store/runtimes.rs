//! Who drives the connections: several runtimes, threads that block, and no runtime at all.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tierce::store::memcached::Memcached;
use tierce::store::redis::Redis;
use tierce::store::{Address, Fault, Key, Store};
use tierce::testing::{Shelf, Source};
use tierce::{Cache, Clock, Hub, block_on, cached};
use tokio::runtime::{Builder, Runtime};

use crate::server::Server;

const WITHIN: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(3600);
const ENTRY: &[u8] = b"\xC4\x01\0an entry";

/// A runtime that does nothing unless somebody waits on it.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn hub(server: &Server) -> Hub {
    let hub = Hub::builder().store_budget(WITHIN).coherence(Duration::from_secs(5)).require_store();
    block_on(hub.connect(&server.url())).unwrap()
}

fn lamps(hub: &Hub) -> Cache<u64, String> {
    hub.cache("lamp").build()
}

fn database() -> Arc<Source<u64, String>> {
    Arc::new(Source::from([(7, "a lamp".to_string())]))
}

fn both() -> [Server; 2] {
    [Server::begin(&[]), Server::memcached(&[])]
}

#[test]
fn threads_that_block_share_one_load_and_what_it_stored() {
    for server in both() {
        let (hub, loads) = (hub(&server), Arc::new(AtomicU32::new(0)));
        let load = |loads: &Arc<AtomicU32>| {
            let loads = Arc::clone(loads);
            move || {
                loads.fetch_add(1, Relaxed);
                Ok::<_, std::io::Error>("a lamp".to_string())
            }
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let lamps = lamps(&hub);
                    assert_eq!(lamps.blocking_get_or_load(&7, load(&loads)).unwrap(), "a lamp");
                });
            }
        });
        assert_eq!(loads.load(Relaxed), 1);
        // Another process finds it, and what one ends the other loads anew.
        let (other, own) = (self::hub(&server), lamps(&hub));
        assert_eq!(lamps(&other).blocking_get_or_load(&7, load(&loads)).unwrap(), "a lamp");
        assert_eq!(loads.load(Relaxed), 1);
        block_on(own.invalidate(&7)).unwrap();
        assert_eq!(block_on(lamps(&other).entry(&7).strong().get()), None);
        own.blocking_get_or_load(&7, load(&loads)).unwrap();
        assert_eq!(loads.load(Relaxed), 2);
    }
}

static REDIS: OnceLock<Hub> = OnceLock::new();
static READS: AtomicU32 = AtomicU32::new(0);

fn chosen() -> &'static Hub {
    REDIS.get().expect("it was set")
}

#[cached(hub = chosen())]
fn price(id: u64) -> u64 {
    READS.fetch_add(1, Relaxed);
    id * 100
}

#[test]
fn a_plain_function_is_cached_in_a_store() {
    let server = Server::begin(&[]);
    REDIS.set(hub(&server)).unwrap();
    assert_eq!((price(7), price(7)), (700, 700));
    assert_eq!(READS.load(Relaxed), 1);
    let stored = server.told("KEYS {*:price:*\r\n");
    assert!(stored.starts_with("*1\r\n"), "{stored}");
    price::invalidate(7).unwrap();
    assert_eq!((price(7), READS.load(Relaxed)), (700, 2));
}

#[test]
fn memory_is_coherent_for_threads_that_block() {
    let server = Server::begin(&[]);
    let (one, two, db) = (hub(&server), hub(&server), database());
    let (a, b) = (lamps(&one), lamps(&two));
    let load = || {
        let db = Arc::clone(&db);
        async move { db.load(&7).await }
    };
    let began = Clock::system().precise();
    let waits = |what: &str| {
        assert!(Clock::system().precise().saturating_sub(began) < WITHIN * 2, "{what}");
        thread::yield_now();
    };
    while b.peek(&7).is_none() || !two.store_health().unwrap().is_coherent {
        block_on(b.get_or_load(&7, load)).unwrap();
        waits("not coherent");
    }
    block_on(a.invalidate(&7)).unwrap();
    while b.peek(&7).is_some() {
        waits("not told");
    }
}

#[test]
fn a_runtime_that_nobody_drives_keeps_nobody_elsewhere_waiting() {
    for server in both() {
        let address = Address::parse(&server.url()).unwrap();
        let store: Box<dyn Store> = match server.url().starts_with("redis") {
            true => Box::new(Redis::open(&address).unwrap()),
            false => Box::new(Memcached::open(&address).unwrap()),
        };
        let (first, key) = (runtime(), Key::new("{test:cache:1:lamp}"));
        first.block_on(store.set(&key, ENTRY, LONG, WITHIN)).unwrap();
        let began = Clock::system().precise();
        for _ in 0..3 {
            assert!(runtime().block_on(store.get(&key, WITHIN)).unwrap().is_some());
            assert!(block_on(store.get(&key, WITHIN)).unwrap().is_some());
        }
        assert!(first.block_on(store.get(&key, WITHIN)).unwrap().is_some());
        let took = Clock::system().precise().saturating_sub(began);
        assert!(took < WITHIN / 2, "somebody waited out his patience: {took:?}");
    }
}

#[test]
fn a_connection_closes_with_its_runtime() {
    let server = Server::begin(&[]);
    let store = Redis::open(&Address::parse(&server.url()).unwrap()).unwrap();
    let key = Key::new("{test:cache:1:lamp}");
    for _ in 0..5 {
        runtime().block_on(store.get(&key, WITHIN)).unwrap();
    }
    let began = Clock::system().precise();
    while server.told("CLIENT LIST\r\n").matches("name=tierce").count() > 0 {
        assert!(Clock::system().precise().saturating_sub(began) < WITHIN, "they are open");
        thread::yield_now();
    }
    block_on(store.get(&key, WITHIN)).unwrap();
    block_on(store.get(&key, WITHIN)).unwrap();
    assert_eq!(server.told("CLIENT LIST\r\n").matches("name=tierce").count(), 1);
}

#[test]
fn who_keeps_memory_coherent_is_replaced_when_his_runtime_stands_still() {
    let server = Server::begin(&[]);
    let first = runtime();
    let hub = Hub::builder().store_budget(WITHIN).require_store();
    let hub = first.block_on(hub.connect(&server.url())).unwrap();
    // The keeper is on a runtime that nobody drives from here on.
    let (lamps, db) = (lamps(&hub), database());
    let second = runtime();
    second.block_on(async {
        let (began, mut others) = (Clock::system().precise(), 1000..);
        while lamps.peek(&7).is_none() || !hub.store_health().unwrap().is_coherent {
            lamps.get_or_load(&7, || db.load(&7)).await.unwrap();
            // Whoever asks the store sees to it.
            assert_eq!(lamps.get(&others.next().unwrap()).await, None);
            tokio::task::yield_now().await;
            assert!(Clock::system().precise().saturating_sub(began) < WITHIN, "nobody took over");
        }
        // The first goes on, and finds that it is not the keeper any more.
        thread::scope(|scope| drop(scope.spawn(|| first.block_on(lamps.get(&7)))));
        lamps.invalidate(&7).await.unwrap();
        assert_eq!(lamps.peek(&7), None);
    });
}

/// Issue 4.
#[test]
fn what_could_not_be_told_is_told_by_another_when_the_runtime_of_who_tells_stands_still() {
    let (shelf, first) = (Shelf::default(), runtime());
    let hub = Hub::builder().store(shelf.clone()).build();
    let lamps = lamps(&hub);
    shelf.fail(Fault::Timeout);
    first.block_on(lamps.invalidate(&7)).unwrap_err();
    shelf.mend();
    assert_eq!(hub.store_health().unwrap().untold, 1);
    // Nobody drives the first from here on.
    runtime().block_on(async {
        let began = Clock::system().precise();
        while hub.store_health().unwrap().untold > 0 {
            assert_eq!(lamps.get(&8).await, None);
            tokio::task::yield_now().await;
            assert!(Clock::system().precise().saturating_sub(began) < WITHIN, "nobody tells it");
        }
    });
    // The first goes on, and finds that there is nothing left.
    first.block_on(lamps.invalidate(&7)).unwrap();
}

/// Waits for a future on a thread that is no runtime.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn what_loads_nothing_needs_no_runtime() {
    for server in both() {
        let hub = wait_for(Hub::builder().store_budget(WITHIN).require_store().connect(&server.url())).unwrap();
        let lamps = lamps(&hub);
        wait_for(lamps.set(7, "a lamp".to_string())).unwrap();
        assert_eq!(wait_for(lamps.get(&7)).as_deref(), Some("a lamp"));
        wait_for(lamps.invalidate(&7)).unwrap();
        assert_eq!(wait_for(lamps.entry(&7).strong().get()), None);
        assert_eq!(wait_for(lamps.get_many(&[7, 8])), [None, None]);
        wait_for(hub.invalidate_tag("lamps")).unwrap();
    }
}
