//! The path of a batch's ids that memory did not answer at once: `trip.rs` for many at a time.
//!
//! Each id goes the way of a single lookup, with the same steps, and ends for itself. What is done for all together: the
//! ids that this call leads are brought by one load; there is one wait with one patience; and of the flights that one
//! load brings only one at a time is waited for, since they all end at once, but for those that were overtaken before
//! it began: of them the load says so, and wakes whoever waits for another of its flights.
//!
//! An id whose wait says nothing about this caller's moment is looked up again at once, while the others are still
//! waited for. It may then be led by another load of this call; an id is led at most once, so that a runtime which drops
//! whatever is spawned on it ends the call.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::answer::Freshness;
use super::asked::Failure;
use super::asking::{Asking, Nothing};
use super::core::{Because, Sight};
use super::fleet::Crew;
use super::flight::{Departure, Flight, Ground, Outcome};
use super::inner::{Inner, Typed};
use super::lookup::{Before, Boarded, Call, Next, Path, Role, Served, Step};
use super::run::GRACE;
use super::wait::{Patience, Waited, Waiter};
use crate::error::LoadError;
use crate::key::{Key, ToKey, Value};
use crate::mutant::{self, Mutant};
use crate::runtime::Runtime;
use crate::shared::Behind;
use crate::stats::Counters;
use crate::store::together;
use crate::tag::Cell;

/// Where the flights of ids go that nobody loads.
pub(super) trait Start {
    /// Lets a key board: with others of this call, or of other calls. A role that leads is for a load of this call.
    fn board(&mut self, ground: Ground, board: impl FnOnce(&Departure) -> Boarded) -> Boarded;

    /// All that are here have boarded: those for whom the store is to be asked.
    fn asking(&mut self) -> Vec<&mut Crew>;

    /// What the store does not have is loaded.
    fn take_off(&mut self);
}

/// An id that is looked up.
pub(super) struct Want<V, E> {
    /// Its place in the batch.
    pub(super) at: usize,
    /// What memory had, counted already.
    sight: Option<Sight<V>>,
    led: bool,
    pub(super) answer: Option<Result<Served<V>, LoadError<E>>>,
}

impl<V, E> Want<V, E> {
    pub(super) fn new(at: usize, sight: Option<Sight<V>>) -> Self {
        Want { at, sight, led: false, answer: None }
    }
}

/// A batch on its way.
pub(super) struct Rounds<'a, K: Key, V: Value, Q, S, E> {
    pub(super) cache: &'a Arc<Typed<K, V>>,
    /// The same.
    pub(super) whole: &'a Arc<Inner>,
    pub(super) ids: &'a [Q],
    pub(super) call: &'a Call,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) start: S,
    pub(super) wants: Vec<Want<V, E>>,
}

/// One id's wait for its flight.
struct Wait {
    want: usize,
    flight: Arc<Flight>,
    role: Role,
    /// The epoch when it began to wait.
    arrived: u64,
}

/// The waits for flights of one load; the last is the one being waited for.
struct Group {
    waiter: Waiter,
    waits: Vec<Wait>,
}

/// What a batch that waits is woken for.
enum Event {
    Ended(Vec<(Wait, Outcome)>),
    Soft,
    Hard,
    /// The runtime of this group's load is dead.
    Dead(usize),
    /// The load of this group should have ended by now.
    Overdue(usize),
}

