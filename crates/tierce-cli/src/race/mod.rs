//! The race: the same load for every contender, in slices that take turns.
//!
//! Turns make a noisy machine fair: whatever else runs on it slows all contenders alike. Each contender has a copy of
//! the database of its own and keeps its cache, its place in the load and its counts from slice to slice.

mod lane;
mod report;
mod stampede;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use report::{Column, Report};

use crate::clock;
use crate::contender::{Bare, Contender, Guide, Tierce};
use crate::database::Template;
use crate::error::Error;
use crate::figures::count;
use crate::load::Load;
use crate::progress::Progress;
use lane::Lane;

/// About how long a slice lasts: long beside the milliseconds of a search, short beside the whole.
const SLICE: Duration = Duration::from_millis(300);
/// How many contenders take turns.
const CONTENDERS: u32 = 3;

/// What a race needs.
pub(crate) struct Race<'a> {
    pub(crate) load: Arc<Load>,
    /// How many places the data set has.
    pub(crate) places: usize,
    pub(crate) template: &'a Template,
    /// Of all slices together.
    pub(crate) length: Duration,
    /// Callers in each stampede.
    pub(crate) callers: u32,
}

impl Race<'_> {
    /// Runs the whole race and measures everything that the table prints.
    pub(crate) async fn run(self, progress: &mut Progress) -> Result<Report, Error> {
        let mut bare = self.lane::<Bare>("no cache")?;
        let mut guide = self.lane::<Guide>("the guide")?;
        let mut tierce = self.lane::<Tierce>("tierce")?;
        let turns = (self.length.div_duration_f64(SLICE * CONTENDERS).round() as u32).max(1);
        let slice = self.length / (turns * CONTENDERS);
        let began = clock::now();
        for _ in 0..turns {
            progress.race(bare.name, clock::since(began), self.length);
            bare.run(slice).await?;
            progress.race(guide.name, clock::since(began), self.length);
            guide.run(slice).await?;
            progress.race(tierce.name, clock::since(began), self.length);
            tierce.run(slice).await?;
        }
        let columns = vec![
            self.finish(bare, progress).await?,
            self.finish(guide, progress).await?,
            self.finish(tierce, progress).await?,
        ];
        progress.clear();
        let slice_ms = slice.as_secs_f64() * 1e3;
        Ok(Report { load: self.load.title.clone(), turns, slice_ms, callers: self.callers, columns })
    }

    fn lane<C: Contender>(&self, name: &'static str) -> Result<Lane<C>, Error> {
        Lane::new(name, self.template, Arc::clone(&self.load), self.places)
    }

    /// The stampedes, and the last figures, of a contender whose slices are over.
    async fn finish<C: Contender>(&self, lane: Lane<C>, progress: &mut Progress) -> Result<Column, Error> {
        let callers = count(u64::from(self.callers));
        progress.step(&format!("stampede: {callers} callers at once on one cold key: {}", lane.name));
        let mut column = lane.column();
        column.stampede = stampede::on_a_search(&lane, self.callers).await?;
        column.absent_stampede = stampede::on_an_absent_place(&lane, self.callers).await?;
        column.memory_bytes = lane.close();
        Ok(column)
    }
}
