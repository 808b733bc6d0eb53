//! Many keys in one call: `Cache::get_many_or_load` against the single lookups and the one load that it stands for.
//!
//! An operation is a hundred keys. Those that are to hit are drawn from the same zipf, all resident; those that are to
//! miss have never been seen. The loader answers at once, so what is counted is the engine's own.

use std::cell::Cell;
use std::hint::black_box;

use tokio::runtime::Runtime;

use super::Subject;
use crate::alloc::Counted;
use crate::args::Args;
use crate::loading::Loading;
use crate::measure::Stopwatch;
use crate::ours;
use crate::report::Report;
use crate::rounds::{Costs, Outcome, Row};
use crate::slices::{self, Runner, SLICES, Slice, Worked, interleave, stream_length};
use crate::zipf::{Random, scramble, stream};

const UNITS: &[&str] = &["cpu_ns/op", "allocations/op"];

/// Keys that are resident.
const RESIDENT: usize = 10_000;
/// Keys in one call.
const KEYS: usize = 100;
/// Calls timed in a slice. With what is missed in all of them the cache stays far from full.
const CALLS: usize = 200;
const CAPACITY: usize = 1_000_000;

/// Runs the cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    for name in Subject::Batch.cases() {
        if args.wants(name) {
            let rows = case(args, name);
            report.case(name, UNITS, &rows);
            if let Some(ratio) = over_target(&rows) {
                report.remark(&format!("  ours / (1.2 × hits + load): {ratio:.2}"));
            }
        }
    }
}

fn case(args: &Args, name: &str) -> Vec<Row> {
    let missing = if name == "hits_90_of_100" { 10 } else { 0 };
    let load = |round: usize| {
        let random = &mut Random::new(scramble(round as u64));
        Load { missing, stream: stream(RESIDENT as u64, stream_length(SLICES * CALLS * KEYS), random) }
    };
    interleave(name, &args.contenders(Subject::Batch.contenders()), args.rounds, load)
}

/// A call over what its target allows: a fifth more than a hundred hits, and one load where something is missing.
fn over_target(rows: &[Row]) -> Option<f64> {
    let row = |name: &str| rows.iter().find(|row| row.contender == name);
    let ours = row("ours")?;
    let hits = row("hits")?.ratio_to(ours, 0)?;
    let load = row("load").and_then(|load| load.ratio_to(ours, 0)).unwrap_or(0.0);
    Some(1.0 / (1.2 * hits + load))
}

/// One round's keys.
struct Load {
    /// Of each call's keys, how many nobody has seen.
    missing: usize,
    stream: Vec<u64>,
}

/// What is done with the keys of one call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// All in one call.
    Batch,
    /// All, one after the other.
    Singles,
    /// As many that hit.
    Hits,
    /// One that nobody has seen.
    Load,
}

impl slices::Load for Load {
    type Key = u64;

    fn stream(&self) -> &[u64] {
        &self.stream
    }

    fn ready(&self, contender: &str) -> Result<Box<dyn Runner<u64> + '_>, &'static str> {
        let how = match contender {
            "ours" => How::Batch,
            "singles" => How::Singles,
            "hits" => How::Hits,
            _ if self.missing == 0 => return Err("nothing is missing"),
            _ => How::Load,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|_| "no runtime to be had")?;
        let cache = ours::Loads::lasting(CAPACITY, None);
        runtime.block_on(async {
            for key in 0..RESIDENT as u64 {
                cache.fill(key, 0).await;
            }
        });
        let mut calls =
            Calls { cache, runtime, how, missing: self.missing, unseen: Cell::new(1 << 32), allocations: 0.0 };
        let warm = &self.stream[..slices::LEAD_IN];
        calls.runtime.block_on(calls.pass(warm));
        // Allocations are counted in a pass of their own: the counter would cost time.
        let counted = Counted::start();
        calls.runtime.block_on(calls.pass(warm));
        calls.allocations = counted.calls() as f64 / (warm.len() / KEYS) as f64;
        Ok(Box::new(calls))
    }
}

struct Calls {
    cache: ours::Loads,
    runtime: Runtime,
    how: How,
    missing: usize,
    unseen: Cell<u64>,
    allocations: f64,
}

impl Calls {
    /// A call for each hundred keys; gives how many keys were answered.
    async fn pass(&self, keys: &[u64]) -> usize {
        let mut answered = 0;
        let mut call = [0; KEYS];
        for keys in keys.chunks_exact(KEYS) {
            call.copy_from_slice(keys);
            if self.how != How::Hits {
                (0..self.missing).for_each(|nth| call[nth * KEYS / self.missing] = self.unseen());
            }
            answered += match self.how {
                How::Batch => black_box(self.cache.many(&call).await),
                How::Singles | How::Hits => self.singles(&call).await,
                How::Load => self.singles(&call[..1]).await,
            };
        }
        answered
    }

    async fn singles(&self, keys: &[u64]) -> usize {
        let mut answered = 0;
        for key in keys {
            let key = *key;
            let answer = self.cache.get_or_load(&key, move || async move { Ok(key) }).await;
            answered += usize::from(black_box(answer).is_ok_and(|value| value == key));
        }
        answered
    }

    fn unseen(&self) -> u64 {
        self.unseen.set(self.unseen.get() + 1);
        self.unseen.get()
    }
}

impl Runner<u64> for Calls {
    fn work(&self, slice: &Slice<'_, u64>) -> Worked {
        self.runtime.block_on(async {
            self.pass(slice.lead_in).await;
            let stopwatch = Stopwatch::start();
            let found = self.pass(slice.timed).await;
            Worked { operations: slice.timed.len() / KEYS, found, elapsed: stopwatch.read() }
        })
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        let (operations, answered) = Worked::sums(slices);
        let wanted = operations * if self.how == How::Load { 1 } else { KEYS };
        let note = if answered == wanted { String::new() } else { format!("{} unanswered", wanted - answered) };
        let slices = slices.iter().map(|slice| vec![slice.cpu_ns(), self.allocations]).collect();
        Ok(Costs { slices, note, apart: false })
    }
}
