//! The whole of a lookup with Redis behind memory: what it costs the process that asks, and how often the server is asked.
//!
//! `store_hit`: memory holds [`FEW`] of [`IDS`] products, asked for at random, so that 99 of 100 lookups find theirs in the
//! server: the name, the round trip, the value made from bytes and put into memory. `memory_hit`: memory holds all of
//! them, and nobody is to be asked. Values come by value everywhere. The source answers at once, and is not to be asked.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::Subject;
use crate::args::Args;
use crate::asking::{self, Asked, Load, Runner};
use crate::client::Broken;
use crate::cores::{Whose, give};
use crate::counts::Counts;
use crate::layered::{Cached, Cachet, Hitbox, Layered, MultiTierCache, loads};
use crate::ours;
use crate::report::Report;
use crate::rounds::{Row, progress};
use crate::server::{Program, Server};
use crate::subject::stores::versions;

const UNITS: &[&str] = &["cpu_us_per_op", "us_per_op_wall", "commands_per_op"];

/// Products that are asked for, all of them in the server.
const IDS: u64 = 10_000;
/// What memory holds of them where the server is to answer.
const FEW: usize = 100;

/// So many fill the server side by side.
const FILL_AT_ONCE: u64 = 64;

/// The crates whose versions are printed.
const PEERS: &[&str] = &["cachet", "hitbox", "hitbox-redis", "multi-tier-cache", "cached", "redis", "tokio"];

const STORE_HIT: &[&str] = &["ours", "ours_tags2", "cachet", "hitbox", "multi_tier_cache", "cached"];
/// `cached` has no memory before its Redis.
const MEMORY_HIT: &[&str] = &["ours", "ours_embedded", "cachet", "hitbox", "multi_tier_cache"];

#[derive(Debug, Clone, Copy)]
struct Case {
    /// Whether memory holds everything.
    is_near: bool,
    load: Load,
}

impl Case {
    fn of(name: &str) -> Self {
        let is_near = name.starts_with("memory");
        let tasks = if name.contains("_t64") { 64 } else { 1 };
        let turns = match (is_near, tasks) {
            (true, _) => 20_000,
            (false, 1) => 400,
            (false, _) => 100,
        };
        let workers = if name.ends_with("_4w") { 4 } else { 1 };
        Self { is_near, load: Load { tasks, workers, turns, worth: 1 } }
    }

    fn default_contenders(self) -> &'static [&'static str] {
        if self.is_near { MEMORY_HIT } else { STORE_HIT }
    }

    fn capacity(self) -> usize {
        if self.is_near { 2 * IDS as usize } else { FEW }
    }
}

/// Runs the cases asked for.
///
/// # Errors
/// What is missing of a server, and what to install.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    report.remark(&versions(PEERS));
    give(Whose::Server);
    let server = Server::start(Program::Redis).map_err(|missing| missing.to_string())?;
    report.remark(server.version());
    let mut counts = Counts::of(Program::Redis, &server.place()).map_err(|error| error.to_string())?;
    for name in Subject::Lookup.cases() {
        if !args.wants(name) {
            continue;
        }
        let case = Case::of(name);
        give(if case.load.workers == 1 { Whose::Client } else { Whose::Everybody });
        let mut rows = Row::all(&args.contenders(case.default_contenders()));
        for round in 0..args.rounds {
            let label = format!("{name}: round {}/{}", round + 1, args.rounds);
            let place = server.place();
            let connect = |contender: &str| connected(contender, case, &place);
            // It is asked before and after each slice.
            let (mut began, mut unexpected) = (None, 0);
            let mut counted = || {
                match began.take() {
                    Some(before) => unexpected += loads() - before,
                    None => began = Some(loads()),
                }
                Ok(counts.commands()?)
            };
            asking::round(&mut rows, case.load, connect, Some(&mut counted), (round, &label));
            if unexpected > 0 {
                report.remark(&format!("{label}: {unexpected} loads where none were expected"));
            }
        }
        progress("");
        report.case(name, UNITS, &rows);
    }
    give(Whose::Everybody);
    Ok(())
}

fn connected(contender: &str, case: Case, place: &str) -> Result<Box<dyn Runner>, Broken> {
    match contender {
        "ours" if case.is_near => ready::<ours::Layers<2, true>>(case, place),
        "ours" => ready::<ours::Layers<0, true>>(case, place),
        "ours_tags2" => ready::<ours::Layers<2, true>>(case, place),
        "ours_embedded" => ready::<ours::Layers<2, false>>(case, place),
        "cachet" => ready::<Cachet>(case, place),
        "hitbox" => ready::<Hitbox>(case, place),
        "multi_tier_cache" => ready::<MultiTierCache>(case, place),
        "cached" => ready::<Cached>(case, place),
        _ => Err(Broken("unknown".into())),
    }
}

/// Connects, and asks for everything once, so that all is in the server, and in memory as far as there is room.
fn ready<L: Layered>(case: Case, place: &str) -> Result<Box<dyn Runner>, Broken> {
    let place = place.to_string();
    asking::tasks(case.load, async move {
        let cache = Arc::new(L::connect(place, case.capacity()).await?);
        let mut filling = JoinSet::new();
        for first in 0..FILL_AT_ONCE {
            let cache = Arc::clone(&cache);
            filling.spawn(async move {
                for id in (first..IDS).step_by(FILL_AT_ONCE as usize) {
                    cache.fill(id).await?;
                }
                Ok::<_, Broken>(())
            });
        }
        while let Some(filled) = filling.join_next().await {
            filled??;
        }
        Ok(Looks { cache })
    })
}

/// A cache that is asked for products.
struct Looks<L> {
    cache: Arc<L>,
}

impl<L: Layered> Asked for Looks<L> {
    async fn ask(&self, _: usize, random: u64) -> Result<usize, Broken> {
        let id = random % IDS;
        Ok(usize::from(self.cache.get(id).await?.id == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layered_cache_answers_rightly_and_from_where_it_should() {
        let server = Server::start(Program::Redis).unwrap();
        let mut counts = Counts::of(Program::Redis, &server.place()).unwrap();
        for name in ["store_hit_t1", "memory_hit"] {
            let case = Case::of(name);
            for contender in case.default_contenders() {
                let runner = connected(contender, case, &server.place()).unwrap();
                // Ours never goes to the server for what memory holds. A peer's memory forgets now and then (moka admits
                // what it likes, after a while), so a tenth of its lookups may. Where this process stood still for longer
                // than the bound, memory is asked for once more.
                let allowed = if contender.starts_with("ours") { 0 } else { 20 };
                let mut went = Vec::new();
                let is_right = (0..5).any(|_| {
                    let before = counts.commands().unwrap();
                    let (_, right) = runner.work(200, 1).unwrap();
                    assert_eq!(right, 200 * case.load.tasks, "{contender} in {name}");
                    let commands = counts.commands().unwrap() - before;
                    went.push(commands);
                    (commands <= allowed) == case.is_near
                });
                assert!(
                    is_right,
                    "{contender} in {name} does not go where it should: {went:?} commands for 200 lookups each"
                );
            }
        }
    }
}
