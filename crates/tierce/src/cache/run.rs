//! Running a load: behind its permit, under its deadline, its panics caught, its guard inside; and its one end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::flight::{AnyError, Departure, Fleet, Flight, Ground, Outcome, Outcomes};
use super::inner::Inner;
use super::load::Bare;
use super::permits::{Full, Place, Turn};
use super::seats::Sleepers;
use super::vault::Spill;
use crate::error::panic_message;
use crate::mutant::{self, Mutant};
use crate::runtime;
use crate::stats::Counters;
use crate::sync::atomic::Ordering::Relaxed;
use crate::trace;

/// How long past its deadline a load may take to say so itself, which it does at once on a runtime that runs.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// A loader's future, its error's type forgotten.
pub(crate) type LoadFuture<T> = Pin<Box<dyn Future<Output = Result<T, AnyError>> + Send>>;

/// Keeps what a load brought: how its flights end.
pub(crate) type Land<T> = fn(&Inner, &Fleet, T, Duration, &mut Spill) -> Outcomes;

impl Inner {
    /// Ends a load: its counting and its place, and the wait of those who wait for one of its flights.
    ///
    /// The load's own task does it, or one who finds that its runtime stands still, whoever comes first; the others do
    /// nothing. Values have landed before.
    pub(super) fn end(&self, flight: &Flight, outcomes: &Outcomes) {
        let Some(fleet) = self.flights.load_ends(flight.node.ticket) else { return };
        let gist = outcomes.gist();
        let took = self.hub.clock.precise().saturating_sub(flight.node.took_off);
        trace::load_ended(&self.name, fleet.first().hash, gist.as_str(), took);
        self.count_failure(gist);
        for (place, flight) in fleet.flights().iter().enumerate() {
            match outcomes.of(place) {
                Outcome::Landed => {}
                Outcome::Abandoned | Outcome::Overtaken => drop(self.flights.remove(flight)),
                bad => self.ended_badly_or_panic(flight, bad),
            }
        }
        if let Some(place) = flight.node.place().filter(|_| !mutant::on(Mutant::PermitKept)) {
            place.leave();
        }
        // Counted before it is told: who was woken must not see his load running.
        self.counters.loading.fetch_sub(1, Relaxed);
        if !(mutant::on(Mutant::PanicUnpublished) && matches!(gist, Outcome::Panicked(_))) {
            publish(&fleet, outcomes);
        }
        self.hub.running.end();
    }

    /// Ends a load that its own runtime does not end, though it may not even have begun: its caller's runtime may stand
    /// still as well.
    pub(super) fn give_up(&self, flight: &Arc<Flight>, outcome: Outcome) {
        if flight.is_asking()
            && let Some(sleepers) = flight.ends_asking()
        {
            // Who leads may be polled by nobody: another asks in his place.
            self.flights.remove(flight);
            return sleepers.wake();
        }
        if !mutant::on(Mutant::GivenUpInPart) {
            self.end(flight, &Outcomes::Same(outcome.clone()));
        }
        self.flights.remove(flight);
        flight.publish(outcome);
    }

    /// Ends the flights of a load that never began: too many run.
    pub(super) fn turn_away(&self, fleet: &Fleet) {
        trace::load_ended(&self.name, fleet.first().hash, Outcome::Busy.as_str(), Duration::ZERO);
        self.count_failure(&Outcome::Busy);
        for flight in fleet.flights() {
            self.ended_badly_or_panic(flight, &Outcome::Busy);
        }
        publish(fleet, &Outcomes::Same(Outcome::Busy));
    }

    /// As [`ended_badly`](Inner::ended_badly). A key's `Hash` and `Eq` are foreign code: their panic has been told of by
    /// the hook, and must keep nobody waiting.
    fn ended_badly_or_panic(&self, flight: &Arc<Flight>, outcome: &Outcome) {
        drop(catch_unwind(AssertUnwindSafe(|| self.ended_badly(flight, outcome))));
    }

    /// A place in the line for a permit, where loads are limited.
    pub(super) fn place(&self, flight: &Flight) -> Result<Option<Arc<Place>>, Full> {
        // What a load of the same cache waits for runs on that one's permit: it would wait for itself.
        let counted = |_: &_| flight.ground == Ground::Back || !flight.node.is_inside_its_cache();
        let Some(permits) = self.permits.as_ref().filter(counted) else { return Ok(None) };
        if permits.are_taken() {
            self.give_up_overdue();
        }
        permits.queue().map(Some)
    }

