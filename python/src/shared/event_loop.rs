//! One event loop of asyncio's as a runtime of the engine's.
//!
//! **Its end.** A loop that shuts down as `asyncio.run` has it closes its async generators, and one of them is ours: its tasks are
//! dropped then, so that the engine tells those who wait elsewhere, and one of them loads. Where lookups of its own still wait
//! (other generators that end may look something up), they do so when the last of these has. A loop that is closed without
//! that is found closed by the other loops' alarms, which ring every 100 ms where somebody waits (`look_around`); one that
//! neither runs nor has anything to do is let go there as well, since who forgets to close a loop must not keep its files open. The
//! engine asks a runtime whether it is alive under a lock: that reads a flag, and never asks the loop itself, which is foreign code.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use pyo3_ffi as ffi;
use tierce::runtime::{self, BoxFuture, Id, Runtime};

use super::alarms::Alarms;
use super::attached::{cannot_raise, is_interrupt, is_interrupted};
use super::future::{tell, told_later};
use super::held::Held;
use super::hook::hook;
use super::lock::locked;
use super::names::names;
use super::queue::{Job, Queue};
use super::woken::Woken;
use crate::clock::system_ms;
use crate::interned::interned;
use crate::owned::{Owned, PyObject, Raised, Result, ask, attribute, text};
use crate::raised::{raised, restore};

/// How many tasks are polled in one entry before others of the loop's get their turn: a tenth of what asyncio calls slow
/// (`slow_callback_duration`, 100 ms), at 2 to 3 µs for each who is told of a value; with all that is asyncio's, one who waits costs
/// 20 µs (`python -m bench cached_waiters`).
const MOST_POLLS: usize = 4096;

pub(crate) struct Loop {
    /// asyncio's.
    pub(crate) object: Held,
    queue: Arc<Queue>,
    alarms: Arc<Alarms>,
    /// What the engine was given to run to its end.
    tasks: Mutex<BTreeMap<u64, Arc<Job>>>,
    last: AtomicU64,
    /// For when the loop was asked for an alarm, and its handle.
    armed: Mutex<Option<(u64, Held)>>,
    /// The generator that the loop closes when it shuts down.
    guard: Mutex<Option<Held>>,
    /// Its type makes tasks in a way of its own.
    makes_tasks: bool,
    /// Who waits is told in the call in which he is answered.
    tells_at_once: AtomicBool,
    runtime: Arc<dyn Runtime>,
    id: Id,
    /// How many loads run here.
    loads: AtomicUsize,
}

static LOOPS: Mutex<Vec<Arc<Loop>>> = Mutex::new(Vec::new());

/// How many loops there are.
pub(crate) fn count() -> usize {
    locked(&LOOPS).len()
}

/// The one of this object, unless it has ended.
pub(crate) fn known(object: *mut PyObject) -> Option<Arc<Loop>> {
    locked(&LOOPS).iter().find(|known| known.is(object)).cloned()
}

/// Ends the loops that were closed and did not say so, and those that do not run and have nothing to do.
pub(crate) unsafe fn look_around() -> Result<()> {
    let all = locked(&LOOPS).clone();
    for one in all {
        let object = one.object.as_ptr();
        if says(c"is_closed", object)? || one.is_idle() && !says(c"is_running", object)? && one.is_unused() {
            one.end();
        }
    }
    Ok(())
}

/// What a loop says of itself. One that cannot say anything says no.
unsafe fn says(name: &'static CStr, object: *mut PyObject) -> Result<bool> {
    match ask(name, &[object]) {
        Ok(said) => Ok(ptr::eq(said.as_ptr(), ffi::Py_True())),
        Err(Raised) if is_interrupt() => Err(Raised),
        Err(Raised) => {
            drop(raised());
            Ok(false)
        }
    }
}

/// In the child of a fork no loop of the parent's runs. What they hold is leaked: to drop a task of the parent's would run the
/// `finally` of what it waits in, on the parent's sockets. Nothing of them is polled, and nothing is asked.
pub(crate) fn forget() {
    let all = std::mem::take(&mut *locked(&LOOPS));
    all.iter().for_each(|one| _ = one.queue.end());
    std::mem::forget(all);
}

