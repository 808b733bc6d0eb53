//! What the routes share.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::feed::Feed;
use super::front::Front;
use super::traffic::Traffic;
use crate::contender::Tierce;
use crate::database::{Database, Template};
use crate::error::Error;
use crate::race::Report;
use crate::{remarks, table};

/// The service as it runs.
pub(super) struct Service {
    pub(super) front: Arc<Front>,
    pub(super) database: Arc<Database>,
    pub(super) feed: Feed,
    pub(super) traffic: Traffic,
    pub(super) address: SocketAddr,
    /// The race that was run before, for the page.
    pub(super) race: Value,
    /// Held by the stampede that runs: one at a time.
    pub(super) stampede: Mutex<()>,
}

impl Service {
    pub(super) fn new(address: SocketAddr, template: &Template, report: &Report) -> Result<Self, Error> {
        // Untouched data: the race has changed populations in its own copies.
        let database = Arc::new(template.copy("service")?);
        Ok(Self {
            front: Arc::new(Front::new(Tierce::serving(Arc::clone(&database)))),
            database,
            feed: Feed::new(),
            traffic: Traffic::new(),
            address,
            race: race(report),
            stampede: Mutex::default(),
        })
    }
}

fn race(report: &Report) -> Value {
    let names: Vec<&str> = report.columns.iter().map(|column| column.name).collect();
    json!({
        "columns": names,
        "rows": table::rows(report),
        "remarks": remarks::remarks(report),
        "method": remarks::method(report),
    })
}
