//! The path of one lookup that has to load, top to bottom: steps between which its caller waits.
//!
//! ```text
//! memory ── fresh ───────────────────────────────▶ value            (no await, no allocation)
//!   │  ╰─── stale, to be revalidated ── load behind ▶ stale value
//! flight ── somebody is loading ── wait ──────────▶ value
//!   │ we are first; look in memory again
//! loader ── runs detached from its first caller
//!   │
//! fill   ── only if the flight and the tags still stand (`fill.rs`) ── memory ─▶ value
//! ```
//!
//! Every way to wait ends here in one of three ways: a value, an error, or another look. Another look is taken when
//! what was waited for says nothing about *this* caller's moment: the load's runtime died, its error is of a type the
//! caller does not know, or a tag of its result was invalidated after it began and perhaps before the caller came.
//!
//! The steps borrow the asker ([`Asked`]) and no wait does: so whether the whole may be sent depends on the caller's own key
//! and loader, as it must, though they are compiled once for all types.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use super::answer::Freshness;
use super::asked::{Asked, Failure};
use super::consult::Consulted;
use super::core::{Because, Limits, Sight};
use super::cycle::Asks;
use super::flight::{Fleet, Flight, Ground, Outcome};
use super::inner::Inner;
use super::lookup::{Before, Boarded, Call, Next, Path, Role, Step};
use super::run::{GRACE, Guard, Pledge};
use super::seen::{First, Seen, Wants};
use super::wait::{Patience, Waited, Waiter};
use crate::error::LoadError;
use crate::expiry::Age;
use crate::mutant::{self, Mutant};
use crate::runtime::{self, Runtime};
use crate::stats::Counters;
use crate::tag::Cell;

/// What a lookup is content with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What memory, the store or a load has.
    Lookup,
    /// A load that begins after the call.
    Refresh,
    /// What the store has now, or a load that begins after the call.
    ///
    /// Memory is coherent up to a bound; a strong read has none. It joins no flight that began before it, nor one that
    /// took this process's word for what tags are at.
    Strong,
}

/// What is to be done next.
enum Onward {
    /// Nothing: what was found is kept by the asker.
    Answer(Result<Freshness, Failure>),
    /// The store is to be asked for a flight that this lookup leads.
    AskStore(Seen),
    Wait,
}

/// From the start to the answer. The asker is what `view` shows of it: whether this may be sent is decided by what it is.
pub(super) async fn drive<A: ?Sized>(
    (cache, call, manner): (Arc<Inner>, &Call, Manner),
    first: Option<Sight<()>>,
    asker: &mut A,
    view: fn(&mut A) -> &mut dyn Asked,
) -> Result<Freshness, Failure> {
    let mut trip = Trip::new(cache, call, manner)?;
    let mut onward = trip.board(view(asker), first);
    loop {
        onward = match onward {
            Onward::Answer(ended) => return ended,
            // Boxed, so that lookups without a store are not larger for it.
            Onward::AskStore(seen) => {
                let first = Box::pin(trip.ask_store(seen)).await;
                trip.store_asked(view(asker), first)
            }
            Onward::Wait => {
                let waited = trip.wait().await;
                trip.waited(view(asker), waited)
            }
        };
    }
}

/// The same for all askers that may be sent: compiled once.
pub(super) fn sent<'a>(
    cache: Arc<Inner>,
    call: &'a Call,
    manner: Manner,
    first: Option<Sight<()>>,
    asker: &'a mut (dyn Asked + Send + 'a),
) -> Pin<Box<dyn Future<Output = Result<Freshness, Failure>> + Send + 'a>> {
    Box::pin(drive((cache, call, manner), first, asker, |asker| asker))
}

/// One lookup on its way.
struct Trip<'a> {
    cache: Arc<Inner>,
    call: &'a Call,
    manner: Manner,
    runtime: Arc<dyn Runtime>,
    patience: Patience,
    cells: Box<[Arc<Cell>]>,
    /// What loads that begin after the call are above.
    called: u64,
    /// The epoch when it came to its flight: what was invalidated before must not be served.
    arrived: u64,
    /// The flight that it leads while the store is asked.
    leads: Option<Arc<Flight>>,
    /// Whether its flight's load began after the call.
    ours: bool,
    waiter: Option<Waiter>,
    owned: Option<Guard>,
}

