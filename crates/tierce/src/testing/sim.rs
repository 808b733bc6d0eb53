//! A simulated runtime: one thread, virtual time, a seeded schedule.
//!
//! Ready tasks run in an order drawn from the seed; when none is ready, time jumps to the next alarm. The same seed
//! gives the same run. Several runtimes may live in one simulation, to die one by one: what dies with a runtime and
//! what survives it is what the engine has to get right.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::clock::{Clock, ManualClock};
use crate::runtime::{self, BoxFuture, Id, Runtime};

/// A simulation: its tasks, its alarms and its time.
///
/// ```
/// use std::time::Duration;
/// use tierce::testing::Sim;
///
/// let sim = Sim::new(7);
/// let runtime = sim.runtime();
/// sim.spawn(&runtime, {
///     let sim = sim.clone();
///     async move { sim.sleep(Duration::from_secs(3600)).await }
/// });
/// sim.run();
/// assert_eq!(sim.now(), Duration::from_secs(3601)); // it starts at one second
/// ```
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    clock: ManualClock,
}

struct State {
    ready: Vec<Arc<Task>>,
    alarms: BTreeMap<(Duration, u64), Waker>,
    tasks: Vec<Weak<Task>>,
    /// The tasks of runtimes that froze: never polled, and never dropped before they are buried.
    frozen: Vec<Arc<Task>>,
    now: Duration,
    serial: u64,
    random: u64,
}

struct Task {
    future: Mutex<Option<BoxFuture>>,
    queued: AtomicBool,
    runtime: Arc<SimRuntime>,
}

/// One runtime of a simulation.
pub struct SimRuntime {
    /// Itself, for the tasks that it spawns.
    this: Weak<SimRuntime>,
    sim: Sim,
    alive: AtomicBool,
    driven: AtomicBool,
    id: Id,
}

/// How a runtime dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Its tasks are dropped, as tokio does.
    DropsTasks,
    /// Its tasks stay and are polled no more, as an event loop that was stopped.
    Freezes,
    /// As `Freezes`, but it says that it is alive: a runtime whose thread is blocked, or that nobody drives.
    StandsStill,
}

impl Sim {
    /// A simulation whose schedule is drawn from this seed.
    pub fn new(seed: u64) -> Self {
        let clock = ManualClock::new();
        let state = State {
            ready: Vec::new(),
            alarms: BTreeMap::new(),
            tasks: Vec::new(),
            frozen: Vec::new(),
            now: clock.clock().precise(),
            serial: 0,
            random: seed,
        };
        Sim { state: Arc::new(Mutex::new(state)), clock }
    }

    /// The clock to give to a hub.
    pub fn clock(&self) -> Clock {
        self.clock.clock()
    }

    /// Virtual time.
    pub fn now(&self) -> Duration {
        self.state().now
    }

    /// A new runtime.
    pub fn runtime(&self) -> Arc<SimRuntime> {
        Arc::new_cyclic(|this| SimRuntime {
            this: this.clone(),
            sim: self.clone(),
            alive: AtomicBool::new(true),
            driven: AtomicBool::new(true),
            id: Id::new(),
        })
    }

    /// Runs a task on one of the runtimes.
    pub fn spawn(&self, runtime: &Arc<SimRuntime>, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(runtime, Box::pin(task));
    }

