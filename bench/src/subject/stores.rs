//! Clients of Redis and Memcached: what an answer costs the process that asks.
//!
//! So many tasks ask one after the other, each for a key of its own choosing, on a runtime of one worker or of four. The
//! servers are processes of their own, so that the processor time of this one is the client's. All clients of a round
//! are connected at once, each on a runtime of its own; then they take turns in slices, as where memory is timed
//! ([`crate::slices`]). The server has a core for itself ([`crate::cores`]).

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Subject;
use crate::args::Args;
use crate::client::{
    AsyncMemcached, Broken, Client, Flush, Fred, KEYS, MANY, Memcache, Raw, RedisRs, Rustis, VALUE_BYTES, Wire, fill,
};
use crate::cores::{Whose, give};
use crate::measure::{Elapsed, Stopwatch};
use crate::ours;
use crate::report::Report;
use crate::rounds::{Costs, Row, progress, rotated};
use crate::server::{Program, Server};
use crate::zipf::{Random, scramble};

const UNITS: &[&str] = &["cpu_us_per_op", "us_per_op_wall"];

/// Parts of a round: with so many a round's median slice moves by a few hundredths.
const SLICES: usize = 9;
/// Of a slice's operations, so many parts are worked before the clock starts.
const LEAD_IN_PARTS: usize = 4;

const REDIS: &[&str] =
    &["ours", "redis_rs_nodelay", "redis_rs_coalesced", "redis_rs_default", "fred", "rustis", "raw_pipelined"];
const MEMCACHED: &[&str] = &["ours", "async_memcached", "memcache", "raw_mg"];

/// The crates whose versions are printed.
const PEERS: &[&str] = &["redis", "fred", "rustis", "async-memcached", "memcache", "tokio"];

/// What a case does.
#[derive(Debug, Clone, Copy)]
struct Case {
    program: Program,
    tasks: usize,
    /// Whether an operation is [`MANY`] keys.
    is_many: bool,
    workers: usize,
}

impl Case {
    fn of(name: &str) -> Self {
        let program = if name.starts_with("redis") { Program::Redis } else { Program::Memcached };
        let is_many = name.contains("_100");
        let tasks = match name {
            _ if name.contains("_t64") => 64,
            _ if name.contains("_t256") => 256,
            _ => 1,
        };
        Self { program, tasks, is_many, workers: if name.ends_with("_4w") { 4 } else { 1 } }
    }

    fn default_contenders(self) -> &'static [&'static str] {
        if self.program == Program::Redis { REDIS } else { MEMCACHED }
    }

    /// Operations of a task in a slice, such that a slice takes ten to a hundred milliseconds.
    fn turns(self) -> usize {
        match (self.tasks, self.is_many) {
            (_, true) => 200,
            (1, _) => 400,
            (64, _) => 160,
            _ => 60,
        }
    }
}

/// Runs the cases asked for.
///
/// # Errors
/// What is missing of a server, and what to install.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    report.remark(&versions(PEERS));
    let mut servers: Vec<(Program, Server)> = Vec::new();
    for name in Subject::Stores.cases() {
        if !args.wants(name) {
            continue;
        }
        let case = Case::of(name);
        if !servers.iter().any(|(program, _)| *program == case.program) {
            give(Whose::Server);
            let server = Server::start(case.program).map_err(|missing| missing.to_string())?;
            fill(case.program, &server.place()).map_err(|error| format!("{}: {error}", server.place()))?;
            report.remark(server.version());
            servers.push((case.program, server));
        }
        let place = servers.iter().find(|(program, _)| *program == case.program).map(|(_, server)| server.place());
        give(if case.workers == 1 { Whose::Client } else { Whose::Everybody });
        let mut rows = Row::all(&args.contenders(case.default_contenders()));
        for round in 0..args.rounds {
            let label = format!("{name}: round {}/{}", round + 1, args.rounds);
            self::round(&mut rows, case, place.as_deref().unwrap_or_default(), round, &label);
        }
        progress("");
        report.case(name, UNITS, &rows);
    }
    give(Whose::Everybody);
    Ok(())
}

/// The versions that the lock file names.
pub(crate) fn versions(peers: &[&str]) -> String {
    const LOCK: &str = include_str!("../../Cargo.lock");
    let mut lines = LOCK.lines().map(|line| line.split_once(" = ").unwrap_or_default());
    let mut found = Vec::new();
    while let Some((word, name)) = lines.next() {
        let name = name.trim_matches('"');
        if word == "name" && peers.contains(&name) {
            let version = lines.next().map_or("", |(_, version)| version.trim_matches('"'));
            found.push(format!("{name} {version}"));
        }
    }
    found.join(", ")
}

