//! Planted faults in the processes under check, in a build that has them: which there are, and what brings each to light.

use super::faults::Fault;

#[cfg(tierce_mutants)]
pub(super) use planted::{all, plant};

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) fn all() -> Vec<Planted> {
    Vec::new()
}

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) fn plant() {}

/// The variable by which a process is told which one.
pub(super) const VARIABLE: &str = "TIERCE_MUTANT";

/// With which stores a fault does harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(tierce_mutants), allow(dead_code, reason = "of builds that have them"))]
pub(super) enum With {
    Any,
    /// Those that tell of changes.
    Telling,
    /// Those that do not: what others tell mends the fault with the others.
    Silent,
}

/// A planted fault.
pub(super) struct Planted {
    pub(super) name: String,
    pub(super) with: With,
    /// What strikes while it is looked for: what brings it to light soonest.
    pub(super) faults: &'static [Fault],
}

impl Planted {
    /// Whether it has to be caught with a store that tells of changes, or that does not.
    pub(super) fn is_with(&self, tells: bool) -> bool {
        match self.with {
            With::Any => true,
            With::Telling => tells,
            With::Silent => !tells,
        }
    }
}

#[cfg(tierce_mutants)]
mod planted {
    use tierce::mutant::{Mutant, plant_for_all};

    use super::With::{Any, Silent, Telling};
    use super::{Fault, Planted, With};

    const CALM: &[Fault] = &[Fault::None];
    /// What is told of is not heard.
    const DEAF: &[Fault] = &[Fault::Deaf];
    /// … or late.
    const LATE: &[Fault] = &[Fault::Clump, Fault::Deaf];

    /// Those of the path of a lookup past its store, and of the ends of what is in memory.
    const ALL: &[(Mutant, With, &[Fault])] = &[
        (Mutant::Noop, Any, &[Fault::All]),
        (Mutant::NoFence, Silent, CALM),
        (Mutant::FlightNotDetached, Silent, CALM),
        (Mutant::JoinedAcrossPurge, Any, CALM),
        (Mutant::NotLookedAgain, Any, CALM),
        (Mutant::RestampedUncompared, Any, CALM),
        (Mutant::RefreshJoinsOlder, Silent, CALM),
        (Mutant::ErrorRetriedByWaiters, Any, CALM),
        (Mutant::FilledWithoutToken, Any, CALM),
        (Mutant::LeaseIgnored, Any, CALM),
        (Mutant::LeaseNotGivenBack, Any, CALM),
        (Mutant::TagVersionsReadLate, Any, CALM),
        (Mutant::ResultVersionsReadLate, Any, CALM),
        (Mutant::TagRenewedByCounter, Any, CALM),
        (Mutant::StoredTagsNotCompared, Any, CALM),
        (Mutant::NotToldToStore, Any, CALM),
        (Mutant::TagNotToldToStore, Any, CALM),
        (Mutant::HoldNotToldToStore, Any, CALM),
        (Mutant::StrongBelievesMemory, Any, LATE),
        (Mutant::StrongJoinsAny, Silent, DEAF),
        (Mutant::RefreshTakesStored, Any, CALM),
        (Mutant::WholeKeyNotCompared, Any, &[Fault::Damage]),
        (Mutant::UntoldForgotten, Any, &[Fault::BlackHole, Fault::StopServer]),
        (Mutant::UntoldAskedFor, Any, &[Fault::BlackHole, Fault::StopServer]),
        (Mutant::StoreWaitedFor, Any, &[Fault::FreezeServer]),
        (Mutant::KeyPushIgnored, Telling, CALM),
        (Mutant::TagPushIgnored, Telling, CALM),
        (Mutant::PushSwallowed, Telling, CALM),
        (Mutant::VersionHeldWhileForgotten, Telling, &[Fault::Clump]),
        (Mutant::NotForgottenOnReturn, Telling, &[Fault::Cut, Fault::CutClients]),
        (Mutant::ServedWithoutBeats, Telling, &[Fault::StopProcess]),
        (Mutant::BoundFromATicker, Telling, &[Fault::Deaf]),
        (Mutant::BoundFromTheAnswer, Telling, &[Fault::LateBeats]),
        (Mutant::MemoryBelievedForEver, Silent, CALM),
        (Mutant::VersionsBelievedForEver, Silent, CALM),
        (Mutant::VersionsAgeNotCounted, Silent, CALM),
        (Mutant::StrongBelievesVersions, Silent, CALM),
        (Mutant::AgedFlightJoined, Silent, CALM),
    ];

    /// All of them.
    pub(crate) fn all() -> Vec<Planted> {
        let planted = |&(mutant, with, faults)| Planted { name: format!("{mutant:?}"), with, faults };
        ALL.iter().map(planted).collect()
    }

    /// Plants what this process was told to.
    pub(crate) fn plant() {
        let Some(name) = std::env::var_os(super::VARIABLE) else { return };
        let mutant = ALL.iter().map(|(mutant, _, _)| mutant).find(|mutant| *format!("{mutant:?}") == *name);
        plant_for_all(*mutant.unwrap_or_else(|| panic!("there is no mutant {}", name.display())));
    }
}
