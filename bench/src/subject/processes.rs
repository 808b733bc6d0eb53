//! Many callers of one key in several processes that share a store: how often its loader runs among them all.
//!
//! The processes are this program, run again ([`crate::crowd`]). `redis`, `memcached`: nothing goes wrong. `down`: there is
//! no server where they were told of one. `…_killed`: the process whose loader runs is killed in the middle of it; the
//! others must have their answers. `wall_ms` is from the door's opening until the last caller has his answer.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::Subject;
use crate::args::Args;
use crate::client::Broken;
use crate::cores::{Whose, give};
use crate::crowd::{Crowd, Said};
use crate::measure::Stopwatch;
use crate::report::Report;
use crate::rounds::{Costs, interleave};
use crate::server::{Program, Server};

const UNITS: &[&str] = &["loader_calls", "answers_ok", "answers_err", "wall_ms"];

/// Processes.
const PROCESSES: usize = 4;
/// Long against the time that all callers of all processes need to come.
const LOADER_TAKES: Duration = Duration::from_millis(500);
/// The winner is killed so long after its loader began.
const KILLED_AFTER: Duration = Duration::from_millis(100);
/// Nothing that is measured takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The server is down.
    Down,
    /// The first that loads is killed.
    Killed,
}

/// Runs the cases asked for.
///
/// # Errors
/// What is missing of a server, and what to install.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    give(Whose::Everybody);
    for name in Subject::Stampede.cases().iter().filter(|name| name.contains("_4p")) {
        if !args.wants(name) {
            continue;
        }
        let program = if name.starts_with("redis") { Program::Redis } else { Program::Memcached };
        let wrong = match name.rsplit('_').next() {
            Some("killed") => Wrong::Killed,
            Some("down") => Wrong::Down,
            _ => Wrong::Nothing,
        };
        let server = Server::start(program).map_err(|missing| missing.to_string())?;
        let url = server.url();
        // Its port is nobody's now.
        let server = (wrong != Wrong::Down).then_some(server);
        let mut round = 0;
        let run = |_: &str, _: &()| {
            round += 1;
            stampede((&url, round), args.callers, wrong).map_err(|Broken(why)| {
                eprintln!("{name}: {why}");
                "not all were answered"
            })
        };
        // The peers know of no other process.
        let rows = interleave(name, &["ours".into()], args.rounds, |_| (), run);
        report.case(name, UNITS, &rows);
        drop(server);
    }
    Ok(())
}

/// Crowds, and what they say.
struct Crowds {
    crowds: Vec<Crowd>,
    said: Receiver<(usize, Said)>,
}

impl Crowds {
    fn next(&self) -> Result<(usize, Said), Broken> {
        Ok(self.said.recv_timeout(PATIENCE)?)
    }
}

fn stampede((url, key): (&str, u64), callers: usize, wrong: Wrong) -> Result<Costs, Broken> {
    let (says, said) = mpsc::channel();
    let start = |number| Crowd::start((url, key), (callers, LOADER_TAKES), number, says.clone());
    let crowds = (0..PROCESSES).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut all = Crowds { crowds, said };
    let mut ready = 0;
    while ready < PROCESSES {
        match all.next()? {
            (_, Said::Ready) => ready += 1,
            (number, said) => return Err(Broken(format!("process {number} said {said:?} before its time"))),
        }
    }
    let stopwatch = Stopwatch::start();
    for crowd in &mut all.crowds {
        crowd.open()?;
    }
    let (mut loads, mut ok, mut err, mut ended, mut killed) = (0_u32, 0, 0, 0, None);
    while ended < PROCESSES {
        match all.next()? {
            (number, Said::Load) => {
                loads += 1;
                if wrong == Wrong::Killed && killed.is_none() {
                    killed = Some(number);
                    kill_later(&all.crowds[number])?;
                }
            }
            (number, Said::Answers { .. }) if killed == Some(number) => {
                return Err(Broken("the process that was killed has answered".into()));
            }
            (_, Said::Answers { ok: more, err: failed }) => {
                (ok, err, ended) = (ok + more, err + failed, ended + 1);
            }
            (number, Said::Gone) if killed == Some(number) => ended += 1,
            (_, Said::Gone) if ended > 0 => {}
            (number, said) => return Err(Broken(format!("process {number} said {said:?} before its time"))),
        }
    }
    let wall_ms = stopwatch.read().wall().as_secs_f64() * 1e3;
    let note = format!("{callers} callers in each of {PROCESSES} processes");
    Ok(Costs::whole(vec![f64::from(loads), f64::from(ok as u32), f64::from(err as u32), wall_ms], note))
}

/// The time is the case: the load is to be in its middle.
#[allow(clippy::disallowed_methods, reason = "nothing is waited for")]
fn kill_later(crowd: &Crowd) -> std::io::Result<()> {
    std::thread::sleep(KILLED_AFTER);
    crowd.kill()
}
