//! A server that stands still, and one that is started again: what callers notice of it.
//!
//! A hub with a store is warm. The server is stopped (`SIGSTOP`), so that its connections stay open and nothing is answered.
//! `first_miss_ms` is the first lookup then of a key that nobody has, whose loader answers at once; `open_miss_ms` the
//! median of such lookups once the hub has found out; `hit_p99_ratio` the 99th percentile of lookups that memory answers
//! while it stands still, over the same before. Then it is killed and another started in its place, and `recovery_ms` is
//! from its first answer until the hub calls its store well. `answers_err` counts errors of all lookups.

use std::time::Duration;

use super::Subject;
use crate::args::Args;
use crate::client::Broken;
use crate::cores::{Whose, give};
use crate::layered::load;
use crate::measure::{Stopwatch, median, wall};
use crate::ours::{Condition, Shop};
use crate::report::Report;
use crate::rounds::{Costs, interleave};
use crate::server::{Blow, Program, Server};

const UNITS: &[&str] = &[
    "first_miss_ms",
    "open_miss_ms",
    "hit_p99_ns",
    "hit_p99_ns_frozen",
    "hit_p99_ratio",
    "recovery_ms",
    "answers_err",
];

/// Entries in memory.
const HELD: u64 = 1000;
/// Lookups that memory answers, each timed.
const HITS: usize = 200_000;
/// Lookups of missing keys while the hub does not ask.
const MISSES: usize = 200;
/// A recovery that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the cases asked for.
///
/// # Errors
/// What is missing of a server, and what to install.
pub(crate) fn run(args: &Args, report: &mut Report) -> Result<(), String> {
    give(Whose::Everybody);
    for name in Subject::Outage.cases() {
        if !args.wants(name) {
            continue;
        }
        let program = if *name == "redis" { Program::Redis } else { Program::Memcached };
        let mut server = Some(Server::start(program).map_err(|missing| missing.to_string())?);
        report.remark(server.as_ref().map_or("", Server::version));
        let contenders = args.contenders(Subject::Outage.contenders());
        let run = |_: &str, _: &()| {
            outage(&mut server).map_err(|Broken(why)| {
                eprintln!("{name}: {why}");
                "it did not end"
            })
        };
        let rows = interleave(name, &contenders, args.rounds, |_| (), run);
        report.case(name, UNITS, &rows);
    }
    Ok(())
}

fn outage(server: &mut Option<Server>) -> Result<Costs, Broken> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let running = server.take().ok_or_else(|| Broken("the server did not come back".into()))?;
    let url = running.url();
    let mut errors = 0;
    let (mut caller, before, first_miss, frozen, open_miss) = runtime.block_on(async {
        let mut caller = Caller { shop: Shop::connect(&url).await?, errors: 0, next: HELD };
        caller.warm().await;
        let before = caller.hits_p99().await;
        running.suffer(Blow::Freeze)?;
        let first_miss = caller.miss().await;
        while caller.shop.condition() == Condition::Well {
            caller.miss().await;
        }
        let frozen = caller.hits_p99().await;
        let mut open = Vec::new();
        for _ in 0..MISSES {
            open.push(caller.miss().await);
        }
        Ok::<_, Broken>((caller, before, first_miss, frozen, median(&open)))
    })?;
    let again = running.start_again().map_err(|missing| Broken(missing.to_string()))?;
    let recovery = runtime.block_on(caller.until_well())?;
    errors += caller.errors;
    *server = Some(again);
    let values = vec![first_miss, open_miss, before, frozen, frozen / before, recovery, errors as f64];
    Ok(Costs::whole(values, String::new()))
}

/// One who looks up, and counts what goes wrong.
struct Caller {
    shop: Shop,
    errors: usize,
    /// A key that nobody has asked for.
    next: u64,
}

impl Caller {
    async fn get(&mut self, id: u64) {
        let product = self.shop.get(id, || async move { load(id) }).await;
        if product.is_ok_and(|product| product.id == id) {
            return;
        }
        self.errors += 1;
    }

    async fn warm(&mut self) {
        for id in 0..HELD {
            self.get(id).await;
        }
    }

    /// What a lookup of a missing key takes, in milliseconds.
    async fn miss(&mut self) -> f64 {
        self.next += 1;
        let stopwatch = Stopwatch::start();
        self.get(self.next).await;
        stopwatch.read().wall().as_secs_f64() * 1e3
    }

    /// The 99th percentile of lookups that memory answers, in nanoseconds.
    async fn hits_p99(&mut self) -> f64 {
        let mut times = Vec::with_capacity(HITS);
        for number in 0..HITS as u64 {
            let began = wall();
            self.get(number * 7919 % HELD).await;
            times.push(wall().saturating_sub(began).as_nanos() as f64);
        }
        times.sort_by(f64::total_cmp);
        times[HITS * 99 / 100]
    }

    /// Looks up until the hub calls its store well; how long that took, in milliseconds.
    async fn until_well(&mut self) -> Result<f64, Broken> {
        let stopwatch = Stopwatch::start();
        while self.shop.condition() == Condition::Ill {
            if stopwatch.read().wall() > PATIENCE {
                return Err(Broken("its store is still ill".into()));
            }
            self.miss().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(stopwatch.read().wall().as_secs_f64() * 1e3)
    }
}