impl Loop {
    /// `runtime`: as the engine holds it: weakly, since flights and nodes may outlive it.
    pub(crate) unsafe fn begin(
        object: Owned,
        runtime: impl FnOnce(Weak<Loop>) -> Arc<dyn Runtime>,
    ) -> Result<Arc<Loop>> {
        let asks = |name| attribute(object.as_ptr(), name).map(Held::new);
        let queue = Arc::new(Queue::new(asks(c"call_soon")?, asks(c"call_soon_threadsafe")?));
        let is = |what| told_by(what, &object).map(|said| ptr::eq(said.as_ptr(), ffi::Py_True()));
        let (makes_tasks, tells_at_once) = (is(&names()?.makes_tasks)?, is(&names()?.tells_at_once)?);
        let made = Arc::new_cyclic(|me: &Weak<Loop>| Loop {
            object: Held::new(object),
            queue,
            alarms: Arc::default(),
            tasks: Mutex::default(),
            last: AtomicU64::new(0),
            armed: Mutex::new(None),
            guard: Mutex::new(None),
            makes_tasks,
            tells_at_once: AtomicBool::new(tells_at_once),
            runtime: runtime(me.clone()),
            id: Id::new(),
            loads: AtomicUsize::new(0),
        });
        let turn = made.hook(|one| one.called(|| one.queue.turn_came()))?;
        made.queue.set_turn(Held::new(turn));
        let end = made.hook(|one| {
            one.queue.close();
            one.end_if_over();
            Ok(())
        })?;
        let guard = told_by(&names()?.at_shutdown, &end)?;
        *locked(&made.guard) = Some(Held::new(guard));
        locked(&LOOPS).push(Arc::clone(&made));
        Ok(made)
    }

    /// A callable for the loop, which does nothing once this is gone.
    unsafe fn hook(self: &Arc<Self>, run: impl Fn(&Arc<Loop>) -> Result<()> + Send + Sync + 'static) -> Result<Owned> {
        let me = Arc::downgrade(self);
        hook(move || me.upgrade().map_or(Ok(()), |one| run(&one)))
    }

