//! Planted faults under the model checker: each has to be caught, and the control has to survive. One of them,
//! `EpochBeforeCell`, shows to two threads alone; the others show that the checks look where they should.

use std::panic::catch_unwind;

use shuttle::scheduler::RandomScheduler;
use tierce::mutant::{Mutant, plant};

use crate::{flights, tags};

/// Schedules after which a fault counts as not caught.
const SCHEDULES: usize = 20_000;

/// Whether some schedule shows a fault.
fn caught(mutant: Mutant, schedules: usize, body: fn()) -> bool {
    plant(mutant);
    let ended = catch_unwind(|| crate::run(RandomScheduler::new(schedules), body));
    plant(Mutant::Noop);
    ended.is_err()
}

#[test]
fn an_epoch_written_before_its_cell_is_caught() {
    assert!(caught(Mutant::EpochBeforeCell, SCHEDULES, tags::no_hit_outlives_its_tag));
}

#[test]
fn an_entry_stamped_anew_without_comparison_is_caught() {
    assert!(caught(Mutant::RestampedUncompared, SCHEDULES, tags::no_hit_outlives_its_tag));
}

#[test]
fn tags_stamped_after_the_load_are_caught() {
    assert!(caught(Mutant::ArgumentTagsStampedLate, SCHEDULES, tags::no_load_outlives_its_tag));
    assert!(caught(Mutant::ResultTagsStampedLate, SCHEDULES, tags::no_load_outlives_its_tag));
}

#[test]
fn flights_that_outlive_an_invalidation_are_caught() {
    assert!(caught(Mutant::FlightNotDetached, SCHEDULES, flights::no_load_outlives_its_key));
    assert!(caught(Mutant::NoFence, SCHEDULES, flights::no_load_outlives_its_key));
    assert!(caught(Mutant::RefreshJoinsOlder, SCHEDULES, flights::a_refresh_is_as_new_as_its_call));
}

#[test]
fn the_control_survives() {
    assert!(!caught(Mutant::Noop, 1000, flights::no_load_outlives_its_key));
    assert!(!caught(Mutant::Noop, 1000, tags::no_hit_outlives_its_tag));
}
