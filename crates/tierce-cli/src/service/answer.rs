//! What the service answers that is no place: refusals, failures, counts.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tierce::Stats;

use crate::error::Error;

/// The asker is wrong, in one sentence.
pub(super) fn refusal(status: StatusCode, problem: &str) -> Response {
    (status, Json(json!({ "error": problem }))).into_response()
}

/// The cache or the database is wrong.
pub(super) fn failure(error: &Error) -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
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
