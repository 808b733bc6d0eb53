//! Processor time per operation.
//!
//! Streams are drawn before the clock starts, fresh in every round and as long as what is timed:
//! a short stream that repeats hardly evicts and flatters everybody.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use crate::args::Args;
use crate::contender::{self, Contender, Expiry, Key, Shape, Value, Visit};
use crate::measure::{Costs, Elapsed, Outcome, interleave, timed};
use crate::report::Report;
use crate::zipf::{Random, scramble, shuffled, stream};

/// Keys that are all resident in the cases of hits; the capacity is twice that.
const RESIDENT: usize = 100_000;
/// Capacity of the cases that evict.
const CAPACITY: usize = 100_000;
/// Keys of the cases that miss.
const KEYS: u64 = 1_000_000;
/// Operations that are timed, and as many others to warm up where the case misses.
const OPERATIONS: usize = 1_000_000;
/// Long enough that nothing expires during a round.
const TTL: Duration = Duration::from_secs(3600);

const CONTENDERS: &[&str] =
    &["ours", "ours_lru", "quick_cache", "quick_cache_ttl", "moka", "foyer", "cached", "schnellru", "bound_rwlock_map"];
/// The same with their own defaults, measured in one case.
const WITH_DEFAULTS: &[&str] = &[
    "ours",
    "ours_lru",
    "quick_cache",
    "moka",
    "moka_default",
    "foyer",
    "foyer_default",
    "cached",
    "cached_default",
    "schnellru",
    "schnellru_default",
    "bound_rwlock_map",
];

/// What is done with the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Look up, all present.
    Hit,
    /// Look up, put on a miss.
    ReadThrough,
    /// Every fourth operation puts, present or not; the others look up.
    Mixed,
    /// Put what was never there.
    Insert,
}

/// One round's keys and values, shared by all contenders.
struct Load<K, V> {
    work: Work,
    shape: Shape,
    /// What is in the memory before anything else happens.
    before: Vec<K>,
    warm: Vec<K>,
    timed: Vec<K>,
    threads: usize,
    value: V,
}

/// Runs the speed cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    case(args, report, "hit_u64_zipf", |random| hits(random, None));
    case(args, report, "hit_u64_zipf_ttl", |random| hits(random, Some(TTL)));
    case(args, report, "hit_string", strings);
    case(args, report, "read_through_zipf", |random| missing(random, Work::ReadThrough));
    case(args, report, "mixed_75_25", |random| missing(random, Work::Mixed));
    case(args, report, "insert_evict", inserts);
    case(args, report, "hot_key_2t", hot_key);
    case(args, report, "zipf_2t", |random| Load { threads: 2, ..hits(random, None) });
}

fn case<K: Key, V: Value>(args: &Args, report: &mut Report, name: &str, make: impl Fn(&mut Random) -> Load<K, V>) {
    if !args.wants(name) {
        return;
    }
    let default = if name == "hit_u64_zipf" { WITH_DEFAULTS } else { CONTENDERS };
    let load = |round: usize| make(&mut Random::new(scramble(round as u64)));
    let run = |contender: &str, load: &Load<K, V>| contender::visit(contender, load).unwrap_or(Err("a hit ratio only"));
    let rows = interleave(name, &args.contenders(default), args.rounds, load, run);
    // With two threads a lock that sleeps costs no processor time; the wall says what it costs.
    let units = if name.ends_with("_2t") { &["cpu_ns/op", "wall_ns/op"][..] } else { &["cpu_ns/op"] };
    report.case(name, units, &rows);
}

fn hits(random: &mut Random, ttl: Option<Duration>) -> Load<u64, u64> {
    Load {
        work: Work::Hit,
        shape: Shape { capacity: 2 * RESIDENT, ttl },
        before: shuffled(RESIDENT as u64, random),
        warm: stream(RESIDENT as u64, OPERATIONS / 4, random),
        timed: stream(RESIDENT as u64, 2 * OPERATIONS, random),
        threads: 1,
        value: 1,
    }
}

/// 29-byte keys, each a string of its own as a request would bring, and an `Arc` of 100 bytes.
fn strings(random: &mut Random) -> Load<String, Arc<[u8; 100]>> {
    let text = |keys: Vec<u64>| keys.iter().map(|key| format!("user:{key:024}")).collect();
    let load = hits(random, None);
    Load {
        work: Work::Hit,
        shape: load.shape,
        before: text(load.before),
        warm: text(load.warm),
        timed: text(load.timed[..OPERATIONS].to_vec()),
        threads: 1,
        value: Arc::new([7; 100]),
    }
}

