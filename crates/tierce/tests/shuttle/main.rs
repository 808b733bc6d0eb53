//! What two threads can do to each other between any two steps: shards, flights, tag cells, circles of loads.
//!
//! The model checker runs each check some thousand times, each time in another order of the threads' steps: half of
//! them drawn at random, half by the PCT scheduler, which needs few switches to meet a bug of small depth (Burckhardt
//! et al., ASPLOS 2010). A failing schedule is printed, with the words to replay it. Only with `--cfg tierce_shuttle`,
//! under which `crate::sync` is shuttle's; memory orders weaker than sequential consistency are not modelled.
#![cfg(tierce_shuttle)]

mod circles;
mod flights;
mod memory;
#[cfg(tierce_mutants)]
mod mutants;
mod source;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use tierce::runtime::{BoxFuture, Runtime, enter};

/// Schedules a check and scheduler: all checks together then take less than a minute.
const SCHEDULES: usize = 5000;

/// Switches that PCT places in a schedule: most bugs of concurrency need at most three (the same paper, table 2).
const PCT_DEPTH: usize = 3;

/// About as many steps as one load has.
const MOST_STEPS_AHEAD: u32 = 40;

/// The default of 32 KiB is too little for a load's frames without optimisation.
const STACK_BYTES: usize = 256 * 1024;

/// Runs a check in many orders.
fn check(body: fn()) {
    run(RandomScheduler::new(SCHEDULES), body);
    run(PctScheduler::new(PCT_DEPTH, SCHEDULES), body);
}

fn run(scheduler: impl Scheduler + 'static, body: fn()) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    Runner::new(scheduler, config).run(body);
}

/// Lets others go ahead by some steps: a change that comes at once would come before any load has begun.
fn linger() {
    for _ in 0..shuttle::rand::thread_rng().gen_range(0..MOST_STEPS_AHEAD) {
        shuttle::thread::yield_now();
    }
}

/// A runtime of the model checker's threads: one for each load. Its time stands still.
struct Threads;

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture) {
        drop(shuttle::thread::spawn(move || on_threads(task)));
    }

    fn sleep(&self, _: Duration) -> BoxFuture {
        Box::pin(std::future::pending())
    }

    fn alive(&self) -> bool {
        true
    }
}

/// Runs a future on this thread, its loads on others.
fn on_threads<R>(future: impl Future<Output = R>) -> R {
    let _entered = enter(Arc::new(Threads));
    block_on(future)
}
