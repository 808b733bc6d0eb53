//! What the macros add to a hit: a function that has a cache against what one would write by hand, and against the macro
//! of `cached`.
//!
//! All see the same keys, drawn from the same zipf, all resident, and take turns in slices of them ([`crate::slices`]).

use std::hint::black_box;
use std::time::Duration;

use tierce::{Cache, Hub, Memory};
use tokio::runtime::Runtime;

use super::Subject;
use crate::args::Args;
use crate::measure::{Stopwatch, timed};
use crate::report::Report;
use crate::rounds::{Costs, Outcome, Row};
use crate::slices::{self, Runner, Slice, Worked, interleave, stream_length};
use crate::zipf::{Random, scramble, shuffled, stream};

const UNITS: &[&str] = &["cpu_ns/op"];

/// Keys, all resident; the capacity is twice that. Few, so that what a call costs is not hidden behind cache misses.
const RESIDENT: usize = 1000;
const CAPACITY: usize = 2 * RESIDENT;
const OPERATIONS: usize = 2_000_000;
/// Long enough that nothing expires during a round.
const TTL: Duration = Duration::from_secs(3600);

#[tierce::memo(capacity = CAPACITY)]
fn ours(n: u64) -> u64 {
    n
}

#[tierce::cached(capacity = CAPACITY, ttl = TTL, name = "bench")]
async fn ours_async(n: u64) -> u64 {
    n
}

#[cached::macros::cached(max_size = 2000)]
fn theirs(n: u64) -> u64 {
    n
}

#[cached::macros::cached(max_size = 2000)]
async fn theirs_async(n: u64) -> u64 {
    n
}

/// One round's keys.
struct Load {
    is_async: bool,
    before: Vec<u64>,
    stream: Vec<u64>,
}

/// Runs the cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    for name in Subject::Macros.cases() {
        if !args.wants(name) {
            continue;
        }
        let is_async = *name == "cached_hit";
        let load = |round: usize| {
            let random = &mut Random::new(scramble(round as u64));
            let before = shuffled(RESIDENT as u64, random);
            Load { is_async, before, stream: stream(RESIDENT as u64, stream_length(OPERATIONS), random) }
        };
        let rows = interleave(name, &args.contenders(Subject::Macros.contenders()), args.rounds, load);
        report.case(name, UNITS, &rows);
        remark(&rows, report);
    }
}

/// Ours over what is written by hand, and the peer over ours.
fn remark(rows: &[Row], report: &mut Report) {
    let row = |name: &str| rows.iter().find(|row| row.contender == name);
    for (over, under) in [("ours", "by_hand"), ("cached", "ours")] {
        if let (Some(over_row), Some(under_row)) = (row(over), row(under))
            && let Some(ratio) = over_row.ratio_to(under_row, 0)
        {
            report.remark(&format!("  {over} / {under}: {ratio:.2}"));
        }
    }
}

impl slices::Load for Load {
    type Key = u64;

    fn stream(&self) -> &[u64] {
        &self.stream
    }

    fn ready(&self, contender: &str) -> Result<Box<dyn Runner<u64> + '_>, &'static str> {
        if !self.is_async {
            return Ok(match contender {
                "ours" => self.plain(ours),
                "cached" => self.plain(theirs),
                _ => {
                    let memory: Memory<u64, u64> = Memory::new(CAPACITY);
                    self.plain(move |n| memory.get_or_insert_with(&n, || n))
                }
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|_| "no runtime to be had")?;
        Ok(match contender {
            "ours" => self.waiting(runtime, ours_async),
            "cached" => self.waiting(runtime, theirs_async),
            _ => {
                let cache: Cache<u64, u64> = Hub::embedded().local_cache("by_hand").capacity(CAPACITY).ttl(TTL).build();
                let cache: &'static _ = Box::leak(Box::new(cache));
                self.waiting(runtime, move |n| by_hand(cache, n))
            }
        })
    }
}

async fn by_hand(cache: &Cache<u64, u64>, n: u64) -> u64 {
    let loaded = cache.get_or_load(&n, || async move { Ok::<_, std::convert::Infallible>(n) }).await;
    loaded.unwrap_or_default()
}

impl Load {
    fn plain(&self, call: impl Fn(u64) -> u64 + 'static) -> Box<dyn Runner<u64>> {
        let plain = Plain(call);
        plain.pass(&self.before);
        Box::new(plain)
    }

    fn waiting<F: Future<Output = u64>>(
        &self,
        runtime: Runtime,
        call: impl Fn(u64) -> F + 'static,
    ) -> Box<dyn Runner<u64>> {
        let waiting = Waiting { call, runtime };
        waiting.runtime.block_on(pass(&waiting.call, &self.before));
        Box::new(waiting)
    }
}

/// A plain function.
struct Plain<C>(C);

impl<C: Fn(u64) -> u64> Plain<C> {
    fn pass(&self, keys: &[u64]) -> usize {
        keys.iter().filter(|key| black_box((self.0)(**key)) == **key).count()
    }
}

impl<C: Fn(u64) -> u64> Runner<u64> for Plain<C> {
    fn work(&self, slice: &Slice<'_, u64>) -> Worked {
        self.pass(slice.lead_in);
        let (found, elapsed) = timed(|| self.pass(slice.timed));
        Worked { operations: slice.timed.len(), found, elapsed }
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        Ok(costs(slices))
    }
}

/// An async function.
struct Waiting<C> {
    call: C,
    runtime: Runtime,
}

impl<F: Future<Output = u64>, C: Fn(u64) -> F> Runner<u64> for Waiting<C> {
    fn work(&self, slice: &Slice<'_, u64>) -> Worked {
        self.runtime.block_on(async {
            pass(&self.call, slice.lead_in).await;
            let stopwatch = Stopwatch::start();
            let found = pass(&self.call, slice.timed).await;
            Worked { operations: slice.timed.len(), found, elapsed: stopwatch.read() }
        })
    }

    fn costs(&self, slices: &[Worked]) -> Outcome {
        Ok(costs(slices))
    }
}

async fn pass<F: Future<Output = u64>>(call: impl Fn(u64) -> F, keys: &[u64]) -> usize {
    let mut found = 0;
    for key in keys {
        found += usize::from(black_box(call(*key).await) == *key);
    }
    found
}

fn costs(slices: &[Worked]) -> Costs {
    let (operations, found) = Worked::sums(slices);
    let wrong = operations - found;
    let note = if wrong == 0 { String::new() } else { format!("{wrong} wrong") };
    Costs { slices: slices.iter().map(|slice| vec![slice.cpu_ns()]).collect(), note, apart: false }
}