impl<'a, K: Key, V: Value, Q: ToKey<K>, S: Start, E: Send + Sync + 'static> Rounds<'a, K, V, Q, S, E> {
    /// Gives each id its answer.
    pub(super) async fn run(mut self) -> Vec<Want<V, E>> {
        if self.wants.is_empty() {
            return self.wants;
        }
        let limits = self.call.limits(self.whole);
        let mut patience = match Patience::new(&*self.runtime, limits) {
            Ok(patience) => patience,
            Err(message) => {
                let error = || Some(Err(LoadError::Panicked(Arc::clone(&message))));
                self.wants.iter_mut().for_each(|want| want.answer = error());
                return self.wants;
            }
        };
        let cells = self.cache.hub.tags.cells(&self.call.tags);
        let mut due: Vec<usize> = (0..self.wants.len()).collect();
        let mut groups = Vec::new();
        loop {
            if !due.is_empty() {
                let (waits, over) = self.board(&mut due, &cells, &mut patience).await;
                self.sit(waits, &mut groups);
                match over {
                    Some(Waited::Hard) => self.end_hard(std::mem::take(&mut groups)),
                    Some(_) => self.end_softly(&mut groups),
                    None => {}
                }
            }
            if groups.is_empty() {
                return self.wants;
            }
            match poll_fn(|cx| poll(&mut groups, cx, &mut patience)).await {
                Event::Ended(ended) => self.end(ended, &mut due),
                Event::Soft => self.end_softly(&mut groups),
                Event::Hard => self.end_hard(std::mem::take(&mut groups)),
                // Those that share the load have its end as well, unless it has not even begun.
                Event::Dead(group) => {
                    for wait in &groups[group].waits {
                        self.whole.give_up(&wait.flight, Outcome::Abandoned);
                    }
                }
                Event::Overdue(group) => self.give_up_late(&mut groups[group]),
            }
        }
    }

    /// Gives up what should have ended by now. What has begun only since the wait for it did has its own time.
    fn give_up_late(&self, group: &mut Group) {
        let mut left = None;
        for wait in &group.waits {
            match self.whole.stands_still(&wait.flight) {
                Some(outcome) => self.whole.give_up(&wait.flight, outcome),
                None => left = left.max(Some(self.whole.time_left(&wait.flight))),
            }
        }
        if let Some(left) = left {
            group.waiter.allow(left.max(GRACE));
        }
    }

    /// A step of one id's lookup, which may find something.
    fn step<T>(&self, at: usize, step: impl FnOnce(&mut Path<'_>) -> T) -> (T, Option<V>) {
        let mut asking = Asking::<_, _, _, Nothing<V, E>, E>::new(self.cache, &self.ids[at], None);
        let stepped = step(&mut Path { cache: self.whole, asked: &mut asking, call: self.call });
        (stepped, asking.found())
    }

    /// Serves from memory what can be, and finds a flight for each of the others. Says if its caller's patience had an end
    /// while the store was asked.
    async fn board(
        &mut self,
        due: &mut Vec<usize>,
        cells: &[Arc<Cell>],
        patience: &mut Patience,
    ) -> (Vec<Wait>, Option<Waited>) {
        // What was invalidated before this must not be served.
        let arrived = self.cache.hub.tags.epoch();
        let mut waits = Vec::with_capacity(due.len());
        let mut behind = None;
        for want in due.drain(..) {
            if let Some((flight, role)) = self.serve_or_board(want, cells, &mut behind) {
                waits.push(Wait { want, flight, role, arrived });
            }
        }
        let mut over = None;
        if self.whole.shelf.is_some() {
            let mut asking = pin!(together(self.start.asking().into_iter().map(Crew::consult)));
            // What the store is not waited for any longer is loaded.
            over = poll_fn(|cx| match asking.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => patience.ends(cx).map_or(Poll::Pending, |waited| Poll::Ready(Some(waited))),
            })
            .await;
        }
        self.start.take_off();
        // By now the loads behind the caller count themselves.
        drop(behind);
        (waits, over)
    }

    fn serve_or_board(
        &mut self,
        want: usize,
        cells: &[Arc<Cell>],
        behind: &mut Option<Behind<'a>>,
    ) -> Option<(Arc<Flight>, Role)> {
        let Rounds { cache, whole, ids, call, start, wants, .. } = self;
        let want = &mut wants[want];
        let mut asking = Asking::<_, _, _, Nothing<V, E>, E>::new(cache, &ids[want.at], None);
        let mut sight = asking.seen(want.sight.take());
        loop {
            let mut path = Path { cache: whole, asked: &mut asking, call };
            let seen = sight.take().filter(|sight| call.accepts(sight.value.is_some()));
            match Step::of(seen.map(|sight| sight.age)) {
                Step::Serve(freshness) => {
                    want.answer = Some(Ok(Served { value: asking.found(), freshness }));
                    return None;
                }
                Step::ServeAndRefresh(freshness, before) => {
                    if path.may_refresh_behind() {
                        // One leave is for all that the batch refreshes.
                        *behind = behind.take().or_else(|| cache.hub.running.behind());
                        if behind.is_some() {
                            start.board(Ground::Back, |departure| path.board(departure, cells, before, Ground::Back));
                        }
                    }
                    want.answer = Some(Ok(Served { value: asking.found(), freshness }));
                    return None;
                }
                Step::Load => {}
            }
            if mutant::on(Mutant::BatchJoinsNobody) {
                push_aside(&path);
            }
            let board = |departure: &_| path.board(departure, cells, Before::LookAtMemory, Ground::Fore);
            match start.board(Ground::Fore, board) {
                Boarded::Filled => sight = path.look_again(),
                Boarded::Flight(flight, role) => {
                    if role == Role::Follows {
                        Counters::bump(&cache.counters.coalesced);
                    }
                    want.led |= role == Role::Leads;
                    return Some((flight, role));
                }
            }
        }
    }

    /// Takes a seat for each load that is waited for.
    fn sit(&mut self, mut waits: Vec<Wait>, groups: &mut Vec<Group>) {
        waits.sort_by_key(|wait| wait.flight.node.ticket);
        let mut waits = waits.into_iter().peekable();
        while let Some(first) = waits.next() {
            let ticket = first.flight.node.ticket;
            let mut of_load = Vec::with_capacity(1 + waits.len());
            of_load.push(first);
            while let Some(next) = waits.next_if(|wait| wait.flight.node.ticket == ticket) {
                of_load.push(next);
            }
            let Some(last) = of_load.last() else { continue };
            match self.whole.sit(&last.flight, last.role, &self.runtime) {
                Ok(waiter) => groups.push(Group { waiter, waits: of_load }),
                Err(failure) => {
                    for wait in of_load {
                        self.wants[wait.want].answer = Some(Err(failure.clone().known()));
                    }
                }
            }
        }
    }

    fn end(&mut self, ended: Vec<(Wait, Outcome)>, due: &mut Vec<usize>) {
        for (wait, outcome) in ended {
            // What was changed before its load began was not led, nor what somebody else had put on board before.
            let came_later = wait.arrived > wait.flight.began;
            self.wants[wait.want].led &= !came_later && !matches!(outcome, Outcome::Overtaken);
            let Want { at, led, .. } = self.wants[wait.want];
            let (next, found) = self.step(at, |path| path.next(&wait.flight, outcome, wait.arrived));
            let answer = match next {
                Next::Return(ended) => answer(ended, found),
                Next::LookAgain if led => Err(LoadError::Abandoned),
                Next::LookAgain => {
                    let (sight, value) = self.step(at, |path| path.look_again());
                    self.wants[wait.want].sight = sight.map(|sight| Sight { value, age: sight.age });
                    due.push(wait.want);
                    continue;
                }
            };
            self.wants[wait.want].answer = Some(answer);
        }
    }

    /// Time for stale values, where there are any.
    fn end_softly(&mut self, groups: &mut Vec<Group>) {
        for group in groups.iter_mut() {
            group.waits.retain(|wait| {
                let (stale, value) = self.step(self.wants[wait.want].at, |path| path.stale(Because::Slow));
                if let Some(freshness) = stale {
                    self.wants[wait.want].answer = Some(Ok(Served { value, freshness }));
                }
                stale.is_none()
            });
            group.wait_for_last();
        }
        groups.retain(|group| !group.waits.is_empty());
    }

    /// The caller's time is over.
    fn end_hard(&mut self, groups: Vec<Group>) {
        for wait in groups.iter().flat_map(|group| &group.waits) {
            let over = |path: &mut Path<'_>| path.stale_or(Outcome::Timeout, LoadError::Timeout.into());
            let (ended, found) = self.step(self.wants[wait.want].at, over);
            self.wants[wait.want].answer = Some(answer(ended, found));
        }
    }
}

