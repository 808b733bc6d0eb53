//! Memory: lookups by borrowed keys, ages, bounds, iteration, threads.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tierce::{Cause, KeyRef, ManualClock, Memory, Policy};

use crate::fixture::{ms, secs};

const POLICIES: [Policy; 2] = [Policy::S3Fifo, Policy::Lru];

#[test]
fn a_string_is_looked_up_by_str_and_a_vec_by_slice() {
    let names: Memory<String, u32> = Memory::new(8);
    names.insert("ada".to_string(), 1);
    assert_eq!((names.get("ada"), names.get(&"ada".to_string()), names.get("eve")), (Some(1), Some(1), None));
    assert!(names.update("ada", |n| *n += 1) && names.contains("ada"));
    assert_eq!((names.get_or_insert_with("bob", || 7), names.remove("ada")), (7, Some(2)));

    let paths: Memory<Vec<u8>, u32> = Memory::new(8);
    paths.insert(vec![1, 2], 3);
    assert_eq!((paths.get(&[1, 2][..]), paths.peek(&[2, 1][..])), (Some(3), None));
}

/// A pair looked up without building one.
struct PairRef<'a>(&'a str, u64);

impl Hash for PairRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0, self.1).hash(state);
    }
}

impl KeyRef<(String, u64)> for PairRef<'_> {
    fn is(&self, key: &(String, u64)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

#[test]
fn a_pair_is_looked_up_by_a_borrowed_form_of_ones_own() {
    let memory: Memory<(String, u64), u32> = Memory::new(8);
    memory.insert(("ada".to_string(), 7), 1);
    assert_eq!(memory.get(&PairRef("ada", 7)), Some(1));
    assert_eq!((memory.get(&PairRef("ada", 8)), memory.get(&PairRef("eve", 7))), (None, None));
    assert_eq!(memory.remove(&PairRef("ada", 7)), Some(1));
    assert!(memory.is_empty());
}

/// Which of an entry's ages, in milliseconds, it is served at.
#[track_caller]
fn check_ttl(ttl: Duration, at_ms: &[u64], expected: &[bool]) {
    for policy in POLICIES {
        let clock = ManualClock::new();
        let memory: Memory<u8, u8> = Memory::builder().capacity(4).policy(policy).clock(clock.clock()).build();
        let usual: Memory<u8, u8> = Memory::builder().capacity(4).ttl(ttl).clock(clock.clock()).build();
        memory.insert_for(1, 1, ttl);
        usual.insert(1, 1);
        let mut age = 0;
        for (at, expected) in at_ms.iter().zip(expected) {
            clock.advance(ms(at - age));
            age = *at;
            assert_eq!(memory.get(&1).is_some(), *expected, "{ttl:?} at {at} ms");
            assert_eq!((memory.contains(&1), usual.contains(&1)), (*expected, *expected));
        }
    }
}

#[test]
fn an_entry_is_served_before_its_end_and_not_from_it_on() {
    const YEAR: u64 = 31_536_000_000;
    check_ttl(ms(10), &[0, 9, 10, 11], &[true, true, false, false]);
    check_ttl(ms(1), &[0, 1], &[true, false]);
    check_ttl(Duration::from_nanos(1), &[0, 1], &[true, false]);
    check_ttl(Duration::ZERO, &[0, 1], &[false, false]);
    check_ttl(Duration::MAX, &[0, 1, 100 * YEAR], &[true; 3]);
    check_ttl(Duration::from_millis(u64::MAX), &[0, 100 * YEAR], &[true; 2]);
    check_ttl(secs(u64::MAX / 1000), &[0, 100 * YEAR], &[true; 2]);
}

#[test]
fn a_manual_clock_never_goes_back() {
    let clock = ManualClock::new();
    clock.advance(secs(5));
    let before = clock.clock().now_ms();
    clock.advance(Duration::MAX);
    assert!(clock.clock().now_ms() >= before);
}

#[test]
fn a_ttl_of_its_own_replaces_the_usual_one_both_ways() {
    let clock = ManualClock::new();
    let memory: Memory<u8, u8> = Memory::builder().ttl(secs(10)).clock(clock.clock()).build();
    memory.insert_for(1, 1, secs(100));
    memory.insert_for(2, 2, secs(1));
    memory.insert(3, 3);
    memory.insert_for(4, 4, secs(1));
    memory.insert(4, 5);
    clock.advance(secs(2));
    assert_eq!([1, 2, 3, 4].map(|key| memory.get(&key)), [Some(1), None, Some(3), Some(5)]);
    clock.advance(secs(9));
    assert_eq!([1, 2, 3, 4].map(|key| memory.get(&key)), [Some(1), None, None, None]);
}

#[test]
fn an_expired_value_is_neither_given_back_nor_updated_nor_seen() {
    let clock = ManualClock::new();
    let memory: Memory<u8, u8> = Memory::builder().ttl(secs(1)).clock(clock.clock()).build();
    for key in 0..4 {
        memory.insert(key, key);
    }
    clock.advance(secs(1));
    assert_eq!((memory.insert(0, 9), memory.remove(&1)), (None, None));
    assert!(!memory.update(&2, |_| unreachable!("it has expired")));
    assert_eq!(memory.iter().collect::<Vec<_>>(), [(0, 9)]);
    assert_eq!(memory.get_or_insert_with(&3, || 8), 8);
    assert!(memory.sweep() <= 1, "key 2 is the last, if no insertion swept it");
    assert_eq!(memory.len(), 2);
}

#[test]
fn expired_entries_that_nobody_reads_do_not_pile_up() {
    for policy in POLICIES {
        let clock = ManualClock::new();
        let memory: Memory<u64, u64> =
            Memory::builder().capacity(1_000_000).policy(policy).ttl(secs(1)).clock(clock.clock()).build();
        let mut most = 0;
        // A thousand entries live at a time.
        for key in 0..60_000 {
            memory.insert(key, key);
            clock.advance(ms(1));
            most = most.max(memory.len());
        }
        assert!(most < 2000, "{most} entries held for 1000 live ones with {policy:?}");
    }
}

#[test]
fn a_memory_without_room_keeps_nothing_and_works() {
    for policy in POLICIES {
        let told = Arc::new(AtomicBool::new(false));
        let ear = Arc::clone(&told);
        let listener = move |_: &u8, _: &u8, cause| ear.store(cause == Cause::Evicted, Relaxed);
        let memory: Memory<u8, u8> = Memory::builder().capacity(0).policy(policy).listener(listener).build();
        assert_eq!((memory.insert(1, 1), memory.get(&1)), (None, None));
        assert_eq!((memory.get_or_insert_with(&1, || 2), memory.len()), (2, 0));
        assert!(told.load(Relaxed));
        assert_eq!(memory.capacity(), Some(0));
        memory.resize(2);
        memory.insert(1, 3);
        assert_eq!(memory.get(&1), Some(3));
    }
}

#[test]
fn a_smaller_bound_evicts_and_a_larger_one_makes_room() {
    for policy in POLICIES {
        let memory: Memory<u64, u64> = Memory::builder().capacity(1000).shards(4).policy(policy).build();
        (0..5000).for_each(|key| _ = memory.insert(key, key));
        assert!(memory.len() > 900, "{policy:?}");
        memory.resize(10);
        assert!(memory.len() <= 10);
        assert_eq!((memory.capacity(), memory.stats().removals.evicted), (Some(10), 5000 - memory.len() as u64));
        memory.resize(3000);
        (0..3000).for_each(|key| _ = memory.insert(key, key));
        assert!((2700..=3000).contains(&memory.len()), "{} with {policy:?}", memory.len());
    }
}

#[test]
fn an_unbounded_memory_evicts_nothing_until_it_is_given_a_bound() {
    for policy in POLICIES {
        let memory: Memory<u64, u64> = Memory::builder().unbounded().policy(policy).build();
        (0..20_000).for_each(|key| _ = memory.insert(key, key));
        assert_eq!((memory.len(), memory.capacity(), memory.stats().removals.evicted), (20_000, None, 0));
        memory.resize(100);
        assert_eq!(memory.capacity(), Some(100));
        assert!(memory.len() <= 100);
    }
}

#[test]
fn an_entry_too_heavy_for_the_memory_takes_nobody_else_with_it() {
    for policy in POLICIES {
        let builder = Memory::builder().max_weight(10, |_, weight: &u32| *weight).shards(1);
        let memory: Memory<u8, u32> = builder.policy(policy).build();
        let fill = || (0..5).for_each(|key| _ = memory.insert(key, 2));
        let others = || [0, 1, 2, 3].map(|key| memory.peek(&key));
        fill();
        memory.insert(9, 11);
        assert_eq!((others(), memory.peek(&9)), ([Some(2); 4], None), "a new one, with {policy:?}");
        memory.insert(4, 11);
        assert_eq!((others(), memory.peek(&4)), ([Some(2); 4], None), "a replacement, with {policy:?}");
        fill();
        memory.update(&4, |weight| *weight = 11);
        assert_eq!((others(), memory.peek(&4)), ([Some(2); 4], None), "an update, with {policy:?}");
    }
}

#[test]
fn an_update_takes_the_weight_anew_and_keeps_the_expiry() {
    let clock = ManualClock::new();
    let builder = Memory::builder().max_weight(100, |_, weight: &u32| *weight).shards(1).clock(clock.clock());
    let memory: Memory<u8, u32> = builder.ttl(secs(10)).build();
    memory.insert(1, 5);
    clock.advance(secs(9));
    assert!(memory.update(&1, |weight| *weight = 50));
    assert_eq!((memory.weight(), memory.get(&1)), (50, Some(50)));
    clock.advance(secs(1));
    assert_eq!(memory.get(&1), None);
}

#[test]
fn iter_sees_every_stable_entry_once_while_others_write() {
    for policy in POLICIES {
        let memory: Memory<u64, u64> = Memory::builder().unbounded().policy(policy).build();
        let stable = 0..3000_u64;
        stable.clone().for_each(|key| _ = memory.insert(key, key));
        let stop = AtomicBool::new(false);
        let each_once = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut key = 10_000;
                while !stop.load(Relaxed) {
                    memory.insert(key, key);
                    memory.remove(&(key - 50));
                    memory.update(&(key % 3000), |_| {});
                    key += 1;
                }
            });
            let each_once = (0..20).all(|_| {
                let mut seen: HashMap<u64, u32> = HashMap::new();
                memory.iter().for_each(|(key, _)| *seen.entry(key).or_default() += 1);
                stable.clone().all(|key| seen.get(&key) == Some(&1))
            });
            stop.store(true, Relaxed);
            each_once
        });
        assert!(each_once, "{policy:?}");
    }
}