    /// Whether it is asyncio's of this object, and has not ended.
    pub(crate) fn is(&self, object: *mut PyObject) -> bool {
        ptr::eq(self.object.as_ptr(), object) && !self.has_ended()
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn alarms(&self) -> &Arc<Alarms> {
        &self.alarms
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(crate) fn makes_tasks(&self) -> bool {
        self.makes_tasks
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.has_ended()
    }

    /// Runs something as an entry of this loop, on its thread. The outermost polls what is ready before it returns.
    pub(crate) fn within<T>(self: &Arc<Self>, run: impl FnOnce() -> T) -> Result<T> {
        let _entered = runtime::enter(Arc::clone(&self.runtime));
        let mut after = Ok(());
        // SAFETY: entries are calls from CPython, with its lock held.
        let value = self.queue.within(run, || after = unsafe { self.poll_and_arm() });
        after.map(|()| value)
    }

    unsafe fn poll_and_arm(self: &Arc<Self>) -> Result<()> {
        let before = raised();
        let said = self.poll_ready();
        self.end_if_over();
        self.one_of(before, said)
    }

    unsafe fn poll_ready(self: &Arc<Self>) -> Result<()> {
        let mut left = MOST_POLLS;
        loop {
            let ready = self.queue.take(left);
            left -= ready.len();
            ready.iter().for_each(|job| self.poll(job));
            drop(ready);
            if left > 0 && !self.queue.is_empty() {
                continue;
            }
            // To ask the loop for something runs its own code, which may wake somebody: the last look comes after it.
            let armed = self.arm();
            let is_left = !self.queue.is_empty();
            if !is_left || left == 0 || armed.is_err() {
                if !self.tells_at_once() {
                    self.queue.take_woken().into_iter().for_each(|one| told_later(one, Some(&self.queue)));
                }
                self.queue.leave_rest();
                return armed;
            }
        }
    }

    /// Runs something as an entry that the loop itself has called: those who are answered meanwhile go on before it returns, and what
    /// waited for them to ask again is polled.
    pub(crate) unsafe fn called(self: &Arc<Self>, run: impl FnOnce()) -> Result<()> {
        let before = raised();
        let said = self.run_and_tell(run);
        self.one_of(before, said)
    }

    unsafe fn run_and_tell(self: &Arc<Self>, run: impl FnOnce()) -> Result<()> {
        if !self.tells_at_once() {
            return self.within(run);
        }
        let Some(followed) = self.queue.follow() else {
            if !self.queue.is_here() {
                // The loop runs inside a task that is told: whoever told it looks again too late.
                self.tells_at_once.store(false, Ordering::Release);
                self.queue.unfollow();
            }
            return self.within(run);
        };
        let said = self.within(run).and_then(|()| self.tell_woken());
        drop(followed);
        if matches!(said, Ok(false)) {
            self.queue.leave_rest();
            return Ok(());
        }
        let after = self.within(|| self.queue.let_later_in());
        said.and(after)
    }

    /// Whether who waits is told in the call in which he is answered.
    unsafe fn tells_at_once(&self) -> bool {
        self.tells_at_once.load(Ordering::Acquire) && !may_nest()
    }

    /// Whoever called is told of what was raised first alone.
    unsafe fn one_of(&self, before: Option<Owned>, said: Result<()>) -> Result<()> {
        let is_second = said.is_err() && before.is_some();
        if is_second {
            cannot_raise(self.object.as_ptr());
        }
        restore(before);
        if is_second { Ok(()) } else { said }
    }

    /// Tells those who were answered; whether there were any.
    unsafe fn tell_woken(&self) -> Result<bool> {
        // An interrupt that is kept is this call's, which ends with it, and not of the task that is told first.
        if is_interrupted() {
            return Ok(false);
        }
        let mut woken = self.queue.take_woken().into_iter();
        if woken.len() == 0 {
            return Ok(false);
        }
        let task = names().and_then(|names| told_by(&names.current_task, &self.object.share()));
        let is_inside = task.map(|task| !ptr::eq(task.as_ptr(), ffi::Py_None()));
        if matches!(is_inside, Ok(true)) {
            // Inside one of its tasks no other one can go on.
            woken.by_ref().for_each(|one| told_later(one, Some(&self.queue)));
        }
        let mut said = is_inside.map(drop);
        let mut left = MOST_POLLS;
        while said.is_ok()
            && left > 0
            && let Some(one) = woken.next()
        {
            said = tell(&one);
            left -= 1;
        }
        self.leave(woken);
        said.map(|_| true)
    }

    fn poll(&self, job: &Arc<Job>) {
        if job.poll()
            && let Some(place) = job.place
        {
            let over = locked(&self.tasks).remove(&place);
            drop(over);
        }
    }

    /// Asks the loop to call when the earliest alarm rings, if it does not yet.
    unsafe fn arm(self: &Arc<Self>) -> Result<()> {
        let Some(at_ms) = self.alarms.earliest_ms().filter(|_| !self.has_ended()) else { return Ok(()) };
        let older = {
            let mut armed = locked(&self.armed);
            if armed.as_ref().is_some_and(|(armed_ms, _)| *armed_ms <= at_ms) {
                return Ok(());
            }
            armed.take()
        };
        if let Some((_, handle)) = older {
            ask(c"cancel", &[handle.as_ptr()])?;
        }
        let ring = self.hook(Loop::ring)?;
        let wait_s = Duration::from_millis(at_ms.saturating_sub(system_ms())).as_secs_f64();
        let wait_s = Owned::steal(ffi::PyFloat_FromDouble(wait_s))?;
        let handle = ask(c"call_later", &[self.object.as_ptr(), wait_s.as_ptr(), ring.as_ptr()])?;
        let stale = locked(&self.armed).replace((at_ms, Held::new(handle)));
        drop(stale);
        Ok(())
    }

    /// An alarm rings.
    fn ring(self: &Arc<Self>) -> Result<()> {
        let rang = locked(&self.armed).take();
        drop(rang);
        // SAFETY: the loop has called, with the interpreter's lock held.
        unsafe {
            let looked = look_around();
            let due = self.alarms.due();
            let called = self.called(|| due.into_iter().for_each(std::task::Waker::wake));
            looked.and(called)
        }
    }

    /// Those who are answered and were not told are told by the next call; once this has ended, each by one of his own.
    unsafe fn leave(&self, woken: impl Iterator<Item = Woken>) {
        if self.has_ended() {
            woken.for_each(|one| told_later(one, Some(&self.queue)));
        } else {
            self.queue.put_back(woken);
        }
    }

    /// Whether it has nothing to do: what it keeps connections with is not for its own sake.
    fn is_idle(&self) -> bool {
        !self.queue.has_lookups() && self.loads.load(Ordering::Acquire) == 0
    }

    /// A load begins here, or ends.
    pub(crate) fn loads(&self) -> &AtomicUsize {
        &self.loads
    }

    /// Whether nobody is about to give it something to do: but for the list of all, who asks is the only one who has it. With the
    /// interpreter's lock held, without which nobody gets hold of it.
    fn is_unused(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 2 && self.is_idle()
    }

    fn end_if_over(&self) {
        if self.queue.is_over() {
            self.end();
        }
    }

    /// Nothing of it will be polled again: all that it was given is dropped, which tells those who wait for it.
    fn end(&self) {
        if !self.queue.end() {
            return;
        }
        let place = |all: &Vec<Arc<Loop>>| all.iter().position(|one| ptr::eq(&raw const **one, self));
        let me = {
            let mut all = locked(&LOOPS);
            place(&all).map(|at| all.swap_remove(at))
        };
        self.drop_all();
        let guard = locked(&self.guard).take();
        let woken = self.queue.take_woken();
        // SAFETY: a loop is ended inside an entry, with the interpreter's lock held.
        unsafe {
            woken.into_iter().for_each(|one| told_later(one, Some(&self.queue)));
            if let Some(guard) = &guard {
                release(guard);
            }
        }
        drop((guard, me));
    }

    fn drop_all(&self) {
        let tasks = std::mem::take(&mut *locked(&self.tasks));
        tasks.values().for_each(|job| job.kill());
        let armed = locked(&self.armed).take();
        drop((tasks, armed));
    }

    pub(crate) fn spawn(&self, task: BoxFuture) {
        let place = self.last.fetch_add(1, Ordering::Relaxed);
        let job = Job::new(task, &self.queue, Some(place));
        if self.has_ended() {
            return;
        }
        locked(&self.tasks).insert(place, Arc::clone(&job));
        self.queue.push(job);
    }

    /// Tells the loop of an error that nobody waits for.
    pub(crate) unsafe fn report(object: *mut PyObject, sentence: &str, error: *mut PyObject) {
        let before = raised();
        if tell_of(object, sentence, error).is_err() {
            cannot_raise(object);
        }
        restore(before);
    }
}

/// Whether a loop may run inside its own tasks, as nest_asyncio has it; with its name alone, since loops are patched at any time.
unsafe fn may_nest() -> bool {
    let name = interned(c"nest_asyncio");
    !name.is_null() && !ffi::PyDict_GetItemWithError(ffi::PyImport_GetModuleDict(), name).is_null()
}

unsafe fn told_by(function: &Held, argument: &Owned) -> Result<Owned> {
    let arguments = [argument.as_ptr()];
    Owned::steal(ffi::PyObject_Vectorcall(function.as_ptr(), arguments.as_ptr(), 1, ptr::null_mut()))
}

/// Ends the generator of a loop, which otherwise would ask it for a task to do so.
unsafe fn release(guard: &Held) {
    let before = raised();
    if names().and_then(|names| told_by(&names.release, &guard.share())).is_err() {
        cannot_raise(guard.as_ptr());
    }
    restore(before);
}

unsafe fn tell_of(object: *mut PyObject, sentence: &str, error: *mut PyObject) -> Result<()> {
    let context = Owned::steal(ffi::PyDict_New())?;
    let message = text(sentence)?;
    for (name, value) in [(c"message", message.as_ptr()), (c"exception", error)] {
        if ffi::PyDict_SetItemString(context.as_ptr(), name.as_ptr(), value) < 0 {
            return Err(Raised);
        }
    }
    ask(c"call_exception_handler", &[object, context.as_ptr()]).map(|_| ())
}
