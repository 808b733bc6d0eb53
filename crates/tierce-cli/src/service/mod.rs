//! The same data over HTTP, with tierce in front of the database, and a live page of what the caches do.

mod account;
mod answer;
mod assets;
mod backend;
mod branch;
mod buttons;
mod door;
mod feed;
mod fleet;
mod front;
mod guard;
mod live;
mod meter;
mod order;
mod places;
mod sample;
mod stampede;
mod state;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::crew::Crew;
use crate::database::{Health, Template};
use crate::error::Error;
use crate::figures::count;
use crate::load::Load;
use crate::output::print;
use crate::race::Report;
use crate::signal::Signals;
use crate::venue::Venue;
use answer::refusal;
pub(crate) use branch::Branch;
use door::Door;
pub(crate) use order::{Order, Post};
use state::Service;

/// How long connections may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(1);
/// Bytes of a request's body: several times the longest that any route takes.
const BODY: usize = 4_096;

/// What the service shows and sends besides the data.
pub(crate) struct Setting<'a> {
    pub(crate) template: &'a Template,
    /// What the synthetic traffic asks for.
    pub(crate) load: Arc<Load>,
    /// The race that was run before.
    pub(crate) report: &'a Report,
    /// The store that several processes share, and these.
    pub(crate) company: Option<(Venue, Crew)>,
}

/// Serves until a signal comes.
pub(crate) async fn run(listener: TcpListener, setting: Setting<'_>, mut signals: Signals) -> Result<(), Error> {
    let address = listener.local_addr().map_err(|source| Error::System { doing: "find out the port", source })?;
    let service = Service::new(address, setting.template, setting.report, setting.company).await?;
    let service = Arc::new(service);
    print(&format!(
        "\n Live page: http://{address}/ (Ctrl-C ends it)\n\n   curl '{address}/search?q=san+fransico'\n   curl \
         {address}/places/2988507\n   curl -d population=2200000 {address}/places/2988507\n   curl {address}/stats\n"
    ))?;

    let behind = behind(&service, setting.load);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(Door::new(listener), routes(Arc::clone(&service)))
        .with_graceful_shutdown(async {
            // A dropped sender means the same as a sent word.
            let _ = stopped.await;
        })
        .into_future();
    let serving = tokio::spawn(serving);
    signals.next().await;
    drop(stop);
    for task in behind {
        task.abort();
    }
    // Whoever still waits for a frozen database is answered.
    service.database.set_health(Health::Running, Duration::ZERO);
    tokio::select! {
        // Requests under way are answered; a connection that stays open without one is not waited for.
        _ = serving => {}
        () = tokio::time::sleep(GRACE) => {}
        () = signals.next() => {}
    }
    service.front.tierce.drain(GRACE).await;
    print(&format!("\n Stopped. {}\n", summary(&service)))
}

/// The sampling and the traffic, which rest while nobody looks.
fn behind(service: &Arc<Service>, load: Arc<Load>) -> [JoinHandle<()>; 2] {
    let (sampled, driven) = (Arc::clone(service), Arc::clone(service));
    [
        tokio::spawn(async move { sampled.sample().await }),
        tokio::spawn(async move { driven.traffic.run(&driven.feed, Arc::clone(&driven.front), load).await }),
    ]
}

fn summary(service: &Service) -> String {
    let all = service.fleet.so_far(service.account());
    let (lookups, queries) = (all.sum(|counts| counts.hits + counts.misses), all.queries);
    format!(
        "Lookups: {}; database queries: {}; updates: {}.",
        count(lookups),
        count(queries.reads()),
        count(queries.update)
    )
}

fn routes(service: Arc<Service>) -> Router {
    assets::routes()
        .route("/search", get(places::search))
        .route("/places/{id}", get(places::place).post(places::update))
        .route("/countries/{code}", get(places::country))
        .route("/stats", get(places::stats))
        .route("/live", get(live::live))
        .route("/race", get(live::race))
        .route("/explain", get(live::explain))
        .route("/do/search", post(buttons::search))
        .route("/do/update", post(buttons::update))
        .route("/do/invalidate", post(buttons::invalidate))
        .route("/do/stampede", post(buttons::stampede))
        .route("/do/database", post(buttons::database))
        .route("/do/store", post(buttons::store))
        .route("/do/traffic", post(buttons::traffic))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "no such route; / lists them") })
        .method_not_allowed_fallback(|| async { refusal(StatusCode::METHOD_NOT_ALLOWED, "not with this method") })
        .layer(DefaultBodyLimit::max(BODY))
        .layer(axum::middleware::from_fn(guard::stand))
        .with_state(service)
}
