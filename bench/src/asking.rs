//! Contenders that tasks ask one question after the other, in slices.
//!
//! All contenders of a round are connected at once, each on a runtime of its own; then they take turns in slices, as where
//! memory is timed ([`crate::slices`]).

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::client::Broken;
use crate::measure::{Elapsed, Stopwatch};
use crate::rounds::{Costs, Row, progress, rotated};
use crate::zipf::{Random, scramble};

/// Parts of a round: with so many a round's median slice moves by a few hundredths.
const SLICES: usize = 9;
/// Of a slice's operations, so many parts are worked before the clock starts.
const LEAD_IN_PARTS: usize = 4;

/// What a slice is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Tasks that ask.
    pub(crate) tasks: usize,
    /// Threads of the runtime they are on.
    pub(crate) workers: usize,
    /// Questions of a task in a slice, such that a slice takes ten to a hundred milliseconds.
    pub(crate) turns: usize,
    /// What the answer to a question counts for, if it is right.
    pub(crate) worth: usize,
}

/// Who is asked by tasks.
pub(crate) trait Asked: Send + Sync + 'static {
    /// Asks once, as the task of this number, for whatever this random number means; gives what the answer counts for.
    fn ask(&self, task: usize, random: u64) -> impl Future<Output = Result<usize, Broken>> + Send;
}

/// A contender that is connected.
pub(crate) trait Runner {
    /// Each task asks so many times; what that took, and what the answers count for.
    fn work(&self, turns: usize, seed: u64) -> Result<(Elapsed, usize), Broken>;
}

/// A round: every contender connects, then all take turns. `connect` makes one ready; `counted` reads a count that is
/// taken before and after each slice, and given by the operation as the third unit.
pub(crate) fn round(
    rows: &mut [Row],
    load: Load,
    mut connect: impl FnMut(&str) -> Result<Box<dyn Runner>, Broken>,
    mut counted: Option<&mut dyn FnMut() -> Result<u64, Broken>>,
    (round, label): (usize, &str),
) {
    let mut ready = Vec::with_capacity(rows.len());
    for index in rotated(rows.len(), round) {
        if rows[index].rounds.is_ok() {
            progress(&format!("{label}, connecting {}", rows[index].contender));
            match connect(&rows[index].contender) {
                Ok(runner) => ready.push((index, runner, Costs::default())),
                Err(Broken(why)) => {
                    eprintln!("{}: {why}", rows[index].contender);
                    rows[index].add(Err("it does not connect"));
                }
            }
        }
    }
    for slice in 0..SLICES {
        progress(&format!("{label}, slice {}/{SLICES}", slice + 1));
        let seed = scramble((round * SLICES + slice) as u64);
        for (_, runner, costs) in &mut ready {
            match self::slice(&**runner, load, seed, counted.as_deref_mut()) {
                Ok((units, note)) => {
                    costs.slices.push(units);
                    costs.note = note;
                }
                Err(Broken(why)) => costs.note = why,
            }
        }
    }
    for (index, runner, costs) in ready {
        drop(runner);
        let whole = costs.slices.len() == SLICES;
        rows[index].add(if whole { Ok(costs) } else { Err("it stopped answering") });
    }
}

/// One contender's turn: a number per unit, and what was wrong.
fn slice(
    runner: &dyn Runner,
    load: Load,
    seed: u64,
    mut counted: Option<&mut (dyn FnMut() -> Result<u64, Broken> + '_)>,
) -> Result<(Vec<f64>, String), Broken> {
    let operations = load.tasks * load.turns;
    runner.work(load.turns / LEAD_IN_PARTS, seed)?;
    let mut count = || counted.as_mut().map(|counted| counted()).transpose();
    let before = count()?;
    let (elapsed, worth) = runner.work(load.turns, !seed)?;
    let after = count()?;
    let per = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
    let mut units = vec![per(elapsed.cpu()), per(elapsed.wall())];
    if let (Some(before), Some(after)) = (before, after) {
        units.push((after - before) as f64 / operations as f64);
    }
    let expected = operations * load.worth;
    let note = if worth == expected { String::new() } else { format!("answers worth {worth} instead of {expected}") };
    Ok((units, note))
}

/// Makes a contender ready on a runtime of its own, on a worker, where what it spawns belongs.
pub(crate) fn tasks<A: Asked>(
    load: Load,
    connecting: impl Future<Output = Result<A, Broken>> + Send + 'static,
) -> Result<Box<dyn Runner>, Broken> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(load.workers).enable_all().build()?;
    let asked = runtime.block_on(runtime.spawn(connecting))??;
    Ok(Box::new(Tasks { asked: Arc::new(asked), load, runtime }))
}

/// Tasks that share a contender. It is dropped before its runtime.
struct Tasks<A> {
    asked: Arc<A>,
    load: Load,
    runtime: Runtime,
}

impl<A: Asked> Runner for Tasks<A> {
    fn work(&self, turns: usize, seed: u64) -> Result<(Elapsed, usize), Broken> {
        let stopwatch = Stopwatch::start();
        let worth = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..self.load.tasks {
                tasks.spawn(ask(Arc::clone(&self.asked), task, turns, seed));
            }
            let mut worth = 0;
            while let Some(asked) = tasks.join_next().await {
                worth += asked??;
            }
            Ok::<_, Broken>(worth)
        })?;
        Ok((stopwatch.read(), worth))
    }
}

async fn ask<A: Asked>(asked: Arc<A>, task: usize, turns: usize, seed: u64) -> Result<usize, Broken> {
    let mut random = Random::new(scramble(seed.wrapping_add(task as u64)));
    let mut worth = 0;
    for _ in 0..turns {
        worth += asked.ask(task, random.next_u64()).await?;
    }
    Ok(worth)
}