    /// How a load is to be ended whose runtime does not: it is dead, or should have ended the load by now.
    pub(super) fn stands_still(&self, flight: &Flight) -> Option<Outcome> {
        if !flight.node.runtime.alive() {
            return Some(Outcome::Abandoned);
        }
        let outcome = if flight.is_asking() { Outcome::Abandoned } else { Outcome::Timeout };
        self.time_left(flight).is_zero().then_some(outcome)
    }

    /// Whether others may have changed what a load brings, longer ago than they may be missed.
    pub(super) fn too_old_to_join(&self, flight: &Flight) -> bool {
        let Some(shelf) = self.shelf.as_ref().filter(|_| !mutant::on(Mutant::AgedFlightJoined)) else { return false };
        let Some(within) = shelf.link.joins_within() else { return false };
        self.hub.clock.precise().saturating_sub(flight.node.took_off) > within
    }

    /// How long a leader may ask the store.
    fn asks_for(&self) -> Duration {
        self.shelf.as_ref().map_or(Duration::ZERO, |shelf| shelf.link.patience.lookup)
    }

    /// How long a load may still take before it is given up.
    pub(super) fn time_left(&self, flight: &Flight) -> Duration {
        let own = if flight.is_asking() { self.asks_for() } else { self.limits.deadline };
        let end = flight.node.took_off.saturating_add(own).saturating_add(GRACE);
        end.saturating_sub(self.hub.clock.precise())
    }

    /// A load is about to begin: whoever drains waits for it as well.
    pub(super) fn load_waits(&self, departure: &Departure) {
        self.flights.load_waits(departure);
        self.hub.running.begin();
    }

    /// … it begins now, which counts it anew, or never will.
    pub(super) fn load_waited(&self, ticket: u64) {
        if self.flights.load_waited(ticket) {
            self.hub.running.end();
        }
    }

    /// Gives up the loads that should have ended by now, and waits no more for those that should have begun. All have one
    /// deadline, so the oldest come first.
    pub(super) fn give_up_overdue(&self) {
        let late_since = self.hub.clock.precise().saturating_sub(GRACE);
        self.flights.late_since(late_since).into_iter().for_each(|ticket| self.load_waited(ticket));
        for flight in self.flights.loads_while(|flight| self.time_left(flight).is_zero()) {
            self.give_up(&flight, Outcome::Timeout);
        }
    }
}

/// Tells those who wait, and wakes them once all of the load's flights have ended: who waits for several is polled once.
fn publish(fleet: &Fleet, outcomes: &Outcomes) {
    if let Fleet::One(flight) = fleet {
        return flight.publish(outcomes.of(0).clone());
    }
    let flights = fleet.flights().iter().enumerate();
    let told = if mutant::on(Mutant::OutcomeForFirstAlone) { 1 } else { usize::MAX };
    let ended = flights.take(told).map(|(place, flight)| flight.conclude(outcomes.of(place).clone()));
    let sleepers: Vec<_> = ended.filter(|sleepers| !sleepers.are_none()).collect();
    sleepers.into_iter().for_each(Sleepers::wake);
}

/// A flight that stands in the table and whose load has not begun: a panic on the way there gives it up, since nobody
/// else would. The panic is its caller's, and whoever joined looks again.
pub(super) struct Pledge<'a> {
    cache: &'a Inner,
    flight: Option<&'a Arc<Flight>>,
}

impl<'a> Pledge<'a> {
    pub(super) fn new(cache: &'a Inner, flight: &'a Arc<Flight>) -> Self {
        Pledge { cache, flight: Some(flight) }
    }

    /// Somebody else answers for the flight from here on.
    pub(super) fn kept(mut self) {
        self.flight = None;
    }
}

impl Drop for Pledge<'_> {
    fn drop(&mut self) {
        if let Some(flight) = self.flight {
            self.cache.give_up(flight, Outcome::Abandoned);
        }
    }
}

/// Ends a load's flights whatever becomes of its task: a task that is dropped unfinished, with its runtime or by a panic
/// outside the loader, drops this too.
pub(crate) struct Guard {
    cache: Arc<Inner>,
    fleet: Fleet,
    started: bool,
    /// Whether the load counts itself: under a lease it may end without calling the loader.
    leased: bool,
}

impl Guard {
    pub(crate) fn new(cache: &Arc<Inner>, fleet: Fleet) -> Self {
        Guard { cache: Arc::clone(cache), fleet, started: false, leased: false }
    }

