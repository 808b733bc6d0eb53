//! The buttons of the page: each is a POST of a little JSON, and answers with what came of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{failure, refusal};
use super::backend::Trouble;
use super::front::Answer;
use super::meter::micros;
use super::order::Order;
use super::places::search_text;
use super::stampede;
use super::state::Service;
use super::traffic::FASTEST;
use crate::clock;
use crate::contender::Updated;
use crate::database::Health;
use crate::error::Error;
use crate::place::Change;

/// Long enough that half of the entries outlive their freshness in it, short enough to wait for.
const FREEZE: Duration = Duration::from_secs(8);
/// As long as values are fresh: whatever is served at the end of it is stale.
const FAILURE: Duration = Duration::from_secs(15);

/// How long is waited for a store that is back: the promise is a second.
const RECOVERS: Duration = Duration::from_secs(10);
/// How long is waited for another process's reader: his own time-out, and more.
const ELSEWHERE: Duration = Duration::from_secs(3);

/// What a button sends; wrong JSON is refused in our own words.
type Sent<T> = Result<Json<T>, JsonRejection>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    q: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Update {
    id: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tag {
    tag: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crowd {
    callers: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ailment {
    health: Health,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Backing {
    trouble: Trouble,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rate {
    per_second: u32,
}

/// A search, with how it was answered.
pub(super) async fn search(State(service): State<Arc<Service>>, sent: Sent<Search>) -> Response {
    let Json(Search { q }) = match sent {
        Ok(sent) => sent,
        Err(problem) => return wrong(&problem),
    };
    let Some(text) = search_text(&q) else {
        return refusal(StatusCode::BAD_REQUEST, "a search is of 1 to 200 bytes");
    };
    let answer = service.front.search(&text, None).await;
    respond(answer.map(|answer| {
        let mut told = how(&answer);
        told["key"] = text.into();
        told["places"] = json!(answer.value);
        told
    }))
}

/// One inhabitant more, and what the next reader gets.
pub(super) async fn update(State(service): State<Arc<Service>>, sent: Sent<Update>) -> Response {
    match sent {
        Ok(Json(Update { id })) => match grow(&service, id).await {
            Ok(Some(told)) => Json(told).into_response(),
            Ok(None) => refusal(StatusCode::NOT_FOUND, "no place has this id"),
            Err(error) => failure(&error),
        },
        Err(problem) => wrong(&problem),
    }
}

async fn grow(service: &Service, id: u32) -> Result<Option<Value>, Error> {
    let Some(before) = service.front.place(id).await?.value else { return Ok(None) };
    let change = Change { name: None, population: Some(before.population.saturating_add(1)) };
    let began = clock::now();
    let Some(Updated { place: after, untold }) = service.front.update(id, change).await? else { return Ok(None) };
    let took = clock::since(began);
    service.feed.note("update");
    let read = service.front.place(id).await?;
    let others = service.fleet.ask::<Value>(&Order::Place { id }, ELSEWHERE).await;
    let mut told = how(&read);
    told["place"] = json!(read.value);
    Ok(Some(json!({
        "name": after.name,
        "before": { "version": before.version, "population": before.population },
        "after": { "version": after.version, "population": after.population },
        "took_us": micros(took),
        "tags": crate::contender::tags_of(&after, &Change::default()),
        "read": told,
        "others": others,
        "untold": untold.map(|error| error.to_string()),
    })))
}

/// The end of whatever has the tag.
pub(super) async fn invalidate(State(service): State<Arc<Service>>, sent: Sent<Tag>) -> Response {
    let Json(Tag { tag }) = match sent {
        Ok(sent) => sent,
        Err(problem) => return wrong(&problem),
    };
    let tag = tag.trim();
    if tag.is_empty() || tag.len() > 200 {
        return refusal(StatusCode::BAD_REQUEST, "a tag is of 1 to 200 bytes");
    }
    let began = clock::now();
    let ended = service.front.invalidate_tag(tag).await;
    let took = clock::since(began);
    service.feed.note("tag");
    respond(ended.map(|()| json!({ "tag": tag, "took_us": micros(took) })))
}

/// Many callers of one key that has just been invalidated.
pub(super) async fn stampede(State(service): State<Arc<Service>>, sent: Sent<Crowd>) -> Response {
    let Json(Crowd { callers }) = match sent {
        Ok(sent) => sent,
        Err(problem) => return wrong(&problem),
    };
    if !(1..=stampede::MOST).contains(&callers) {
        return refusal(StatusCode::BAD_REQUEST, "a stampede is of 1 to 10,000 callers");
    }
    let Ok(_only) = service.stampede.try_lock() else {
        return refusal(StatusCode::CONFLICT, "a stampede is under way");
    };
    service.feed.note("stampede");
    respond(stampede::run(&service.front, &service.fleet, callers).await.map(|stampede| json!(stampede)))
}

/// Trouble for the database, or the end of it.
pub(super) async fn database(State(service): State<Arc<Service>>, sent: Sent<Ailment>) -> Response {
    let Json(Ailment { health }) = match sent {
        Ok(sent) => sent,
        Err(problem) => return wrong(&problem),
    };
    let (what, length) = match health {
        Health::Running => ("thaw", Duration::ZERO),
        Health::Frozen => ("freeze", FREEZE),
        Health::Failing => ("fail", FAILURE),
    };
    service.database.set_health(health, length);
    let length_ms = length.as_millis() as u64;
    service.fleet.tell(&Order::Database { health, length_ms }).await;
    service.feed.note(what);
    Json(json!({ "health": health, "for_ms": length_ms })).into_response()
}

/// Trouble for the store, where it is this run's own, or the end of it.
pub(super) async fn store(State(service): State<Arc<Service>>, sent: Sent<Backing>) -> Response {
    let Json(Backing { trouble }) = match sent {
        Ok(sent) => sent,
        Err(problem) => return wrong(&problem),
    };
    let Some(backend) = service.backend.as_ref().filter(|backend| backend.is_own()) else {
        return refusal(StatusCode::CONFLICT, "there is no store that this run has started itself");
    };
    let before = match backend.set(trouble).await {
        Ok(before) => before,
        Err(error) => return failure(&error),
    };
    let began = clock::now();
    let what = match trouble {
        Trouble::None => "store-back",
        Trouble::Frozen => "store-freeze",
        Trouble::Killed => "store-kill",
    };
    service.feed.note(what);
    let mut told = json!({ "trouble": trouble, "before": before });
    if trouble == Trouble::None && before != Trouble::None {
        let order = Order::Recover { within_ms: RECOVERS.as_millis() as u64 };
        let (own, others) = tokio::join!(
            service.front.tierce.recovers(RECOVERS),
            service.fleet.ask::<bool>(&order, RECOVERS + Duration::from_secs(1))
        );
        told["recovered_ms"] = json!(clock::since(began).as_secs_f64() * 1e3);
        let back = others.iter().filter(|back| **back == Some(true)).count() + usize::from(own);
        told["back"] = json!(back);
        told["processes"] = json!(service.fleet.size());
    }
    Json(told).into_response()
}

/// The rate of the traffic; zero pauses it.
pub(super) async fn traffic(State(service): State<Arc<Service>>, sent: Sent<Rate>) -> Response {
    match sent {
        Ok(Json(Rate { per_second })) if per_second <= FASTEST => {
            service.traffic.set_per_second(per_second);
            service.fleet.tell(&Order::Traffic { per_second }).await;
            Json(json!({ "per_second": service.traffic.per_second() })).into_response()
        }
        Ok(_) => refusal(StatusCode::BAD_REQUEST, "the traffic is of 0 to 5,000 requests a second"),
        Err(problem) => wrong(&problem),
    }
}

fn how<T>(answer: &Answer<T>) -> Value {
    json!({ "outcome": answer.outcome, "took_us": micros(answer.took) })
}

fn respond(told: Result<Value, Error>) -> Response {
    match told {
        Ok(told) => Json(told).into_response(),
        Err(error) => failure(&error),
    }
}

fn wrong(problem: &JsonRejection) -> Response {
    refusal(problem.status(), &problem.body_text())
}
