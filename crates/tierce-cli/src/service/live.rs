//! What the page asks for again and again: the live feed; and `explain`, of a cache or a key.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tierce::Explanation;

use super::answer::{self, refusal};
use super::feed::EVERY;
use super::sample::CACHES;
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
    let stats = service.front.tierce.stats();
    let sum = |of: fn(&tierce::Stats) -> u64| stats.iter().map(|(_, stats)| of(stats)).sum::<u64>();
    let queries = service.database.queries();
    let (health, left) = service.database.health();
    let caches: Vec<Value> = CACHES.iter().filter_map(|name| cache(&service, name)).collect();
    let saved_ms: f64 = caches.iter().filter_map(|cache| cache["query_time_saved_ms"].as_f64()).sum();
    Json(json!({
        "run": service.feed.run(),
        "now_ms": service.feed.now_ms(),
        "every_ms": EVERY.as_millis() as u64,
        "samples": service.feed.after(since.after.unwrap_or(0)),
        "events": service.feed.events(),
        "recent": service.front.meter.recent(),
        "caches": caches,
        "totals": {
            "lookups": sum(|stats| stats.hits + stats.misses),
            "queries": queries.reads(),
            "failed": service.front.meter.failed(),
            "updates": queries.update,
            "loads": sum(|stats| stats.loads),
            "coalesced": sum(|stats| stats.coalesced),
            "tags": service.front.tags_invalidated(),
            "saved_ms": saved_ms,
        },
        "database": { "health": health, "left_ms": left.as_millis() as u64, "queued": service.database.queued() },
        "traffic": {
            "per_second": service.traffic.per_second(),
            "fastest": FASTEST,
            "turned_away": service.traffic.turned_away(),
        },
    }))
}

/// The race that was run before.
pub(super) async fn race(State(service): State<Arc<Service>>) -> Json<Value> {
    Json(service.race.clone())
}

/// A cache's counts, and what its hits spared the database: their number times what a query for it takes. The caches'
/// own estimate is by loads, which wait; after a freeze that says little.
fn cache(service: &Service, name: &str) -> Option<Value> {
    let at = CACHES.iter().position(|cache| *cache == name)?;
    let query_ms = service.database.costs()[at].mean().as_secs_f64() * 1e3;
    let stats = service.front.tierce.stats().into_iter().find(|(cache, _)| cache == name)?.1;
    let mut value = answer::stats(&stats);
    value["name"] = name.into();
    value["mean_query_ms"] = query_ms.into();
    value["query_time_saved_ms"] = (query_ms * stats.hits as f64).into();
    Some(value)
}

#[derive(Deserialize)]
pub(super) struct Subject {
    cache: String,
    key: Option<String>,
}

/// All that is known of a cache, or of a key of it.
pub(super) async fn explain(State(service): State<Arc<Service>>, Query(subject): Query<Subject>) -> Response {
    let Some(counts) = cache(&service, &subject.cache) else {
        return refusal(StatusCode::NOT_FOUND, "there is no cache of this name");
    };
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
        "text": explanation.to_string(),
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
