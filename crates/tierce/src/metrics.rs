//! The counts of every cache through the `metrics` facade.

use metrics::{counter, gauge};

use crate::hub::Hub;
use crate::stats::Stats;

impl Hub {
    /// Hands the counts of every cache to the recorder that the application has installed.
    ///
    /// Call it when they are wanted: before a scrape, or every few seconds. Hits are counted without it, in the cache
    /// itself, so that they cost nothing more. Each name has the label `cache`.
    ///
    /// Counters: `tierce_hits_total`, `tierce_misses_total`, `tierce_stale_hits_total`, `tierce_negative_hits_total`,
    /// `tierce_coalesced_total`, `tierce_loads_total`, `tierce_load_errors_total`, `tierce_refused_total`,
    /// `tierce_evicted_total`, `tierce_expired_total`, `tierce_invalidated_total`, `tierce_load_microseconds_total`.
    /// Gauges: `tierce_loading`, `tierce_entries`, `tierce_weight`, and `tierce_capacity` for bounded caches.
    pub fn publish_metrics(&self) {
        for (name, stats) in self.stats() {
            publish(name, &stats);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
fn publish(cache: String, stats: &Stats) {
    let load_us = u64::try_from(stats.load_time.sum().as_micros()).unwrap_or(u64::MAX);
    let counts = [
        ("tierce_hits_total", stats.hits),
        ("tierce_misses_total", stats.misses),
        ("tierce_stale_hits_total", stats.stale_hits),
        ("tierce_negative_hits_total", stats.negative_hits),
        ("tierce_coalesced_total", stats.coalesced),
        ("tierce_loads_total", stats.loads),
        ("tierce_load_errors_total", stats.load_errors),
        ("tierce_refused_total", stats.refused),
        ("tierce_evicted_total", stats.removals.evicted),
        ("tierce_expired_total", stats.removals.expired),
        ("tierce_invalidated_total", stats.removals.invalidated),
        ("tierce_load_microseconds_total", load_us),
    ];
    for (name, count) in counts {
        counter!(name, "cache" => cache.clone()).absolute(count);
    }
    gauge!("tierce_loading", "cache" => cache.clone()).set(stats.loading as f64);
    gauge!("tierce_entries", "cache" => cache.clone()).set(stats.len as f64);
    gauge!("tierce_weight", "cache" => cache.clone()).set(stats.weight as f64);
    if let Some(capacity) = stats.capacity {
        gauge!("tierce_capacity", "cache" => cache).set(capacity as f64);
    }
}
