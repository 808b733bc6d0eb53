//! Waiting for a flight: until it ends, the caller's time is over, or its runtime is found dead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::core::Limits;
use super::cycle::{Circle, Edge};
use super::flight::{Flight, Outcome};
use super::seats::Seat;
use crate::error::LoadError;
use crate::mutant::{self, Mutant};
use crate::runtime::{self, BoxFuture, Runtime};

/// A caller's patience over one whole lookup, however many flights it waits for.
pub(crate) struct Patience {
    soft: Option<BoxFuture>,
    hard: Option<BoxFuture>,
    over: bool,
}

impl Patience {
    /// `Err` if the runtime has no timer.
    pub(crate) fn new(runtime: &dyn Runtime, limits: Limits) -> Result<Self, Arc<str>> {
        let sleep = |time: Option<Duration>| time.map(|time| runtime::sleep(runtime, time)).transpose();
        Ok(Patience { soft: sleep(limits.soft)?, hard: sleep(limits.hard)?, over: false })
    }

    /// Whether the caller's own time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// How the caller's patience has an end, once it has one.
    pub(crate) fn ends(&mut self, cx: &mut Context<'_>) -> Option<Waited> {
        if rang(&mut self.hard, cx) && !mutant::on(Mutant::HardTimeoutIgnored) {
            self.over = true;
            return Some(Waited::Hard);
        }
        rang(&mut self.soft, cx).then_some(Waited::Soft)
    }
}

/// How a wait ended.
pub(crate) enum Waited {
    Outcome(Outcome),
    /// Time for a stale value, if there is one. Said once.
    Soft,
    /// The caller's time is over.
    Hard,
    /// The load is past its deadline, and its own runtime has not said so.
    Overdue,
    /// The runtime of the load is dead; nobody will end this flight but we.
    Dead,
}

/// Why a wait did not begin.
pub(crate) enum Refused {
    /// The load being polled here is one that the flight waits for.
    Circle,
    /// The caller's runtime has no timer, as this says.
    NoTimer(Arc<str>),
}

/// One caller's wait for one flight.
pub(crate) struct Waiter {
    flight: Arc<Flight>,
    /// `None` before the flight has been found not to have ended.
    seat: Option<Seat>,
    runtime: Arc<dyn Runtime>,
    watch: Option<BoxFuture>,
    /// A little past the load's own deadline, on this caller's runtime: the load's may stand still without being dead.
    deadline: Option<BoxFuture>,
    _edge: Option<Edge>,
}

impl Waiter {
    /// Takes a seat. `at_most` is how long the load may still take.
    pub(crate) fn new(flight: Arc<Flight>, runtime: Arc<dyn Runtime>, at_most: Duration) -> Result<Self, Refused> {
        let edge = flight.node.wait_for().map_err(|Circle| Refused::Circle)?;
        let deadline = runtime::sleep(&*runtime, at_most).map_err(Refused::NoTimer)?;
        let watch = flight.node.runtime.watch().map(|every| runtime.sleep(every));
        let seat = Some(flight.join());
        Ok(Waiter { flight, seat, runtime, watch, deadline: Some(deadline), _edge: edge })
    }

    pub(crate) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    pub(crate) async fn end(&mut self, patience: &mut Patience) -> Waited {
        std::future::poll_fn(|cx| self.poll(cx, patience)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>, patience: &mut Patience) -> Poll<Waited> {
        if let Some(outcome) = self.outcome(cx) {
            return Poll::Ready(Waited::Outcome(outcome));
        }
        match patience.ends(cx).or_else(|| self.alarm(cx)) {
            Some(waited) => Poll::Ready(waited),
            None => Poll::Pending,
        }
    }

    /// The flight's outcome, or else this task is woken when there is one.
    pub(crate) fn outcome(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        if let Some(seat) = &self.seat {
            return self.flight.outcome(seat, cx.waker());
        }
        self.flight.outcome_or_seat(cx.waker()).map_err(|seat| self.seat = Some(seat)).ok()
    }

    /// The load may take so long from now on: it had not begun when the wait did.
    pub(crate) fn allow(&mut self, time: Duration) {
        self.deadline = runtime::sleep(&*self.runtime, time).ok();
    }

    /// Goes on to wait for another flight of the same load, whose runtime and deadline it has.
    pub(crate) fn change(&mut self, flight: Arc<Flight>) {
        self.leave();
        self.flight = flight;
    }

    fn leave(&mut self) {
        if let Some(seat) = self.seat.take() {
            self.flight.leave(seat);
        }
    }

    /// What is wrong with the load or its runtime, once it is.
    pub(crate) fn alarm(&mut self, cx: &mut Context<'_>) -> Option<Waited> {
        if rang(&mut self.deadline, cx) {
            return Some(Waited::Overdue);
        }
        while rang(&mut self.watch, cx) {
            if !self.flight.node.runtime.alive() && !mutant::on(Mutant::DeadRuntimeJoined) {
                return Some(Waited::Dead);
            }
            self.watch = self.flight.node.runtime.watch().map(|every| self.runtime.sleep(every));
        }
        None
    }
}

/// Whether an alarm rang; it is gone then.
fn rang(alarm: &mut Option<BoxFuture>, cx: &mut Context<'_>) -> bool {
    let Some(sleep) = alarm else { return false };
    let rang = Pin::new(sleep).poll(cx).is_ready();
    if rang {
        *alarm = None;
    }
    rang
}

impl Refused {
    pub(crate) fn error<E>(self) -> LoadError<E> {
        match self {
            Refused::Circle => LoadError::Cycle,
            Refused::NoTimer(why) => LoadError::Panicked(why),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.leave();
    }
}
