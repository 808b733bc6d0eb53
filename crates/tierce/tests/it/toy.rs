//! A single-threaded event loop of the tests' own, as foreign to the crate as Python's: its wakers take the loop's
//! lock, and a baton that only one thread holds while it polls, and that waking or dropping a waker hands over.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tierce::runtime::{BoxFuture, Runtime, enter};
use tierce::{Clock, ManualClock};

/// Fails instead of hanging, if two threads wait for each other.
const PATIENCE: Duration = Duration::from_secs(20);

/// Only its holder polls. Whoever wakes lets others have it in between, as an interpreter's lock may do at any call.
#[derive(Default)]
pub(crate) struct Baton {
    held: Mutex<bool>,
    free: Condvar,
}

thread_local! {
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

impl Baton {
    fn take(&self) {
        let held = self.held.lock().expect("nobody panics with it");
        let (mut held, waited) = self.free.wait_timeout_while(held, PATIENCE, |held| *held).expect("nobody panics");
        assert!(!waited.timed_out(), "two threads wait for each other");
        *held = true;
        HOLDS.set(true);
    }

    fn give(&self) {
        *self.held.lock().expect("nobody panics with it") = false;
        HOLDS.set(false);
        self.free.notify_all();
    }

    /// Lets another thread have it, and takes it back if this one had it.
    pub(crate) fn pass(&self) {
        let had = HOLDS.get();
        if had {
            self.give();
            std::thread::yield_now();
        }
        self.take();
        if !had {
            self.give();
        }
    }
}

/// One event loop. Its time is its own clock's.
pub(crate) struct Toy {
    core: Mutex<Core>,
    bell: Condvar,
    alive: AtomicBool,
    time: ManualClock,
    clock: Clock,
    baton: Arc<Baton>,
}

#[derive(Default)]
struct Core {
    ready: VecDeque<Arc<Task>>,
    /// Whatever happens, a task that stops being polled is not dropped.
    all: Vec<Arc<Task>>,
    timers: Vec<(Duration, Waker)>,
    /// Whether the loop has done all there was to do, and waits.
    rests: bool,
}

struct Task(Mutex<Option<BoxFuture>>);

/// The waker of one poll of one task.
struct Bell {
    task: Arc<Task>,
    home: Arc<Toy>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.home.baton.pass();
        self.home.make_ready(&self.task);
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.home.baton.pass();
    }
}

/// A toy to give to `enter`.
struct Handle(Arc<Toy>);

impl Runtime for Handle {
    fn spawn(&self, task: BoxFuture) {
        self.0.add(task);
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        let toy = Arc::clone(&self.0);
        let at = toy.clock.precise().saturating_add(time);
        Box::pin(std::future::poll_fn(move |cx| {
            if toy.clock.precise() >= at {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            toy.core.lock().expect("nobody panics with it").timers.push((at, waker));
            Poll::Pending
        }))
    }

    fn alive(&self) -> bool {
        self.0.alive.load(SeqCst)
    }
}

impl Toy {
    pub(crate) fn new(baton: &Arc<Baton>) -> Arc<Toy> {
        let time = ManualClock::new();
        let (core, clock, baton) = (Mutex::default(), time.clock(), Arc::clone(baton));
        Arc::new(Toy { core, bell: Condvar::new(), alive: AtomicBool::new(true), time, clock, baton })
    }

    pub(crate) fn add(&self, future: BoxFuture) {
        let task = Arc::new(Task(Mutex::new(Some(future))));
        self.core.lock().expect("nobody panics with it").all.push(Arc::clone(&task));
        self.make_ready(&task);
    }

    fn make_ready(&self, task: &Arc<Task>) {
        let mut core = self.core.lock().expect("nobody panics with it");
        core.ready.push_back(Arc::clone(task));
        core.rests = false;
        drop(core);
        self.bell.notify_all();
    }

    /// Lets the loop's own time pass.
    pub(crate) fn advance(&self, by: Duration) {
        self.time.advance(by);
        self.core.lock().expect("nobody panics with it").rests = false;
        self.bell.notify_all();
    }

    /// Whether the loop has done all there was to do, and waits.
    pub(crate) fn rests(&self) -> bool {
        self.core.lock().expect("nobody panics with it").rests
    }

    /// The loop stops being driven; its tasks stay where they are.
    pub(crate) fn freeze(&self) {
        self.alive.store(false, SeqCst);
        self.advance(Duration::ZERO);
    }

    pub(crate) fn thaw(&self) {
        self.alive.store(true, SeqCst);
    }

    /// Drops all tasks, as a loop that is closed does.
    pub(crate) fn close(&self) {
        let core = std::mem::take(&mut *self.core.lock().expect("nobody panics with it"));
        for task in &core.all {
            let future = task.0.lock().expect("nobody panics with it").take();
            drop(future);
        }
    }

    /// Polls tasks until this future has ended or the loop is frozen; what it gave, if it ended.
    pub(crate) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        root: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let given = Arc::new(Mutex::new(None));
        let place = Arc::clone(&given);
        self.add(Box::pin(async move {
            let value = root.await;
            *place.lock().expect("nobody panics with it") = Some(value);
        }));
        while self.alive.load(SeqCst) {
            self.turn();
            let value = given.lock().expect("nobody panics with it").take();
            if value.is_some() {
                return value;
            }
        }
        None
    }

    /// Polls one task, or waits for something to do.
    fn turn(self: &Arc<Self>) {
        let now = self.clock.precise();
        let mut core = self.core.lock().expect("nobody panics with it");
        let due: Vec<_> = core.timers.extract_if(.., |(at, _)| *at <= now).collect();
        let task = core.ready.pop_front();
        if due.is_empty() && task.is_none() && self.alive.load(SeqCst) {
            core.rests = true;
            let waits = |core: &mut Core| core.rests;
            let (core, waited) = self.bell.wait_timeout_while(core, PATIENCE, waits).expect("nobody panics with it");
            drop(core);
            assert!(!waited.timed_out(), "the loop waits for nothing");
            return;
        }
        drop(core);
        for (_, waker) in due {
            waker.wake();
        }
        if let Some(task) = task {
            self.poll(&task);
        }
    }

    fn poll(self: &Arc<Self>, task: &Arc<Task>) {
        let waker = Waker::from(Arc::new(Bell { task: Arc::clone(task), home: Arc::clone(self) }));
        let Some(mut future) = task.0.lock().expect("nobody panics with it").take() else { return };
        self.baton.take();
        let entered = enter(Arc::new(Handle(Arc::clone(self))));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            *task.0.lock().expect("nobody panics with it") = Some(future);
        } else {
            self.core.lock().expect("nobody panics with it").all.retain(|other| !Arc::ptr_eq(other, task));
            drop(future);
        }
        drop(entered);
        self.baton.give();
    }
}

/// Comes back once, after everything that is ready now.
pub(crate) fn turn() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let mut waited = false;
    Box::pin(std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// Waits, awake, until something is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let clock = Clock::system();
    let end = clock.precise() + PATIENCE;
    while !so() {
        assert!(clock.precise() < end, "waited in vain until {what}");
        std::thread::yield_now();
    }
}