#[test]
fn a_writer_may_go_on_between_two_items_of_an_iteration() {
    let memory: Memory<u64, u64> = Memory::new(100);
    (0..50).for_each(|key| _ = memory.insert(key, key));
    let seen: HashSet<u64> =
        memory.iter().inspect(|(key, _)| _ = memory.insert(key + 1000, 0)).map(|(k, _)| k).collect();
    assert!((0..50).all(|key| seen.contains(&key)));
}

#[test]
fn threads_that_compute_one_key_at_once_all_get_one_value() {
    let memory: Memory<u64, u64> = Memory::new(100);
    let all_compute = Barrier::new(4);
    let compute = |thread| {
        all_compute.wait();
        thread
    };
    let got: HashSet<u64> = std::thread::scope(|scope| {
        let asked = [1, 2, 3, 4].map(|thread| {
            let (memory, compute) = (&memory, &compute);
            scope.spawn(move || memory.get_or_insert_with(&7, || compute(thread)))
        });
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!(memory.get(&7), got.into_iter().next());
}

#[test]
fn threads_that_do_everything_at_once_keep_the_bound_and_the_count() {
    for policy in POLICIES {
        let memory: Memory<u64, u64> = Memory::builder().capacity(64).shards(4).policy(policy).build();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let memory = &memory;
                scope.spawn(move || {
                    for step in 0..5000_u64 {
                        let key = (step * (thread + 7)) % 200;
                        match step % 5 {
                            0 | 1 => _ = memory.insert(key, key * 10),
                            2 => _ = memory.remove(&key),
                            3 if step % 500 == 3 => memory.clear(),
                            _ => assert!(memory.get(&key).is_none_or(|value| value == key * 10)),
                        }
                        assert!(memory.len() <= 64);
                    }
                });
            }
        });
        let stats = memory.stats();
        let removals = stats.removals;
        assert_eq!(stats.len as usize, memory.iter().count());
        let left = removals.evicted + removals.replaced + removals.invalidated + removals.purged;
        assert_eq!(left + stats.len, 4 * 2000, "every insertion is here or has left once");
    }
}

