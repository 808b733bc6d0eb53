//! The tasks of one loop that are to be polled, and how a task gets there from wherever it is woken.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Wake, Waker};

use pyo3_ffi as ffi;
use tierce::runtime::BoxFuture;

use super::attached::attach;
use super::held::Held;
use crate::owned::Owned;

thread_local! {
    /// The loop whose entry this thread is in.
    static HERE: Cell<*const Queue> = const { Cell::new(ptr::null()) };
}

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many tasks there are in the process.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

pub(crate) struct Queue {
    ready: Mutex<Vec<Arc<Job>>>,
    /// A turn has been asked for that has not come.
    asked: AtomicBool,
    ended: AtomicBool,
    /// The loop's `call_soon_threadsafe`, and what it is given.
    call_soon_threadsafe: Held,
    turn: OnceLock<Held>,
}

/// A future that is polled on one loop.
pub(crate) struct Job {
    work: Mutex<Work>,
    queued: AtomicBool,
    home: Weak<Queue>,
    /// Where its loop holds it, if that does.
    pub(crate) place: Option<u64>,
}

enum Work {
    Waits(BoxFuture),
    /// It is being polled: its future is with who polls.
    Polled,
    Over,
}

impl Queue {
    pub(crate) fn new(call_soon_threadsafe: Held) -> Queue {
        Queue {
            ready: Mutex::default(),
            asked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            call_soon_threadsafe,
            turn: OnceLock::new(),
        }
    }

    /// What is to be called for a turn.
    pub(crate) fn set_turn(&self, turn: Held) {
        let _ = self.turn.set(turn);
    }

    pub(crate) fn turn(&self) -> Option<&Held> {
        self.turn.get()
    }

    /// The turn that was asked for has come.
    pub(crate) fn turn_came(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Whether somebody has to ask for a turn: nobody has.
    pub(crate) fn has_to_ask(&self) -> bool {
        !self.asked.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Nothing is polled any more; whether it was not so before.
    pub(crate) fn end(&self) -> bool {
        let was_open = !self.ended.swap(true, Ordering::AcqRel);
        drop(self.take());
        was_open
    }

    /// What is ready, to be polled by the caller.
    pub(crate) fn take(&self) -> Vec<Arc<Job>> {
        std::mem::take(&mut *locked(&self.ready))
    }

    pub(crate) fn is_empty(&self) -> bool {
        locked(&self.ready).is_empty()
    }

    pub(crate) fn push(&self, job: Arc<Job>) {
        if self.has_ended() {
            return;
        }
        locked(&self.ready).push(job);
        // Inside an entry of this loop the outermost one polls it.
        if !ptr::eq(HERE.get(), self) && self.has_to_ask() {
            self.ask_from_afar();
        }
    }

    /// No lock is held here: this waits for the interpreter's, and runs the loop's own code.
    fn ask_from_afar(&self) {
        let Some(turn) = self.turn() else { return };
        let asked = attach(|| {
            let arguments = [turn.as_ptr()];
            // SAFETY: the interpreter's lock is held, and an exception that was set before is kept.
            unsafe {
                let before = crate::raised::raised();
                let function = self.call_soon_threadsafe.as_ptr();
                let said = ffi::PyObject_Vectorcall(function, arguments.as_ptr(), 1, ptr::null_mut());
                let said = Owned::steal(said);
                // A loop that is closed refuses; whoever looks next finds that out.
                ffi::PyErr_Clear();
                crate::raised::restore(before);
                said.is_ok()
            }
        });
        if asked != Some(true) {
            self.turn_came();
        }
    }

    /// Runs something as an entry of this loop. Whether it is the outermost one, which has to poll what is ready, is told it
    /// and to `after`.
    pub(crate) fn within<T>(&self, run: impl FnOnce() -> T, after: impl FnOnce()) -> T {
        let before = HERE.replace(ptr::from_ref(self));
        let _restore = Restore(before);
        let value = run();
        if !ptr::eq(before, self) {
            after();
        }
        value
    }
}

struct Restore(*const Queue);

impl Drop for Restore {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

impl Job {
    pub(crate) fn new(work: BoxFuture, home: &Arc<Queue>, place: Option<u64>) -> Arc<Job> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        let (work, home) = (Mutex::new(Work::Waits(work)), Arc::downgrade(home));
        // Whoever makes it polls it, or queues it.
        Arc::new(Job { work, queued: AtomicBool::new(true), home, place })
    }

    /// Polls it once; whether it is over.
    pub(crate) fn poll(self: &Arc<Job>) -> bool {
        self.queued.store(false, Ordering::Release);
        let mut future = {
            let mut work = locked(&self.work);
            match std::mem::replace(&mut *work, Work::Polled) {
                Work::Waits(future) => future,
                other => {
                    *work = other;
                    return false;
                }
            }
        };
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        let is_over = future.as_mut().poll(&mut context).is_ready();
        let rest = {
            let mut work = locked(&self.work);
            match *work {
                Work::Polled if !is_over => {
                    *work = Work::Waits(future);
                    None
                }
                _ => {
                    *work = Work::Over;
                    Some(future)
                }
            }
        };
        drop(rest);
        is_over
    }

    /// Drops what it does.
    pub(crate) fn kill(&self) {
        let work = std::mem::replace(&mut *locked(&self.work), Work::Over);
        drop(work);
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel)
            && let Some(home) = self.home.upgrade()
        {
            home.push(self);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
