//! Planted faults under the model checker: each has to be caught, and the control has to survive. `EpochBeforeCell` and
//! the two about bias show to two threads alone; the others show that the checks look where they should.

use std::panic::catch_unwind;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use tierce::mutant::{Mutant, plant};

use crate::{flights, memory, tags};

/// Schedules after which a fault counts as not caught.
const SCHEDULES: usize = 200_000;

/// Whether some schedule shows a fault.
fn caught(mutant: Mutant, schedules: usize, body: fn()) -> bool {
    plant(mutant);
    // Few switches show what takes many steps of one thread between two of another; chance shows the rest.
    let ended = catch_unwind(|| {
        crate::run(PctScheduler::new(crate::PCT_DEPTH, schedules / 2), body);
        crate::run(RandomScheduler::new(schedules / 2), body);
    });
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

/// The fault lets a reader and a writer have one value at a time, which is undefined but for the value of this check: it
/// is made of atomics.
#[test]
fn a_bias_that_readers_or_writers_do_not_look_at_is_caught() {
    assert!(caught(Mutant::BiasNotAwaited, SCHEDULES, memory::no_value_is_cloned_while_it_changes));
    assert!(caught(Mutant::BiasNotLookedAtAgain, SCHEDULES, memory::no_value_is_cloned_while_it_changes));
}

#[test]
fn the_control_survives() {
    assert!(!caught(Mutant::Noop, 1000, memory::no_value_is_cloned_while_it_changes));
    assert!(!caught(Mutant::Noop, 1000, flights::no_load_outlives_its_key));
    assert!(!caught(Mutant::Noop, 1000, tags::no_hit_outlives_its_tag));
}
