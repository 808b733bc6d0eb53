//! A shard under several threads: nobody loses an update, a listener's call or an entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicU64, Ordering::SeqCst};
use shuttle::thread;
use tierce::{Cause, ManualClock, Memory, Policy};

const KEYS: u8 = 3;
const CAPACITY: usize = 2;
const THREADS: u64 = 3;
const OPERATIONS: u64 = 5;

/// A value knows its key, so that a mix-up shows, and is one of its kind, so that each can be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value {
    key: u8,
    id: u64,
    updates: u64,
}

/// What listeners were told, by the values' ids. Nothing of the model checker happens while it is locked.
type Told = Arc<Mutex<HashMap<u64, (Value, Cause)>>>;

/// What one thread did.
#[derive(Default)]
struct Done {
    inserted: Vec<u64>,
    removed: Vec<u64>,
    updates: u64,
}

fn memory(policy: Policy) -> (Memory<u8, Value>, Told) {
    let told = Told::default();
    let note = Arc::clone(&told);
    let memory = Memory::builder()
        .capacity(CAPACITY)
        .shards(1)
        .policy(policy)
        .clock(ManualClock::new().clock())
        .listener(move |key: &u8, value: &Value, cause| {
            assert_eq!(*key, value.key);
            let known = note.lock().expect("nobody panics with it").insert(value.id, (value.clone(), cause));
            assert_eq!(known, None, "told twice of one entry");
        })
        .build();
    (memory, told)
}

fn operate(memory: &Memory<u8, Value>, thread: u64) -> Done {
    let mut done = Done::default();
    let mut random = shuttle::rand::thread_rng();
    for serial in 0..OPERATIONS {
        let key = random.gen_range(0..KEYS);
        let value = Value { key, id: thread * OPERATIONS + serial, updates: 0 };
        match random.gen_range(0..5) {
            0 | 1 => {
                done.inserted.push(value.id);
                let replaced = memory.insert(key, value);
                assert!(replaced.is_none_or(|replaced| replaced.key == key));
            }
            2 => done.updates += u64::from(memory.update(&key, |value| value.updates += 1)),
            3 => done.removed.extend(memory.remove(&key).map(|value| value.id)),
            _ => assert!(memory.get(&key).is_none_or(|value| value.key == key)),
        }
        assert!(memory.len() <= CAPACITY);
    }
    done
}

fn every_entry_is_accounted_for(policy: Policy) {
    let (memory, told) = memory(policy);
    let memory = Arc::new(memory);
    let spawn = |number| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || operate(&memory, number))
    };
    let threads: Vec<_> = (0..THREADS).map(spawn).collect();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();

    let told = told.lock().expect("nobody panics with it");
    let left: HashMap<u64, Value> = memory.iter().map(|(_, value)| (value.id, value)).collect();
    assert_eq!(left.len(), memory.len());
    for id in done.iter().flat_map(|done| &done.inserted) {
        assert_ne!(told.contains_key(id), left.contains_key(id), "entry {id} is lost or twice there");
    }
    for id in done.iter().flat_map(|done| &done.removed) {
        assert_eq!(told.get(id).map(|(_, cause)| *cause), Some(Cause::Invalidated));
    }
    let updates: u64 = done.iter().map(|done| done.updates).sum();
    let seen = told.values().map(|(value, _)| value).chain(left.values());
    assert_eq!(updates, seen.map(|value| value.updates).sum::<u64>(), "an update is lost");
}

#[test]
fn every_entry_of_an_s3fifo_shard_is_accounted_for() {
    crate::check(|| every_entry_is_accounted_for(Policy::S3Fifo));
}

#[test]
fn every_entry_of_an_lru_shard_is_accounted_for() {
    crate::check(|| every_entry_is_accounted_for(Policy::Lru));
}

/// A value that is whole only if nobody writes it while it is cloned.
struct Halves(AtomicU64, AtomicU64);

impl Clone for Halves {
    fn clone(&self) -> Self {
        Halves(self.0.load(SeqCst).into(), self.1.load(SeqCst).into())
    }
}

/// Readers that leave the lock alone, and a writer who has to notice them.
pub(crate) fn no_value_is_cloned_while_it_changes() {
    let memory = Arc::new(Memory::builder().capacity(CAPACITY).shards(1).build());
    memory.insert(0, Halves(0.into(), 0.into()));
    let readers = (0..2).map(|_| {
        let memory = Arc::clone(&memory);
        thread::spawn(move || {
            for _ in 0..OPERATIONS {
                let Halves(one, other) = memory.get(&0).expect("nobody takes it out");
                assert_eq!(one.into_inner(), other.into_inner(), "a value in the middle of its change");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for change in 1..4 {
        let changed = memory.update(&0, |value| {
            value.0.store(change, SeqCst);
            value.1.store(change, SeqCst);
        });
        assert!(changed);
    }
    readers.into_iter().for_each(|reader| reader.join().expect("it does not panic"));
    assert_eq!(memory.stats().hits, 2 * OPERATIONS);
}

#[test]
fn a_value_is_cloned_whole() {
    crate::check(no_value_is_cloned_while_it_changes);
}

#[test]
fn everybody_gets_the_value_that_was_kept() {
    crate::check(|| {
        let (memory, _) = memory(Policy::S3Fifo);
        let memory = Arc::new(memory);
        let spawn = |id| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || memory.get_or_insert_with(&0, || Value { key: 0, id, updates: 0 }).id)
        };
        let threads: Vec<_> = (0..THREADS).map(spawn).collect();
        let got: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();
        let kept = memory.peek(&0).expect("there is room").id;
        assert!(got.iter().all(|id| *id == kept), "{got:?}, kept {kept}");
    });
}
