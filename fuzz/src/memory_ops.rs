//! `Memory` against a plain map.
//!
//! Which entry is evicted is the policy's business, so no map of its own could say what a
//! lookup must return. But every entry that leaves is told to the listener. The model follows
//! what it is told and is then exact: an entry that was put in and not told to have left is
//! there with its last value until its time is over, and every other lookup finds nothing.
//! That catches a lost entry, a value from the past, an entry told twice or never, a bound
//! that is passed, and counts that do not add up.

use crate::bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tierce::{Cause, ManualClock, Memory, Policy};

/// Above every shard's share in a small weighed memory, so that some entries cannot be kept.
const HEAVIEST: u32 = 40;

/// One run: the first bytes choose the memory, the rest what is done with it.
///
/// # Panics
///
/// When the memory does what the model says it cannot.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let Some(mut drive) = Drive::new(&mut bytes) else {
        return;
    };
    while drive.step(&mut bytes).is_some() {
        drive.check();
    }
}

type Told = Arc<Mutex<Vec<(u16, u32, Cause)>>>;

/// The memory, its clock, and the model beside them.
struct Drive {
    memory: Memory<u16, u32>,
    clock: ManualClock,
    now_ms: u64,
    ttl_ms: Option<u64>,
    weighed: bool,
    /// Keys are taken modulo this: few keys meet often, many fill the memory.
    keys: u16,
    told: Told,
    /// What has not left, by value: no value is ever given twice.
    inside: HashMap<u32, Entry>,
    by_key: HashMap<u16, u32>,
    last_value: u32,
    lookups: u64,
    left: HashMap<Cause, u64>,
}

#[derive(Clone, Copy)]
struct Entry {
    key: u16,
    /// None for an entry that never expires.
    expiry_ms: Option<u64>,
}

impl Drive {
    fn new(bytes: &mut Bytes) -> Option<Self> {
        let [kind, size, keys, shards, ttl] = [(); 5].map(|()| bytes.byte());
        let (kind, size, ttl) = (kind?, size?, ttl?);
        let (clock, told) = (ManualClock::new(), Told::default());
        let listener = Arc::clone(&told);
        let tell = move |key: &u16, value: &u32, cause| {
            listener.lock().unwrap_or_else(PoisonError::into_inner).push((*key, *value, cause));
        };
        let mut builder = Memory::builder().listener(tell).clock(clock.clock());
        if kind & 1 != 0 {
            builder = builder.policy(Policy::Lru);
        }
        let weighed = kind & 6 == 2;
        builder = match kind & 6 {
            2 => builder.max_weight(u64::from(size), |_, value| weight(*value)),
            4 => builder.unbounded(),
            _ => builder.capacity(usize::from(size)),
        };
        let ttl_ms = (ttl > 127).then(|| u64::from(ttl - 127));
        if let Some(ttl_ms) = ttl_ms {
            builder = builder.ttl(Duration::from_millis(ttl_ms));
        }
        let memory = builder.shards(usize::from(shards? % 8)).build();
        let (inside, by_key, left) = Default::default();
        let keys = u16::from(keys?) + 1;
        Some(Self {
            memory,
            clock,
            now_ms: 0,
            ttl_ms,
            weighed,
            keys,
            told,
            inside,
            by_key,
            last_value: 0,
            lookups: 0,
            left,
        })
    }

    /// One operation; none at the end of the bytes.
    fn step(&mut self, bytes: &mut Bytes) -> Option<()> {
        let operation = bytes.byte()?;
        let key = bytes.short()? % self.keys;
        let number = bytes.byte()?;
        match operation % 16 {
            0..3 => self.get(key),
            3..6 => self.insert(key, None),
            6 => self.insert(key, Some(number)),
            7 => self.get_or_insert(key),
            8 => self.update(key),
            9 => self.remove(key),
            10 => self.look(key),
            11 => self.advance(number),
            12 => self.invalidate_where(number),
            13 => self.iterate(),
            14 => self.sweep(),
            // Seldom, so that memories fill up between.
            _ if number < 16 => self.memory.clear(),
            _ if number < 32 => self.memory.resize(u64::from(key)),
            _ => self.get(key),
        }
        Some(())
    }

    fn get(&mut self, key: u16) {
        let expected = self.live(key);
        self.lookups += 1;
        assert_eq!(self.memory.get(&key), expected, "get({key})");
    }

    fn insert(&mut self, key: u16, ttl: Option<u8>) {
        let replaced = self.live(key);
        let value = self.new_value();
        let ttl_ms = match ttl {
            None => self.ttl_ms,
            Some(u8::MAX) => None,
            Some(ttl) => Some(u64::from(ttl)),
        };
        self.expect_inside(key, value, ttl_ms.map(|ttl| self.now_ms + ttl));
        let given = match ttl {
            None => self.memory.insert(key, value),
            // Longer than any clock counts: the same as no end at all.
            Some(u8::MAX) => self.memory.insert_for(key, value, Duration::MAX),
            Some(ttl) => self.memory.insert_for(key, value, Duration::from_millis(u64::from(ttl))),
        };
        // Making room, or a sweep on the way, may take the old entry before it is replaced.
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let as_replaced = told.iter().find(|told| told.2 == Cause::Replaced).map(|told| told.1);
        drop(told);
        assert_eq!(given, as_replaced, "insert({key})");
        assert!(given.is_none() || given == replaced, "insert({key})");
    }

