//! A few threads for what is left to do when the thread that began it has gone on.
//!
//! Made when there is something to do, at most [`MOST_THREADS`]; one that has had nothing to do for [`IDLE`] ends.
//! Where no thread is free and none can be made, the work is given back: nothing waits here without being done, since a
//! thread of the pool may itself wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
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

/// Has work done on a thread of the pool. `Err` gives it back, where none is free and none can be made.
pub(super) fn run(work: Work) -> Result<(), Work> {
    let mut pool = lock(&POOL);
    if pool.idle > pool.work.len() {
        pool.work.push_back(work);
        drop(pool);
        BELL.notify_one();
        return Ok(());
    }
    if pool.threads == MOST_THREADS {
        return Err(work);
    }
    pool.threads += 1;
    drop(pool);
    // A thread that could not be made drops what it was to begin with, so that is handed over beside it.
    let first = Arc::new(Mutex::new(Some(work)));
    let begun = Arc::clone(&first);
    let made = std::thread::Builder::new().name("tierce-loads".to_string()).spawn(move || serve(&begun));
    if made.is_err() {
        lock(&POOL).threads -= 1;
        return lock(&first).take().map_or(Ok(()), Err);
    }
    Ok(())
}

/// This process is the child of a fork: the threads are not here, and what they had left to do is the parent's.
pub(super) fn forked() {
    // One of the parent's may have held the lock, and nobody lets it go here: who waited for it would wait for ever.
    if let Ok(mut pool) = POOL.try_lock() {
        // What is left there is leaked: to drop it here would end what the parent's callers wait for.
        std::mem::forget(std::mem::take(&mut pool.work));
        (pool.threads, pool.idle) = (0, 0);
    }
}

fn serve(first: &Mutex<Option<Work>>) {
    let work = lock(first).take();
    if let Some(work) = work {
        work();
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_no_thread_is_free_for_is_given_back_and_nothing_waits_undone() {
        let all_at_once = Arc::new(Barrier::new(MOST_THREADS + 1));
        let (done, ended) = channel();
        let work = || -> Work {
            let (all_at_once, done) = (Arc::clone(&all_at_once), done.clone());
            Box::new(move || {
                all_at_once.wait();
                done.send(()).expect("the test waits");
            })
        };
        for _ in 0..MOST_THREADS {
            assert!(run(work()).is_ok());
        }
        // Each runs beside the others, or they would wait for each other for ever; for one more there is no room.
        let Err(given_back) = run(work()) else { panic!("there is no thread for it") };
        given_back();
        for _ in 0..=MOST_THREADS {
            ended.recv().expect("each says that it ended");
        }
    }
}
