//! The end of a load: what is kept, and what those who wait are told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flight, Ground, Landed, Outcome};
use super::gone::Reason;
use super::inner::Inner;
use super::load::{Aged, Bare, Keep};
use super::stamped::Ties;
use super::vault::{Filled, New, Spill};
use crate::error::panic_message;
use crate::mutant::{self, Mutant};
use crate::stats::Counters;
use crate::tag::Cell;
use crate::trace;

impl Inner {
    /// As [`land`](Inner::land). Weighers, clones and `Eq` are foreign code: what panics there is the load's panic.
    pub(super) fn land_or_panic(&self, flight: &Arc<Flight>, loaded: Bare, took: Duration, out: &mut Spill) -> Outcome {
        let landed = catch_unwind(AssertUnwindSafe(|| self.land(flight, loaded, took, out)));
        landed.unwrap_or_else(|payload| Outcome::Panicked(panic_message(&*payload)))
    }

    /// Keeps what a load brought, if its flight still stands and none of its tags was invalidated since it began.
    ///
    /// The flight carries the value already.
    fn land(&self, flight: &Arc<Flight>, loaded: Bare, took: Duration, out: &mut Spill) -> Outcome {
        let Bare { is_absence, tags, cells, ttl, weight, keep, aged } = loaded;
        let named = self.hub.tags.cells(&tags);
        let stands_by_tags = self.stands_by_tags(flight, &named, &cells);
        let tags = distinct(flight.tags.iter().chain(&named).chain(&cells));
        let cost_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let began = self.stamp(flight.began, &named);
        let new = (keep == Keep::Yes && stands_by_tags).then(|| {
            let ties = Ties { tags: &tags, place: flight.place };
            let (times, cost_us) = match aged {
                Some(Aged { times, cost_us, asked_ms }) => (self.believed(times, asked_ms), cost_us),
                None => (self.times(ttl, is_absence, cost_us), cost_us),
            };
            New { weight, ties, began, times, cost_us }
        });
        let Filled { stood, held } = self.memory.fill(self, flight, new, out);
        if keep == Keep::No {
            self.gone.note(flight.hash, Reason::NotKept);
        } else if keep == Keep::Refused || !stood || !stands_by_tags || held {
            self.gone.note(flight.hash, Reason::Refused);
            Counters::bump(&self.counters.refused);
            trace::refused(&self.name, flight.hash);
        }
        flight.land(Landed { is_absence, tags });
        Outcome::Landed
    }

    /// Whether what is known of the load's tags allows to keep its value.
    ///
    /// A tag known from the arguments is compared with the version it had before the load; one that only the result
    /// names is accepted if its last invalidation is older than the load. Within one process both are one question,
    /// since a tag's version *is* the epoch of its last invalidation.
    fn stands_by_tags(&self, flight: &Flight, named: &[Arc<Cell>], kept: &[Arc<Cell>]) -> bool {
        let argument_tags: &[_] = if mutant::on(Mutant::ArgumentTagsStampedLate) { &[] } else { &flight.tags };
        let named: &[_] = if mutant::on(Mutant::ResultTagsStampedLate) { &[] } else { named };
        let all = argument_tags.iter().chain(named).chain(kept);
        let by_tags = all.into_iter().any(|cell| cell.changed_since(flight.began));
        let elsewhere = self.changed_elsewhere(flight) && !mutant::on(Mutant::FillUnregistered);
        !self.purged_since(flight.began) && !by_tags && !elsewhere
    }

    /// The epoch an entry is stamped with: the one its load began at.
    fn stamp(&self, began: u64, named: &[Arc<Cell>]) -> u64 {
        let late = mutant::on(Mutant::ArgumentTagsStampedLate)
            || mutant::on(Mutant::FillUnregistered)
            || mutant::on(Mutant::ResultTagsStampedLate) && !named.is_empty();
        if late { self.hub.tags.epoch() } else { began }
    }

    /// Counts a load that brought nothing, or not all.
    pub(super) fn count_failure(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Landed | Outcome::Abandoned | Outcome::Overtaken => {}
            Outcome::Busy => Counters::bump(&self.counters.busy),
            Outcome::Failed(_) | Outcome::Panicked(_) | Outcome::Timeout => {
                Counters::bump(&self.counters.load_errors);
            }
        }
    }

    /// A load that brought nothing for its key: the flight goes, and a stale value is left alone for a while.
    pub(super) fn ended_badly(&self, flight: &Arc<Flight>, outcome: &Outcome) {
        self.gone.note(flight.hash, Reason::LoadFailed);
        if let (Some(backoff), Ground::Back) = (&self.backoff, flight.ground) {
            backoff.note(flight.hash, self.hub.clock.now_ms().saturating_add(self.ages.throttle_ms));
        }
        let tolerated = self.tolerated(outcome);
        let mut slice = self.flights.lock(flight.hash);
        let stood = slice.remove(flight);
        if stood && tolerated && self.ages.throttle_ms > 0 {
            self.memory.throttle(self, flight);
        }
        drop(slice);
    }

    /// Whether a stale value may stand in for this outcome.
    pub(super) fn tolerated(&self, outcome: &Outcome) -> bool {
        let by_filter = match (outcome, &self.tolerates) {
            (Outcome::Landed, _) => false,
            // A filter is foreign code; one that panics tolerates nothing.
            (Outcome::Failed(error), Some(tolerates)) => {
                catch_unwind(AssertUnwindSafe(|| tolerates(&**error))).unwrap_or(false)
            }
            _ => true,
        };
        by_filter && self.ages.on_error_ms > 0
    }
}

/// Each cell once: a value that is found unchanged again and again keeps the tags it had.
pub(super) fn distinct<'a>(cells: impl Iterator<Item = &'a Arc<Cell>>) -> Box<[Arc<Cell>]> {
    let mut distinct: Vec<Arc<Cell>> = Vec::new();
    for cell in cells {
        if !distinct.iter().any(|known| Arc::ptr_eq(known, cell)) {
            distinct.push(Arc::clone(cell));
        }
    }
    distinct.into()
}
