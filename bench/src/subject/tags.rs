//! What it takes to end all entries that have a tag, and what a load says to other processes.
//!
//! `invalidate_10` and `invalidate_many`: so many entries have a tag, all of them in the server. It is ended, and a sample
//! of them must be gone. Beside ours the pattern that is found in guides: a set of the members of each tag, which is
//! read, and its members deleted.

use super::Subject;
use crate::args::Args;
use crate::client::Broken;
use crate::cores::{Whose, give};
use crate::counts::{Counts, Pushes, Requests};
use crate::layered::load;
use crate::measure::Stopwatch;
use crate::ours::{NAMESPACE, Shop};
use crate::report::Report;
use crate::rounds::{Costs, Outcome, interleave};
use crate::server::{Program, Server};
use crate::subject::stores::versions;
use crate::tagsets::TagSets;

const UNITS: &[&str] = &["requests", "wall_ms", "server_cpu_ms"];
const PUSHES: &[&str] = &["pushes_per_load", "requests_per_load", "pushes_per_invalidation"];

/// Entries of the case with few.
const FEW: usize = 10;
/// Loads whose pushes are counted.
const LOADS: u64 = 1000;
/// Entries that are stored at a time.
const AT_ONCE: usize = 1000;
/// So many are looked for afterwards.
const SAMPLE: usize = 10;
/// The tag.
const TAG: &str = "season:spring";

/// Runs the cases asked for.
///
/// # Errors
/// What is missing of a server, and what to install.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    report.remark(&versions(&["redis", "tokio"]));
    give(Whose::Everybody);
    let start = |program| Server::start(program).map_err(|missing| missing.to_string());
    let servers = Servers { redis: start(Program::Redis)?, memcached: start(Program::Memcached)? };
    report.remark(servers.redis.version());
    report.remark(servers.memcached.version());
    for name in Subject::Tags.cases() {
        if !args.wants(name) {
            continue;
        }
        let contenders = args.contenders(if *name == "pushes" { &["ours"] } else { Subject::Tags.contenders() });
        let entries = if *name == "invalidate_10" { FEW } else { args.entries };
        let mut number = 0;
        let run = |contender: &str, _: &()| {
            number += 1;
            let ids: Vec<u64> = (0..entries as u64).collect();
            let outcome = match *name {
                "pushes" => blocking(pushes(&servers, number)),
                _ => blocking(invalidation(contender, &servers, &ids)),
            };
            told(contender, outcome)
        };
        let rows = interleave(name, &contenders, args.rounds, |_| (), run);
        report.case(name, if *name == "pushes" { PUSHES } else { UNITS }, &rows);
    }
    Ok(())
}

struct Servers {
    redis: Server,
    memcached: Server,
}

fn told(contender: &str, outcome: Result<Costs, Broken>) -> Outcome {
    outcome.map_err(|Broken(why)| {
        eprintln!("{contender}: {why}");
        "it stopped working"
    })
}

/// On a runtime of its own.
fn blocking<T>(work: impl Future<Output = Result<T, Broken>>) -> Result<T, Broken> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}

/// A cache with tags in a server.
enum Tagged {
    Ours(Shop),
    Sets(TagSets),
}

