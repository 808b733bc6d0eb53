//! Processor time per operation.
//!
//! Streams are drawn before the clock starts, fresh in every round and as long as what is timed:
//! a short stream that repeats hardly evicts and flatters everybody. They are worked in slices, in
//! which the contenders take turns ([`crate::slices`]).
//!
//! With two threads, these are started for every slice. Each works its own half of the lead-in,
//! waits for the other, and then measures itself: neither the start of a thread nor the waiting
//! is timed.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::time::Duration;

use crate::args::Args;
use crate::contender::{self, Contender, Expiry, Key, Shape, Value, Visit};
use crate::measure::{Stopwatch, timed};
use crate::report::Report;
use crate::rounds::{Costs, Outcome};
use crate::slices::{self, Runner, Slice, Worked, interleave, stream_length};
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
    /// Worked in slices.
    stream: Vec<K>,
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
    let rows = interleave(name, &args.contenders(default), args.rounds, load);
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
        stream: stream(RESIDENT as u64, stream_length(2 * OPERATIONS), random),
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
        stream: text(load.stream[..stream_length(OPERATIONS)].to_vec()),
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
        stream: stream(KEYS, stream_length(OPERATIONS), random),
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
        stream: unique(before, stream_length(OPERATIONS) as u64),
        threads: 1,
        value: 1,
    }
}

fn hot_key(random: &mut Random) -> Load<u64, u64> {
    let load = hits(random, None);
    let hot = load.before[0];
    Load { stream: vec![hot; load.stream.len()], threads: 2, ..load }
}

impl<K: Key, V: Value> slices::Load for Load<K, V> {
    type Key = K;

    fn stream(&self) -> &[K] {
        &self.stream
    }

    fn ready(&self, contender: &str) -> Ready<'_, K> {
        contender::visit(contender, &self).unwrap_or(Err("a hit ratio only"))
    }
}

/// A contender that is warm, or why it cannot be.
type Ready<'a, K> = Result<Box<dyn Runner<K> + 'a>, &'static str>;

impl<'a, K: Key, V: Value> Visit<K, V> for &'a Load<K, V> {
    type Out = Ready<'a, K>;

    fn visit<C: Contender<K, V>>(&self) -> Self::Out {
        let load: &'a Load<K, V> = self;
        match C::EXPIRY {
            Expiry::Never if load.shape.ttl.is_some() => return Err("entries cannot expire"),
            Expiry::Always if load.shape.ttl.is_none() => return Err("a wrapper for expiry"),
            _ => {}
        }
        if !C::BOUNDED && load.work != Work::Hit {
            return Err("never evicts");
        }
        let memory = C::new(load.shape);
        for key in &load.before {
            memory.insert(key.clone(), load.value.clone());
        }
        memory.settle();
        // Lookups alone would leave a mixed load half empty; a full memory is what is measured.
        let warming = if load.work == Work::Mixed { Work::ReadThrough } else { load.work };
        load.work_through(&memory, warming, &load.warm);
        memory.settle();
        Ok(Box::new(Warm { load, memory }))
    }
}

/// A contender's memory, full and warm.
struct Warm<'a, K, V, C> {
    load: &'a Load<K, V>,
    memory: C,
}

impl<K: Key, V: Value, C: Contender<K, V>> Runner<K> for Warm<'_, K, V, C> {
    fn work(&self, slice: &Slice<'_, K>) -> Worked {
        if self.load.threads > 1 {
            return self.side_by_side(slice);
        }
        self.work_through(slice.lead_in);
        let (found, elapsed) = timed(|| self.work_through(slice.timed));
        Worked { operations: slice.timed.len(), found, elapsed }
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        let (operations, found) = Worked::sums(slices);
        let lookups = match self.load.work {
            Work::Hit if found < operations => return Err("lost resident keys"),
            Work::Hit | Work::Insert => 0,
            Work::ReadThrough => operations,
            Work::Mixed => operations - operations / 4,
        };
        let note = match lookups {
            0 => String::new(),
            lookups => format!("{:.1} % hits", 100.0 * found as f64 / lookups as f64),
        };
        let slices = slices.iter().map(|slice| vec![slice.cpu_ns(), slice.wall_ns()]).collect();
        Ok(Costs { slices, note, apart: false })
    }
}

impl<K: Key, V: Value, C: Contender<K, V>> Warm<'_, K, V, C> {
    fn work_through(&self, keys: &[K]) -> usize {
        self.load.work_through(&self.memory, self.load.work, keys)
    }

    /// A slice on several threads, a part of its keys each.
    fn side_by_side(&self, slice: &Slice<'_, K>) -> Worked {
        let threads = self.load.threads;
        let arrived = &AtomicUsize::new(0);
        let part = |part: Slice<'_, K>| {
            self.work_through(part.lead_in);
            arrived.fetch_add(1, AcqRel);
            // Waking sleepers takes as long as part of a slice: one would start before the other.
            while arrived.load(Acquire) < threads {
                std::thread::yield_now();
            }
            let stopwatch = Stopwatch::of_thread();
            let found = self.work_through(part.timed);
            Worked { operations: part.timed.len(), found, elapsed: stopwatch.read() }
        };
        std::thread::scope(|scope| {
            let started: Vec<_> = slice.parts(threads).map(|keys| scope.spawn(move || part(keys))).collect();
            let joined = started.into_iter().map(|thread| thread.join().expect("no contender panics on a lookup"));
            joined.reduce(Worked::beside).expect("at least one thread was started")
        })
    }
}

impl<K: Key, V: Value> Load<K, V> {
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
}
