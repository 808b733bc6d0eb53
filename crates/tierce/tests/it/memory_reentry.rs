//! Calls back into a memory from the code it runs: served where no lock is held, refused with a sentence elsewhere.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tierce::{ManualClock, Memory, Policy};

use crate::fixture::panic_text;

/// Where foreign code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Hash,
    Eq,
    KeyClone,
    KeyDrop,
    ValueClone,
    ValueDrop,
    Listener,
    Weigher,
}

type Hook = Rc<dyn Fn(Place)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Runs this at every place from now on, but not inside itself.
pub(crate) fn hook(hook: impl Fn(Place) + 'static) {
    HOOK.set(Some(Rc::new(hook)));
}

pub(crate) fn unhook() {
    HOOK.set(None);
}

pub(crate) fn at(place: Place) {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            BUSY.set(false);
        }
    }
    let Ok(Some(hook)) = HOOK.try_with(|hook| hook.borrow().clone()) else { return };
    if !BUSY.replace(true) {
        let _done = Done;
        hook(place);
    }
}

#[derive(Debug)]
pub(crate) struct Key(pub(crate) u64);
#[derive(Debug)]
pub(crate) struct Value(pub(crate) u64);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        at(Place::Hash);
        self.0.hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        at(Place::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Clone for Key {
    fn clone(&self) -> Self {
        at(Place::KeyClone);
        Key(self.0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        at(Place::KeyDrop);
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        at(Place::ValueClone);
        Value(self.0)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        at(Place::ValueDrop);
    }
}

pub(crate) type Chatty = Memory<Key, Value>;

/// A memory of one shard, so that every call back meets the lock that its caller holds.
pub(crate) fn chatty(policy: Policy, clock: &ManualClock) -> Arc<Chatty> {
    let builder = Memory::builder().shards(1).policy(policy).clock(clock.clock()).max_weight(8, |_, _| {
        at(Place::Weigher);
        1
    });
    Arc::new(builder.listener(|_: &Key, _: &Value, _| at(Place::Listener)).build())
}

type Verb = (&'static str, fn(&Chatty));

pub(crate) const VERBS: [Verb; 18] = [
    ("get", |memory| _ = memory.get(&Key(1))),
    ("peek", |memory| _ = memory.peek(&Key(1))),
    ("contains", |memory| _ = memory.contains(&Key(1))),
    ("insert", |memory| _ = memory.insert(Key(2), Value(2))),
    ("insert again", |memory| _ = memory.insert(Key(1), Value(2))),
    ("insert_for", |memory| _ = memory.insert_for(Key(3), Value(2), Duration::from_secs(1))),
    ("get_or_insert_with", |memory| _ = memory.get_or_insert_with(&Key(4), || Value(4))),
    ("update", |memory| _ = memory.update(&Key(1), |value| value.0 += 1)),
    ("remove", |memory| _ = memory.remove(&Key(2))),
    ("invalidate_where", |memory| _ = memory.invalidate_where(|key, _| key.0 == 3)),
    ("iter", |memory| _ = memory.iter().count()),
    ("sweep", |memory| _ = memory.sweep()),
    ("len", |memory| _ = memory.len()),
    ("weight", |memory| _ = memory.weight()),
    ("capacity", |memory| _ = memory.capacity()),
    ("stats", |memory| _ = memory.stats()),
    ("resize", |memory| memory.resize(8)),
    ("clear", |memory| memory.clear()),
];

/// Every way of using a memory: hits, misses, replacements, evictions, expiries, removals.
pub(crate) fn use_it(memory: &Chatty, clock: &ManualClock) {
    for (_, verb) in &VERBS {
        verb(memory);
    }
    for key in 0..12 {
        memory.insert_for(Key(key), Value(key), Duration::from_secs(key));
        memory.get(&Key(key / 2));
    }
    clock.advance(Duration::from_secs(6));
    for key in 0..12 {
        memory.get(&Key(key));
        memory.insert(Key(key), Value(key));
    }
    for (_, verb) in &VERBS {
        verb(memory);
    }
}

fn check_served(places: &'static [Place]) {
    for policy in [Policy::S3Fifo, Policy::Lru] {
        for (name, verb) in VERBS {
            let clock = ManualClock::new();
            let memory = chatty(policy, &clock);
            let (inner, reached) = (Arc::downgrade(&memory), Rc::new(Cell::new(0)));
            let count = Rc::clone(&reached);
            hook(move |place| {
                if let Some(memory) = inner.upgrade().filter(|_| places.contains(&place)) {
                    count.set(count.get() + 1);
                    let called = catch_unwind(AssertUnwindSafe(|| verb(&memory)));
                    assert!(called.is_ok(), "{name} from {place:?} was refused");
                }
            });
            let used = catch_unwind(AssertUnwindSafe(|| use_it(&memory, &clock)));
            unhook();
            assert!(used.is_ok(), "{name} from {places:?}");
            assert!(reached.get() > 2, "{name} was called from {places:?} {} times", reached.get());
            assert!(memory.len() <= 8 && memory.iter().count() <= memory.len());
        }
    }
}

#[test]
fn a_hash_may_call_the_memory_that_hashes() {
    check_served(&[Place::Hash]);
}

#[test]
fn the_drop_of_a_key_or_value_may_call_the_memory_it_was_in() {
    check_served(&[Place::KeyDrop]);
    check_served(&[Place::ValueDrop]);
}

#[test]
fn a_listener_may_call_the_memory_that_tells_it() {
    check_served(&[Place::Listener]);
}

#[test]
fn a_weigher_may_call_the_memory_that_asks_it_about_a_new_value() {
    for (name, verb) in VERBS {
        let clock = ManualClock::new();
        let memory = chatty(Policy::S3Fifo, &clock);
        let (inner, reached) = (Arc::downgrade(&memory), Rc::new(Cell::new(0)));
        let count = Rc::clone(&reached);
        hook(move |place| {
            if let Some(memory) = inner.upgrade().filter(|_| place == Place::Weigher) {
                count.set(count.get() + 1);
                verb(&memory);
            }
        });
        memory.insert(Key(31), Value(1));
        memory.insert(Key(31), Value(2));
        memory.insert_for(Key(32), Value(1), Duration::from_secs(1));
        memory.get_or_insert_with(&Key(33), || Value(1));
        unhook();
        assert_eq!(reached.get(), 4, "{name}");
    }
}

/// The value is in its place by then, and the shard locked.
#[test]
fn a_weigher_that_calls_the_memory_that_asks_it_about_an_update_is_refused() {
    let clock = ManualClock::new();
    let memory = chatty(Policy::S3Fifo, &clock);
    memory.insert(Key(1), Value(1));
    let inner = Arc::clone(&memory);
    hook(move |place| {
        if place == Place::Weigher {
            inner.len();
        }
    });
    check_refused("len", &memory, |memory| _ = memory.update(&Key(1), |value| value.0 = 2));
}

const REFUSAL: &str = "called the memory it runs in; compute outside and call again";

/// The memory is as it was before the refused call, and works.
fn check_refused(name: &str, memory: &Arc<Chatty>, call: impl FnOnce(&Chatty)) {
    let before = (memory.len(), memory.stats().removals);
    let refused = catch_unwind(AssertUnwindSafe(|| call(memory)));
    unhook();
    let text = panic_text(&*refused.expect_err(&format!("{name} is refused")));
    assert!(text.contains(REFUSAL), "{name}: {text:?}");
    assert_eq!((memory.len(), memory.stats().removals), before, "{name}");
    memory.insert(Key(77), Value(78));
    assert_eq!(memory.get(&Key(77)).map(|value| value.0), Some(78));
    memory.remove(&Key(77));
}

#[test]
fn an_eq_a_clone_and_the_closures_are_refused_and_change_nothing() {
    for (name, verb) in VERBS {
        let clock = ManualClock::new();
        let memory = chatty(Policy::S3Fifo, &clock);
        memory.insert(Key(1), Value(1));
        memory.insert(Key(5), Value(5));
        for place in [Place::Eq, Place::ValueClone] {
            let inner = Arc::clone(&memory);
            hook(move |from| {
                if from == place {
                    verb(&inner);
                }
            });
            check_refused(name, &memory, |memory| _ = memory.get(&Key(1)));
        }
        let inner = Arc::clone(&memory);
        check_refused(name, &memory, |memory| _ = memory.update(&Key(1), |_| verb(&inner)));
        check_refused(name, &memory, |memory| {
            memory.invalidate_where(|_, _| {
                verb(&inner);
                true
            });
        });
    }
}

#[test]
fn what_was_named_before_a_predicate_panics_is_told_to_the_listener() {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    let told = Arc::new(AtomicU64::new(0));
    let ear = Arc::clone(&told);
    let listener = move |_: &u64, _: &u64, _| _ = ear.fetch_add(1, Relaxed);
    let memory: Memory<u64, u64> = Memory::builder().shards(1).listener(listener).build();
    (0..10).for_each(|key| _ = memory.insert(key, key));
    let mut seen = 0;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        memory.invalidate_where(|_, _| {
            seen += 1;
            assert!(seen < 5, "the predicate is broken");
            true
        })
    }));
    assert!(ended.is_err());
    assert_eq!(told.load(Relaxed), 10 - memory.len() as u64);
    assert_eq!(told.load(Relaxed), memory.stats().removals.invalidated);
}

#[test]
fn two_memories_may_call_each_other_from_eq_and_clone() {
    let clock = ManualClock::new();
    let (one, other) = (chatty(Policy::S3Fifo, &clock), chatty(Policy::Lru, &clock));
    one.insert(Key(1), Value(1));
    other.insert(Key(1), Value(2));
    let inner = Arc::clone(&other);
    hook(move |place| {
        if matches!(place, Place::Eq | Place::ValueClone) {
            assert_eq!(inner.get(&Key(1)).map(|value| value.0), Some(2));
        }
    });
    assert_eq!(one.get(&Key(1)).map(|value| value.0), Some(1));
    unhook();
}

#[test]
fn a_closure_that_is_not_called_is_dropped_without_a_lock() {
    let memory: Arc<Memory<u8, u8>> = Arc::new(Memory::new(10));
    /// Calls the memory when it is dropped.
    struct Calls(Arc<Memory<u8, u8>>);
    impl Drop for Calls {
        fn drop(&mut self) {
            self.0.insert(1, 1);
        }
    }
    let calls = Calls(Arc::clone(&memory));
    assert!(!memory.update(&0, move |value| {
        let _held = &calls;
        *value += 1;
    }));
    assert_eq!(memory.get(&1), Some(1));
}
