//! One contender in the race, in one process: its clients, its updates, its counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::report::Part;
use super::tally::{Later, Tally};
use crate::clock;
use crate::contender::{Contender, Updated};
use crate::database::Database;
use crate::error::Error;
use crate::ledger::{Ledger, NEVER, Settled, Verdict};
use crate::load::{Load, Request};
use crate::place::{Change, Place};

/// Clients that each have one request under way, in all processes together: a busy web service.
const CLIENTS: usize = 64;
/// Requests that a client makes before it lets others have the processor. A hit never waits, so that without this one
/// client would keep its thread to itself; and after every single request it would measure the scheduler.
const PATIENCE: usize = 8;
/// A pair of updates each: 100 updates a second in all processes together, however fast the contender reads.
const UPDATE_EVERY: Duration = Duration::from_millis(20);
/// Between the two updates of a pair, which go to the same place: a form saved field by field, a click made twice.
const SECOND_UPDATE_AFTER: Duration = Duration::from_millis(2);

/// Which of the processes a lane is in, and how many there are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) process: u32,
    pub(crate) processes: u32,
}

/// Where the places are updated that a lane reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Updaters {
    /// In this process alone: each read can be judged at once.
    Here,
    /// In other processes too: what they settle is told after each slice.
    Everywhere,
}

impl Seat {
    /// The only one.
    pub(crate) const ALONE: Self = Self { process: 0, processes: 1 };

    /// How many clients each process has.
    fn clients(self) -> usize {
        CLIENTS.div_ceil(self.processes as usize)
    }

    /// The pairs of updates that a process makes, as ids and ranks, in order: those of its share of the places.
    pub(crate) fn updates(self, load: &Load, places: &[Place]) -> Vec<Pair> {
        let ranks: std::collections::HashMap<u32, u32> = places.iter().map(|place| (place.id, place.rank)).collect();
        let pairs = load.updates.iter().map(|&(id, population)| Pair { id, population, rank: ranks[&id] });
        pairs.filter(|pair| pair.rank % self.processes == self.process).collect()
    }

    /// How many pairs a process makes in a slice at most.
    pub(crate) fn most_pairs(self, slice: Duration) -> usize {
        slice.div_duration_f64(UPDATE_EVERY * self.processes).ceil() as usize + 1
    }
}

/// Two updates of one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) id: u32,
    pub(crate) population: u32,
    pub(crate) rank: u32,
}

/// The next pairs, after so many; they begin anew when all are done.
pub(crate) fn upcoming(pairs: &[Pair], done: usize, most: usize) -> Vec<Pair> {
    pairs.iter().cycle().skip(done % pairs.len().max(1)).take(most.min(pairs.len())).copied().collect()
}

/// A contender and all that belongs to its run.
pub(crate) struct Lane<C> {
    pub(crate) contender: Arc<C>,
    pub(crate) database: Arc<Database>,
    seat: Seat,
    load: Arc<Load>,
    pub(crate) ledger: Arc<Ledger>,
    updaters: Updaters,
    /// Where each client goes on in the load.
    positions: Vec<usize>,
    updates: u64,
    untold: u64,
    raced: Duration,
    tally: Tally,
}

impl<C: Contender> Lane<C> {
    pub(crate) fn new(
        contender: C,
        database: Arc<Database>,
        load: Arc<Load>,
        places: usize,
        (seat, updaters): (Seat, Updaters),
    ) -> Self {
        let (clients, all) = (seat.clients(), seat.clients() * seat.processes as usize);
        let first = clients * seat.process as usize;
        Self {
            contender: Arc::new(contender),
            database,
            seat,
            // At equal distances in the ring, so that the clients together draw from all of it.
            positions: (first..first + clients).map(|client| load.requests.len() * client / all).collect(),
            load,
            ledger: Arc::new(Ledger::new(places)),
            updaters,
            updates: 0,
            untold: 0,
            raced: Duration::ZERO,
            tally: Tally::default(),
        }
    }

    /// Lets the clients and the updater run for `slice`; gives what the updater settled, to be told to the ledger, unless
    /// nobody else updates: then it is told at once.
    pub(crate) async fn run(&mut self, slice: Duration, pairs: &[Pair]) -> Result<Vec<Settled>, Error> {
        let began = clock::now();
        let until = began + slice;
        let mut clients = JoinSet::new();
        for (index, position) in self.positions.iter().enumerate() {
            let client = Client {
                contender: Arc::clone(&self.contender),
                load: Arc::clone(&self.load),
                ledger: Arc::clone(&self.ledger),
                process: self.seat.process,
                position: *position,
                tally: Tally::default(),
            };
            clients.spawn(async move { Ok::<_, Error>((index, client.run(until).await?)) });
        }
        let settled = self.update(until, pairs).await?;
        self.updates += settled.len() as u64;
        self.untold += settled.iter().filter(|settled| settled.at_ns == NEVER).count() as u64;
        while let Some(ended) = clients.join_next().await {
            let (index, client) = ended.expect("clients are neither aborted nor panic")?;
            self.positions[index] = client.position;
            self.tally.merge(client.tally);
        }
        self.raced += clock::since(began);
        Ok(settled)
    }

