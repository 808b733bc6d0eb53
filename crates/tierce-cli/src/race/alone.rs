//! A race in this process alone.

use std::sync::Arc;
use std::time::Duration;

use tierce::Hub;

use super::lane::{Lane, Pair, Seat, Updaters, upcoming};
use super::report::{Column, Report};
use super::stampede::{self, Crowd, Wanted};
use super::turns;
use crate::clock;
use crate::contender::{Bare, Contender, Dictionary, Guide, Tierce};
use crate::database::{Database, Template};
use crate::error::Error;
use crate::figures::count;
use crate::load::Load;
use crate::place::Place;
use crate::progress::Progress;

/// How many contenders take turns.
const CONTENDERS: u32 = 3;

/// What a race needs.
pub(crate) struct Race<'a> {
    pub(crate) load: Arc<Load>,
    pub(crate) places: &'a [Place],
    pub(crate) template: &'a Template,
    /// Of all slices together.
    pub(crate) length: Duration,
    /// Callers in each stampede.
    pub(crate) callers: u32,
}

/// A contender on its way.
struct Run<'a, C> {
    name: &'static str,
    lane: Lane<C>,
    pairs: &'a [Pair],
    done: usize,
}

impl<C: Contender> Run<'_, C> {
    async fn slice(&mut self, slice: Duration) -> Result<(), Error> {
        let pairs = upcoming(self.pairs, self.done, Seat::ALONE.most_pairs(slice));
        self.done += self.lane.run(slice, &pairs).await?.len().div_ceil(2);
        Ok(())
    }
}

impl Race<'_> {
    /// Runs the whole race and measures everything that the table prints.
    pub(crate) async fn run(self, progress: &mut Progress) -> Result<Report, Error> {
        let pairs = Seat::ALONE.updates(&self.load, self.places);
        let mut bare = self.enter("no cache", &pairs, Bare::new)?;
        let mut guide = self.enter("the guide", &pairs, |database| Guide::new(database, Dictionary::default()))?;
        let mut tierce = self.enter("tierce", &pairs, |database| Tierce::racing(database, Hub::embedded()))?;
        let (turns, slice) = turns(self.length, CONTENDERS);
        let began = clock::now();
        for _ in 0..turns {
            progress.race(bare.name, clock::since(began), self.length);
            bare.slice(slice).await?;
            progress.race(guide.name, clock::since(began), self.length);
            guide.slice(slice).await?;
            progress.race(tierce.name, clock::since(began), self.length);
            tierce.slice(slice).await?;
        }
        let columns = vec![
            self.finish(bare, progress).await?,
            self.finish(guide, progress).await?,
            self.finish(tierce, progress).await?,
        ];
        progress.clear();
        let slice_ms = slice.as_secs_f64() * 1e3;
        Ok(Report {
            load: self.load.title.clone(),
            turns,
            slice_ms,
            callers: self.callers,
            columns,
            shared: None,
            outage: None,
        })
    }

    fn enter<'a, C: Contender>(
        &self,
        name: &'static str,
        pairs: &'a [Pair],
        contender: impl FnOnce(Arc<Database>) -> C,
    ) -> Result<Run<'a, C>, Error> {
        let database = Arc::new(self.template.copy(name)?);
        let contender = contender(Arc::clone(&database));
        let lane =
            Lane::new(contender, database, Arc::clone(&self.load), self.places.len(), (Seat::ALONE, Updaters::Here));
        Ok(Run { name, lane, pairs, done: 0 })
    }

    /// The stampedes, and the last figures, of a contender whose slices are over.
    async fn finish<C: Contender>(&self, run: Run<'_, C>, progress: &mut Progress) -> Result<Column, Error> {
        let callers = count(u64::from(self.callers));
        progress.step(&format!("stampede: {callers} callers at once on one cold key: {}", run.name));
        let mut column = Column::new(run.name, &run.lane.part());
        let crowd = |wanted| stampede::run(&run.lane, wanted, self.callers, 0);
        column.stampede = Crowd::stampede(&[crowd(Wanted::Search).await?]);
        column.absent_stampede = Crowd::stampede(&[crowd(Wanted::AbsentPlace).await?]);
        column.memory_bytes = run.lane.close();
        Ok(column)
    }
}
