//! What the service answers that is no place: refusals, failures, counts.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::account::Counts;
use crate::error::Error;

/// The asker is wrong, in one sentence.
pub(super) fn refusal(status: StatusCode, problem: &str) -> Response {
    (status, Json(json!({ "error": problem }))).into_response()
}

/// The cache or the database is wrong.
pub(super) fn failure(error: &Error) -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

/// A cache's counts, with what follows from them.
pub(super) fn counts(counts: &Counts) -> Value {
    let mut value = json!(counts);
    value["hit_rate"] = counts.hit_rate().into();
    value["mean_load_ms"] = counts.mean_load_ms().into();
    value
}
