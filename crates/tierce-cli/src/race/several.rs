//! A race of several processes, which share a store, each contender's database, and one load.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::order::{Entrant, Order};
use super::report::{Column, Part, Report, Shared};
use super::stampede::{Crowd, Wanted};
use super::turns;
use crate::clock;
use crate::crew::Crew;
use crate::error::Error;
use crate::figures::count;
use crate::ledger::Settled;
use crate::progress::Progress;
use crate::server::{Server, Speaks};

/// From an order to its beginning, so that all processes begin together.
const NOTICE: Duration = Duration::from_millis(30);
/// The same for callers who have to be made first.
const NOTICE_OF_CROWD: Duration = Duration::from_millis(150);

/// What a race of several processes needs.
pub(crate) struct Relay<'a> {
    pub(crate) crew: &'a Crew,
    /// The server, where it is the run's own: nobody else's commands are counted there.
    pub(crate) server: Option<&'a Server>,
    pub(crate) entrants: Vec<Entrant>,
    pub(crate) shared: Shared,
    /// The load in words.
    pub(crate) load: String,
    /// Of all slices together.
    pub(crate) length: Duration,
    /// Callers in each stampede, in each process.
    pub(crate) callers: u32,
}

/// A contender on its way.
struct Run {
    entrant: Entrant,
    name: &'static str,
    /// How many pairs of updates each process has made.
    cursors: Vec<usize>,
    commands: Option<u64>,
}

impl Relay<'_> {
    /// Runs the whole race and measures everything that the table prints.
    pub(crate) async fn run(self, progress: &mut Progress) -> Result<Report, Error> {
        let mut runs: Vec<Run> = self.entrants.iter().map(|entrant| self.enter(*entrant)).collect();
        let (turns, slice) = turns(self.length, runs.len() as u32);
        let began = clock::now();
        for _ in 0..turns {
            for run in &mut runs {
                progress.race(run.name, clock::since(began), self.length);
                self.slice(run, slice).await?;
            }
        }
        let mut columns = Vec::new();
        for run in &runs {
            columns.push(self.finish(run, progress).await?);
        }
        progress.clear();
        let slice_ms = slice.as_secs_f64() * 1e3;
        Ok(Report {
            load: self.load,
            turns,
            slice_ms,
            callers: self.callers,
            columns,
            shared: Some(self.shared),
            outage: None,
        })
    }

    fn enter(&self, entrant: Entrant) -> Run {
        let name = match entrant {
            Entrant::Bare => "no cache",
            Entrant::Guide => "the guide",
            Entrant::Tierce => "tierce",
        };
        Run { entrant, name, cursors: vec![0; self.crew.len()], commands: Some(0) }
    }

    async fn slice(&self, run: &mut Run, slice: Duration) -> Result<(), Error> {
        let (entrant, cursors) = (run.entrant, run.cursors.clone());
        let before = self.commands().await;
        let order = Order::Slice { entrant, at_ns: soon(NOTICE), slice_ns: slice.as_nanos() as u64, cursors };
        let settled: Vec<Vec<Settled>> = self.all(&order).await?;
        let after = self.commands().await;
        run.commands = run.commands.zip(before).zip(after).map(|((sum, before), after)| sum + (after - before));
        for (cursor, settled) in run.cursors.iter_mut().zip(&settled) {
            *cursor += settled.len().div_ceil(2);
        }
        let settled = settled.into_iter().flatten().collect();
        self.all::<()>(&Order::Settle { entrant, settled }).await.map(drop)
    }

    /// The figures of a contender whose slices are over, and its stampedes.
    async fn finish(&self, run: &Run, progress: &mut Progress) -> Result<Column, Error> {
        let (callers, processes) = (count(u64::from(self.callers)), self.crew.len());
        progress.step(&format!("stampede: {processes} × {callers} callers at once on one cold key: {}", run.name));
        let mut part = Part::default();
        for other in &self.all::<Part>(&Order::Figures { entrant: run.entrant }).await? {
            part.merge(other);
        }
        let mut column = Column::new(run.name, &part);
        column.commands = run.commands.filter(|_| run.entrant != Entrant::Bare);
        column.stampede = self.stampede(run.entrant, Wanted::Search).await?;
        column.absent_stampede = self.stampede(run.entrant, Wanted::AbsentPlace).await?;
        Ok(column)
    }

    async fn stampede(&self, entrant: Entrant, wanted: Wanted) -> Result<super::report::Stampede, Error> {
        let order = Order::Stampede { entrant, wanted, callers: self.callers, at_ns: soon(NOTICE_OF_CROWD) };
        Ok(Crowd::stampede(&self.all::<Crowd>(&order).await?))
    }

    async fn all<T: DeserializeOwned>(&self, order: &Order) -> Result<Vec<T>, Error> {
        self.crew.all(&crate::crew::Order::Race(order.clone())).await
    }

    /// How many commands the server has run, those within scripts counted singly and beats apart: caches that beat do so
    /// while others run, too.
    async fn commands(&self) -> Option<u64> {
        let server = self.server.filter(|server| server.speaks == Speaks::Redis)?;
        let answer = String::from_utf8(server.command(&[b"INFO", b"commandstats"]).await?).ok()?;
        let counted =
            answer.lines().filter(|line| !line.starts_with("cmdstat_ping:") && !line.starts_with("cmdstat_info:"));
        Some(counted.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok()).sum())
    }
}

/// A time of the common clock, from now on.
fn soon(notice: Duration) -> u64 {
    clock::common_ns() + notice.as_nanos() as u64
}