    /// The load's flights take off. Without a place in a queue it starts at once.
    pub(crate) fn take_off(cache: &Arc<Inner>, fleet: Fleet, (place, leased): (Option<Arc<Place>>, bool)) -> Self {
        Counters::bump(&cache.counters.loading);
        cache.hub.running.begin();
        let queues = place.is_some();
        if let Some(place) = place {
            fleet.first().node.stand(place);
        }
        fleet.flights().iter().for_each(|flight| _ = flight.takes_off());
        // Only now: whoever gives the load up must find its place.
        cache.flights.load_begins(&fleet);
        let mut guard = Guard::new(cache, fleet);
        guard.leased = leased;
        if queues {
            guard.fleet.first().node.exempt_if_needed();
        } else {
            guard.start();
        }
        guard
    }

    /// The load starts, if it has not.
    fn start(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            if !self.leased {
                Counters::bump(&self.cache.counters.loads);
            }
            trace::load_started(&self.cache.name, self.fleet.first().hash);
        }
    }

    /// The load has brought something after so long.
    fn ended_in(&self, took: Duration) {
        if !self.leased {
            self.cache.counters.loaded_in(took);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.cache.end(self.fleet.first(), &Outcomes::Same(Outcome::Abandoned));
    }
}

/// The task of one load. `load` is the loader's future, or how calling the loader panicked.
pub(crate) async fn run<T>(mut guard: Guard, load: Result<LoadFuture<T>, Box<dyn Any + Send>>, land: Land<T>) {
    let cache = Arc::clone(&guard.cache);
    let fleet = guard.fleet.clone();
    let flight = fleet.first();
    let load = load.map_err(|payload| panic_message(&*payload));
    let ready = load.and_then(|load| Ok((load, runtime::sleep(&*flight.node.runtime, cache.limits.deadline)?)));
    let (mut load, mut deadline) = match ready {
        Ok(ready) => ready,
        Err(message) => {
            guard.start();
            return cache.end(flight, &Outcomes::Same(Outcome::Panicked(message)));
        }
    };
    let mut queued = flight.node.place();
    let mut started = cache.hub.clock.precise();
    let ended = std::future::poll_fn(|cx| {
        // Given up, since its runtime stood still: everybody was told, and its permit is another's.
        if fleet.flights().iter().all(|flight| flight.is_over()) {
            return Poll::Ready(Ended::Over);
        }
        if let Some(place) = queued {
            match place.poll(cx) {
                Poll::Ready(Turn::Come) => {}
                Poll::Ready(Turn::Over) => return Poll::Ready(Ended::Over),
                Poll::Pending => return overdue(&mut deadline, cx).map(|()| Ended::Busy),
            }
            queued = None;
            guard.start();
            started = cache.hub.clock.precise();
        }
        match flight.node.polled(|| catch_unwind(AssertUnwindSafe(|| load.as_mut().poll(cx)))) {
            Ok(Poll::Ready(result)) => Poll::Ready(Ended::Result(result)),
            Ok(Poll::Pending) => overdue(&mut deadline, cx).map(|()| Ended::Timeout),
            Err(payload) => Poll::Ready(Ended::Panic(payload)),
        }
    });
    let ended = pin!(ended).await;
    let took = cache.hub.clock.precise().saturating_sub(started);
    let mut out = Spill::default();
    let outcomes = match ended {
        Ended::Result(Ok(brought)) => {
            guard.ended_in(took);
            land(&cache, &fleet, brought, took, &mut out)
        }
        Ended::Result(Err(error)) => Outcomes::Same(Outcome::Failed(error)),
        Ended::Panic(payload) => Outcomes::Same(Outcome::Panicked(panic_message(&*payload))),
        Ended::Timeout => Outcomes::Same(Outcome::Timeout),
        Ended::Busy => Outcomes::Same(Outcome::Busy),
        Ended::Over => Outcomes::Same(Outcome::Abandoned),
    };
    cache.end(flight, &outcomes);
    // Only now, when everybody has been told: listeners and the drop of the loader's future are foreign code.
    cache.memory.settle(out);
    drop(load);
}

/// The end of a load of one key.
pub(super) fn land_one(cache: &Inner, fleet: &Fleet, loaded: Bare, took: Duration, out: &mut Spill) -> Outcomes {
    Outcomes::Same(cache.land_or_panic(fleet.first(), loaded, took, out))
}

enum Ended<T> {
    Result(Result<T, AnyError>),
    Panic(Box<dyn Any + Send>),
    Timeout,
    Busy,
    Over,
}

fn overdue(deadline: &mut Pin<Box<dyn Future<Output = ()> + Send>>, cx: &mut Context<'_>) -> Poll<()> {
    if mutant::on(Mutant::DeadlineIgnored) {
        return Poll::Pending;
    }
    deadline.as_mut().poll(cx)
}
