//! What the engine adds to a hit: `Cache::get_or_load` against the bare `Memory::get` below it.
//!
//! Both see the same keys, drawn from the same zipf, all resident. Statistics are always on.

use std::hint::black_box;
use std::time::Duration;

use super::Subject;
use crate::alloc::Counted;
use crate::args::Args;
use crate::contender::{Contender, Shape};
use crate::loading::{Foyer, Loading, Moka, QuickCache};
use crate::measure::{Costs, Elapsed, Outcome, Row, Stopwatch, interleave, median, timed};
use crate::ours;
use crate::report::Report;
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
    timed: Vec<u64>,
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
            timed: stream(RESIDENT as u64, OPERATIONS, random),
        }
    };
    interleave(name, &args.contenders(Subject::Engine.contenders()), args.rounds, load, |contender, load| {
        match contender {
            "ours" => load.cache(ours::Loads::lasting(2 * RESIDENT, load.ttl), load.tags),
            "memory_get" => Ok(load.memory()),
            _ if load.tags > 0 => Err("has no tags"),
            _ if load.ttl.is_some() => Err("not measured with expiry"),
            "quick_cache" => load.cache(QuickCache::new(2 * RESIDENT), 0),
            "moka" => load.cache(Moka::new(2 * RESIDENT), 0),
            _ => load.cache(Foyer::new(2 * RESIDENT), 0),
        }
    })
}

/// The median over the rounds of ours over the bare memory.
fn over_memory(rows: &[Row]) -> Option<f64> {
    let costs = |name: &str| rows.iter().find(|row| row.contender == name)?.costs(0);
    let (ours, memory) = (costs("ours")?, costs("memory_get")?);
    Some(median(&ours.iter().zip(&memory).map(|(ours, memory)| ours / memory).collect::<Vec<_>>()))
}

impl Load {
    fn memory(&self) -> Costs {
        let shape = Shape { capacity: 2 * RESIDENT, ttl: self.ttl };
        let memory = ours::S3Fifo::<u64, u64>::new(shape);
        self.before.iter().for_each(|key| memory.insert(*key, *key));
        let pass = |keys: &[u64]| keys.iter().filter(|key| black_box(memory.get(key)).is_some()).count();
        pass(&self.warm);
        // Allocations are counted in a pass of their own: the counter would cost time.
        let counted = Counted::start();
        pass(&self.warm);
        let allocations = counted.calls();
        drop(counted);
        self.costs(allocations, timed(|| pass(&self.timed)))
    }

    fn cache<L: Loading>(&self, cache: L, tags: usize) -> Outcome {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|_| "no runtime to be had")?;
        runtime.block_on(async {
            for key in &self.before {
                cache.fill(*key, tags).await;
            }
            pass(&cache, &self.warm).await;
            let counted = Counted::start();
            pass(&cache, &self.warm).await;
            let allocations = counted.calls();
            drop(counted);
            let stopwatch = Stopwatch::start();
            let found = pass(&cache, &self.timed).await;
            Ok(self.costs(allocations, (found, stopwatch.read())))
        })
    }

    fn costs(&self, allocations: u64, timed: (usize, Elapsed)) -> Costs {
        let (found, elapsed) = timed;
        let values = vec![elapsed.cpu_ns(self.timed.len()), allocations as f64 / self.warm.len() as f64];
        let missing = self.timed.len() - found;
        let note = if missing == 0 { String::new() } else { format!("{missing} misses") };
        Costs { values, note, apart: false }
    }
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
