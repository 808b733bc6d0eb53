//! Memory against a plain model, under random operations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tierce::{Cause, ManualClock, Memory, MemoryStats, Policy, Removals};

const KEYS: u8 = 24;

#[derive(Clone, Copy, Debug)]
enum Op {
    Insert(u8),
    InsertFor(u8, u64),
    Get(u8),
    GetOrInsert(u8),
    Remove(u8),
    Update(u8),
    InvalidateWhere(u8),
    Resize(u64),
    Clear,
    Sweep,
    Advance(u64),
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    Entries(usize),
    Weight(u64),
    None,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    policy: Policy,
    bound: Bound,
    shards: usize,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS;
    prop_oneof![
        6 => key.clone().prop_map(Op::Insert),
        4 => (key.clone(), 0..50_u64).prop_map(|(key, ms)| Op::InsertFor(key, ms)),
        8 => key.clone().prop_map(Op::Get),
        2 => key.clone().prop_map(Op::GetOrInsert),
        2 => key.clone().prop_map(Op::Remove),
        3 => key.prop_map(Op::Update),
        1 => (2..6_u8).prop_map(Op::InvalidateWhere),
        1 => (0..40_u64).prop_map(Op::Resize),
        1 => Just(Op::Clear),
        1 => Just(Op::Sweep),
        3 => (1..30_u64).prop_map(Op::Advance),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let policy = prop_oneof![Just(Policy::S3Fifo), Just(Policy::Lru)];
    let bound = prop_oneof![
        3 => prop_oneof![Just(0), Just(1), 2..30_usize].prop_map(Bound::Entries),
        3 => (0..60_u64).prop_map(Bound::Weight),
        1 => Just(Bound::None),
    ];
    (policy, bound, prop_oneof![Just(1), Just(4)]).prop_map(|(policy, bound, shards)| Shape { policy, bound, shards })
}

/// The weight of a value in memories that weigh.
fn weigh(value: u64) -> u32 {
    (value % 5) as u32
}

type Told = Arc<Mutex<Vec<(u8, u64, Cause)>>>;

/// What must be in the memory, from what was put in and what the listener told. Values are never used twice.
struct Model {
    memory: Memory<u8, u64>,
    clock: ManualClock,
    told: Told,
    /// Key and expiry of every value that is in.
    held: HashMap<u64, (u8, u64)>,
    limit: Option<u64>,
    weighs: bool,
    serial: u64,
    inserted: u64,
    gets: u64,
    departed: Removals,
}

impl Model {
    fn new(shape: Shape) -> Self {
        let (clock, told) = (ManualClock::new(), Told::default());
        let ear = Arc::clone(&told);
        let builder = Memory::builder().policy(shape.policy).shards(shape.shards).clock(clock.clock());
        let builder = match shape.bound {
            Bound::Entries(entries) => builder.capacity(entries),
            Bound::Weight(weight) => builder.max_weight(weight, |_, value| weigh(*value)),
            Bound::None => builder.unbounded(),
        };
        let limit = match shape.bound {
            Bound::Entries(entries) => Some(entries as u64),
            Bound::Weight(weight) => Some(weight),
            Bound::None => None,
        };
        Model {
            memory: builder.listener(move |key, value, cause| ear.lock().unwrap().push((*key, *value, cause))).build(),
            clock,
            told,
            held: HashMap::new(),
            limit,
            weighs: matches!(shape.bound, Bound::Weight(_)),
            serial: 0,
            inserted: 0,
            gets: 0,
            departed: Removals::default(),
        }
    }

    fn now(&self) -> u64 {
        self.clock.clock().now_ms()
    }

    fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The live value of a key.
    fn live(&self, key: u8) -> Option<u64> {
        let now = self.now();
        self.held.iter().find(|(_, held)| held.0 == key && held.1 > now).map(|(value, _)| *value)
    }