impl<'a> Trip<'a> {
    fn new(cache: Arc<Inner>, call: &'a Call, manner: Manner) -> Result<Self, Failure> {
        let runtime = runtime::current();
        let mut limits = call.limits(&cache);
        if manner != Manner::Lookup {
            limits = Limits { soft: None, ..limits };
        }
        let patience = Patience::new(&*runtime, limits).map_err(|why| Failure::Other(LoadError::Panicked(why)))?;
        let cells = cache.hub.tags.cells(&call.tags);
        let called = if manner == Manner::Lookup { 0 } else { cache.flights.ticket() };
        let (leads, waiter, owned) = (None, None, None);
        Ok(Trip { cache, call, manner, runtime, patience, cells, called, arrived: 0, leads, ours: true, waiter, owned })
    }

    /// To a flight, or to what memory has. `sight` is what was last seen there, counted already.
    fn board(&mut self, asked: &mut dyn Asked, mut sight: Option<Sight<()>>) -> Onward {
        loop {
            let cache = Arc::clone(&self.cache);
            let mut path = Path { cache: &cache, asked: &mut *asked, call: self.call };
            let seen = sight.take().filter(|sight| self.call.accepts(sight.value.is_some()));
            match Step::of(seen.map(|sight| sight.age)) {
                Step::Serve(freshness) => return Onward::Answer(Ok(freshness)),
                Step::ServeAndRefresh(freshness, before) => {
                    path.refresh_behind(&self.runtime, &self.cells, before);
                    return Onward::Answer(Ok(freshness));
                }
                Step::Load => {}
            }
            self.arrived = cache.hub.tags.epoch();
            let (asks, before) = match self.manner {
                Manner::Lookup => (cache.asks(), Before::LookAtMemory),
                Manner::Refresh => (Asks::Never, Before::Nothing),
                Manner::Strong => (Asks::Anew, Before::Nothing),
            };
            let departure = path.departure(&self.runtime, asks);
            match path.board(&departure, &self.cells, before, Ground::Fore) {
                Boarded::Filled => sight = path.look_again(),
                Boarded::Flight(flight, role) => return self.go(asked, &flight, role),
            }
        }
    }

    fn go(&mut self, asked: &mut dyn Asked, flight: &Arc<Flight>, role: Role) -> Onward {
        let begins_now = flight.node.ticket > self.called;
        self.ours = match self.manner {
            Manner::Lookup => true,
            // Where there is a store others may find there what was loaded before.
            Manner::Refresh => {
                let loads = flight.node.asks == Asks::Never || self.cache.shelf.is_none();
                begins_now && loads || mutant::on(Mutant::RefreshJoinsOlder)
            }
            Manner::Strong => begins_now && flight.node.asks == Asks::Anew || mutant::on(Mutant::StrongJoinsAny),
        };
        if role == Role::Follows {
            if self.manner == Manner::Lookup {
                Counters::bump(&self.cache.counters.coalesced);
            }
            return self.sit(flight, role);
        }
        if !asked.can_load() {
            self.cache.give_up(flight, Outcome::Abandoned);
            return Onward::Answer(Err(LoadError::Abandoned.into()));
        }
        let cache = Arc::clone(&self.cache);
        let mut path = Path { cache: &cache, asked, call: self.call };
        let wants = match self.manner {
            Manner::Lookup => Wants::Fresh,
            Manner::Refresh => Wants::Anew,
            Manner::Strong => Wants::Strong,
        };
        match cache.unseen(flight, wants, self.call.accepts) {
            Some(seen) if self.manner != Manner::Refresh => {
                self.leads = Some(Arc::clone(flight));
                return Onward::AskStore(seen);
            }
            seen => self.lead(&mut path, flight, seen),
        }
        self.sit(flight, role)
    }

    /// Asks the store for the flight that this lookup leads, as long as its caller waits.
    async fn ask_store(&mut self, seen: Seen) -> First {
        let Some(flight) = self.leads.clone() else { return First::Load(None) };
        let (pledge, wants, name) = (Pledge::new(&self.cache, &flight), seen.wants, seen.name.clone());
        let patience = &mut self.patience;
        let mut consult = pin!(self.cache.consult(&flight, seen));
        let ended = poll_fn(|cx| match consult.as_mut().poll(cx) {
            Poll::Ready(consulted) => Poll::Ready(Ok(consulted)),
            Poll::Pending => patience.ends(cx).map_or(Poll::Pending, |waited| Poll::Ready(Err(waited))),
        });
        let first = match ended.await {
            Ok(Consulted::Found(Age::Early)) => First::Early,
            Ok(Consulted::Found(_) | Consulted::Stale) => First::Found,
            Ok(Consulted::Nothing(seen)) => First::Load(Some(seen)),
            Err(Waited::Hard) => return First::TooLate,
            Err(_time_for_a_stale_value) => {
                let budget = self.cache.shelf.as_ref().map(|shelf| shelf.link.budget());
                let accepts = self.call.accepts;
                First::Late(budget.map(|budget| Seen { name, stored: None, budget, wants, accepts }))
            }
        };
        pledge.kept();
        first
    }

