//! One contender in the race: its database, its clients, its updates, its counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::report::Column;
use crate::clock;
use crate::contender::Contender;
use crate::database::{Database, Template};
use crate::error::Error;
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::load::{Load, Request};
use crate::place::Change;

/// Clients that each have one request under way: a busy web process.
const CLIENTS: usize = 64;
/// Requests that a client makes before it lets others have the processor. A hit never waits, so that without this one
/// client would keep its thread to itself; and after every single request it would measure the scheduler.
const PATIENCE: usize = 8;
/// A pair of updates each: 100 updates a second, however fast the contender reads.
const UPDATE_EVERY: Duration = Duration::from_millis(20);
/// Between the two updates of a pair, which go to the same place: a form saved field by field, a click made twice.
const SECOND_UPDATE_AFTER: Duration = Duration::from_millis(2);

/// A contender and all that belongs to its run.
pub(super) struct Lane<C> {
    pub(super) name: &'static str,
    pub(super) contender: Arc<C>,
    pub(super) database: Arc<Database>,
    load: Arc<Load>,
    ledger: Arc<Ledger>,
    /// Where each client goes on in the load.
    positions: Vec<usize>,
    updates: usize,
    raced: Duration,
    tally: Tally,
}

impl<C: Contender> Lane<C> {
    pub(super) fn new(name: &'static str, template: &Template, load: Arc<Load>, places: usize) -> Result<Self, Error> {
        let database = Arc::new(template.copy(name)?);
        Ok(Self {
            name,
            contender: Arc::new(C::new(Arc::clone(&database))),
            database,
            // At equal distances in the ring, so that the clients together draw from all of it.
            positions: (0..CLIENTS).map(|client| load.requests.len() * client / CLIENTS).collect(),
            load,
            ledger: Arc::new(Ledger::new(places)),
            updates: 0,
            raced: Duration::ZERO,
            tally: Tally::new(),
        })
    }

    /// Lets the clients and the updater run for `slice`.
    pub(super) async fn run(&mut self, slice: Duration) -> Result<(), Error> {
        let began = clock::now();
        let until = began + slice;
        let mut clients = JoinSet::new();
        for (index, position) in self.positions.iter().enumerate() {
            let client = Client {
                contender: Arc::clone(&self.contender),
                load: Arc::clone(&self.load),
                ledger: Arc::clone(&self.ledger),
                position: *position,
                tally: Tally::new(),
            };
            clients.spawn(async move { Ok::<_, Error>((index, client.run(until).await?)) });
        }
        self.updates += self.update(until).await?;
        while let Some(ended) = clients.join_next().await {
            let (index, client) = ended.expect("clients are neither aborted nor panic")?;
            self.positions[index] = client.position;
            self.tally.merge(&client.tally);
        }
        self.raced += clock::since(began);
        Ok(())
    }

    /// Updates places in pairs until the slice ends; returns how many updates there were.
    async fn update(&self, until: Instant) -> Result<usize, Error> {
        let mut ticks = tokio::time::interval(UPDATE_EVERY);
        // A contender whose database is slow to commit gets fewer updates, never a burst of them afterwards.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = 0;
        loop {
            ticks.tick().await;
            for pause in [Duration::ZERO, SECOND_UPDATE_AFTER] {
                tokio::time::sleep(pause).await;
                let next = (self.updates + done) / 2 % self.load.updates.len().max(1);
                let Some(&(id, population)) = self.load.updates.get(next) else { return Ok(done) };
                if clock::now() >= until {
                    return Ok(done);
                }
                let change = Change { name: None, population: Some(population) };
                if let Some(place) = self.contender.update(id, change).await? {
                    self.ledger.settle(&place, clock::now());
                }
                done += 1;
            }
        }
    }

    /// The figures of the slices. To be taken before anything else asks the database.
    pub(super) fn column(&self) -> Column {
        let queries = self.database.queries();
        Column {
            name: self.name,
            requests: self.tally.requests,
            seconds: self.raced.as_secs_f64(),
            p50: self.tally.latencies.quantile(0.50),
            p99: self.tally.latencies.quantile(0.99),
            queries,
            updates: self.updates as u64,
            stale_reads: self.tally.stale,
            kept: self.contender.kept(),
            ..Column::default()
        }
    }

    /// Drops the contender and returns the bytes that this gave back: its cache, and nothing of the database.
    /// `None` if a task still holds it.
    pub(super) fn close(self) -> Option<u64> {
        let Self { contender, database, .. } = self;
        let contender = Arc::into_inner(contender)?;
        let freed = allocation_counter::measure(|| drop(contender)).bytes_current;
        drop(database);
        Some(freed.min(0).unsigned_abs())
    }
}

struct Tally {
    requests: u64,
    stale: u64,
    latencies: Histogram,
}

impl Tally {
    fn new() -> Self {
        Self { requests: 0, stale: 0, latencies: Histogram::new() }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.stale += other.stale;
        self.latencies.merge(&other.latencies);
    }
}

/// One client: asks, waits for the answer, notes how long it took and whether it was stale, asks again.
struct Client<C> {
    contender: Arc<C>,
    load: Arc<Load>,
    ledger: Arc<Ledger>,
    position: usize,
    tally: Tally,
}

impl<C: Contender> Client<C> {
    async fn run(mut self, until: Instant) -> Result<Self, Error> {
        loop {
            for _ in 0..PATIENCE {
                if self.request().await? >= until {
                    return Ok(self);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Makes the next request of the load; returns when it was answered.
    async fn request(&mut self) -> Result<Instant, Error> {
        let request = self.load.requests[self.position];
        self.position = (self.position + 1) % self.load.requests.len();
        let began = clock::now();
        let (ended, stale) = match request {
            Request::Place(id) => {
                let place = self.contender.place(id).await?;
                (clock::now(), place.is_some_and(|place| self.ledger.is_stale(&place, began)))
            }
            Request::Country(index) => {
                let places = self.contender.country(&self.load.countries[usize::from(index)]).await?;
                (clock::now(), places.iter().any(|place| self.ledger.is_stale(place, began)))
            }
            Request::Search(index) => {
                let places = self.contender.search(&self.load.searches[usize::from(index)]).await?;
                (clock::now(), places.iter().any(|place| self.ledger.is_stale(place, began)))
            }
        };
        self.tally.requests += 1;
        self.tally.stale += u64::from(stale);
        self.tally.latencies.record(ended - began);
        Ok(ended)
    }
}
