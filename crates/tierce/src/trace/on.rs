//! Events of loads and invalidations through `tracing`, target `tierce`.
//!
//! A key is never told, only a hash of it, which no other process can reproduce.

use std::time::Duration;

pub(crate) fn load_started(cache: &str, hash: u64) {
    tracing::debug!(target: "tierce", cache, key_hash = hash, "load started");
}

pub(crate) fn load_ended(cache: &str, hash: u64, outcome: &'static str, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(target: "tierce", cache, key_hash = hash, outcome, took_us, "load ended");
}

pub(crate) fn tag_invalidated(tag: &str) {
    tracing::debug!(target: "tierce", tag, "tag invalidated");
}