    /// Ends after this much virtual time.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        Sleep { sim: self.clone(), until: self.now().saturating_add(time), alarm: None }
    }

    /// A number below `bound`, drawn from the seed.
    pub fn below(&self, bound: u64) -> u64 {
        self.state().draw() % bound.max(1)
    }

    /// Kills a runtime. What freezes stays in memory until [`bury`](Sim::bury).
    pub fn kill(&self, runtime: &Arc<SimRuntime>, death: Death) {
        runtime.alive.store(death == Death::StandsStill, Relaxed);
        runtime.driven.store(false, Relaxed);
        let mut state = self.state();
        // First: a task may have nothing but its place in the queue, and must not be dropped under the lock.
        let all: Vec<_> = state.tasks.iter().filter_map(Weak::upgrade).collect();
        state.ready.retain(|task| !Arc::ptr_eq(&task.runtime, runtime));
        drop(state);
        let dead = all.into_iter().filter(|task| Arc::ptr_eq(&task.runtime, runtime));
        match death {
            Death::Freezes | Death::StandsStill => self.state().frozen.extend(dead),
            Death::DropsTasks => {
                for task in dead {
                    let future = locked(&task.future).take();
                    drop(future);
                }
            }
        }
    }

    /// Drops what froze; a simulation with frozen runtimes is not freed before.
    pub fn bury(&self) {
        let frozen = std::mem::take(&mut self.state().frozen);
        for task in frozen {
            // Its future, not only its place here: it may hold what holds a waker of its own task.
            let future = locked(&task.future).take();
            drop(future);
        }
    }

    /// Runs until nothing is left to do.
    ///
    /// # Panics
    /// When a million steps do not settle it.
    pub fn run(&self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the simulation does not settle");
    }

    fn step(&self) -> bool {
        let mut state = self.state();
        if !state.ready.is_empty() {
            let next = usize::try_from(state.draw()).unwrap_or(0) % state.ready.len();
            let task = state.ready.swap_remove(next);
            drop(state);
            task.poll();
            return true;
        }
        let Some(((at, _), waker)) = state.alarms.pop_first() else { return false };
        let ahead = at.saturating_sub(state.now);
        state.now = at;
        drop(state);
        self.clock.advance(ahead);
        waker.wake();
        true
    }

    fn spawn_boxed(&self, runtime: &Arc<SimRuntime>, future: BoxFuture) {
        if !runtime.driven.load(Relaxed) {
            return drop(future);
        }
        let task = Arc::new(Task {
            future: Mutex::new(Some(future)),
            queued: AtomicBool::new(false),
            runtime: Arc::clone(runtime),
        });
        let mut state = self.state();
        if state.tasks.len() >= 64 && state.tasks.len().is_power_of_two() {
            state.tasks.retain(|task| task.strong_count() > 0);
        }
        state.tasks.push(Arc::downgrade(&task));
        drop(state);
        task.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl State {
    /// splitmix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Task {
    fn poll(self: &Arc<Self>) {
        self.queued.store(false, Relaxed);
        if !self.runtime.driven.load(Relaxed) {
            return;
        }
        let Some(mut future) = locked(&self.future).take() else { return };
        let waker = Waker::from(Arc::clone(self));
        let here = runtime::enter(Arc::clone(&self.runtime) as Arc<dyn Runtime>);
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        drop(here);
        // A runtime that died during the poll (its own task killed it) lets go of the task.
        if poll.is_pending() && self.runtime.driven.load(Relaxed) {
            *locked(&self.future) = Some(future);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.runtime.driven.load(Relaxed) && !self.queued.swap(true, Relaxed) {
            let sim = self.runtime.sim.clone();
            sim.state().ready.push(self);
        }
    }
}

impl Runtime for SimRuntime {
    fn spawn(&self, task: BoxFuture) {
        match self.this.upgrade() {
            Some(runtime) => self.sim.spawn_boxed(&runtime, task),
            None => drop(task),
        }
    }

    fn sleep(&self, time: Duration) -> BoxFuture {
        Box::pin(self.sim.sleep(time))
    }

    fn alive(&self) -> bool {
        self.alive.load(Relaxed)
    }

    fn id(&self) -> Option<Id> {
        Some(self.id)
    }
}

struct Sleep {
    sim: Sim,
    until: Duration,
    alarm: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sim = self.sim.clone();
        let mut state = sim.state();
        let old = self.alarm.take().and_then(|alarm| state.alarms.remove(&alarm));
        if state.now >= self.until {
            drop(state);
            drop(old);
            return Poll::Ready(());
        }
        state.serial += 1;
        let alarm = (self.until, state.serial);
        state.alarms.insert(alarm, cx.waker().clone());
        drop(state);
        drop(old);
        self.alarm = Some(alarm);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            let waker = self.sim.state().alarms.remove(&alarm);
            drop(waker);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