    fn put(&mut self, key: u8, value: u64, expiry: u64) {
        self.inserted += 1;
        self.held.insert(value, (key, expiry));
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Insert(key) => self.insert(key, None),
            Op::InsertFor(key, ms) => self.insert(key, Some(ms)),
            Op::Get(key) => {
                self.gets += 1;
                assert_eq!(self.memory.get(&key), self.live(key));
            }
            Op::GetOrInsert(key) => {
                self.gets += 1;
                let (old, new) = (self.live(key), self.next());
                assert_eq!(self.memory.get_or_insert_with(&key, || new), old.unwrap_or(new));
                if old.is_none() {
                    self.put(key, new, u64::MAX);
                }
            }
            Op::Remove(key) => assert_eq!(self.memory.remove(&key), self.live(key)),
            Op::Update(key) => self.update(key),
            Op::InvalidateWhere(part) => {
                let named = self.held.values().filter(|(key, _)| key % part == 0).count();
                assert_eq!(self.memory.invalidate_where(|key, _| key % part == 0), named);
            }
            Op::Resize(limit) => {
                self.limit = Some(limit);
                self.memory.resize(limit);
            }
            Op::Clear => self.memory.clear(),
            Op::Sweep => {
                let now = self.now();
                let late = self.held.values().filter(|(_, expiry)| *expiry <= now).count();
                assert_eq!(self.memory.sweep(), late);
            }
            Op::Advance(ms) => self.clock.advance(Duration::from_millis(ms)),
        }
        self.settle(op);
        self.check();
    }

    fn insert(&mut self, key: u8, ms: Option<u64>) {
        let (old, new) = (self.live(key), self.next());
        let (replaced, expiry) = match ms {
            None => (self.memory.insert(key, new), u64::MAX),
            Some(ms) => (self.memory.insert_for(key, new, Duration::from_millis(ms)), self.now() + ms),
        };
        // A sweep or an eviction may come first where the new entry does not fit.
        assert!(replaced == old || replaced.is_none(), "{replaced:?} instead of {old:?}");
        self.put(key, new, expiry);
    }

    fn update(&mut self, key: u8) {
        let (old, new) = (self.live(key), self.next());
        assert_eq!(self.memory.update(&key, |value| *value = new), old.is_some());
        if let Some(old) = old {
            let held = self.held.remove(&old).expect("a live value is held");
            self.held.insert(new, held);
        }
    }

    /// Takes out what the listener told, and checks each cause.
    fn settle(&mut self, op: Op) {
        let now = self.now();
        for (key, value, cause) in std::mem::take(&mut *self.told.lock().unwrap()) {
            let (held, expiry) = self.held.remove(&value).expect("a value leaves once, and was in before");
            assert_eq!(held, key);
            let fits = match cause {
                Cause::Evicted => {
                    self.departed.evicted += 1;
                    let makes_room = matches!(op, Op::Insert(_) | Op::InsertFor(..) | Op::GetOrInsert(_));
                    self.limit.is_some() && (makes_room || matches!(op, Op::Update(_) | Op::Resize(_)))
                }
                Cause::Expired => {
                    self.departed.expired += 1;
                    expiry <= now
                }
                Cause::Replaced => {
                    self.departed.replaced += 1;
                    matches!(op, Op::Insert(by) | Op::InsertFor(by, _) if by == key) && expiry > now
                }
                Cause::Invalidated => {
                    self.departed.invalidated += 1;
                    matches!(op, Op::InvalidateWhere(part) if key % part == 0)
                        || matches!(op, Op::Remove(by) if by == key) && expiry > now
                }
                Cause::Purged => {
                    self.departed.purged += 1;
                    matches!(op, Op::Clear)
                }
                other => panic!("an unknown cause: {other:?}"),
            };
            assert!(fits, "{op:?} made {key} leave as {cause:?}");
        }
    }

