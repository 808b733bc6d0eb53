//! The routes of the data: searches, places, countries, updates, counts.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::CACHES;
use super::answer::{self, failure, refusal};
use super::state::Service;
use crate::place::Change;

/// No place has a longer name, and no search text needs one.
pub(super) const LONGEST_TEXT: usize = 200;

#[derive(Deserialize)]
pub(super) struct Wanted {
    q: Option<String>,
}

/// A text as it is searched, and kept; `None` if it is none.
pub(super) fn search_text(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    (!text.is_empty() && text.len() <= LONGEST_TEXT).then_some(text)
}

pub(super) async fn search(State(service): State<Arc<Service>>, Query(wanted): Query<Wanted>) -> Response {
    let Some(text) = search_text(&wanted.q.unwrap_or_default()) else {
        return refusal(StatusCode::BAD_REQUEST, "say what to search for: /search?q=san+fransico");
    };
    match service.front.search(&text, None).await {
        Ok(places) => Json(places.value).into_response(),
        Err(error) => failure(&error),
    }
}

pub(super) async fn place(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse() else { return refusal(StatusCode::BAD_REQUEST, "a place's id is a number") };
    match service.front.place(id).await.map(|answer| answer.value) {
        Ok(Some(place)) => Json(place).into_response(),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "no place has this id"),
        Err(error) => failure(&error),
    }
}

pub(super) async fn country(State(service): State<Arc<Service>>, Path(code): Path<String>) -> Response {
    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return refusal(StatusCode::BAD_REQUEST, "a country is two letters, as in /countries/fr");
    }
    match service.front.country(&code.to_ascii_uppercase()).await {
        Ok(places) => Json(places.value).into_response(),
        Err(error) => failure(&error),
    }
}

pub(super) async fn update(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    Body(change): Body,
) -> Response {
    let Ok(id) = id.parse() else { return refusal(StatusCode::BAD_REQUEST, "a place's id is a number") };
    if change.name.is_none() && change.population.is_none() {
        return refusal(StatusCode::BAD_REQUEST, "an update sets name, population or both");
    }
    if change.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_TEXT) {
        return refusal(StatusCode::BAD_REQUEST, "a name has 1 to 200 bytes");
    }
    match service.front.update(id, change).await {
        Ok(Some(updated)) => Json(updated.place).into_response(),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "no place has this id"),
        Err(error) => failure(&error),
    }
}

pub(super) async fn stats(State(service): State<Arc<Service>>) -> Json<Value> {
    let all = service.fleet.so_far(service.account());
    let caches: serde_json::Map<String, Value> =
        CACHES.iter().zip(&all.caches).map(|(name, counts)| ((*name).to_owned(), answer::counts(counts))).collect();
    let mut told = json!({ "caches": caches, "database": { "queries": all.queries } });
    if let Some(store) = &all.store {
        told["store"] = json!(store);
    }
    Json(told)
}

/// An update as JSON or as a form.
pub(super) struct Body(Change);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let change = if kind.starts_with("application/json") {
            Json::from_request(request, state).await.map(|Json(change)| change).map_err(|error| error.body_text())
        } else {
            Form::from_request(request, state).await.map(|Form(change)| change).map_err(|error| error.body_text())
        };
        change.map(Body).map_err(|problem| refusal(StatusCode::BAD_REQUEST, &problem))
    }
}
