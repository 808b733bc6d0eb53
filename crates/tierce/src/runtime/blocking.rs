//! The blocking face: a thread that waits for a future is the runtime of what that future starts.
//!
//! Each [`block_on`] is a runtime of its own, a [`Call`]. Its thread polls the future, then the tasks that this spawned,
//! and sleeps until one of them is woken or an alarm is due. So a load that a blocked thread began runs on that thread:
//! a synchronous loader finds its own thread-locals, one that calls itself recurses, and the stack by which a load that
//! waits for itself is found (`cache/cycle.rs`) is the thread's own.
//!
//! What is left when the future has ended, say a refresh behind a stale value, the pool drives to its end (`pool.rs`), or this
//! thread where the pool has no thread free.
//!
//! Foreign synchronous code inside a poll ([`aside`]) sees no runtime of ours: a lookup that it makes on another
//! runtime's `block_on` would otherwise spawn its load here, where nobody polls before it returns.
//!
//! Locks: a call's state alone; no poll, wake, clone or drop of a waker or future happens under it.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::entered::{Guard, enter, leave};
use super::face::{BoxFuture, Runtime};
use super::pool;
use crate::clock::Clock;
use crate::sync::{Condvar, Mutex, lock, wait};

/// Runs a future to its end on this thread, for callers that are not async.
///
/// Any of the crate's futures can be waited for so, outside any runtime: lookups, loads, invalidations. What it spawns
/// runs on this thread too; what is left when it has ended, say a refresh behind a stale value, goes on on a few threads
/// of the crate's own. Futures that need a runtime of their own kind, such as tokio's sockets, need that one entered.
///
/// Do not call it from async code: it blocks the thread, and with it whatever else was to run there.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lamps = tierce::Hub::embedded().local_cache::<u64, String>("lamp").build();
/// let load = || async { Ok::<_, std::io::Error>("a lamp".to_string()) };
/// assert_eq!(tierce::block_on(lamps.get_or_load(&7, load))?, "a lamp");
/// # Ok(()) }
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let call = Call::new();
    let _rest = Rest(&call);
    let waker = Waker::from(Arc::clone(&call));
    let mut future = pin!(future);
    call.wake_by_ref();
    loop {
        if call.take_ring() {
            let _here = call.enter();
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        if !call.turn() {
            call.rest();
        }
    }
}

/// Runs foreign synchronous code inside a poll: it sees no runtime of ours.
pub(crate) fn aside<R>(foreign: impl FnOnce() -> R) -> R {
    let _nowhere = leave();
    foreign()
}

/// The runtime of one `block_on`.
struct Call {
    me: Weak<Call>,
    state: Mutex<State>,
    /// Rings when there is something to poll or to wait for less long.
    bell: Condvar,
    clock: Clock,
}

#[derive(Default)]
struct State {
    /// Whether the future of the call itself is to be polled.
    rung: bool,
    /// Tasks to be polled, by their place.
    ready: VecDeque<usize>,
    tasks: Vec<Option<Task>>,
    live: usize,
    alarms: BTreeMap<(Duration, u64), Waker>,
    /// Tells alarms of one moment apart.
    alarm_count: u64,
    /// Whether nobody drives them any more.
    closed: bool,
}

struct Task {
    /// Away while it is polled.
    future: Option<BoxFuture>,
    waker: Waker,
    /// Whether it stands among the ready.
    rung: bool,
}

impl Call {
    fn new() -> Arc<Self> {
        let state = State::default();
        let new = |me: &Weak<Call>| Call {
            me: me.clone(),
            state: Mutex::new(state),
            bell: Condvar::new(),
            clock: Clock::system(),
        };
        Arc::new_cyclic(new)
    }

    /// Polls happen here, until the guard is dropped.
    fn enter(self: &Arc<Self>) -> Guard {
        let runtime: Arc<Call> = Arc::clone(self);
        enter(runtime)
    }

    fn take_ring(&self) -> bool {
        std::mem::take(&mut lock(&self.state).rung)
    }

    /// Rings what is due, or polls a task; whether there was anything to do.
    fn turn(self: &Arc<Self>) -> bool {
        let rang = self.ring_alarms();
        let Some((at, mut future, waker)) = self.next() else { return rang };
        let here = self.enter();
        let mut context = Context::from_waker(&waker);
        // A load catches its own panics; whatever else panics ends its task, as on any runtime.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        drop(here);
        if matches!(polled, Ok(Poll::Pending)) {
            self.put_back(at, future);
        } else {
            // Foreign code again, which may spawn and panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
            self.end(at);
        }
        true
    }

    fn next(&self) -> Option<(usize, BoxFuture, Waker)> {
        let mut state = lock(&self.state);
        while let Some(at) = state.ready.pop_front() {
            let Some(task) = &mut state.tasks[at] else { continue };
            task.rung = false;
            if let Some(future) = task.future.take() {
                // Our own waker: its clone is a count.
                let waker = task.waker.clone();
                return Some((at, future, waker));
            }
        }
        None
    }

