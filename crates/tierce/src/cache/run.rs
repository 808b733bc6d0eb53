//! Running a load: behind its permit, under its deadline, its panics caught, its guard inside.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::flight::{AnyError, Flight, Outcome};
use super::inner::{Fallout, Inner};
use super::load::Loaded;
use super::permits::{Permit, Queued};
use crate::error::panic_message;
use crate::key::{Key, Value};
use crate::mutant::{self, Mutant};
use crate::stats::Counters;
use crate::trace;

/// A loader's future, its error's type forgotten.
pub(crate) type LoadFuture<V> = Pin<Box<dyn Future<Output = Result<Loaded<V>, AnyError>> + Send>>;

/// Whether anybody waits for a load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A caller waits.
    Fore,
    /// A refresh behind a value that was served.
    Back,
}

/// Ends a flight whatever becomes of its task: a task that is dropped unfinished, with its runtime or by a panic
/// outside the loader, drops this too.
pub(crate) struct Guard<K: Key, V: Value> {
    cache: Arc<Inner<K, V>>,
    flight: Arc<Flight<K, V>>,
    ground: Ground,
    began: Duration,
    ended: bool,
}

impl<K: Key, V: Value> Guard<K, V> {
    pub(crate) fn new(cache: &Arc<Inner<K, V>>, flight: &Arc<Flight<K, V>>, ground: Ground) -> Self {
        Counters::bump(&cache.counters.loads);
        Counters::bump(&cache.counters.loading);
        cache.hub.running.begin();
        trace::load_started(&cache.name, flight.hash);
        let began = cache.hub.clock.precise();
        Guard { cache: Arc::clone(cache), flight: Arc::clone(flight), ground, began, ended: false }
    }

    /// Ends a flight that never took off: too many fly.
    pub(crate) fn turned_away(mut self) {
        let outcome = self.cache.ended_badly(&self.flight, Outcome::Busy);
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome<V>) {
        if !self.ended {
            self.ended = true;
            let took = self.cache.hub.clock.precise().saturating_sub(self.began);
            trace::load_ended(&self.cache.name, self.flight.hash, outcome.as_str(), took);
            // Counted before it is told: who was woken must not see his load running.
            self.cache.counters.loading.fetch_sub(1, crate::sync::atomic::Ordering::Relaxed);
            if !(mutant::on(Mutant::PanicUnpublished) && matches!(outcome, Outcome::Panicked(_))) {
                self.flight.publish(outcome);
            }
            self.cache.hub.running.end();
        }
    }
}

impl<K: Key, V: Value> Drop for Guard<K, V> {
    fn drop(&mut self) {
        if !self.ended {
            self.cache.flights.remove(&self.flight);
            self.end(Outcome::Abandoned);
        }
    }
}

/// The task of one load. `load` is the loader's future, or how calling the loader panicked.
pub(crate) async fn run<K: Key, V: Value>(
    mut guard: Guard<K, V>,
    queued: Option<Queued>,
    load: Result<LoadFuture<V>, Box<dyn Any + Send>>,
) {
    let cache = Arc::clone(&guard.cache);
    let flight = Arc::clone(&guard.flight);
    let mut load = match load {
        Ok(load) => load,
        Err(payload) => {
            let outcome = cache.ended_badly(&flight, Outcome::Panicked(panic_message(&*payload)));
            return guard.end(outcome);
        }
    };
    let mut deadline = flight.runtime.sleep(cache.limits.deadline);
    let mut queued = queued;
    let mut permit: Option<Permit> = None;
    let mut started = cache.hub.clock.precise();
    let ended = std::future::poll_fn(|cx| {
        if let Some(queue) = &mut queued {
            match queue.poll(cx) {
                Poll::Ready(granted) => {
                    permit = Some(granted);
                    started = cache.hub.clock.precise();
                    queued = None;
                }
                Poll::Pending => return overdue(&mut deadline, cx).map(|()| Ended::Busy),
            }
        }
        match flight.node.polled(|| catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(cx)))) {
            Ok(Poll::Ready(result)) => Poll::Ready(Ended::Result(result)),
            Ok(Poll::Pending) => overdue(&mut deadline, cx).map(|()| Ended::Timeout),
            Err(payload) => Poll::Ready(Ended::Panic(payload)),
        }
    });
    let ended = pin!(ended).await;
    let took = cache.hub.clock.precise().saturating_sub(started);
    let mut out = Fallout::new();
    let outcome = match ended {
        Ended::Result(Ok(loaded)) => {
            // Weighers, clones and `Eq` are foreign code: what panics there is the load's panic.
            let ground = guard.ground;
            let landed = catch_unwind(AssertUnwindSafe(|| cache.land((&flight, ground), loaded, took, &mut out)));
            landed.unwrap_or_else(|payload| cache.ended_badly(&flight, Outcome::Panicked(panic_message(&*payload))))
        }
        Ended::Result(Err(error)) => cache.ended_badly(&flight, Outcome::Failed(error)),
        Ended::Panic(payload) => cache.ended_badly(&flight, Outcome::Panicked(panic_message(&*payload))),
        Ended::Timeout => cache.ended_badly(&flight, Outcome::Timeout),
        Ended::Busy => cache.ended_badly(&flight, Outcome::Busy),
    };
    drop(permit);
    guard.end(outcome);
    // Only now, when everybody has been told: listeners and the drop of the loader's future are foreign code.
    cache.memory.settle(out);
    drop(load);
}

enum Ended<V> {
    Result(Result<Loaded<V>, AnyError>),
    Panic(Box<dyn Any + Send>),
    Timeout,
    Busy,
}

fn overdue(deadline: &mut Pin<Box<dyn Future<Output = ()> + Send>>, cx: &mut Context<'_>) -> Poll<()> {
    deadline.as_mut().poll(cx)
}
