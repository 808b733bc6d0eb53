//! Many callers of one key: how often the loader runs, what the callers get, how long it takes.
//!
//! The first call of the loader waits until every caller has arrived, so that nobody comes late;
//! from then on a call takes [`LOADER_TAKES`] ([`SLOW_LOADER_TAKES`] in the slow case).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::Subject;
use crate::args::Args;
use crate::loading::{Cached, Failure, Foyer, Loading, Moka, QuickCache};
use crate::measure::Stopwatch;
use crate::ours;
use crate::report::Report;
use crate::rounds::{Costs, Outcome, interleave};

const UNITS: &[&str] = &["loader_calls", "answers_ok", "answers_err", "wall_ms"];

/// Long against waking ten thousand tasks' worth of registrations, short against patience.
const LOADER_TAKES: Duration = Duration::from_millis(20);
/// In the slow case, where every second caller gives up long before.
const SLOW_LOADER_TAKES: Duration = Duration::from_millis(500);
const CALLERS_GIVE_UP: Duration = Duration::from_millis(100);
/// Callers of a failing loader where each waiter runs it again: the loads stand in a row.
const CALLERS_IN_SERIES: usize = 100;
/// The one key.
const KEY: u64 = 7;
/// What a loader panics with, so that only these panics are kept off the screen.
const PANIC: &str = "the loader panics because the bench told it to";

/// What the loader does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    Ok,
    Failing,
    /// Panics at its first call only.
    Panicking,
    /// Takes long; callers of even number give up.
    Slow,
    /// Well, but its first caller is cancelled while it runs.
    CancelledFirst,
}

/// Runs the stampedes asked for.
pub(crate) fn run(args: &Args, report: &mut Report) {
    silence_intended_panics();
    let tempers = [Temper::Ok, Temper::Failing, Temper::Panicking, Temper::Slow, Temper::CancelledFirst];
    for (name, temper) in Subject::Stampede.cases().iter().zip(tempers) {
        if !args.wants(name) {
            continue;
        }
        let contenders = args.contenders(Subject::Stampede.contenders());
        let rows = interleave(
            name,
            &contenders,
            args.rounds,
            |_| (),
            |contender, ()| {
                let callers = args.callers;
                match contender {
                    "ours" => round::<ours::Loads>(temper, callers),
                    "moka" => round::<Moka>(temper, callers),
                    "quick_cache" => round::<QuickCache>(temper, callers),
                    "foyer" => round::<Foyer>(temper, callers),
                    _ => round::<Cached>(temper, callers),
                }
            },
        );
        report.case(name, UNITS, &rows);
    }
}

/// One stampede on a runtime of its own.
fn round<L: Loading>(temper: Temper, callers: usize) -> Outcome {
    let in_series = L::FAILS_IN_SERIES && temper == Temper::Failing;
    let callers = if in_series { callers.min(CALLERS_IN_SERIES) } else { callers };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(|_| "no runtime to be had")?;
    let stopwatch = Stopwatch::start();
    let (answers, calls) = runtime.block_on(stampede::<L>(temper, callers));
    let wall_ms = stopwatch.read().wall().as_secs_f64() * 1000.0;
    let err = callers - answers.ok - answers.left;
    let note = match (in_series, answers.left) {
        (true, _) => format!("{callers} callers: waiters of a failed load run it one by one"),
        (false, 0) => format!("{callers} callers"),
        (false, left) => format!("{callers} callers, {left} left"),
    };
    let values = vec![calls as f64, answers.ok as f64, err as f64, wall_ms];
    Ok(Costs { apart: in_series, ..Costs::whole(values, note) })
}

/// What the callers got; the rest got an error or a panic.
#[derive(Debug, Default)]
struct Answers {
    ok: usize,
    /// Cancelled, or gave up.
    left: usize,
}

async fn stampede<L: Loading>(temper: Temper, callers: usize) -> (Answers, u64) {
    let (open, gate) = watch::channel(false);
    let shared = Arc::new(Shared {
        cache: L::new(1000),
        temper,
        callers,
        calls: AtomicU64::new(0),
        loading: Notify::new(),
        arrived: AtomicUsize::new(0),
        all_arrived: Notify::new(),
        gate,
    });
    let mut tasks = JoinSet::new();
    // The first caller alone, so that it is the one whose call loads.
    let first = tasks.spawn(Arc::clone(&shared).call(0));
    shared.loading.notified().await;
    for number in 1..callers {
        tasks.spawn(Arc::clone(&shared).call(number));
    }
    shared.all_arrived.notified().await;
    if temper == Temper::CancelledFirst {
        first.abort();
    }
    open.send_replace(true);
    let mut answers = Answers::default();
    while let Some(answer) = tasks.join_next().await {
        match answer {
            Ok(Some(Ok(_))) => answers.ok += 1,
            Ok(None) => answers.left += 1,
            Err(error) if error.is_cancelled() => answers.left += 1,
            Ok(Some(Err(_))) | Err(_) => {}
        }
    }
    (answers, shared.calls.load(Relaxed))
}

/// What the callers and the loader of one stampede share.
struct Shared<L> {
    cache: L,
    temper: Temper,
    callers: usize,
    calls: AtomicU64,
    loading: Notify,
    arrived: AtomicUsize,
    all_arrived: Notify,
    gate: watch::Receiver<bool>,
}

impl<L: Loading> Shared<L> {
    /// One caller; `None` when it gave up.
    async fn call(self: Arc<Self>, number: usize) -> Option<Result<u64, L::Error>> {
        if self.arrived.fetch_add(1, Relaxed) + 1 == self.callers {
            self.all_arrived.notify_one();
        }
        let shared = Arc::clone(&self);
        let answer = self.cache.get_or_load(&KEY, move || shared.load());
        if self.temper == Temper::Slow && number.is_multiple_of(2) {
            return tokio::time::timeout(CALLERS_GIVE_UP, answer).await.ok();
        }
        Some(answer.await)
    }

    /// The loader.
    async fn load(self: Arc<Self>) -> Result<u64, Failure> {
        let call = self.calls.fetch_add(1, Relaxed) + 1;
        self.loading.notify_one();
        let mut gate = self.gate.clone();
        // An error means that the stampede is over and nobody listens.
        let _ = gate.wait_for(|open| *open).await;
        let slow = self.temper == Temper::Slow;
        tokio::time::sleep(if slow { SLOW_LOADER_TAKES } else { LOADER_TAKES }).await;
        match self.temper {
            Temper::Failing => Err(Failure),
            Temper::Panicking if call == 1 => std::panic::panic_any(PANIC),
            _ => Ok(call),
        }
    }
}

fn silence_intended_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&PANIC) {
            usual(info);
        }
    }));
}
