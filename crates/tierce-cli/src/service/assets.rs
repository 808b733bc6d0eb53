//! The page and what it is made of: files of this crate, inside the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, get};

use super::state::Service;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// `/` and each file that it names.
pub(super) fn routes() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(page))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page/page.css")))
        .route("/icon.svg", file("image/svg+xml", include_str!("page/icon.svg")))
        .route("/main.js", file(SCRIPT, include_str!("page/main.js")))
        .route("/feed.js", file(SCRIPT, include_str!("page/feed.js")))
        .route("/plot.js", file(SCRIPT, include_str!("page/plot.js")))
        .route("/plots.js", file(SCRIPT, include_str!("page/plots.js")))
        .route("/buttons.js", file(SCRIPT, include_str!("page/buttons.js")))
        .route("/explain.js", file(SCRIPT, include_str!("page/explain.js")))
        .route("/figures.js", file(SCRIPT, include_str!("page/figures.js")))
        .route("/shared.js", file(SCRIPT, include_str!("page/shared.js")))
}

/// The page; its examples name this very service.
async fn page(State(service): State<Arc<Service>>) -> Html<String> {
    Html(include_str!("page/page.html").replace("{address}", &service.address.to_string()))
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter<Arc<Service>> {
    get(move || async move { ([(CONTENT_TYPE, kind)], text).into_response() })
}