#[test]
fn a_hit_rate_of_nothing_is_none() {
    let memory: Memory<u8, u8> = Memory::new(8);
    assert_eq!(memory.stats().hit_rate(), None);
    memory.insert(1, 1);
    assert_eq!(memory.stats().hit_rate(), None);
    memory.get(&1);
    assert_eq!(memory.stats().hit_rate(), Some(1.0));
    memory.get(&2);
    assert_eq!(memory.stats().hit_rate(), Some(0.5));
    memory.peek(&2);
    memory.contains(&2);
    assert_eq!(memory.stats().hit_rate(), Some(0.5));
}

#[test]
fn a_hit_after_many_uncounted_looks_still_moves_its_entry_in_an_lru() {
    let memory: Memory<u8, u8> = Memory::builder().capacity(2).policy(Policy::Lru).build();
    memory.insert(1, 1);
    memory.insert(2, 2);
    // So many that a lock whose readers may come together would have become biased.
    (0..1000).for_each(|_| assert!(memory.contains(&2)));
    assert_eq!(memory.get(&1), Some(1));
    memory.insert(3, 3);
    assert_eq!((memory.peek(&1), memory.peek(&2)), (Some(1), None));
}

#[test]
fn readers_alone_sweep_what_has_expired_whatever_the_rhythm_of_their_keys() {
    for policy in POLICIES {
        let clock = ManualClock::new();
        let memory: Memory<u64, u64> =
            Memory::builder().capacity(100_000).shards(16).policy(policy).clock(clock.clock()).build();
        (0..64).for_each(|key| _ = memory.insert(key, key));
        (1000..2000).for_each(|key| _ = memory.insert_for(key, key, secs(1)));
        clock.advance(secs(2));
        // As many keys in turn as hits between two sweeps: each sweep falls on the same key.
        for key in (0..64).cycle().take(640_000) {
            assert_eq!(memory.get(&key), Some(key));
        }
        assert_eq!(memory.len(), 64, "expired entries are left with {policy:?}");
    }
}

#[test]
fn an_update_is_a_use_in_an_lru() {
    let memory: Memory<u8, u8> = Memory::builder().capacity(2).policy(Policy::Lru).build();
    memory.insert(1, 1);
    memory.insert(2, 2);
    assert!(memory.update(&1, |value| *value += 1));
    memory.insert(3, 3);
    assert_eq!((memory.peek(&1), memory.peek(&2)), (Some(2), None));
    assert_eq!(memory.stats().hits, 0);
}

#[test]
fn a_memory_may_be_used_where_a_panic_is_caught() {
    let memory: Memory<u8, u8> = Memory::builder().listener(|_, _, _| ()).build();
    assert_eq!(std::panic::catch_unwind(|| memory.get(&1)).ok(), Some(None));
}
