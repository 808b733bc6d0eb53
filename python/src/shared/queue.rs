//! The tasks of one loop that are to be polled, and how a task gets there from wherever it is woken.
//!
//! A task that wakes itself while it is polled lets the loop go first: it is polled in the loop's next turn. So a connection that
//! has given answers out waits until who got them has asked again, and writes what all of them ask at once.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};

use pyo3_ffi as ffi;
use tierce::runtime::BoxFuture;

use super::attached::{attach, cannot_raise};
use super::held::Held;
use super::lock::locked;
use super::woken::Woken;
use crate::owned::Owned;
use crate::raised::{raised, restore};

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
    /// Nothing comes in once it has ended, which is said under this lock.
    ready: Mutex<VecDeque<Arc<Job>>>,
    /// What waits for the next turn; as `ready`.
    later: Mutex<Vec<Arc<Job>>>,
    /// Those whose answers have come, who are told when what is ready has been polled.
    woken: Mutex<Vec<Woken>>,
    /// Whoever has called looks again at what is left: no turn is asked for.
    followed: AtomicBool,
    /// A turn has been asked for that has not come.
    asked: AtomicBool,
    ended: AtomicBool,
    /// It ends with its last lookup.
    closing: AtomicBool,
    /// How many lookups there are that somebody awaits, or may.
    lookups: AtomicUsize,
    /// The loop's `call_soon`, for its own thread, and `call_soon_threadsafe`; and what they are given.
    call_soon: Held,
    call_soon_threadsafe: Held,
    turn: OnceLock<Held>,
}

/// A future that is polled on one loop.
pub(crate) struct Job {
    work: Mutex<Work>,
    queued: AtomicBool,
    is_polled: AtomicBool,
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
    pub(crate) fn new(call_soon: Held, call_soon_threadsafe: Held) -> Queue {
        Queue {
            ready: Mutex::default(),
            later: Mutex::default(),
            woken: Mutex::default(),
            followed: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            lookups: AtomicUsize::new(0),
            call_soon,
            call_soon_threadsafe,
            turn: OnceLock::new(),
        }
    }

    /// What is to be called for a turn.
    pub(crate) fn set_turn(&self, turn: Held) {
        let _ = self.turn.set(turn);
    }

    /// The turn that was asked for has come.
    pub(crate) fn turn_came(&self) {
        self.asked.store(false, Ordering::Release);
        self.let_later_in();
    }

    /// What waits for the next turn need not wait any more.
    pub(crate) fn let_later_in(&self) {
        let later = std::mem::take(&mut *locked(&self.later));
        locked(&self.ready).extend(later);
    }

    /// Asks for a turn if something is left, and nobody looks again.
    pub(crate) fn leave_rest(&self) {
        let is_left = || !self.is_empty() || !locked(&self.later).is_empty() || !locked(&self.woken).is_empty();
        if !self.followed.load(Ordering::Acquire) && is_left() {
            self.ask_for_turn();
        }
    }

    /// Until this is dropped, whoever calls looks again at what is left. None inside an entry, or where somebody does so.
    pub(crate) fn follow(self: &Arc<Queue>) -> Option<Followed> {
        let is_new = !self.is_here() && !self.followed.swap(true, Ordering::AcqRel);
        is_new.then(|| Followed(Arc::clone(self)))
    }

    /// Turns are asked for again.
    pub(crate) fn unfollow(&self) {
        self.followed.store(false, Ordering::Release);
    }

    /// Somebody's answer has come. Given back once the loop has ended.
    pub(crate) fn push_woken(&self, woken: Woken) -> Option<Woken> {
        if self.has_ended() {
            return Some(woken);
        }
        locked(&self.woken).push(woken);
        if !self.is_here() {
            self.ask_for_turn();
        }
        None
    }

    /// All who are to be told now.
    pub(crate) fn take_woken(&self) -> Vec<Woken> {
        std::mem::take(&mut *locked(&self.woken))
    }

