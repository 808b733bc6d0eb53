//! One run: processes, faults, rest, and the judgement.

use std::time::Duration;

use super::belief::Bounds;
use super::faults::{self, Fault};
use super::history::{Findings, History, Promise};
use super::proxy::Proxy;
use super::python::Python;
use super::record::Order;
use super::report::Report;
use super::rows::KEYS;
use super::team::{Setting, Team};
use crate::args::Check;
use crate::clock;
use crate::error::Error;
use crate::figures;
use crate::progress::Progress;
use crate::server::{Server, Speaks};

/// What a Memcached of ours may hold, in MiB: so little that it evicts.
const ROOM_MB: u32 = 8;
/// How long a fault lasts, in milliseconds.
const FAULT_MS: std::ops::Range<u64> = 50..900;
/// How long a lookup may take beside its load where nothing is wrong: what a busy machine takes to get to it.
const BUSY: Duration = Duration::from_millis(1500);
/// The longest that another process's lease stands, with Memcached's whole seconds, and as much again: a lease may be
/// lost to two that are killed, one after the other; the longest fault; a machine that is busy.
const LEASES: Duration = Duration::from_secs(8);
/// How long the processes may take until they have loaded everything once.
const BEGINS: Duration = Duration::from_millis(300);
/// How long the processes may take to end what they have begun, and to read everything.
const ENDS: Duration = Duration::from_secs(40);

/// What the caches promise.
fn promise(bounds: Bounds) -> Promise {
    Promise { bounds, calm: BUSY, longest: LEASES }
}

/// Runs once; with a planted fault, until it is caught.
pub(super) async fn run(check: &Check, mutant: Option<String>, progress: &mut Progress) -> Result<Report, Error> {
    let python = Python::of(check)?;
    let mut server = Server::of(&check.store, ROOM_MB).await?;
    let chosen = Fault::chosen(&check.faults, &server)?;
    let proxy = Proxy::open(server.host.clone(), server.port).await?;
    let is_planted = mutant.is_some();
    let setting = Setting {
        store: server.url_by(proxy.port),
        namespace: format!("check-{}-{}", check.seed, std::process::id()),
        bounds: check.bounds,
        tells: server.speaks == Speaks::Redis,
        seed: check.seed,
        tasks: check.tasks,
        reads: check.reads,
        mutant,
        python,
    };
    let promise = promise(check.bounds);
    let mut team = begin(check.processes, History::new(promise), setting).await?;
    let began = clock::now();
    let mut chance = fastrand::Rng::with_seed(check.seed);
    let mut struck = Vec::new();
    let (mut round, mut shown) = (Vec::new(), Duration::ZERO);
    while clock::since(began) < check.seconds {
        if is_planted && team.desk.history().findings().violated > 0 {
            break;
        }
        tokio::time::sleep(check.pause.mul_f64(chance.f64())).await;
        if round.is_empty() {
            round.clone_from(&chosen);
            chance.shuffle(&mut round);
        }
        let gone = clock::since(began);
        if gone >= shown {
            shown = gone + Duration::from_secs(1);
            show(&team, progress, gone, check.seconds);
        }
        let Some(fault) = round.pop() else { continue };
        let length = Duration::from_millis(chance.u64(FAULT_MS));
        let number = team.desk.history().troubles.begin(clock::common_ns(), fault == Fault::StopProcess);
        match fault {
            Fault::StopProcess => team.stop_one(length, &mut chance).await,
            Fault::KillProcess => team.kill_one(&mut chance).await?,
            Fault::ClockStep => team.step_clock_of_one(&mut chance),
            fault => {
                let turn = struck.iter().filter(|one| **one == fault).count();
                faults::strike(fault, &mut server, &proxy, (length, turn), &mut chance).await?;
            }
        }
        team.desk.history().troubles.end(number, clock::common_ns());
        struck.push(fault);
    }
    rest(&mut team, promise).await;
    let seconds = clock::since(began);
    let history = team.desk.replace_history(History::new(promise));
    let stalls = history.troubles.stalls();
    let findings = Findings { stalls, ..history.finish() };
    Ok(Report::new(check, promise, findings, &struck, seconds))
}

/// Starts the processes, and gives them time to load everything once.
async fn begin(processes: u32, history: History, setting: Setting) -> Result<Team, Error> {
    let mut team = Team::new(history, setting).await?;
    // While there are no tags yet, each that comes to be is told as a change.
    let beginning = team.desk.history().troubles.begin(clock::common_ns(), false);
    for place in 0..processes {
        team.start(place).await?;
    }
    tokio::time::sleep(BEGINS).await;
    team.desk.history().troubles.end(beginning, clock::common_ns());
    Ok(team)
}

fn show(team: &Team, progress: &mut Progress, gone: Duration, length: Duration) {
    let history = team.desk.history();
    let findings = history.findings();
    let line = format!(
        "{:>5.0} s of {:.0} s  {} reads judged, {} violations",
        gone.as_secs_f64(),
        length.as_secs_f64(),
        figures::count(findings.here.reads),
        findings.violated
    );
    drop(history);
    progress.step(&line);
}

/// Once nothing is written and nothing is wrong, everybody reads what there is.
async fn rest(team: &mut Team, promise: Promise) {
    let busy = team.order(Order::Stop, ENDS).await;
    if busy > 0 {
        let line = format!("{busy} processes did not end what they had begun, or died");
        team.desk.history().findings_mut().violates_at_rest("I7", line);
        return;
    }
    tokio::time::sleep(promise.widest()).await;
    let busy = team.order(Order::ReadAll, ENDS).await;
    if busy > 0 {
        let line = format!("{busy} processes could not read all rows");
        team.desk.history().findings_mut().violates_at_rest("I4", line);
    }
    debug_assert!((0..KEYS).all(|key| team.desk.version(key) > 0), "every row has a version");
}
