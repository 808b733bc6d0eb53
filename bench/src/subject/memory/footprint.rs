//! Bytes per entry: what the contender asked the allocator for and has not given back.
//!
//! Counted, not timed, so one round does. Divided by the entries held, which for a sharded memory
//! is somewhat less than its capacity.

use std::time::Duration;

use crate::alloc::Counted;
use crate::args::Args;
use crate::contender::{self, Contender, Expiry, Shape, Visit};
use crate::loading::Loading;
use crate::ours;
use crate::report::Report;
use crate::rounds::{Costs, Outcome, interleave};
use crate::zipf::scramble;

/// Entries at most, and unique keys inserted until it is called full.
const CAPACITY: usize = 1_000_000;
/// Unique keys inserted until it is called steady: every entry was replaced a few times.
const STEADY: u64 = 4 * CAPACITY as u64;
const TTL: Duration = Duration::from_secs(3600);
const UNITS: &[&str] = &["bytes/entry_full", "bytes/entry_steady"];

const CONTENDERS: &[&str] =
    &["ours", "ours_lru", "quick_cache", "quick_cache_ttl", "moka", "foyer", "cached", "schnellru"];

/// Runs the footprint cases asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    if args.wants("footprint_u64_1m") {
        let run = |name: &str, (): &()| contender::visit(name, &Fill).unwrap_or(Err("a hit ratio only"));
        let contenders = args.contenders(CONTENDERS);
        let rows = interleave("footprint_u64_1m", &contenders, 1, |_| (), run);
        report.case("footprint_u64_1m", UNITS, &rows);
    }
    if args.wants("footprint_cache_entry_1m") {
        let contenders = ["ours", "memory"].map(String::from);
        let rows = interleave("footprint_cache_entry_1m", &contenders, 1, |_| (), cache_entry);
        report.case("footprint_cache_entry_1m", UNITS, &rows);
        let full = |row: usize| rows[row].costs(0).map_or(f64::NAN, |costs| costs[0]);
        report.remark(&format!(
            "a Cache entry with ages, cost and two tags takes {:.1} B more than a Memory entry",
            full(0) - full(1)
        ));
    }
}

struct Fill;

impl Visit<u64, u64> for Fill {
    type Out = Outcome;

    fn visit<C: Contender<u64, u64>>(&self) -> Outcome {
        if !C::BOUNDED {
            return Err("never evicts");
        }
        let ttl = (C::EXPIRY != Expiry::Never).then_some(TTL);
        let counted = Counted::start();
        let memory = C::new(Shape { capacity: CAPACITY, ttl });
        let mut values = Vec::with_capacity(UNITS.len());
        let mut inserted = 0;
        for until in [CAPACITY as u64, STEADY] {
            (inserted..until).for_each(|key| memory.insert(scramble(key), key));
            inserted = until;
            memory.settle();
            values.push(counted.live_bytes() as f64 / memory.len() as f64);
        }
        let expiry = if ttl.is_some() { "" } else { ", no expiry" };
        Ok(Costs::whole(values, format!("{} entries{expiry}", memory.len())))
    }
}

/// A `Cache` filled through its own face, two tags of a hundred on each entry, against the bare
/// memory below it.
fn cache_entry(name: &str, (): &()) -> Outcome {
    if name == "memory" {
        return contender::visit("ours", &Fill).unwrap_or(Err("not there"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.map_err(|_| "no runtime to be had")?;
    let counted = Counted::start();
    let cache = ours::Loads::lasting(CAPACITY, Some(TTL));
    let mut values = Vec::with_capacity(UNITS.len());
    let mut inserted = 0;
    for until in [CAPACITY as u64, STEADY] {
        runtime.block_on(async {
            for key in inserted..until {
                cache.fill(scramble(key), 2).await;
            }
        });
        inserted = until;
        values.push(counted.live_bytes() as f64 / cache.len() as f64);
    }
    Ok(Costs::whole(values, format!("{} entries, two tags of 100", cache.len())))
}
