//! What the routes share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tierce::Hub;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;

use super::account::Account;
use super::backend::{Backend, Trouble};
use super::feed::{EVERY, Feed};
use super::fleet::Fleet;
use super::front::Front;
use super::order::Post;
use super::sample::Sample;
use super::traffic::Traffic;
use crate::clock;
use crate::contender::Tierce;
use crate::crew::{Crew, Order};
use crate::database::{Database, Template};
use crate::error::Error;
use crate::race::{Report, Seat};
use crate::venue::Venue;
use crate::{remarks, table};

/// The service as it runs.
pub(super) struct Service {
    pub(super) front: Arc<Front>,
    pub(super) database: Arc<Database>,
    pub(super) feed: Feed,
    pub(super) traffic: Traffic,
    pub(super) address: SocketAddr,
    /// The processes, this one among them.
    pub(super) fleet: Fleet,
    /// The store that they share.
    pub(super) backend: Option<Backend>,
    /// The race that was run before, for the page.
    pub(super) race: Value,
    /// Held by the stampede that runs: one at a time.
    pub(super) stampede: Mutex<()>,
}

impl Service {
    /// Alone, or with the processes that have raced before: this one takes the place of their first.
    pub(super) async fn new(
        address: SocketAddr,
        template: &Template,
        report: &Report,
        company: Option<(Venue, Crew)>,
    ) -> Result<Self, Error> {
        // Untouched data: the race has changed populations in its own copies.
        let file = template.copy_file("service")?;
        let seat = Seat { process: 0, processes: company.as_ref().map_or(1, |(_, crew)| crew.len() as u32) };
        let database = Arc::new(Database::open(&file, seat.processes)?);
        let (hub, crew, backend) = match company {
            Some((venue, crew)) => join(file, venue, crew).await?,
            None => (Hub::embedded(), None, None),
        };
        Ok(Self {
            front: Arc::new(Front::new(Tierce::serving(Arc::clone(&database), hub))),
            database,
            feed: Feed::new(),
            traffic: Traffic::new(seat),
            address,
            fleet: Fleet::new(crew),
            backend,
            race: race(report),
            stampede: Mutex::default(),
        })
    }

    /// What this process counts now, the tally apart.
    pub(super) fn account(&self) -> Account {
        Account::so_far(&self.front, &self.database, self.traffic.turned_away())
    }

    /// Samples for ever, while somebody looks.
    pub(super) async fn sample(&self) {
        loop {
            self.feed.watched().await;
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick is now: the counts that the first sample is compared with.
            ticks.tick().await;
            let mut began = clock::now();
            let mut before = self.gather(EVERY).await;
            while self.feed.is_watched() {
                ticks.tick().await;
                let length = clock::since(began);
                began = clock::now();
                let now = self.gather(length).await;
                let health = (self.database.health().0, self.trouble());
                self.feed.push(|seq, at_ms| Sample::new((seq, at_ms), health, &now, &before, length));
                before = now;
            }
        }
    }

    async fn gather(&self, length: std::time::Duration) -> Account {
        self.fleet.account(Account::of(&self.front, &self.database, self.traffic.turned_away()), length).await
    }

    fn trouble(&self) -> Trouble {
        self.backend.as_ref().map_or(Trouble::None, Backend::trouble)
    }
}

/// Lets the other processes serve the same database over the same store; the hub of this one.
async fn join(file: PathBuf, venue: Venue, mut crew: Crew) -> Result<(Hub, Option<Crew>, Option<Backend>), Error> {
    crew.relieve_first();
    let namespace = format!("{}-page", venue.namespace);
    let hub = Hub::builder().namespace(&namespace).connect(&venue.url).await?;
    crew.all::<()>(&Order::Serve(Post { database: file, store: venue.url, namespace })).await?;
    Ok((hub, Some(crew), Some(Backend::new(venue.title, venue.server))))
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
