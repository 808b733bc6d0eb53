//! What the page asks for again and again: the live feed; and `explain`, of a cache or a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tierce::{Explanation, InStore};

use super::account::{Account, CACHES};
use super::answer::{self, refusal};
use super::feed::EVERY;
use super::state::Service;
use super::traffic::FASTEST;
use crate::contender::served;
use crate::figures::duration;

#[derive(Deserialize)]
pub(super) struct Since {
    /// The number of the last sample that the page has.
    after: Option<u64>,
}

/// The samples since, and how everything stands now.
pub(super) async fn live(State(service): State<Arc<Service>>, Query(since): Query<Since>) -> Json<Value> {
    service.feed.look();
    let own = service.account();
    let processes = service.fleet.rows(&own);
    let all = service.fleet.so_far(own);
    let (health, left) = service.database.health();
    let caches: Vec<Value> = (0..CACHES.len()).map(|at| cache(&all, at)).collect();
    let saved_ms: f64 = caches.iter().filter_map(|cache| cache["query_time_saved_ms"].as_f64()).sum();
    let store = service.backend.as_ref().map(|backend| {
        json!({
            "title": backend.title,
            "own": backend.is_own(),
            "trouble": backend.trouble(),
            "processes": processes,
        })
    });
    Json(json!({
        "run": service.feed.run(),
        "now_ms": service.feed.now_ms(),
        "every_ms": EVERY.as_millis() as u64,
        "samples": service.feed.after(since.after.unwrap_or(0)),
        "events": service.feed.events(),
        "recent": service.front.meter.recent(),
        "caches": caches,
        "totals": {
            "lookups": all.sum(|counts| counts.hits + counts.misses),
            "queries": all.queries.reads(),
            "failed": all.failed,
            "updates": all.queries.update,
            "loads": all.sum(|counts| counts.loads),
            "coalesced": all.sum(|counts| counts.coalesced),
            "tags": all.tags,
            "saved_ms": saved_ms,
        },
        "database": { "health": health, "left_ms": left.as_millis() as u64, "queued": all.queued },
        "store": store,
        "traffic": {
            "per_second": service.traffic.per_second(),
            "fastest": FASTEST,
            "turned_away": all.turned_away,
        },
    }))
}

/// The race that was run before.
pub(super) async fn race(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(service.race.clone())
}

/// A cache's counts in all processes, and what its hits spared the database: their number times what a query for it takes.
/// The caches' own estimate is by loads, which wait; after a freeze that says little.
fn cache(all: &Account, at: usize) -> Value {
    let (counts, query_ms) = (&all.caches[at], all.costs[at].mean().as_secs_f64() * 1e3);
    let mut value = answer::counts(counts);
    value["name"] = CACHES[at].into();
    value["mean_query_ms"] = query_ms.into();
    value["query_time_saved_ms"] = (query_ms * counts.hits as f64).into();
    value
}

#[derive(Deserialize)]
pub(super) struct Subject {
    cache: String,
    key: Option<String>,
}

/// All that is known of a cache, or of a key of it.
pub(super) async fn explain(State(service): State<Arc<Service>>, Query(subject): Query<Subject>) -> Response {
    let Some(at) = CACHES.iter().position(|cache| *cache == subject.cache) else {
        return refusal(StatusCode::NOT_FOUND, "there is no cache of this name");
    };
    let counts = cache(&service.fleet.so_far(service.account()), at);
    let Some(key) = subject.key else {
        return Json(json!({ "cache": subject.cache, "settings": settings(&counts), "counts": counts }))
            .into_response();
    };
    match service.front.tierce.explain(&subject.cache, &key).await {
        Some(explanation) => Json(explained(&subject.cache, &key, &explanation)).into_response(),
        None => refusal(StatusCode::BAD_REQUEST, "a key of this cache is a number"),
    }
}

fn explained(cache: &str, key: &str, explanation: &Explanation) -> Value {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let memory = explanation.memory.as_ref().map(|entry| {
        json!({
            "negative": entry.negative,
            "age_ms": entry.age.map(ms),
            "fresh_for_ms": entry.fresh_for.map(ms),
            "kept_for_ms": entry.kept_for.map(ms),
            "served": entry.served,
            "tags": entry.tags,
            "cost_ms": ms(entry.cost),
        })
    });
    json!({
        "cache": cache,
        "key": key,
        "memory": memory,
        "loading": explanation.loading,
        "last_gone": explanation.last_gone.as_str(),
        "store": explanation.store.as_ref().map(|(in_store, _)| stocked(in_store)),
        "text": explanation.to_string(),
    })
}

/// What the store holds of a key.
fn stocked(in_store: &InStore) -> Value {
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let (what, entry) = match in_store {
        InStore::Nothing => ("nothing", None),
        InStore::Unreadable => ("unreadable", None),
        InStore::Entry(entry) => ("entry", Some(entry)),
        InStore::Ended(entry) => ("ended", Some(entry)),
        _ => ("unknown", None),
    };
    json!({
        "what": what,
        "negative": entry.map(|entry| entry.negative),
        "size_bytes": entry.map(|entry| entry.size_bytes),
        "fresh_for_ms": entry.and_then(|entry| entry.fresh_for).map(ms),
    })
}

/// What the cache was told, in words.
fn settings(counts: &Value) -> Value {
    json!([
        ["room for", format!("{} entries", crate::figures::count(counts["capacity"].as_u64().unwrap_or(0)))],
        ["fresh for", format!("{}, less up to 10 % by chance", duration(served::TTL))],
        ["an absence is believed for", format!("{} at most", duration(served::TTL))],
        ["then served stale while it reloads, for", duration(served::STALE_WHILE_REVALIDATE)],
        ["served stale if the database fails, for", duration(served::STALE_IF_ERROR)],
        ["with a stale value at hand a caller waits", duration(served::SOFT_TIMEOUT)],
        ["without one a caller waits at most", duration(served::HARD_TIMEOUT)],
        ["a load may take", duration(served::LOAD_DEADLINE)],
        ["loads at once", served::LOADS.to_string()],
    ])
}
