//! What is allocated: nothing by a hit, little by an empty memory, and nothing for ever.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tierce::{Cache, Hub, ManualClock, Memory, Policy};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<i64> = const { Cell::new(0) };
}

/// Counts what this thread allocates, so that tests side by side do not see each other.
struct Counting;

fn count(calls: u64, bytes: i64) {
    // A thread that ends has no counters left, and nobody asks for them.
    let _ = CALLS.try_with(|all| all.set(all.get() + calls));
    let _ = LIVE_BYTES.try_with(|all| all.set(all.get() + bytes));
}

#[allow(unsafe_code, reason = "a counting allocator has no safe form")]
// SAFETY: every call is handed to the system's allocator unchanged; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, -(layout.size().cast_signed() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size.cast_signed() as i64 - layout.size().cast_signed() as i64);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this allocates.
fn calls(run: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    run();
    CALLS.get() - before
}

/// How many bytes this leaves allocated.
fn left_bytes(run: impl FnOnce()) -> i64 {
    let before = LIVE_BYTES.get();
    run();
    LIVE_BYTES.get() - before
}

/// Polls a future that has nothing to wait for.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

const POLICIES: [Policy; 2] = [Policy::S3Fifo, Policy::Lru];

#[test]
fn an_empty_memory_of_a_million_entries_takes_less_than_100_kb() {
    for policy in POLICIES {
        let mut memory = None;
        let bytes =
            left_bytes(|| memory = Some(Memory::<u64, u64>::builder().capacity(1_000_000).policy(policy).build()));
        assert!(bytes < 100_000, "{bytes} bytes with {policy:?}");
        let bytes = left_bytes(|| (0..10).for_each(|key| _ = memory.as_ref().map(|memory| memory.insert(key, key))));
        assert!(bytes < 100_000, "{bytes} bytes for ten entries with {policy:?}");
    }
}

#[test]
fn a_hit_in_memory_allocates_nothing() {
    for policy in POLICIES {
        let builder = || Memory::<u64, u64>::builder().policy(policy).ttl(Duration::from_secs(60));
        let memories = [builder().build(), builder().unbounded().build(), builder().max_weight(100, |_, _| 1).build()];
        let names: Memory<String, u64> = Memory::builder().policy(policy).build();
        names.insert("ada".to_string(), 1);
        for memory in &memories {
            (0..20).for_each(|key| _ = memory.insert(key, key));
        }
        let allocated = calls(|| {
            for memory in &memories {
                for key in 0..2000 {
                    assert_eq!(memory.get(&(key % 20)), Some(key % 20));
                    assert_eq!(memory.peek(&(key % 20)), Some(key % 20));
                    assert_eq!(memory.get_or_insert_with(&(key % 20), || 0), key % 20);
                    assert_eq!(memory.get(&99), None);
                }
            }
            assert_eq!(names.get("ada"), Some(1));
        });
        assert_eq!(allocated, 0, "{policy:?}");
    }
}

#[test]
fn a_hit_in_a_cache_allocates_nothing() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    let names: Cache<String, u64> = hub.local_cache("name").build();
    now(cache.set(1, 10)).unwrap();
    now(cache.entry(&2).tags(["a", "b"]).set(20)).unwrap();
    now(names.set("ada".to_string(), 1)).unwrap();
    let not_asked = || async { Err::<u64, io::Error>(io::Error::other("not asked")) };
    let allocated = calls(|| {
        for _ in 0..1000 {
            assert_eq!(now(cache.get(&1)), Some(10));
            assert_eq!(now(cache.get_or_load(&1, not_asked)).ok(), Some(10));
            assert_eq!(now(cache.get_or_load(&2, not_asked)).ok(), Some(20));
            assert_eq!(now(names.get_or_load("ada", not_asked)).ok(), Some(1));
            assert_eq!(now(cache.get(&3)), None);
        }
    });
    assert_eq!(allocated, 0);
    now(hub.invalidate_tag("other")).unwrap();
    assert_eq!(calls(|| assert_eq!(now(cache.get_or_load(&2, not_asked)).ok(), Some(20))), 0, "compared, and stamped");
}

#[test]
fn a_batch_of_hits_allocates_its_answer_alone() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").build();
    let ids: Vec<u64> = (0..100).collect();
    now(cache.set_many(ids.iter().map(|id| (*id, *id)))).unwrap();
    let not_asked = |_: Vec<u64>| async { Err::<Vec<(u64, u64)>, _>(io::Error::other("not asked")) };
    let mut found = Vec::new();
    assert_eq!(calls(|| found = now(cache.get_many_or_load(&ids, not_asked)).unwrap()), 1);
    assert_eq!(found, ids.iter().copied().map(Some).collect::<Vec<_>>());
    assert_eq!(calls(|| found = now(cache.get_many(&ids))), 1);
}

