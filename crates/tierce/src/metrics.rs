//! The counts of every cache through the `metrics` facade.

use metrics::{counter, gauge};

use crate::hub::Hub;
use crate::stats::Stats;
use crate::store::Health;

impl Hub {
    /// Hands the counts of every cache to the recorder that the application has installed.
    ///
    /// Call it when they are wanted: before a scrape, or every few seconds. Hits are counted without it, in the cache
    /// itself, so that they cost nothing more. Each name has the label `cache`.
    ///
    /// Counters: `tierce_hits_total`, `tierce_misses_total`, `tierce_stale_hits_total`, `tierce_negative_hits_total`,
    /// `tierce_coalesced_total`, `tierce_loads_total`, `tierce_busy_total`, `tierce_load_errors_total`,
    /// `tierce_refused_total`, `tierce_unasked_total`, `tierce_evicted_total`, `tierce_expired_total`,
    /// `tierce_replaced_total`, `tierce_invalidated_total`, `tierce_purged_total`, `tierce_load_microseconds_total`, and `tierce_load_time_total`: the loads that took at
    /// most the label `le`, in seconds.
    ///
    /// Gauges: `tierce_loading`, `tierce_entries`, `tierce_weight`, `tierce_time_saved_seconds`, and `tierce_capacity`
    /// for bounded caches.
    ///
    /// With a store, without a label: `tierce_store_faults_total` and `tierce_store_damaged_total`; the gauges
    /// `tierce_store_away` and `tierce_store_coherent`, which are 0 or 1, `tierce_store_untold`, and
    /// `tierce_store_round_trip_seconds`.
    pub fn publish_metrics(&self) {
        if let Some(health) = self.store_health() {
            publish_health(&health);
        }
        for (name, stats) in self.stats() {
            publish_counts(&name, &stats);
            publish_load_times(&name, &stats);
            publish_gauges(&name, &stats);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
fn publish_health(health: &Health) {
    counter!("tierce_store_faults_total").absolute(health.faults);
    counter!("tierce_store_damaged_total").absolute(health.damaged);
    gauge!("tierce_store_away").set(f64::from(u8::from(health.is_away)));
    gauge!("tierce_store_coherent").set(f64::from(u8::from(health.is_coherent)));
    gauge!("tierce_store_untold").set(health.untold as f64);
    if let Some(round_trip) = health.round_trip {
        gauge!("tierce_store_round_trip_seconds").set(round_trip.as_secs_f64());
    }
}

fn publish_counts(cache: &str, stats: &Stats) {
    let load_us = u64::try_from(stats.load_time.sum().as_micros()).unwrap_or(u64::MAX);
    let counts = [
        ("tierce_hits_total", stats.hits),
        ("tierce_misses_total", stats.misses),
        ("tierce_stale_hits_total", stats.stale_hits),
        ("tierce_negative_hits_total", stats.negative_hits),
        ("tierce_coalesced_total", stats.coalesced),
        ("tierce_loads_total", stats.loads),
        ("tierce_busy_total", stats.busy),
        ("tierce_load_errors_total", stats.load_errors),
        ("tierce_refused_total", stats.refused),
        ("tierce_unasked_total", stats.unasked),
        ("tierce_evicted_total", stats.removals.evicted),
        ("tierce_expired_total", stats.removals.expired),
        ("tierce_replaced_total", stats.removals.replaced),
        ("tierce_invalidated_total", stats.removals.invalidated),
        ("tierce_purged_total", stats.removals.purged),
        ("tierce_load_microseconds_total", load_us),
    ];
    for (name, count) in counts {
        counter!(name, "cache" => cache.to_string()).absolute(count);
    }
}

/// Cumulative, as a scraper's histograms are: each bound counts all that are not above it.
fn publish_load_times(cache: &str, stats: &Stats) {
    let publish = |le: String, count| {
        counter!("tierce_load_time_total", "cache" => cache.to_string(), "le" => le).absolute(count);
    };
    let mut so_far = 0;
    for (bound, count) in stats.load_time.buckets() {
        so_far += count;
        publish(bound.as_secs_f64().to_string(), so_far);
    }
    publish("+Inf".to_string(), so_far);
}

#[allow(clippy::cast_precision_loss, reason = "gauges are floats")]
fn publish_gauges(cache: &str, stats: &Stats) {
    let gauges = [
        ("tierce_loading", Some(stats.loading as f64)),
        ("tierce_entries", Some(stats.len as f64)),
        ("tierce_weight", Some(stats.weight as f64)),
        ("tierce_time_saved_seconds", Some(stats.time_saved.as_secs_f64())),
        ("tierce_capacity", stats.capacity.map(|capacity| capacity as f64)),
    ];
    for (name, value) in gauges {
        if let Some(value) = value {
            gauge!(name, "cache" => cache.to_string()).set(value);
        }
    }
}