    fn put_back(&self, at: usize, future: BoxFuture) {
        let mut state = lock(&self.state);
        let Some(Some(task)) = state.tasks.get_mut(at) else { unreachable!("who polls a task alone ends it") };
        task.future = Some(future);
    }

    fn end(&self, at: usize) {
        let mut state = lock(&self.state);
        let ended = state.tasks[at].take();
        state.live -= 1;
        drop(state);
        drop(ended);
    }

    /// Wakes whose alarm is due; whether there was one.
    fn ring_alarms(&self) -> bool {
        let mut due = Vec::new();
        let mut state = lock(&self.state);
        if state.alarms.is_empty() {
            return false;
        }
        let now = self.clock.precise();
        while let Some(first) = state.alarms.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        drop(state);
        let any = !due.is_empty();
        due.into_iter().for_each(Waker::wake);
        any
    }

    /// Waits until the call's own future or a task is to be polled, or an alarm is due.
    fn rest(&self) {
        let mut state = lock(&self.state);
        while !state.rung && state.ready.is_empty() {
            let Some(at_most) = self.until_alarm(&state) else { return };
            state = wait(&self.bell, state, at_most);
        }
    }

    /// How long nothing is due; `None` when something is.
    #[allow(clippy::option_option, reason = "due now, due later, never due")]
    fn until_alarm(&self, state: &State) -> Option<Option<Duration>> {
        let Some(((at, _), _)) = state.alarms.first_key_value() else { return Some(None) };
        let left = at.saturating_sub(self.clock.precise());
        (!left.is_zero()).then_some(Some(left))
    }

    /// Drives the tasks to their ends.
    fn drive(self: &Arc<Self>) {
        loop {
            if self.turn() {
                continue;
            }
            let mut state = lock(&self.state);
            while state.ready.is_empty() {
                if state.live == 0 {
                    state.closed = true;
                    return;
                }
                let Some(at_most) = self.until_alarm(&state) else { break };
                state = wait(&self.bell, state, at_most);
            }
        }
    }

    /// Lets the pool drive what is left. Where that has no free thread, this one does: what nobody drives would keep those
    /// waiting who join it, and they may be what keeps the pool's threads.
    fn leave_rest(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.closed = state.live == 0;
        if state.closed {
            return;
        }
        drop(state);
        let call = Arc::clone(self);
        if let Err(work) = pool::run(Box::new(move || call.drive())) {
            work();
        }
    }
}

impl Runtime for Call {
    fn spawn(&self, future: BoxFuture) {
        let waker = |at| Waker::from(Arc::new(Bell { call: self.me.clone(), at }));
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return drop(future);
        }
        let free = state.tasks.iter().position(Option::is_none);
        let at = free.unwrap_or(state.tasks.len());
        let task = Some(Task { future: Some(future), waker: waker(at), rung: true });
        match state.tasks.get_mut(at) {
            Some(place) => *place = task,
            None => state.tasks.push(task),
        }
        state.live += 1;
        state.ready.push_back(at);
        drop(state);
        self.bell.notify_all();
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        let at = self.clock.precise().saturating_add(time);
        Box::pin(Alarm { at, call: self.me.clone(), number: None })
    }

    fn alive(&self) -> bool {
        !lock(&self.state).closed
    }

    /// What nobody drives is dropped.
    fn watch(&self) -> Option<Duration> {
        None
    }
}

/// The waker of one task. One that outlives its task wakes its successor for nothing.
struct Bell {
    call: Weak<Call>,
    at: usize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(call) = self.call.upgrade() else { return };
        let mut state = lock(&call.state);
        let Some(Some(task)) = state.tasks.get_mut(self.at) else { return };
        if std::mem::replace(&mut task.rung, true) {
            return;
        }
        state.ready.push_back(self.at);
        drop(state);
        call.bell.notify_all();
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.state).rung = true;
        self.bell.notify_all();
    }
}

/// Ends at a moment of the call's clock; never, when the call is gone, as then is whoever was to be woken.
struct Alarm {
    at: Duration,
    call: Weak<Call>,
    number: Option<u64>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(call) = self.call.upgrade() else { return Poll::Pending };
        if call.clock.precise() >= self.at {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let mut state = lock(&call.state);
        let number = *self.number.get_or_insert_with(|| {
            state.alarm_count += 1;
            state.alarm_count
        });
        let old = state.alarms.insert((self.at, number), waker);
        drop(state);
        drop(old);
        call.bell.notify_all();
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let Some((number, call)) = self.number.zip(self.call.upgrade()) else { return };
        let waker = lock(&call.state).alarms.remove(&(self.at, number));
        drop(waker);
    }
}

/// Leaves what is not done to the pool, also when the future panics.
struct Rest<'a>(&'a Arc<Call>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.leave_rest();
    }
}
