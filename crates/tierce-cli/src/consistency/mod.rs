//! `tierce check-consistency`: processes read and write through one store while faults strike, and a history of all they
//! did is judged.
//!
//! This process is the database, whose rows' versions only grow, and the judge; it starts the processes under check, and
//! the server, and the network between them is a proxy of its own. So it knows when what was committed, whoever is killed.

mod belief;
mod changes;
mod faults;
mod history;
mod lane;
mod link;
mod loader;
mod mutants;
mod operations;
mod proxy;
mod python;
mod reads;
mod record;
mod report;
mod rows;
mod run;
mod team;
mod weather;
mod worker;
mod world;

pub(crate) use belief::{Belief, Bounds};
pub(crate) use faults::Fault;
pub(crate) use worker::run as work;

use crate::args::Check;
use crate::error::Error;
use crate::output::print;
use crate::progress::Progress;
use crate::signal::Signals;
use report::Report;

/// Checks, prints, and says whether all held.
pub(crate) async fn run(check: Check) -> Result<(), Error> {
    let mut signals = Signals::new()?;
    let mut progress = Progress::new();
    tokio::select! {
        done = all(&check, &mut progress) => done,
        () = signals.next() => {
            progress.clear();
            Err(Error::Interrupted)
        }
    }
}

async fn all(check: &Check, progress: &mut Progress) -> Result<(), Error> {
    if check.mutants {
        return every_mutant(check, progress).await;
    }
    let report = run::run(check, None, progress).await?;
    progress.clear();
    print(&if check.json { report.json() } else { report.text() })?;
    if report.holds() { Ok(()) } else { Err(Error::Inconsistent(report.violated())) }
}

/// Runs once with each planted fault, which must be caught, and without, which must not.
async fn every_mutant(check: &Check, progress: &mut Progress) -> Result<(), Error> {
    let mutants = mutants::all();
    if mutants.is_empty() {
        let how = "this build has no planted faults; build it with RUSTFLAGS=\"--cfg tierce_mutants\"";
        return Err(Error::Usage(how.to_owned()));
    }
    let mut wrong = 0;
    let tells = !check.store.starts_with("memcached");
    let is_meant = |name: &str| check.mutant.as_ref().is_none_or(|one| one == name);
    for mutant in mutants.iter().filter(|mutant| mutant.is_with(tells) && is_meant(&mutant.name)) {
        let mut check = check.clone();
        if check.faults == [Fault::All] {
            check.faults = mutant.faults.to_vec();
        }
        let report: Report = run::run(&check, Some(mutant.name.clone()), progress).await?;
        progress.clear();
        let is_right = report.holds() == (mutant.name == "Noop");
        wrong += u64::from(!is_right);
        let how = report.first().map_or_else(|| "survived".to_owned(), |line| format!("caught: {line:.110}"));
        let mark = if is_right { " " } else { "!" };
        print(&format!("{mark} {:<28} {:>5.1} s  {how}\n", mutant.name, report.seconds()))?;
    }
    if wrong == 0 { Ok(()) } else { Err(Error::Inconsistent(wrong)) }
}
