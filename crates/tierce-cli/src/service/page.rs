//! What the service shows that is no place.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tierce::Stats;

/// The list of routes, with an example of each.
pub(super) fn index(address: SocketAddr) -> String {
    include_str!("index.html").replace("{address}", &address.to_string())
}

/// A cache's counts, in words and units that JSON can carry.
pub(super) fn stats(stats: &Stats) -> Value {
    json!({
        "entries": stats.len,
        "capacity": stats.capacity,
        "hits": stats.hits,
        "misses": stats.misses,
        "hit_rate": stats.hit_rate(),
        "stale_hits": stats.stale_hits,
        "negative_hits": stats.negative_hits,
        "coalesced": stats.coalesced,
        "loads": stats.loads,
        "busy": stats.busy,
        "load_errors": stats.load_errors,
        "refused": stats.refused,
        "evicted": stats.removals.evicted,
        "expired": stats.removals.expired,
        "invalidated": stats.removals.invalidated,
        "time_saved_ms": stats.time_saved.as_secs_f64() * 1e3,
        "mean_load_ms": stats.load_time.mean().map(|mean| mean.as_secs_f64() * 1e3),
    })
}
