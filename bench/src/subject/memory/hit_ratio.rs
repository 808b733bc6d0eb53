//! Hit ratio over traces: get, put on a miss, from a cold start.
//!
//! The cost is the share of misses, so that the ratio reads as everywhere else: above 1, ours is
//! better. A hash seed is drawn for every round; the exact policies need one round only.

use crate::args::Args;
use crate::contender::{self, Contender, Expiry, Shape, Visit};
use crate::exact::{belady_hits, lru_hits};
use crate::report::{Measurement, Report};
use crate::rounds::{Costs, Outcome, interleave};
use crate::trace::{self, Trace};

const UNIT: &str = "miss_percent";

const CONTENDERS: &[&str] = &[
    "ours",
    "ours_lru",
    "quick_cache",
    "moka",
    "foyer",
    "foyer_lfu",
    "foyer_default",
    "cached",
    "schnellru",
    "lru",
    "belady",
];

/// One trace at one capacity.
struct Point<'a> {
    trace: &'a Trace,
    capacity: usize,
}

/// Runs the hit ratios asked for; none without traces.
///
/// # Errors
/// When a trace cannot be read.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), trace::Error> {
    let mut traces = Vec::new();
    if let Some(directory) = &args.traces {
        traces = trace::read_directory(directory)?;
    }
    for file in &args.trace_files {
        traces.push(trace::read_lines(file)?);
    }
    for trace in &traces {
        for capacity in trace.capacities() {
            let case = format!("hit_ratio/{}/{capacity}", trace.name);
            if args.wants(&case) {
                point(args, report, &case, &Point { trace, capacity });
            }
        }
    }
    summary(args, report);
    Ok(())
}

fn point(args: &Args, report: &mut Report, case: &str, point: &Point<'_>) {
    let contenders = args.contenders(CONTENDERS);
    let rows = interleave(
        case,
        &contenders,
        args.rounds,
        |_| (),
        |name, ()| match name {
            "lru" => Ok(point.costs(lru_hits(&point.trace.keys, point.capacity))),
            "belady" => Ok(point.costs(belady_hits(&point.trace.keys, point.capacity))),
            _ => contender::visit(name, point).unwrap_or(Err("unknown")),
        },
    );
    report.case(case, &[UNIT], &rows);
}

impl Point<'_> {
    fn costs(&self, hits: usize) -> Costs {
        let hit_percent = 100.0 * hits as f64 / self.trace.keys.len() as f64;
        Costs::whole(vec![100.0 - hit_percent], format!("{hit_percent:.2} % hits"))
    }
}

impl Visit<u64, u64> for Point<'_> {
    type Out = Outcome;

    fn visit<C: Contender<u64, u64>>(&self) -> Outcome {
        if !C::BOUNDED {
            return Err("never evicts");
        }
        if C::EXPIRY == Expiry::Always {
            return Err("a wrapper for expiry");
        }
        let memory = C::new(Shape { capacity: self.capacity, ttl: None });
        let mut hits = 0;
        for key in &self.trace.keys {
            match memory.get(key) {
                Some(_) => hits += 1,
                None => memory.insert(*key, 1),
            }
        }
        Ok(self.costs(hits))
    }
}

/// Mean over the points, and how far a contender falls behind the best of the others at worst.
fn summary(args: &Args, report: &mut Report) {
    let points = points(report);
    if points.is_empty() {
        return;
    }
    report.remark(&format!("\nhit ratio over {} points", points.len()));
    report.remark(&format!("  {:<20} {:>10} {:>30}", "contender", "mean hit %", "furthest behind the best"));
    for name in args.contenders(CONTENDERS) {
        let misses = |point: &Vec<Measurement>| of(point, &name);
        let found: Vec<f64> = points.iter().filter_map(misses).collect();
        // A contender that cannot take part in all points has no mean to compare.
        if found.len() != points.len() {
            continue;
        }
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let behind = points.iter().zip(&found).map(|(point, misses)| (misses - best(point), &point[0].case));
        let worst = behind.max_by(|a, b| a.0.total_cmp(&b.0));
        let worst = worst.filter(|(gap, _)| *gap > 0.0 && name != "belady");
        let worst = worst.map_or_else(String::new, |(gap, case)| format!("{gap:.2} points, {case}"));
        report.remark(&format!("  {name:<20} {:>10.2} {worst:>40}", 100.0 - mean));
        report.keep(Measurement {
            case: "hit_ratio_mean".into(),
            contender: name,
            unit: UNIT,
            cost: mean,
            ratio_to_ours: mean_of(&points, "ours").map(|ours| mean / ours),
        });
    }
}

fn points(report: &Report) -> Vec<Vec<Measurement>> {
    let cases = report.cases().iter().filter(|case| case.starts_with("hit_ratio/"));
    let of_case = |case: &String| report.measurements().iter().filter(|m| m.case == *case).cloned().collect::<Vec<_>>();
    cases.map(of_case).filter(|point| !point.is_empty()).collect()
}

fn of(point: &[Measurement], name: &str) -> Option<f64> {
    point.iter().find(|m| m.contender == name).map(|m| m.cost)
}

/// The fewest misses of any contender that does not know the future.
fn best(point: &[Measurement]) -> f64 {
    let costs = point.iter().filter(|m| m.contender != "belady").map(|m| m.cost);
    costs.fold(f64::INFINITY, f64::min)
}

fn mean_of(points: &[Vec<Measurement>], name: &str) -> Option<f64> {
    let costs: Option<Vec<f64>> = points.iter().map(|point| of(point, name)).collect();
    costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64)
}