    fn get_or_insert(&mut self, key: u16) {
        let expected = self.live(key);
        let value = self.new_value();
        if expected.is_none() {
            self.expect_inside(key, value, self.ttl_ms.map(|ttl| self.now_ms + ttl));
        }
        self.lookups += 1;
        let given = self.memory.get_or_insert_with(&key, || value);
        assert_eq!(given, expected.unwrap_or(value), "get_or_insert_with({key})");
    }

    fn update(&mut self, key: u16) {
        let expected = self.live(key);
        let value = self.new_value();
        if let Some(old) = expected
            && let Some(entry) = self.inside.remove(&old)
        {
            self.expect_inside(key, value, entry.expiry_ms);
        }
        let mut seen = None;
        let was_here = self.memory.update(&key, |inner| seen = Some(std::mem::replace(inner, value)));
        assert_eq!((was_here, seen), (expected.is_some(), expected), "update({key})");
    }

    fn remove(&mut self, key: u16) {
        let expected = self.live(key);
        assert_eq!(self.memory.remove(&key), expected, "remove({key})");
    }

    fn look(&self, key: u16) {
        let expected = self.live(key);
        assert_eq!(self.memory.peek(&key), expected, "peek({key})");
        assert_eq!(self.memory.contains(&key), expected.is_some(), "contains({key})");
    }

    fn advance(&mut self, by_ms: u8) {
        self.now_ms += u64::from(by_ms);
        self.clock.advance(Duration::from_millis(u64::from(by_ms)));
    }

    fn invalidate_where(&mut self, number: u8) {
        let named = |key: u16| key % 16 == u16::from(number) % 16;
        let before = self.inside.values().filter(|entry| named(entry.key)).count();
        let removed = self.memory.invalidate_where(|key, _| named(*key));
        assert_eq!(removed, before, "invalidate_where");
    }

    fn iterate(&self) {
        let mut found: Vec<_> = self.memory.iter().collect();
        found.sort_unstable();
        let keys = self.by_key.keys().filter_map(|key| Some((*key, self.live(*key)?)));
        let mut expected: Vec<_> = keys.collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "iter");
    }

    fn sweep(&mut self) {
        let late = self.inside.values().filter(|entry| self.is_over(entry)).count();
        assert_eq!(self.memory.sweep(), late, "sweep");
    }

    /// What must hold after every operation.
    fn check(&mut self) {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for (key, value, cause) in told {
            self.follow(key, value, cause);
        }
        assert_eq!(self.inside.len(), self.by_key.len(), "an entry was replaced and not told");
        assert_eq!(self.memory.len(), self.inside.len(), "len");
        let expected = match self.weighed {
            true => self.inside.keys().map(|value| u64::from(weight(*value))).sum(),
            false => self.inside.len() as u64,
        };
        assert_eq!(self.memory.weight(), expected, "weight");
        let bound = self.memory.capacity().unwrap_or(u64::MAX);
        assert!(expected <= bound, "{expected} inside of {bound}");
        let stats = self.memory.stats();
        assert_eq!(stats.hits + stats.misses, self.lookups, "lookups");
        let left = |cause| self.left.get(&cause).copied().unwrap_or_default();
        let causes = [Cause::Evicted, Cause::Expired, Cause::Replaced, Cause::Invalidated, Cause::Purged];
        let removals = stats.removals;
        let counted = [removals.evicted, removals.expired, removals.replaced, removals.invalidated, removals.purged];
        assert_eq!(counted, causes.map(left), "removals by cause");
    }

    /// Takes out of the model what the listener was told.
    fn follow(&mut self, key: u16, value: u32, cause: Cause) {
        *self.left.entry(cause).or_default() += 1;
        let entry = self.inside.remove(&value).expect("an entry leaves once, and only after it came");
        assert_eq!(entry.key, key, "told of another key's value");
        assert!(cause != Cause::Expired || self.is_over(&entry), "expired before its time");
        assert!(cause != Cause::Evicted || self.memory.capacity().is_some(), "evicted without a bound");
        if self.by_key.get(&key) == Some(&value) {
            self.by_key.remove(&key);
        }
    }

    fn expect_inside(&mut self, key: u16, value: u32, expiry_ms: Option<u64>) {
        self.inside.insert(value, Entry { key, expiry_ms });
        self.by_key.insert(key, value);
    }

    fn live(&self, key: u16) -> Option<u32> {
        let value = self.by_key.get(&key)?;
        (!self.is_over(&self.inside[value])).then_some(*value)
    }

    fn is_over(&self, entry: &Entry) -> bool {
        entry.expiry_ms.is_some_and(|expiry_ms| self.now_ms >= expiry_ms)
    }

    fn new_value(&mut self) -> u32 {
        self.last_value += 1;
        self.last_value
    }
}

fn weight(value: u32) -> u32 {
    1 + value.wrapping_mul(0x9E37_79B9) % HEAVIEST
}

#[cfg(test)]
mod tests {
    /// Runs, and operations in each: a second or two of a debug build.
    const RUNS: u64 = 300;
    const OPERATIONS: usize = 500;

    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn memory_agrees_with_the_model_on_fixed_bytes() {
        for run in 0..RUNS {
            let mut state = run;
            let words = (0..OPERATIONS).map(|_| next(&mut state).to_le_bytes());
            let bytes: Vec<u8> = words.flat_map(|word| word.into_iter().take(4)).collect();
            super::run(&bytes);
        }
    }
}
