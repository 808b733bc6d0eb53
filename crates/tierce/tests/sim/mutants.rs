//! Each planted fault has to be caught by some seed, and the control has to survive them all.

use std::panic::catch_unwind;
use std::sync::Mutex;

use tierce::mutant::{Mutant, plant};

/// Every fault that one thread can show. `EpochBeforeCell` needs two: the model checker plants it.
const FAULTS: &[Mutant] = &[
    Mutant::NoFence,
    Mutant::RefreshNotFenced,
    Mutant::FlightNotDetached,
    Mutant::SetNotDetaching,
    Mutant::MarkStaleNotDetaching,
    Mutant::ArgumentTagsStampedLate,
    Mutant::ResultTagsStampedLate,
    Mutant::RestampedUncompared,
    Mutant::NoFloor,
    Mutant::NotLookedAgain,
    Mutant::JoinedAcrossPurge,
    Mutant::GuardOwnedByCaller,
    Mutant::PanicUnpublished,
    Mutant::ErrorRetriedByWaiters,
    Mutant::InvalidateMarksStale,
    Mutant::StaleWithoutLimit,
    Mutant::DeadRuntimeJoined,
    Mutant::RefreshJoinsOlder,
    Mutant::RetriedAtOnce,
    Mutant::GivenUpInPart,
    Mutant::HeldKeyFilled,
    Mutant::WritersNotCompared,
    Mutant::HoldNotDetaching,
    Mutant::HoldStampedLate,
    Mutant::DroppedHoldKeeps,
    Mutant::DetachedFilledByBatch,
    Mutant::OutcomeForFirstAlone,
    Mutant::BatchJoinsNobody,
    Mutant::OvertakenLoaded,
    Mutant::DeadlineIgnored,
    Mutant::HardTimeoutIgnored,
    Mutant::PermitKept,
    Mutant::TtlStretched,
    Mutant::NegativeTtlIgnored,
    Mutant::StaleCalledFresh,
];

/// Those of a store among processes. Others need real servers: `tierce check-consistency --mutants` plants them.
const SHARED_FAULTS: &[Mutant] = &[
    Mutant::FilledWithoutToken,
    Mutant::TagVersionsReadLate,
    Mutant::ResultVersionsReadLate,
    Mutant::NotToldToStore,
    Mutant::TagNotToldToStore,
    Mutant::StoredTagsNotCompared,
    Mutant::MemoryBelievedForEver,
    Mutant::UntoldForgotten,
    Mutant::UntoldAskedFor,
    Mutant::VersionsBelievedForEver,
    Mutant::VersionsAgeNotCounted,
    Mutant::KeyPushIgnored,
    Mutant::TagPushIgnored,
    Mutant::NotForgottenOnReturn,
    Mutant::StrongBelievesVersions,
    Mutant::StrongJoinsAny,
];

/// Those that show in a few messages' time, which schedules that are written by hand bring about.
const STEERED_FAULTS: &[Mutant] = &[
    Mutant::EndedBeforeToldOnly,
    Mutant::TagEndedBeforeToldOnly,
    Mutant::RefusedFillKept,
    Mutant::VersionHeldWhileForgotten,
    Mutant::BoundFromTheAnswer,
    Mutant::ChangedElsewhereKept,
    Mutant::AgedFlightJoined,
    Mutant::FillUnregistered,
    Mutant::ServedWithoutBeats,
];

/// Seeds after which a fault counts as not caught.
const SEEDS: u64 = 10_000;

/// Seeds after which a fault among processes counts as not caught.
const SHARED_SEEDS: u64 = 4_000;

/// The first seed that shows a fault, and what it showed.
fn caught(mutant: Mutant, seeds: u64, run: fn(u64) -> Vec<String>) -> Option<(u64, String)> {
    plant(mutant);
    (0..seeds).find_map(|seed| match catch_unwind(|| run(seed)) {
        Ok(violations) => violations.into_iter().next().map(|violation| (seed, violation)),
        Err(_) => Some((seed, "the simulation panicked".to_string())),
    })
}

fn one_process(seed: u64) -> Vec<String> {
    super::run(seed).violations
}

#[test]
fn every_planted_fault_is_caught() {
    all_are_caught(FAULTS, SEEDS, one_process);
}

#[test]
fn every_fault_among_processes_is_caught() {
    all_are_caught(SHARED_FAULTS, SHARED_SEEDS, super::processes::violations);
}

#[test]
fn every_fault_of_a_few_messages_is_caught() {
    all_are_caught(STEERED_FAULTS, 1, |_| super::steered::violations());
}

fn all_are_caught(faults: &[Mutant], seeds: u64, run: fn(u64) -> Vec<String>) {
    super::quiet_loaders();
    let next = Mutex::new(faults.iter());
    let survivors = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let Some(fault) = next.lock().expect("no worker panics").next().copied() else { return };
            match caught(fault, seeds, run) {
                Some((seed, violation)) => println!("{fault:?}: seed {seed}: {violation:.100}"),
                None => survivors.lock().expect("no worker panics").push(fault),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let survivors = survivors.into_inner().expect("no worker panics");
    assert!(survivors.is_empty(), "not caught within {seeds} seeds: {survivors:?}");
}

#[test]
fn the_control_survives() {
    super::quiet_loaders();
    assert_eq!(caught(Mutant::Noop, 2000, one_process), None);
    assert_eq!(caught(Mutant::Noop, 300, super::processes::violations), None);
    assert_eq!(caught(Mutant::Noop, 1, |_| super::steered::violations()), None);
}
