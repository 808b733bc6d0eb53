//! Panics in the code that a memory runs, and what becomes of its values.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use tierce::{ManualClock, Memory, Policy};

use crate::memory_reentry::{Chatty, Key, Place, VERBS, Value, chatty, hook, unhook, use_it};

/// The memory's own numbers agree with each other, and it still works.
fn check_sound(memory: &Chatty, clock: &ManualClock, what: &str) {
    let listed = memory.iter().count();
    memory.sweep();
    assert_eq!(memory.len(), listed, "{what}");
    assert_eq!(memory.weight(), listed as u64, "{what}");
    assert!(listed <= 8, "{what}");
    use_it(memory, clock);
    memory.clear();
    assert_eq!((memory.len(), memory.weight()), (0, 0), "{what}");
    for key in 0..20 {
        memory.insert(Key(key), Value(key));
    }
    assert_eq!(memory.len(), 8, "{what}");
    assert_eq!(memory.iter().filter(|(key, _)| memory.get(key).is_some_and(|value| value.0 == key.0)).count(), 8);
}

/// Lets the n-th visit to a place panic, for every n that a verb reaches.
fn check_panics(place: Place, policy: Policy) -> usize {
    let mut panics = 0;
    for (name, verb) in VERBS {
        for nth in 0..6 {
            let clock = ManualClock::new();
            let memory = chatty(policy, &clock);
            for key in 0..8 {
                memory.insert(Key(key), Value(key));
            }
            let visits = Rc::new(Cell::new(0));
            hook(move |at| {
                if at == place {
                    visits.set(visits.get() + 1);
                    assert!(visits.get() != nth + 1, "{place:?} is broken");
                }
            });
            let ended = catch_unwind(AssertUnwindSafe(|| verb(&memory)));
            unhook();
            panics += usize::from(ended.is_err());
            check_sound(&memory, &clock, &format!("{name}, visit {nth} to {place:?}"));
        }
    }
    panics
}

#[test]
fn a_panic_anywhere_leaves_the_memory_sound() {
    use Place::{Eq, Hash, KeyClone, KeyDrop, Listener, ValueClone, ValueDrop, Weigher};
    for policy in [Policy::S3Fifo, Policy::Lru] {
        for place in [Hash, Eq, KeyClone, KeyDrop, ValueClone, ValueDrop, Listener, Weigher] {
            let panics = check_panics(place, policy);
            assert!(panics > 0, "no panic was reached at {place:?}");
        }
    }
}

#[test]
fn a_panicking_closure_leaves_the_memory_sound() {
    let clock = ManualClock::new();
    let memory = chatty(Policy::S3Fifo, &clock);
    (0..8).for_each(|key| _ = memory.insert(Key(key), Value(key)));
    let calls: [fn(&Chatty); 3] = [
        |memory| _ = memory.update(&Key(1), |_| panic!("in update")),
        |memory| _ = memory.invalidate_where(|key, _| key.0 == 3 || panic!("in invalidate_where")),
        |memory| _ = memory.get_or_insert_with(&Key(99), || panic!("in compute")),
    ];
    for call in calls {
        assert!(catch_unwind(AssertUnwindSafe(|| call(&memory))).is_err());
    }
    check_sound(&memory, &clock, "closures");
}

/// A value that counts itself, and looks whether its memory is locked by this thread when it is dropped.
struct Counted {
    live: Arc<AtomicI64>,
    memory: Arc<OnceLock<Arc<Memory<Picky, Counted>>>>,
    locked: Arc<AtomicBool>,
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.live.fetch_add(1, SeqCst);
        Counted { live: Arc::clone(&self.live), memory: Arc::clone(&self.memory), locked: Arc::clone(&self.locked) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.live.fetch_sub(1, SeqCst);
        let looked = catch_unwind(AssertUnwindSafe(|| self.memory.get().map(|memory| memory.len())));
        self.locked.fetch_or(looked.is_err(), SeqCst);
    }
}

/// A key that is equal to none, and panics on being asked, when told.
struct Picky(u64, Arc<AtomicBool>);

impl Hash for Picky {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Picky {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.1.load(SeqCst), "not comparable now");
        self.0 == other.0
    }
}

impl Eq for Picky {}

struct Stage {
    memory: Arc<Memory<Picky, Counted>>,
    clock: ManualClock,
    seed: Counted,
    picky: Arc<AtomicBool>,
}

