//! One process's memory: speed, bytes per entry, hit ratio.

mod footprint;
mod hit_ratio;
mod speed;

use crate::args::Args;
use crate::measure::geometric_mean;
use crate::report::{Measurement, Report};
use crate::trace;

/// The speed cases of which the geometric mean is taken: one thread each.
const MEAN_OF: [&str; 6] =
    ["hit_u64_zipf", "hit_u64_zipf_ttl", "hit_string", "read_through_zipf", "mixed_75_25", "insert_evict"];

/// Runs the cases asked for.
///
/// # Errors
/// When a trace cannot be read.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), trace::Error> {
    speed::run(args, report);
    footprint::run(args, report);
    means(report, "quick_cache");
    means(report, "moka");
    hit_ratio::run(args, report)
}

/// The geometric mean over the six speed cases. With expiry, quick_cache is its own wrapper.
fn means(report: &mut Report, peer: &str) {
    let stand_in = |case: &str| match (case, peer) {
        ("hit_u64_zipf_ttl", "quick_cache") => "quick_cache_ttl",
        _ => peer,
    };
    let ratio = |case| report.ratio(case, stand_in(case)).map(|ratio| (case, ratio));
    let found: Vec<(&str, f64)> = MEAN_OF.into_iter().filter_map(ratio).collect();
    let ratios: Vec<f64> = found.iter().map(|(_, ratio)| *ratio).collect();
    let Some(mean) = geometric_mean(&ratios) else { return };
    let Some((worst, low)) = found.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else { return };
    report.remark(&format!(
        "\n{peer} / ours, geometric mean of {} of the {} speed cases: {mean:.2}; least {low:.2} ({worst})",
        found.len(),
        MEAN_OF.len()
    ));
    report.keep(Measurement {
        case: "speed_geometric_mean".into(),
        contender: peer.into(),
        unit: "ratio",
        cost: mean,
        ratio_to_ours: Some(mean),
    });
}