fn missing(random: &mut Random, work: Work) -> Load<u64, u64> {
    Load {
        work,
        shape: Shape { capacity: CAPACITY, ttl: None },
        before: Vec::new(),
        warm: stream(KEYS, OPERATIONS, random),
        timed: stream(KEYS, OPERATIONS, random),
        threads: 1,
        value: 1,
    }
}

fn inserts(random: &mut Random) -> Load<u64, u64> {
    let first = random.next_u64();
    let unique = |from: u64, count: u64| (from..from + count).map(|i| scramble(first ^ i)).collect();
    // Twice the capacity before the clock starts: also those that fill unevenly are full then.
    let before = 2 * CAPACITY as u64;
    Load {
        work: Work::Insert,
        shape: Shape { capacity: CAPACITY, ttl: None },
        before: Vec::new(),
        warm: unique(0, before),
        timed: unique(before, OPERATIONS as u64),
        threads: 1,
        value: 1,
    }
}

fn hot_key(random: &mut Random) -> Load<u64, u64> {
    let load = hits(random, None);
    let hot = load.before[0];
    Load { timed: vec![hot; 2 * OPERATIONS], threads: 2, ..load }
}

impl<K: Key, V: Value> Visit<K, V> for Load<K, V> {
    type Out = Outcome;

    fn visit<C: Contender<K, V>>(&self) -> Outcome {
        match C::EXPIRY {
            Expiry::Never if self.shape.ttl.is_some() => return Err("entries cannot expire"),
            Expiry::Always if self.shape.ttl.is_none() => return Err("a wrapper for expiry"),
            _ => {}
        }
        if !C::BOUNDED && self.work != Work::Hit {
            return Err("never evicts");
        }
        let memory = C::new(self.shape);
        for key in &self.before {
            memory.insert(key.clone(), self.value.clone());
        }
        memory.settle();
        // Lookups alone would leave a mixed load half empty; a full memory is what is measured.
        let warming = if self.work == Work::Mixed { Work::ReadThrough } else { self.work };
        self.work_through(&memory, warming, &self.warm);
        memory.settle();
        let (found, elapsed) = self.clocked(&memory);
        self.costs(found, elapsed)
    }
}

impl<K: Key, V: Value> Load<K, V> {
    fn clocked<C: Contender<K, V>>(&self, memory: &C) -> (usize, Elapsed) {
        if self.threads == 1 {
            return timed(|| self.work_through(memory, self.work, &self.timed));
        }
        let part = self.timed.len() / self.threads;
        timed(|| {
            std::thread::scope(|scope| {
                let start = |keys| scope.spawn(move || self.work_through(memory, self.work, keys));
                let threads: Vec<_> = self.timed.chunks(part).map(start).collect();
                let joined = threads.into_iter().map(|thread| thread.join());
                joined.map(|found| found.expect("no contender panics on a lookup")).sum()
            })
        })
    }

    /// Works through the keys and returns how many lookups found something.
    fn work_through<C: Contender<K, V>>(&self, memory: &C, work: Work, keys: &[K]) -> usize {
        let mut found = 0;
        match work {
            Work::Hit => {
                for key in keys {
                    found += usize::from(black_box(memory.get(key)).is_some());
                }
            }
            Work::ReadThrough => {
                for key in keys {
                    match black_box(memory.get(key)) {
                        Some(_) => found += 1,
                        None => memory.insert(key.clone(), self.value.clone()),
                    }
                }
            }
            Work::Mixed => {
                for (index, key) in keys.iter().enumerate() {
                    if index % 4 == 3 {
                        memory.insert(key.clone(), self.value.clone());
                    } else {
                        found += usize::from(black_box(memory.get(key)).is_some());
                    }
                }
            }
            Work::Insert => {
                for key in keys {
                    memory.insert(key.clone(), self.value.clone());
                }
            }
        }
        found
    }

    fn costs(&self, found: usize, elapsed: Elapsed) -> Outcome {
        let operations = self.timed.len();
        let lookups = match self.work {
            Work::Hit if found < operations => return Err("lost resident keys"),
            Work::Hit | Work::Insert => 0,
            Work::ReadThrough => operations,
            Work::Mixed => operations - operations / 4,
        };
        let note = match lookups {
            0 => String::new(),
            lookups => format!("{:.1} % hits", 100.0 * found as f64 / lookups as f64),
        };
        Ok(Costs { values: vec![elapsed.cpu_ns(operations), elapsed.wall_ns(operations)], note, apart: false })
    }
}