/// How a lookup ended, with what it found.
fn answer<V, E: Send + Sync + 'static>(
    ended: Result<Freshness, Failure>,
    value: Option<V>,
) -> Result<Served<V>, LoadError<E>> {
    ended.map(|freshness| Served { value, freshness }).map_err(Failure::known)
}

/// A planted fault: the flight that stands in the way goes.
fn push_aside(path: &Path<'_>) {
    let mut slice = path.cache.flights.lock(path.asked.hash());
    let pushed = slice.detach(path.asked.key());
    drop(slice);
    drop(pushed);
}

impl Group {
    /// What has ended by now.
    fn collect(&mut self, cx: &mut Context<'_>, ended: &mut Vec<(Wait, Outcome)>) {
        while !self.waits.is_empty() {
            let Some(outcome) = self.waiter.outcome(cx) else { return self.collect_overtaken(ended) };
            if ended.is_empty() {
                ended.reserve(self.waits.len());
            }
            ended.extend(self.waits.pop().map(|wait| (wait, outcome)));
            // The others have mostly ended too, and a look is less than a seat.
            while let Some(outcome) = self.waits.last().and_then(|wait| wait.flight.ended()) {
                ended.extend(self.waits.pop().map(|wait| (wait, outcome)));
            }
            self.wait_for_last();
        }
    }

    /// What ended before the load began, while the one that is waited for has not.
    fn collect_overtaken(&mut self, ended: &mut Vec<(Wait, Outcome)>) {
        let Some(others) = self.waits.len().checked_sub(1).filter(|_| self.waiter.flight().node.is_thinned()) else {
            return;
        };
        let overtaken = self.waits.extract_if(..others, |wait| wait.flight.is_over());
        ended.extend(overtaken.filter_map(|wait| wait.flight.ended().map(|outcome| (wait, outcome))));
    }

    fn wait_for_last(&mut self) {
        if let Some(last) = self.waits.last() {
            self.waiter.change(Arc::clone(&last.flight));
        }
    }
}

fn poll(groups: &mut Vec<Group>, cx: &mut Context<'_>, patience: &mut Patience) -> Poll<Event> {
    let mut ended = Vec::new();
    groups.iter_mut().for_each(|group| group.collect(cx, &mut ended));
    groups.retain(|group| !group.waits.is_empty());
    if !ended.is_empty() {
        return Poll::Ready(Event::Ended(ended));
    }
    match patience.ends(cx) {
        Some(Waited::Hard) => return Poll::Ready(Event::Hard),
        Some(_) => return Poll::Ready(Event::Soft),
        None => {}
    }
    for (place, group) in groups.iter_mut().enumerate() {
        match group.waiter.alarm(cx) {
            Some(Waited::Dead) => return Poll::Ready(Event::Dead(place)),
            Some(_) => return Poll::Ready(Event::Overdue(place)),
            None => {}
        }
    }
    Poll::Pending
}