    fn check(&self) {
        for key in 0..KEYS {
            assert_eq!(self.memory.peek(&key), self.live(key), "key {key}");
            assert_eq!(self.memory.contains(&key), self.live(key).is_some());
            assert!(self.held.values().filter(|held| held.0 == key).count() <= 1);
        }
        let weigh = |value: &u64| if self.weighs { u64::from(weigh(*value).max(1)) } else { 1 };
        let weight: u64 = self.held.keys().map(weigh).sum();
        let MemoryStats { hits, misses, removals, len, capacity, .. } = self.memory.stats();
        assert_eq!((len, self.memory.weight()), (self.held.len() as u64, weight));
        assert_eq!((hits + misses, capacity), (self.gets, self.limit));
        assert!(self.limit.is_none_or(|limit| weight <= limit), "{weight} above {:?}", self.limit);
        assert_eq!(removals, self.departed);
        let Removals { evicted, expired, replaced, invalidated, purged, .. } = removals;
        assert_eq!(self.inserted, len + evicted + expired + replaced + invalidated + purged);
        let mut seen: Vec<_> = self.memory.iter().collect();
        seen.sort_unstable();
        let live: Vec<_> = (0..KEYS).filter_map(|key| Some((key, self.live(key)?))).collect();
        assert_eq!(seen, live);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_holds_what_was_put_in_and_not_told_to_have_left(
        shape in shape(),
        ops in prop::collection::vec(op(), 1..150),
    ) {
        let mut model = Model::new(shape);
        for op in ops {
            model.run(op);
        }
    }

    #[test]
    fn lru_evicts_in_the_order_of_last_use(
        limit in 5..20_u64,
        ops in prop::collection::vec((0..7_u8, 0..KEYS, 1..6_u32), 1..250),
    ) {
        lru_against_a_list(limit, &ops);
    }
}

/// Keys with their weights, the least recently used first.
struct List {
    order: Vec<(u8, u32)>,
    limit: u64,
    evicted: Vec<u8>,
}

impl List {
    fn evict(&mut self, room: u32) {
        while self.order.iter().map(|(_, weight)| u64::from(*weight)).sum::<u64>() + u64::from(room) > self.limit {
            self.evicted.push(self.order.remove(0).0);
        }
    }

    fn take(&mut self, key: u8) -> Option<(u8, u32)> {
        let at = self.order.iter().position(|(other, _)| *other == key)?;
        Some(self.order.remove(at))
    }
}

/// `ops`: a verb, a key, a weight. Weights are at most the limit.
fn lru_against_a_list(limit: u64, ops: &[(u8, u8, u32)]) {
    let evicted = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&evicted);
    let memory: Memory<u8, u32> = Memory::builder()
        .policy(Policy::Lru)
        .max_weight(limit, |_, weight| *weight)
        .listener(move |key, _, cause| {
            if cause == Cause::Evicted {
                ear.lock().unwrap().push(*key);
            }
        })
        .build();
    let mut list = List { order: Vec::new(), limit, evicted: Vec::new() };
    for &(verb, key, weight) in ops {
        match verb {
            0 | 1 => {
                memory.insert(key, weight);
                let room = if list.take(key).is_some() { 0 } else { weight };
                if room == 0 {
                    list.order.push((key, weight));
                    list.evict(0);
                } else {
                    list.evict(room);
                    list.order.push((key, weight));
                }
            }
            2 | 3 => {
                let used = list.take(key);
                assert_eq!(memory.get(&key), used.map(|(_, weight)| weight));
                list.order.extend(used);
            }
            4 => assert_eq!(memory.peek(&key).is_some(), list.order.iter().any(|(other, _)| *other == key)),
            5 => assert_eq!(memory.remove(&key), list.take(key).map(|(_, weight)| weight)),
            _ => {
                list.limit = 5 + u64::from(key);
                memory.resize(list.limit);
                list.evict(0);
            }
        }
        assert_eq!(*evicted.lock().unwrap(), list.evicted, "in this order");
        assert_eq!(memory.len(), list.order.len());
    }
}