#[test]
fn a_hit_of_a_function_with_a_cache_allocates_nothing() {
    #[tierce::memo]
    fn area(#[skip] _unit: &String, width: u64, name: &str) -> Option<u64> {
        (width > 0).then_some(width * name.len() as u64)
    }

    #[tierce::cached(tags = ["products", "product:{id}"])]
    async fn product(id: u64) -> tierce::Result<u64, io::Error> {
        Ok(id)
    }

    let unit = "m".to_string();
    area(&unit, 3, "plot");
    area(&unit, 0, "plot");
    tierce::block_on(product(7)).unwrap();
    let allocated = calls(|| {
        for _ in 0..1000 {
            assert_eq!(area(&unit, 3, "plot"), Some(12));
            assert_eq!(area(&unit, 0, "plot"), None);
            assert_eq!(now(product(7)).unwrap(), 7);
        }
    });
    assert_eq!(allocated, 0);
}

#[test]
fn an_entry_of_two_numbers_takes_at_most_64_bytes() {
    for policy in POLICIES {
        let builder = Memory::<u64, u64>::builder().capacity(200_000).policy(policy).ttl(Duration::from_secs(60));
        let memory = builder.build();
        let bytes = left_bytes(|| (0..400_000).for_each(|key| _ = memory.insert(key, key)));
        let each = bytes / 200_000;
        assert_eq!(memory.len(), 200_000);
        assert!(each <= 64, "{each} bytes an entry with {policy:?}");
    }
}

#[test]
fn expired_entries_that_nobody_reads_leave_their_room() {
    let clock = ManualClock::new();
    let builder = Memory::<u64, u64>::builder().capacity(1_000_000).ttl(Duration::from_secs(1));
    let memory = builder.clock(clock.clock()).build();
    let bytes = left_bytes(|| {
        for key in 0..100_000 {
            memory.insert(key, key);
            clock.advance(Duration::from_millis(1));
        }
    });
    assert!(bytes < 500_000, "{bytes} bytes for a thousand live entries");
    let given_back = left_bytes(|| memory.clear());
    assert!(bytes + given_back < 100_000, "{} bytes left after clear", bytes + given_back);
}

#[test]
fn tags_that_are_only_invalidated_leave_nothing() {
    let hub = Hub::embedded();
    let bytes = left_bytes(|| (0..100_000).for_each(|n| now(hub.invalidate_tag(&format!("product:{n}"))).unwrap()));
    assert!(bytes < 1_000_000, "{bytes} bytes of 100,000 tags that no entry has");
}

#[test]
fn tags_of_entries_that_are_gone_leave_nothing() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").capacity(100).build();
    let bytes = left_bytes(|| {
        for n in 0..100_000 {
            now(cache.entry(&n).tags([format!("product:{n}")]).set(n)).unwrap();
        }
    });
    assert!(bytes < 1_000_000, "{bytes} bytes of 100 entries");
}

#[test]
fn loads_leave_nothing_of_their_keys() {
    let hub = Hub::embedded();
    let cache: Cache<u64, u64> = hub.local_cache("number").capacity(100).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let load = |from: u64| {
        runtime.block_on(async {
            for key in from..from + 10_000 {
                let load = || async move { if key % 2 == 0 { Ok(key) } else { Err(io::Error::other("odd")) } };
                let _ = cache.get_or_load(&key, load).await;
            }
        });
    };
    load(0);
    let bytes = left_bytes(|| load(10_000));
    assert!(bytes < 10_000, "{bytes} bytes of 10,000 loads");
}

#[test]
fn callers_who_leave_a_load_that_hangs_leave_nothing() {
    let cache: Cache<u64, u64> = Hub::embedded().local_cache("number").capacity(100).build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _here = runtime.enter();
    let come_and_go = |callers: usize| {
        for _ in 0..callers {
            let mut asking = pin!(cache.get_or_load(&1, std::future::pending::<Result<u64, io::Error>>));
            assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let mut batch = pin!(
                cache.get_many_or_load(&[1], |_| { std::future::pending::<Result<Vec<(u64, u64)>, io::Error>>() })
            );
            assert!(batch.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    };
    come_and_go(10);
    let bytes = left_bytes(|| come_and_go(10_000));
    assert!(bytes < 10_000, "{bytes} bytes of 20,000 callers");
}

#[test]
fn names_of_caches_that_are_gone_leave_little() {
    let hub = Hub::embedded();
    let bytes = left_bytes(|| {
        for n in 0..2000 {
            drop(hub.local_cache::<u64, u64>(&format!("tenant-{n}")).build());
        }
    });
    assert!(bytes < 200_000, "{bytes} bytes of 2,000 caches that nobody has any more");
}
