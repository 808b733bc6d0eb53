//! Clients of Redis and Memcached: what an answer costs the process that asks.
//!
//! So many tasks ask one after the other, each for a key of its own choosing, on a runtime of one worker or of four
//! ([`crate::asking`]). The servers are processes of their own, so that the processor time of this one is the client's.
//! The server has a core for itself ([`crate::cores`]).

use std::sync::{Mutex, PoisonError};

use super::Subject;
use crate::args::Args;
use crate::asking::{self, Asked, Load, Runner};
use crate::client::{
    AsyncMemcached, Broken, Client, Flush, Fred, KEYS, MANY, Memcache, Raw, RedisRs, Rustis, VALUE_BYTES, Wire, fill,
};
use crate::cores::{Whose, give};
use crate::measure::{Elapsed, Stopwatch};
use crate::ours;
use crate::report::Report;
use crate::rounds::{Row, progress};
use crate::server::{Program, Server};
use crate::zipf::{Random, scramble};

const UNITS: &[&str] = &["cpu_us_per_op", "us_per_op_wall"];

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

    fn load(self) -> Load {
        let turns = match (self.tasks, self.is_many) {
            (_, true) => 200,
            (1, _) => 400,
            (64, _) => 160,
            _ => 60,
        };
        let worth = VALUE_BYTES * if self.is_many { MANY } else { 1 };
        Load { tasks: self.tasks, workers: self.workers, turns, worth }
    }

    /// The key that a random number stands for, or the first of many.
    fn key(self, random: u64) -> usize {
        let among = if self.is_many { KEYS - MANY } else { KEYS };
        (random % among as u64) as usize
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
        let place = place.unwrap_or_default();
        let mut rows = Row::all(&args.contenders(case.default_contenders()));
        for round in 0..args.rounds {
            let label = format!("{name}: round {}/{}", round + 1, args.rounds);
            let connect = |contender: &str| connected(contender, case, &place);
            asking::round(&mut rows, case.load(), connect, None, (round, &label));
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

fn connected(contender: &str, case: Case, place: &str) -> Result<Box<dyn Runner>, Broken> {
    const NODELAY: u8 = Flush::Nodelay as u8;
    const COALESCED: u8 = Flush::Coalesced as u8;
    const DEFAULT: u8 = Flush::Default as u8;
    let raw =
        |wire| Raw::connect(wire, place).map(|raw| Box::new(Loop { raw: Mutex::new(raw), case }) as Box<dyn Runner>);
    match (case.program, contender) {
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
        _ => Err(Broken("not of this server".into())),
    }
}

fn tasks<C: Client>(case: Case, place: &str) -> Result<Box<dyn Runner>, Broken> {
    let place = place.to_string();
    asking::tasks(case.load(), async move { Ok(Asks { client: C::connect(place).await?, case }) })
}

/// A client, asked for one value or for many.
struct Asks<C> {
    client: C,
    case: Case,
}

impl<C: Client> Asked for Asks<C> {
    async fn ask(&self, task: usize, random: u64) -> Result<usize, Broken> {
        let key = self.case.key(random);
        if self.case.is_many { self.client.get_many(key).await } else { self.client.get(task, key).await }
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
        let mut random = Random::new(scramble(seed));
        let mut next = || self.case.key(random.next_u64());
        let stopwatch = Stopwatch::start();
        let mut bytes = 0;
        for _ in 0..turns {
            bytes += if self.case.is_many {
                raw.get_many(next())?
            } else {
                raw.get_each((0..self.case.tasks).map(|_| next()))?
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
                assert_eq!(bytes, 3 * case.tasks * case.load().worth, "{contender} in {name}");
            }
        }
    }

    #[test]
    fn the_versions_of_the_peers_are_known() {
        let versions = versions(PEERS);
        assert_eq!(versions.split(", ").count(), PEERS.len(), "{versions}");
    }
}
