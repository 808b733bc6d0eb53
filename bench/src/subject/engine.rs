//! What the engine adds to a hit: `Cache::get_or_load` against the bare `Memory::get` below it.
//!
//! Both see the same keys, drawn from the same zipf, all resident, and take turns in slices of them
//! ([`crate::slices`]). Statistics are always on.

use std::hint::black_box;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Subject;
use crate::alloc::Counted;
use crate::args::Args;
use crate::contender::{Contender, Shape};
use crate::loading::{Foyer, Loading, Moka, QuickCache};
use crate::measure::{Stopwatch, timed};
use crate::ours;
use crate::report::Report;
use crate::rounds::{Costs, Outcome, Row};
use crate::slices::{self, Runner, Slice, Worked, interleave, stream_length};
use crate::zipf::{Random, scramble, shuffled, stream};

const UNITS: &[&str] = &["cpu_ns/op", "allocations/op"];

/// Keys, all resident; the capacity is twice that.
const RESIDENT: usize = 100_000;
const OPERATIONS: usize = 2_000_000;
/// Long enough that nothing expires or is refreshed early during a round.
const TTL: Duration = Duration::from_secs(3600);

/// One round's keys, and what the entries carry.
struct Load {
    tags: usize,
    ttl: Option<Duration>,
    before: Vec<u64>,
    warm: Vec<u64>,
    /// Worked in slices.
    stream: Vec<u64>,
}

/// Runs the cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    for name in Subject::Engine.cases() {
        if args.wants(name) {
            let rows = case(args, name);
            report.case(name, UNITS, &rows);
            if let Some(ratio) = over_memory(&rows) {
                report.remark(&format!("  Cache::get_or_load / Memory::get: {ratio:.2}"));
            }
        }
    }
}

fn case(args: &Args, name: &str) -> Vec<Row> {
    let tags = if name.contains("tags2") { 2 } else { 0 };
    let ttl = name.ends_with("_ttl").then_some(TTL);
    let load = |round: usize| {
        let random = &mut Random::new(scramble(round as u64));
        Load {
            tags,
            ttl,
            before: shuffled(RESIDENT as u64, random),
            warm: stream(RESIDENT as u64, OPERATIONS / 8, random),
            stream: stream(RESIDENT as u64, stream_length(OPERATIONS), random),
        }
    };
    interleave(name, &args.contenders(Subject::Engine.contenders()), args.rounds, load)
}

/// Ours over the bare memory.
fn over_memory(rows: &[Row]) -> Option<f64> {
    let row = |name: &str| rows.iter().find(|row| row.contender == name);
    row("ours")?.ratio_to(row("memory_get")?, 0)
}

impl slices::Load for Load {
    type Key = u64;

    fn stream(&self) -> &[u64] {
        &self.stream
    }

    fn ready(&self, contender: &str) -> Result<Box<dyn Runner<u64> + '_>, &'static str> {
        match contender {
            "ours" => self.loads(ours::Loads::lasting(2 * RESIDENT, self.ttl)),
            "memory_get" => Ok(Box::new(self.bare())),
            _ if self.tags > 0 => Err("has no tags"),
            _ if self.ttl.is_some() => Err("not measured with expiry"),
            "quick_cache" => self.loads(QuickCache::new(2 * RESIDENT)),
            "moka" => self.loads(Moka::new(2 * RESIDENT)),
            _ => self.loads(Foyer::new(2 * RESIDENT)),
        }
    }
}

impl Load {
    fn bare(&self) -> Bare {
        let memory = ours::S3Fifo::<u64, u64>::new(Shape { capacity: 2 * RESIDENT, ttl: self.ttl });
        self.before.iter().for_each(|key| memory.insert(*key, *key));
        let mut bare = Bare { memory, allocations: 0.0 };
        bare.pass(&self.warm);
        // Allocations are counted in a pass of their own: the counter would cost time.
        let counted = Counted::start();
        bare.pass(&self.warm);
        bare.allocations = counted.calls() as f64 / self.warm.len() as f64;
        bare
    }

    fn loads<L: Loading>(&self, cache: L) -> Result<Box<dyn Runner<u64>>, &'static str> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|_| "no runtime to be had")?;
        let allocations = runtime.block_on(async {
            for key in &self.before {
                cache.fill(*key, self.tags).await;
            }
            pass(&cache, &self.warm).await;
            let counted = Counted::start();
            pass(&cache, &self.warm).await;
            counted.calls() as f64 / self.warm.len() as f64
        });
        Ok(Box::new(Loads { cache, runtime, allocations }))
    }
}

/// The memory below ours, with what one of its lookups allocates.
struct Bare {
    memory: ours::S3Fifo<u64, u64>,
    allocations: f64,
}

impl Bare {
    fn pass(&self, keys: &[u64]) -> usize {
        keys.iter().filter(|key| black_box(self.memory.get(key)).is_some()).count()
    }
}

impl Runner<u64> for Bare {
    fn work(&self, slice: &Slice<'_, u64>) -> Worked {
        self.pass(slice.lead_in);
        let (found, elapsed) = timed(|| self.pass(slice.timed));
        Worked { operations: slice.timed.len(), found, elapsed }
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        Ok(costs(slices, self.allocations))
    }
}

/// A cache with a loader, with what one of its lookups allocates.
struct Loads<L> {
    cache: L,
    runtime: Runtime,
    allocations: f64,
}

impl<L: Loading> Runner<u64> for Loads<L> {
    fn work(&self, slice: &Slice<'_, u64>) -> Worked {
        self.runtime.block_on(async {
            pass(&self.cache, slice.lead_in).await;
            let stopwatch = Stopwatch::start();
            let found = pass(&self.cache, slice.timed).await;
            Worked { operations: slice.timed.len(), found, elapsed: stopwatch.read() }
        })
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        Ok(costs(slices, self.allocations))
    }
}

fn costs(slices: &[Worked], allocations: f64) -> Costs {
    let (operations, found) = Worked::sums(slices);
    let missing = operations - found;
    let note = if missing == 0 { String::new() } else { format!("{missing} misses") };
    Costs { slices: slices.iter().map(|slice| vec![slice.cpu_ns(), allocations]).collect(), note, apart: false }
}

/// Looks all keys up and returns how many were hits; a loader that runs answers with 0.
async fn pass<L: Loading>(cache: &L, keys: &[u64]) -> usize {
    let mut found = 0;
    for key in keys {
        let answer = cache.get_or_load(key, || async { Ok(0) }).await;
        found += usize::from(black_box(answer).is_ok_and(|value| value == *key));
    }
    found
}