    /// Updates places in pairs until the slice ends.
    async fn update(&self, until: Instant, pairs: &[Pair]) -> Result<Vec<Settled>, Error> {
        // The processes take turns.
        tokio::time::sleep(UPDATE_EVERY * self.seat.process).await;
        let mut ticks = tokio::time::interval(UPDATE_EVERY * self.seat.processes);
        // A contender whose database is slow to commit gets fewer updates, never a burst of them afterwards.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut done = Vec::new();
        for &Pair { id, population, .. } in pairs {
            ticks.tick().await;
            for pause in [Duration::ZERO, SECOND_UPDATE_AFTER] {
                tokio::time::sleep(pause).await;
                if clock::now() >= until {
                    return Ok(done);
                }
                let change = Change { name: None, population: Some(population) };
                if let Some(Updated { place, untold }) = self.contender.update(id, change).await? {
                    let (rank, version) = (place.rank, place.version);
                    // What could not be told everywhere has not settled yet.
                    let at_ns = if untold.is_none() { clock::as_common_ns(clock::now()) } else { NEVER };
                    let settled = Settled { rank, version, at_ns, process: self.seat.process };
                    if self.updaters == Updaters::Here {
                        self.ledger.settle(settled);
                    }
                    done.push(settled);
                }
            }
        }
        Ok(done)
    }

    /// Takes over what was settled in any process, and judges the reads that had to wait for it.
    pub(crate) fn settle(&mut self, settled: &[Settled], open: &[u32]) {
        for update in settled {
            self.ledger.settle(*update);
        }
        self.tally.judge(&self.ledger, self.seat.process);
        self.ledger.set_open(open.iter().copied(), false);
    }

    /// The figures of the slices. To be taken before anything else asks the database.
    pub(crate) fn part(&self) -> Part {
        Part {
            requests: self.tally.requests,
            seconds: self.raced.as_secs_f64(),
            latencies: self.tally.latencies.clone(),
            queries: self.database.queries(),
            updates: self.updates,
            untold: self.untold,
            stale: self.tally.stale,
            kept: self.contender.kept(),
        }
    }

    /// Drops the contender and returns the bytes that this gave back: its cache, and nothing of the database.
    /// `None` if a task still holds it.
    pub(crate) fn close(self) -> Option<u64> {
        let Self { contender, database, .. } = self;
        let contender = Arc::into_inner(contender)?;
        let freed = allocation_counter::measure(|| drop(contender)).bytes_current;
        drop(database);
        Some(freed.min(0).unsigned_abs())
    }
}

/// One client: asks, waits for the answer, notes how long it took and whether it was stale, asks again.
struct Client<C> {
    contender: Arc<C>,
    load: Arc<Load>,
    ledger: Arc<Ledger>,
    process: u32,
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
        let ended = match request {
            Request::Place(id) => {
                let place = self.contender.place(id).await?;
                let ended = clock::now();
                self.note(place.as_deref(), began);
                ended
            }
            Request::Country(index) => {
                let places = self.contender.country(&self.load.countries[usize::from(index)]).await?;
                let ended = clock::now();
                self.note(&*places, began);
                ended
            }
            Request::Search(index) => {
                let places = self.contender.search(&self.load.searches[usize::from(index)]).await?;
                let ended = clock::now();
                self.note(&*places, began);
                ended
            }
        };
        self.tally.latencies.record(ended - began);
        Ok(ended)
    }

    /// Judges what a read gave: it is stale once, whatever it shows.
    fn note<'a>(&mut self, places: impl IntoIterator<Item = &'a Place>, began: Instant) {
        let began_ns = clock::as_common_ns(began);
        self.tally.requests += 1;
        let (mut worst, later) = (None, self.tally.later.len());
        for place in places {
            match self.ledger.judge(place, began_ns) {
                Verdict::Fresh => {}
                Verdict::Stale(by, process) => worst = worst.max(Some((by, process))),
                Verdict::Later => {
                    let (rank, version) = (place.rank, place.version);
                    self.tally.later.push(Later { read: self.tally.requests, rank, version, began_ns });
                }
            }
        }
        if let Some((by, process)) = worst {
            // Judged already; what it shows besides makes it no staler.
            self.tally.later.truncate(later);
            self.tally.stale.note(by, process != self.process);
        }
    }
}