impl Tagged {
    async fn stock(&mut self, ids: &[u64]) -> Result<(), Broken> {
        for ids in ids.chunks(AT_ONCE) {
            match self {
                Self::Ours(shop) => shop.stock(ids, TAG).await?,
                Self::Sets(sets) => sets.stock(ids, TAG).await?,
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Broken> {
        match self {
            Self::Ours(shop) => shop.invalidate_tag(TAG).await,
            Self::Sets(sets) => sets.end(TAG).await,
        }
    }

    /// How many of a sample are there.
    async fn sample(&mut self, ids: &[u64]) -> Result<usize, Broken> {
        let mut there = 0;
        for id in ids.iter().step_by((ids.len() / SAMPLE).max(1)) {
            there += usize::from(match self {
                Self::Ours(shop) => shop.has(*id).await,
                Self::Sets(sets) => sets.has(*id).await?,
            });
        }
        Ok(there)
    }
}

/// What a server is asked from now on.
enum Asked {
    /// By ours, whose commands are scripts that have commands in them.
    Watched(Requests),
    /// By others, and of Memcached: what had been counted by then. To be watched would slow them down.
    Counted(u64),
}

impl Asked {
    fn from_now(contender: &str, place: &str, counts: &mut Counts) -> Result<Self, Broken> {
        Ok(match contender {
            "ours" => Self::Watched(Requests::watch(place)?),
            _ => Self::Counted(counts.commands()?),
        })
    }

    fn count(&mut self, counts: &mut Counts) -> Result<u64, Broken> {
        match self {
            Self::Watched(requests) => Ok(requests.count()?),
            Self::Counted(before) => Ok(counts.commands()? - *before),
        }
    }
}

async fn invalidation(contender: &str, servers: &Servers, ids: &[u64]) -> Result<Costs, Broken> {
    let (program, server) = match contender {
        "ours_memcached" => (Program::Memcached, &servers.memcached),
        _ => (Program::Redis, &servers.redis),
    };
    let mut counts = Counts::of(program, &server.place())?;
    counts.forget_everything()?;
    let mut tagged = match contender {
        "redis_rs_sets" => Tagged::Sets(TagSets::connect(&server.place()).await?),
        _ => Tagged::Ours(Shop::patient(&server.url()).await?),
    };
    tagged.stock(ids).await?;
    let there = tagged.sample(ids).await?;
    if there < ids.len().min(SAMPLE) {
        return Err(Broken(format!("of a sample only {there} are there")));
    }
    let mut requests = Asked::from_now(contender, &server.place(), &mut counts)?;
    let cpu = counts.server_cpu()?;
    let stopwatch = Stopwatch::start();
    tagged.end().await?;
    let wall_ms = stopwatch.read().wall().as_secs_f64() * 1e3;
    let cpu_ms = counts.server_cpu()?.saturating_sub(cpu).as_secs_f64() * 1e3;
    let values = vec![requests.count(&mut counts)? as f64, wall_ms, cpu_ms];
    drop(requests);
    let left = tagged.sample(ids).await?;
    let note = format!("{} entries; of a sample {there} were there before, {left} after", ids.len());
    if let Tagged::Ours(shop) = tagged {
        shop.close().await;
    }
    Ok(Costs::whole(values, note))
}

/// Loads, and one invalidation, with somebody who listens as all processes do.
async fn pushes(servers: &Servers, round: u64) -> Result<Costs, Broken> {
    let place = servers.redis.place();
    let shop = Shop::patient(&servers.redis.url()).await?;
    let mut pushes = Pushes::hear(&place, NAMESPACE)?;
    let mut requests = Requests::watch(&place)?;
    // Nobody has asked for these.
    let first = round << 32;
    for id in first..first + LOADS {
        shop.get(id, || async move { load(id) }).await?;
    }
    let asked = requests.count()?;
    let of_loads = pushes.count()?;
    shop.invalidate(first).await?;
    let of_invalidation = pushes.count()?;
    shop.close().await;
    let per_load = |count: u64| count as f64 / LOADS as f64;
    let values = vec![per_load(of_loads), per_load(asked), of_invalidation as f64];
    Ok(Costs::whole(values, format!("{LOADS} loads")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_tag_is_gone_afterwards_whoever_ended_it() {
        let start = |program| Server::start(program).unwrap();
        let servers = Servers { redis: start(Program::Redis), memcached: start(Program::Memcached) };
        let ids: Vec<u64> = (0..30).collect();
        for contender in Subject::Tags.contenders() {
            let costs = blocking(invalidation(contender, &servers, &ids)).unwrap();
            assert!(costs.note.contains("of a sample 10 were there before, 0 after"), "{contender}: {}", costs.note);
            assert!(costs.slices[0][0] >= 1.0, "{contender}");
        }
    }
}
