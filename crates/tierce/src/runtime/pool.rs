//! A few threads for what is left to do when the thread that began it has gone on.
//!
//! Made when there is something to do, at most [`MOST_THREADS`]; one that has had nothing to do for [`IDLE`] ends.
//! Where no thread can be had, the work is given back.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::{Condvar, Mutex, lock, wait};

/// What is left to do. Must not panic.
pub(super) type Work = Box<dyn FnOnce() + Send>;

/// Refreshes of synchronous loaders mostly wait for a source, so a few more than cores; each blocks one of them.
const MOST_THREADS: usize = 8;

/// A busy cache refreshes many times a second: its threads stay; those of a rare refresh do not.
const IDLE: Duration = Duration::from_secs(1);

struct Pool {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { work: VecDeque::new(), threads: 0, idle: 0 });
static BELL: Condvar = Condvar::new();

/// Has work done on a thread of the pool. `Err` gives it back, where there is none and none can be made.
pub(super) fn run(work: Work) -> Result<(), Work> {
    let mut pool = lock(&POOL);
    if pool.idle <= pool.work.len() && pool.threads < MOST_THREADS {
        pool.threads += 1;
        drop(pool);
        let made = std::thread::Builder::new().name("tierce-loads".to_string()).spawn(serve);
        pool = lock(&POOL);
        if made.is_err() {
            pool.threads -= 1;
            if pool.threads == 0 {
                return Err(work);
            }
        }
    }
    pool.work.push_back(work);
    drop(pool);
    BELL.notify_one();
    Ok(())
}

fn serve() {
    let mut waited = false;
    loop {
        let mut pool = lock(&POOL);
        if let Some(work) = pool.work.pop_front() {
            drop(pool);
            work();
            waited = false;
            continue;
        }
        if waited {
            pool.threads -= 1;
            return;
        }
        pool.idle += 1;
        pool = wait(&BELL, pool, Some(IDLE));
        pool.idle -= 1;
        waited = true;
    }
}