    /// Loads where the store has nothing.
    fn store_asked(&mut self, asked: &mut dyn Asked, first: First) -> Onward {
        let Some(flight) = self.leads.take() else { return Onward::Answer(Err(LoadError::Abandoned.into())) };
        let cache = Arc::clone(&self.cache);
        let mut path = Path { cache: &cache, asked: &mut *asked, call: self.call };
        match first {
            First::Found => {}
            First::Early => path.refresh_behind(&flight.node.runtime, &self.cells, Before::Nothing),
            First::TooLate => return Onward::Answer(path.stale_or(Outcome::Timeout, LoadError::Timeout.into())),
            First::Load(seen) => self.lead(&mut path, &flight, seen),
            First::Late(seen) => {
                self.lead(&mut path, &flight, seen);
                // His patience says so once.
                if let Some(stale) = path.stale(Because::Slow) {
                    return Onward::Answer(Ok(stale));
                }
            }
        }
        // Nobody sits down for what the store has just brought.
        match flight.ended() {
            Some(outcome) => {
                let next = path.next(&flight, outcome, self.arrived);
                self.go_on(asked, next)
            }
            None => self.sit(&flight, Role::Leads),
        }
    }

    fn lead(&self, path: &mut Path<'_>, flight: &Arc<Flight>, seen: Option<Seen>) {
        // Otherwise others took this lookup for lost meanwhile, and the flight is over.
        if flight.takes_off() && path.asked.can_load() {
            path.take_off(flight, seen);
        }
    }

    fn sit(&mut self, flight: &Arc<Flight>, role: Role) -> Onward {
        self.owned = (role == Role::Leads && mutant::on(Mutant::GuardOwnedByCaller))
            .then(|| Guard::new(&self.cache, Fleet::One(Arc::clone(flight))));
        match self.cache.sit(flight, role, &self.runtime) {
            Ok(waiter) => {
                self.waiter = Some(waiter);
                Onward::Wait
            }
            Err(failure) => Onward::Answer(Err(failure)),
        }
    }

    /// Waits for the flight.
    async fn wait(&mut self) -> Waited {
        match &mut self.waiter {
            Some(waiter) => waiter.end(&mut self.patience).await,
            None => Waited::Outcome(Outcome::Abandoned),
        }
    }

    /// What follows from how a wait ended.
    fn waited(&mut self, asked: &mut dyn Asked, waited: Waited) -> Onward {
        let cache = Arc::clone(&self.cache);
        let mut path = Path { cache: &cache, asked: &mut *asked, call: self.call };
        let Some(waiter) = &mut self.waiter else { return Onward::Answer(Err(LoadError::Abandoned.into())) };
        let next = match waited {
            Waited::Outcome(outcome) => path.next(waiter.flight(), outcome, self.arrived),
            Waited::Hard => Next::Return(path.stale_or(Outcome::Timeout, LoadError::Timeout.into())),
            Waited::Soft => {
                return path.stale(Because::Slow).map_or(Onward::Wait, |stale| Onward::Answer(Ok(stale)));
            }
            Waited::Overdue => {
                match cache.stands_still(waiter.flight()) {
                    Some(outcome) => cache.give_up(waiter.flight(), outcome),
                    // It has begun only since, and has its own time.
                    None => waiter.allow(cache.time_left(waiter.flight()).max(GRACE)),
                }
                return Onward::Wait;
            }
            Waited::Dead => {
                cache.give_up(waiter.flight(), Outcome::Abandoned);
                return Onward::Wait;
            }
        };
        (self.waiter, self.owned) = (None, None);
        self.go_on(asked, next)
    }

    /// To the answer, or to another look.
    fn go_on(&mut self, asked: &mut dyn Asked, next: Next) -> Onward {
        match next {
            Next::Return(result) if self.ours => Onward::Answer(result),
            Next::Return(Err(Failure::Other(LoadError::Timeout))) if self.patience.is_over() => {
                Onward::Answer(Err(LoadError::Timeout.into()))
            }
            // Another's, which may be from before the call, or overtaken; and the loader is spent.
            Next::Return(_) | Next::LookAgain if !asked.can_load() => Onward::Answer(Err(LoadError::Abandoned.into())),
            Next::Return(_) | Next::LookAgain => {
                let cache = Arc::clone(&self.cache);
                let sight = if self.manner == Manner::Lookup { path_again(&cache, asked, self.call) } else { None };
                self.board(asked, sight)
            }
        }
    }
}

fn path_again(cache: &Arc<Inner>, asked: &mut dyn Asked, call: &Call) -> Option<Sight<()>> {
    Path { cache, asked, call }.look_again()
}