fn round(rows: &mut [Row], case: Case, place: &str, round: usize, label: &str) {
    let mut ready = Vec::with_capacity(rows.len());
    for index in rotated(rows.len(), round) {
        if rows[index].rounds.is_ok() {
            progress(&format!("{label}, connecting {}", rows[index].contender));
            match connected(&rows[index].contender, case, place) {
                Ok(runner) => ready.push((index, runner, Costs::default())),
                Err(reason) => rows[index].add(Err(reason)),
            }
        }
    }
    for slice in 0..SLICES {
        progress(&format!("{label}, slice {}/{SLICES}", slice + 1));
        let seed = scramble((round * SLICES + slice) as u64);
        for (_, runner, costs) in &mut ready {
            let operations = case.tasks * case.turns();
            let worked = runner.work(case.turns() / LEAD_IN_PARTS, seed).and_then(|_| runner.work(case.turns(), !seed));
            match worked {
                Ok((elapsed, bytes)) => {
                    let per = |time: std::time::Duration| time.as_secs_f64() * 1e6 / operations as f64;
                    costs.slices.push(vec![per(elapsed.cpu()), per(elapsed.wall())]);
                    let expected = operations * VALUE_BYTES * if case.is_many { MANY } else { 1 };
                    if bytes != expected {
                        costs.note = format!("{bytes} bytes instead of {expected}");
                    }
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

/// A client that is connected.
trait Runner {
    /// Each task asks so many times; what that took, and how many bytes came.
    fn work(&self, turns: usize, seed: u64) -> Result<(Elapsed, usize), Broken>;
}

fn connected(contender: &str, case: Case, place: &str) -> Result<Box<dyn Runner>, &'static str> {
    const NODELAY: u8 = Flush::Nodelay as u8;
    const COALESCED: u8 = Flush::Coalesced as u8;
    const DEFAULT: u8 = Flush::Default as u8;
    let raw =
        |wire| Raw::connect(wire, place).map(|raw| Box::new(Loop { raw: Mutex::new(raw), case }) as Box<dyn Runner>);
    let runner = match (case.program, contender) {
        (Program::Redis, "ours") => tasks::<ours::Redis>(case, place),
        (Program::Redis, "redis_rs_nodelay") => tasks::<RedisRs<NODELAY>>(case, place),
        (Program::Redis, "redis_rs_coalesced") => tasks::<RedisRs<COALESCED>>(case, place),
        (Program::Redis, "redis_rs_default") => tasks::<RedisRs<DEFAULT>>(case, place),
        (Program::Redis, "fred") => tasks::<Fred>(case, place),
        (Program::Redis, "rustis") => tasks::<Rustis>(case, place),
        (Program::Redis, "raw_pipelined") => raw(Wire::Redis),
        (Program::Memcached, "ours") => tasks::<ours::Memcached>(case, place),
        (Program::Memcached, "async_memcached") => tasks::<AsyncMemcached>(case, place),
        (Program::Memcached, "memcache") => tasks::<Memcache>(case, place),
        (Program::Memcached, "raw_mg") => raw(Wire::Memcached),
        _ => return Err("not of this server"),
    };
    runner.map_err(|Broken(why)| {
        eprintln!("{contender}: {why}");
        "it does not connect"
    })
}

fn tasks<C: Client>(case: Case, place: &str) -> Result<Box<dyn Runner>, Broken> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(case.workers).enable_all().build()?;
    let place = place.to_string();
    // On a worker, where what it spawns belongs.
    let client = runtime.block_on(runtime.spawn(C::connect(place)))??;
    Ok(Box::new(Tasks { client: Arc::new(client), case, runtime }))
}

/// Tasks that share a client. It is dropped before its runtime.
struct Tasks<C> {
    client: Arc<C>,
    case: Case,
    runtime: Runtime,
}

impl<C: Client> Runner for Tasks<C> {
    fn work(&self, turns: usize, seed: u64) -> Result<(Elapsed, usize), Broken> {
        let stopwatch = Stopwatch::start();
        let bytes = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for task in 0..self.case.tasks {
                tasks.spawn(ask(Arc::clone(&self.client), self.case, task, turns, seed));
            }
            let mut bytes = 0;
            while let Some(asked) = tasks.join_next().await {
                bytes += asked??;
            }
            Ok::<_, Broken>(bytes)
        })?;
        Ok((stopwatch.read(), bytes))
    }
}

async fn ask<C: Client>(client: Arc<C>, case: Case, task: usize, turns: usize, seed: u64) -> Result<usize, Broken> {
    let mut keys = Choice::new(seed.wrapping_add(task as u64), case);
    let mut bytes = 0;
    for _ in 0..turns {
        bytes += if case.is_many { client.get_many(keys.next()).await? } else { client.get(task, keys.next()).await? };
    }
    Ok(bytes)
}

/// Keys as they come.
struct Choice {
    random: Random,
    among: u64,
}

impl Choice {
    fn new(seed: u64, case: Case) -> Self {
        let among = if case.is_many { KEYS - MANY } else { KEYS };
        Self { random: Random::new(scramble(seed)), among: among as u64 }
    }

    fn next(&mut self) -> usize {
        (self.random.next_u64() % self.among) as usize
    }
}

/// The loop that is no client.
struct Loop {
    raw: Mutex<Raw>,
    case: Case,
}

impl Runner for Loop {
    fn work(&self, turns: usize, seed: u64) -> Result<(Elapsed, usize), Broken> {
        let mut raw = self.raw.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = Choice::new(seed, self.case);
        let stopwatch = Stopwatch::start();
        let mut bytes = 0;
        for _ in 0..turns {
            bytes += if self.case.is_many {
                raw.get_many(keys.next())?
            } else {
                raw.get_each((0..self.case.tasks).map(|_| keys.next()))?
            };
        }
        Ok((stopwatch.read(), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_gets_every_byte() {
        for name in ["redis_get_t64", "redis_mget_100", "memcached_get_t64_4w", "memcached_get_100"] {
            let case = Case::of(name);
            let server = Server::start(case.program).unwrap();
            fill(case.program, &server.place()).unwrap();
            for contender in case.default_contenders() {
                let runner = connected(contender, case, &server.place()).unwrap();
                let (_, bytes) = runner.work(3, 1).unwrap();
                let expected = 3 * case.tasks * VALUE_BYTES * if case.is_many { MANY } else { 1 };
                assert_eq!(bytes, expected, "{contender} in {name}");
            }
        }
    }

    #[test]
    fn the_versions_of_the_peers_are_known() {
        let versions = versions(PEERS);
        assert_eq!(versions.split(", ").count(), PEERS.len(), "{versions}");
    }
}