fn stage(policy: Policy) -> Stage {
    let clock = ManualClock::new();
    let builder = Memory::builder().capacity(8).shards(1).policy(policy).clock(clock.clock());
    let memory = Arc::new(builder.build());
    let cell = Arc::new(OnceLock::new());
    let seed = Counted { live: Arc::new(AtomicI64::new(1)), memory: Arc::clone(&cell), locked: Arc::default() };
    assert!(cell.set(Arc::clone(&memory)).is_ok());
    Stage { memory, clock, seed, picky: Arc::default() }
}

impl Stage {
    fn insert(&self, key: u64, secs: u64) {
        let key = Picky(key, Arc::clone(&self.picky));
        drop(self.memory.insert_for(key, self.seed.clone(), std::time::Duration::from_secs(secs)));
    }

    /// Beside the seed, only what is in the memory is alive, and nothing was dropped under its lock.
    #[track_caller]
    fn check(&self, what: &str) {
        assert_eq!(self.seed.live.load(SeqCst) - 1, self.memory.len() as i64, "{what}");
        assert!(!self.seed.locked.load(SeqCst), "{what}: a value was dropped under the lock");
    }
}

#[test]
fn every_value_is_dropped_once_and_never_under_a_lock() {
    for policy in [Policy::S3Fifo, Policy::Lru] {
        let stage = stage(policy);
        let key = |key| Picky(key, Arc::clone(&stage.picky));
        for round in 0..100 {
            stage.insert(round % 13, round % 5);
            drop(stage.memory.get(&key(round % 7)));
            stage.clock.advance(std::time::Duration::from_millis(300));
            match round % 20 {
                5 => _ = stage.memory.remove(&key(round % 13)),
                10 => _ = stage.memory.invalidate_where(|key, _| key.0 % 3 == 0),
                13 => _ = stage.memory.get_or_insert_with(&KeyOf(&key(round)), || stage.seed.clone()),
                15 => stage.memory.resize(round % 9),
                18 => _ = stage.memory.sweep(),
                19 => stage.memory.clear(),
                _ => {
                    // What the closure itself drops, it drops under the lock.
                    let mut old = None;
                    let change = |value: &mut Counted| old = Some(std::mem::replace(value, stage.seed.clone()));
                    stage.memory.update(&key(round % 13), change);
                }
            }
            stage.check(&format!("round {round}"));
        }
        stage.memory.resize(8);
        stage.memory.clear();
        assert_eq!(stage.seed.live.load(SeqCst), 1);
    }
}

/// `Picky` is not `Clone`: its owned form is made by hand.
#[derive(Clone, Copy)]
struct KeyOf<'a>(&'a Picky);

impl Hash for KeyOf<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl tierce::KeyRef<Picky> for KeyOf<'_> {
    fn is(&self, key: &Picky) -> bool {
        self.0 == key
    }
}

impl tierce::ToKey<Picky> for KeyOf<'_> {
    fn to_key(&self) -> Picky {
        Picky(self.0.0, Arc::clone(&self.0.1))
    }
}

#[test]
fn no_value_is_dropped_under_the_lock_by_any_departure() {
    for policy in [Policy::S3Fifo, Policy::Lru] {
        let stage = stage(policy);
        (0..40).for_each(|key| stage.insert(key % 12, 1));
        stage.check("filled");
        stage.clock.advance(std::time::Duration::from_secs(2));
        (0..12).for_each(|key| _ = stage.memory.get(&Picky(key, Arc::clone(&stage.picky))));
        stage.check("expired");
        (0..40).for_each(|key| stage.insert(key, 1000));
        stage.memory.resize(2);
        stage.check("evicted");
        stage.memory.invalidate_where(|_, _| true);
        stage.insert(1, 1);
        stage.memory.clear();
        stage.check("cleared");
    }
}

#[test]
fn a_value_whose_insertion_panics_in_eq_is_not_dropped_under_the_lock() {
    let stage = stage(Policy::S3Fifo);
    stage.insert(1, 10);
    stage.picky.store(true, SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| stage.insert(1, 10))).is_err());
    stage.picky.store(false, SeqCst);
    stage.check("an insertion that panics");
}

#[test]
fn a_dropped_memory_drops_what_it_holds() {
    let live = Arc::new(());
    let memory: Memory<u64, Arc<()>> = Memory::new(100);
    (0..50).for_each(|key| _ = memory.insert(key, Arc::clone(&live)));
    assert_eq!(Arc::strong_count(&live), 51);
    drop(memory);
    assert_eq!(Arc::strong_count(&live), 1);
}
