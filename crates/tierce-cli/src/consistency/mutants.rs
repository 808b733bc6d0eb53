//! A planted fault in a process under check, in a build that has them.

#[cfg(tierce_mutants)]
pub(super) use planted::{ALL, plant};

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) const ALL: &[(&str, bool)] = &[];

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) fn plant() {}

/// The variable by which a process is told which one.
pub(super) const VARIABLE: &str = "TIERCE_MUTANT";

#[cfg(tierce_mutants)]
mod planted {
    use tierce::mutant::{Mutant, plant_for_all};

    /// Those of the path of a lookup past its store, by name, with whether they concern Memcached alone.
    pub(crate) const ALL: &[(&str, bool)] = &[
        ("Noop", false),
        ("FilledWithoutToken", false),
        ("LeaseNotGivenBack", false),
        ("TagVersionsReadLate", false),
        ("ResultVersionsReadLate", false),
        ("NotToldToStore", false),
        ("TagNotToldToStore", false),
        ("EndedBeforeToldOnly", false),
        ("TagEndedBeforeToldOnly", false),
        ("StoredTagsNotCompared", false),
        ("MemoryBelievedForEver", false),
        ("UntoldForgotten", false),
        ("UntoldAskedFor", false),
        ("TagRenewedByCounter", false),
        ("TokenOfAnotherConnection", true),
        ("FoundFlightNotDetached", false),
        ("WholeKeyNotCompared", false),
        ("VersionHeldWhileForgotten", false),
        ("RefusedFillKept", false),
        ("VersionsBelievedForEver", false),
        ("StoreFaultIsError", false),
        ("DamageServed", false),
        ("HoldNotToldToStore", false),
        ("NoFence", false),
        ("FlightNotDetached", false),
    ];

    /// Plants what this process was told to.
    pub(crate) fn plant() {
        let Some(name) = std::env::var_os(super::VARIABLE) else { return };
        let mutant = Mutant::ALL.iter().find(|mutant| *format!("{mutant:?}") == *name);
        plant_for_all(*mutant.unwrap_or_else(|| panic!("there is no mutant {}", name.display())));
    }
}