    /// Those of them who were not told come first the next time.
    pub(crate) fn put_back(&self, rest: impl IntoIterator<Item = Woken>) {
        locked(&self.woken).splice(..0, rest);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Nothing is polled any more; whether it was not so before.
    pub(crate) fn end(&self) -> bool {
        let (was_open, rest) = {
            let mut ready = locked(&self.ready);
            (!self.ended.swap(true, Ordering::AcqRel), std::mem::take(&mut *ready))
        };
        let later = std::mem::take(&mut *locked(&self.later));
        drop((rest, later));
        was_open
    }

    /// It ends when its last lookup has.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether it is to end now.
    pub(crate) fn is_over(&self) -> bool {
        self.closing.load(Ordering::Acquire) && !self.has_lookups() && !self.has_ended()
    }

    pub(crate) fn has_lookups(&self) -> bool {
        self.lookups.load(Ordering::Acquire) > 0
    }

    /// A lookup has come to its end, or its caller left.
    fn lookup_ends(&self) {
        let was_last = self.lookups.fetch_sub(1, Ordering::AcqRel) == 1;
        // Elsewhere whoever polls looks.
        if was_last && self.is_over() && !self.is_here() {
            self.ask_for_turn();
        }
    }

    /// So many of those that are ready, at most, to be polled by the caller.
    pub(crate) fn take(&self, most: usize) -> VecDeque<Arc<Job>> {
        let mut ready = locked(&self.ready);
        let count = most.min(ready.len());
        let rest = ready.split_off(count);
        std::mem::replace(&mut *ready, rest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        locked(&self.ready).is_empty()
    }

    pub(crate) fn push(&self, job: Arc<Job>) {
        if job.is_polled.load(Ordering::Acquire) {
            let mut later = locked(&self.later);
            if !self.has_ended() {
                later.push(job);
            }
        } else {
            let mut ready = locked(&self.ready);
            if !self.has_ended() {
                ready.push_back(job);
            }
        }
        // Inside an entry of this loop the outermost one polls it, or asks for its turn.
        if !self.is_here() {
            self.ask_for_turn();
        }
    }

    pub(crate) fn is_here(&self) -> bool {
        ptr::eq(HERE.get(), self)
    }

    /// Asks the loop for a turn, from whatever thread, unless one is to come. No lock is held here: this waits for the
    /// interpreter's, and runs the loop's own code.
    pub(crate) fn ask_for_turn(&self) {
        if self.has_ended() || self.asked.swap(true, Ordering::AcqRel) {
            return;
        }
        // SAFETY: the interpreter's lock is held where it runs.
        let asked = attach(|| unsafe { self.call_for_turn() });
        if asked != Some(true) {
            self.asked.store(false, Ordering::Release);
        }
    }

    /// Whether the loop will call. An exception that was set before is kept.
    unsafe fn call_for_turn(&self) -> bool {
        let Some(turn) = self.turn.get() else { return false };
        let function = if self.is_here() { &self.call_soon } else { &self.call_soon_threadsafe };
        let (before, function, arguments) = (raised(), function.as_ptr(), [turn.as_ptr()]);
        let mut said = None;
        // A second time, where something raised that was not the loop, which refuses once it is closed.
        for _ in 0..2 {
            said = Owned::steal(ffi::PyObject_Vectorcall(function, arguments.as_ptr(), 1, ptr::null_mut())).ok();
            if said.is_some() || refused() {
                break;
            }
            cannot_raise(function);
        }
        restore(before);
        said.is_some()
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

/// Whether the exception that is set is a closed loop's, which is let go: whoever looks next finds that out.
pub(crate) unsafe fn refused() -> bool {
    let is = |kind| ffi::PyErr_ExceptionMatches(kind) != 0;
    let is_refusal = is(ffi::PyExc_RuntimeError) && !is(ffi::PyExc_RecursionError);
    if is_refusal {
        drop(raised());
    }
    is_refusal
}

pub(crate) struct Followed(Arc<Queue>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.followed.store(false, Ordering::Release);
    }
}

impl Job {
    pub(crate) fn new(work: BoxFuture, home: &Arc<Queue>, place: Option<u64>) -> Arc<Job> {
        LIVE.fetch_add(1, Ordering::Relaxed);
        if place.is_none() {
            home.lookups.fetch_add(1, Ordering::AcqRel);
        }
        let (work, home) = (Mutex::new(Work::Waits(work)), Arc::downgrade(home));
        // Whoever makes it polls it, or queues it.
        Arc::new(Job { work, queued: AtomicBool::new(true), is_polled: AtomicBool::new(false), home, place })
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
        self.is_polled.store(true, Ordering::Release);
        let is_over = future.as_mut().poll(&mut context).is_ready();
        self.is_polled.store(false, Ordering::Release);
        let mut ends = false;
        let rest = {
            let mut work = locked(&self.work);
            match *work {
                Work::Polled if !is_over => {
                    *work = Work::Waits(future);
                    None
                }
                _ => {
                    ends = !matches!(std::mem::replace(&mut *work, Work::Over), Work::Over);
                    Some(future)
                }
            }
        };
        drop(rest);
        self.ends(ends);
        is_over
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(*locked(&self.work), Work::Over)
    }

    /// Drops what it does.
    pub(crate) fn kill(&self) {
        let work = std::mem::replace(&mut *locked(&self.work), Work::Over);
        let ends = !matches!(work, Work::Over);
        drop(work);
        self.ends(ends);
    }

    /// What it was has ended, once.
    fn ends(&self, ends: bool) {
        if ends
            && self.place.is_none()
            && let Some(home) = self.home.upgrade()
        {
            home.lookup_ends();
        }
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
        self.kill();
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}
