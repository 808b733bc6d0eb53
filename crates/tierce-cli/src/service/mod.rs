//! The same data over HTTP, with tierce in front of the database.

mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::contender::{Contender, Tierce};
use crate::database::{Database, Template};
use crate::error::Error;
use crate::figures::count;
use crate::output::print;
use crate::place::Change;
use crate::signal::Signals;

/// How long connections may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(1);
/// No place has a longer name, and no search text needs one.
const LONGEST_TEXT: usize = 200;

/// What the routes share.
struct Service {
    tierce: Tierce,
    database: Arc<Database>,
    address: SocketAddr,
}

/// Serves until a signal comes.
pub(crate) async fn run(listener: TcpListener, template: &Template, mut signals: Signals) -> Result<(), Error> {
    let address = listener.local_addr().map_err(|source| Error::System { doing: "find out the port", source })?;
    // Untouched data: the race has changed populations in its own copies.
    let database = Arc::new(template.copy("service")?);
    let service = Arc::new(Service { tierce: Tierce::new(Arc::clone(&database)), database, address });
    print(&format!(
        "\n Serving on http://{address}/ (Ctrl-C ends it)\n\n   curl '{address}/search?q=san+fransico'\n   curl \
         {address}/places/2988507\n   curl -d population=2200000 {address}/places/2988507\n   curl {address}/stats\n"
    ))?;

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, routes(Arc::clone(&service)))
        .with_graceful_shutdown(async {
            // A dropped sender means the same as a sent word.
            let _ = stopped.await;
        })
        .into_future();
    let serving = tokio::spawn(serving);
    signals.next().await;
    drop(stop);
    tokio::select! {
        // Requests under way are answered; a connection that stays open without one is not waited for.
        _ = serving => {}
        () = tokio::time::sleep(GRACE) => {}
        () = signals.next() => {}
    }
    service.tierce.drain(GRACE).await;
    print(&format!("\n Stopped. {}\n", summary(&service)))
}

fn summary(service: &Service) -> String {
    let lookups: u64 = service.tierce.stats().iter().map(|(_, stats)| stats.hits + stats.misses).sum();
    let queries = service.database.queries();
    format!(
        "Lookups: {}; database queries: {}; updates: {}.",
        count(lookups),
        count(queries.reads()),
        count(queries.update)
    )
}

fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/search", get(search))
        .route("/places/{id}", get(place).post(update))
        .route("/countries/{code}", get(country))
        .route("/stats", get(stats))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such route; / lists them") })
        .with_state(service)
}

async fn index(State(service): State<Arc<Service>>) -> Html<String> {
    Html(page::index(service.address))
}

#[derive(Deserialize)]
struct Wanted {
    q: Option<String>,
}

async fn search(State(service): State<Arc<Service>>, Query(wanted): Query<Wanted>) -> Response {
    let text = wanted.q.unwrap_or_default().trim().to_lowercase();
    if text.is_empty() || text.len() > LONGEST_TEXT {
        return refusal(StatusCode::BAD_REQUEST, "say what to search for: /search?q=san+fransico");
    }
    match service.tierce.search(&text).await {
        Ok(places) => Json(places).into_response(),
        Err(error) => failure(&error),
    }
}

async fn place(State(service): State<Arc<Service>>, Path(id): Path<String>) -> Response {
    let Ok(id) = id.parse() else { return refusal(StatusCode::BAD_REQUEST, "a place's id is a number") };
    match service.tierce.place(id).await {
        Ok(Some(place)) => Json(place).into_response(),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "no place has this id"),
        Err(error) => failure(&error),
    }
}

async fn country(State(service): State<Arc<Service>>, Path(code): Path<String>) -> Response {
    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return refusal(StatusCode::BAD_REQUEST, "a country is two letters, as in /countries/fr");
    }
    match service.tierce.country(&code.to_ascii_uppercase()).await {
        Ok(places) => Json(places).into_response(),
        Err(error) => failure(&error),
    }
}

async fn update(State(service): State<Arc<Service>>, Path(id): Path<String>, Body(change): Body) -> Response {
    let Ok(id) = id.parse() else { return refusal(StatusCode::BAD_REQUEST, "a place's id is a number") };
    if change.name.is_none() && change.population.is_none() {
        return refusal(StatusCode::BAD_REQUEST, "an update sets name, population or both");
    }
    if change.name.as_ref().is_some_and(|name| name.trim().is_empty() || name.len() > LONGEST_TEXT) {
        return refusal(StatusCode::BAD_REQUEST, "a name has 1 to 200 bytes");
    }
    match service.tierce.update(id, change).await {
        Ok(Some(place)) => Json(place).into_response(),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "no place has this id"),
        Err(error) => failure(&error),
    }
}

async fn stats(State(service): State<Arc<Service>>) -> Json<Value> {
    let caches: serde_json::Map<String, Value> =
        service.tierce.stats().into_iter().map(|(name, stats)| (name, page::stats(&stats))).collect();
    Json(json!({ "caches": caches, "database": { "queries": service.database.queries() } }))
}

/// An update as JSON or as a form.
struct Body(Change);

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

fn refusal(status: StatusCode, problem: &str) -> Response {
    (status, Json(json!({ "error": problem }))).into_response()
}

fn failure(error: &Error) -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}
