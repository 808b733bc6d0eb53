//! Events through `tracing`, target `tierce`, level debug.
//!
//! A key is never told, only the upper half of its hash, which no other process can reproduce. Tags are told as they
//! are: they name groups.

use std::time::Duration;

pub(crate) fn load_started(cache: &str, hash: u64) {
    tracing::debug!(target: "tierce", cache, key_hash = hash >> 32, "load started");
}

pub(crate) fn load_ended(cache: &str, hash: u64, outcome: &'static str, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(target: "tierce", cache, key_hash = hash >> 32, outcome, took_us, "load ended");
}

/// The value was not kept: its key or a tag was invalidated while it was loaded.
pub(crate) fn refused(cache: &str, hash: u64) {
    tracing::debug!(target: "tierce", cache, key_hash = hash >> 32, "fill refused");
}

pub(crate) fn tag_invalidated(tag: &str) {
    tracing::debug!(target: "tierce", tag, "tag invalidated");
}
