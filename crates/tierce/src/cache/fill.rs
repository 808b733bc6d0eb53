//! The end of a load: what is kept, and what those who wait are told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flight, Ground, Landed, Outcome};
use super::gone::Reason;
use super::inner::{Fallout, Inner};
use super::load::{Aged, Keep, Loaded};
use super::stamped::Ties;
use crate::error::panic_message;
use crate::key::{Key, Value};
use crate::mutant::{self, Mutant};
use crate::stats::Counters;
use crate::tag::Cell;
use crate::trace;

impl<K: Key, V: Value> Inner<K, V> {
    /// As [`land`](Inner::land). Weighers, clones and `Eq` are foreign code: what panics there is the load's panic.
    pub(super) fn land_or_panic(
        &self,
        flight: &Arc<Flight<K, V>>,
        loaded: Loaded<V>,
        took: Duration,
        out: &mut Fallout<K, V>,
    ) -> Outcome {
        let landed = catch_unwind(AssertUnwindSafe(|| self.land(flight, loaded, took, out)));
        landed.unwrap_or_else(|payload| Outcome::Panicked(panic_message(&*payload)))
    }

    /// Keeps what a load brought, if its flight still stands and none of its tags was invalidated since it began.
    ///
    /// Under the lock of the flight's slice: look whether it stands and no writer holds the key, fill, take it
    /// out. An invalidation of the key comes before all three or after all three.
    fn land(&self, flight: &Arc<Flight<K, V>>, loaded: Loaded<V>, took: Duration, out: &mut Fallout<K, V>) -> Outcome {
        let Loaded { value, tags, cells, ttl, weight, keep, aged } = loaded;
        let named = self.hub.tags.cells(&tags);
        let stands_by_tags = self.stands_by_tags(flight, &named, &cells);
        let tags = distinct(flight.tags.iter().chain(&named).chain(&cells));
        let cost_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let began = self.stamp(flight.began, &named);
        let mut fresh = None;
        if keep == Keep::Yes && stands_by_tags {
            let key = flight.key.clone();
            let ties = Ties { tags: &tags, place: flight.place };
            fresh = Some(match aged {
                Some(Aged { times, cost_us, asked_ms }) => {
                    let times = self.believed(times, asked_ms);
                    self.fresh_at(key, value.clone(), weight, ties, began, (times, cost_us))
                }
                None => self.fresh(key, value.clone(), (ttl, weight), ties, began, cost_us),
            });
        }

        let mut slice = self.flights.lock(flight.hash);
        let stands = slice.remove(flight) || unfenced(flight.ground);
        // What a writer is about to change may be read before the change, or without its being committed.
        let held = slice.writers().disturb(flight.hash, &flight.key) && !mutant::on(Mutant::HeldKeyFilled);
        match fresh.take() {
            Some(fresh) if stands && !held => self.memory.put(flight.hash, fresh, out),
            // A newer value was seen and not kept: the older one must not be seen after it.
            // Though it was detached: it may bring what a writer has committed and not told yet.
            unkept if stands || held => {
                fresh = unkept;
                self.memory.take(&flight.key, out);
            }
            unkept => fresh = unkept,
        }
        drop(slice);

        if keep == Keep::No {
            self.gone.note(flight.hash, Reason::NotKept);
        } else if !stands || !stands_by_tags || held {
            self.gone.note(flight.hash, Reason::Refused);
            Counters::bump(&self.counters.refused);
            trace::refused(&self.name, flight.hash);
        }
        drop(fresh);
        flight.land(Landed { value, tags });
        Outcome::Landed
    }

    /// Whether what is known of the load's tags allows to keep its value.
    ///
    /// A tag known from the arguments is compared with the version it had before the load; one that only the result
    /// names is accepted if its last invalidation is older than the load. Within one process both are one question,
    /// since a tag's version *is* the epoch of its last invalidation.
    fn stands_by_tags(&self, flight: &Flight<K, V>, named: &[Arc<Cell>], kept: &[Arc<Cell>]) -> bool {
        let argument_tags: &[_] = if mutant::on(Mutant::ArgumentTagsStampedLate) { &[] } else { &flight.tags };
        let named: &[_] = if mutant::on(Mutant::ResultTagsStampedLate) { &[] } else { named };
        let all = argument_tags.iter().chain(named).chain(kept);
        let by_tags = all.into_iter().any(|cell| cell.changed_since(flight.began));
        !self.purged_since(flight.began) && !by_tags && !self.changed_elsewhere(flight)
    }

    /// The epoch an entry is stamped with: the one its load began at.
    fn stamp(&self, began: u64, named: &[Arc<Cell>]) -> u64 {
        let late = mutant::on(Mutant::ArgumentTagsStampedLate)
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
    pub(super) fn ended_badly(&self, flight: &Arc<Flight<K, V>>, outcome: &Outcome) {
        self.gone.note(flight.hash, Reason::LoadFailed);
        if let (Some(backoff), Ground::Back) = (&self.backoff, flight.ground) {
            backoff.note(flight.hash, self.hub.clock.now_ms().saturating_add(self.ages.throttle_ms));
        }
        let tolerated = self.tolerated(outcome);
        let mut slice = self.flights.lock(flight.hash);
        let stood = slice.remove(flight);
        if stood && tolerated && self.ages.throttle_ms > 0 {
            self.throttle(flight);
        }
        drop(slice);
    }

    fn throttle(&self, flight: &Flight<K, V>) {
        let now_ms = self.hub.clock.now_ms();
        self.memory.amend(&flight.key, |_, entry| {
            let times = entry.times();
            if now_ms >= times.fresh_until_ms {
                entry.set_times(self.ages.throttled(times, now_ms));
            }
        });
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

/// Whether a planted fault fills without a standing flight.
fn unfenced(ground: Ground) -> bool {
    mutant::on(Mutant::NoFence) || ground == Ground::Back && mutant::on(Mutant::RefreshNotFenced)
}
