//! A planted fault in a process under check, in a build that has them.

#[cfg(tierce_mutants)]
pub(super) use planted::{all, plant};

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) fn all() -> Vec<(String, bool)> {
    Vec::new()
}

/// Nothing is planted in this build.
#[cfg(not(tierce_mutants))]
pub(super) fn plant() {}

/// The variable by which a process is told which one.
pub(super) const VARIABLE: &str = "TIERCE_MUTANT";

#[cfg(tierce_mutants)]
mod planted {
    use tierce::mutant::{Mutant, plant_for_all};

    /// Those of the path of a lookup past its store.
    const ALL: &[Mutant] = &[
        Mutant::Noop,
        Mutant::NoFence,
        Mutant::FlightNotDetached,
        Mutant::FilledWithoutToken,
        Mutant::LeaseNotGivenBack,
        Mutant::TagVersionsReadLate,
        Mutant::ResultVersionsReadLate,
        Mutant::NotToldToStore,
        Mutant::TagNotToldToStore,
        Mutant::EndedBeforeToldOnly,
        Mutant::TagEndedBeforeToldOnly,
        Mutant::StoredTagsNotCompared,
        Mutant::MemoryBelievedForEver,
        Mutant::UntoldForgotten,
        Mutant::UntoldAskedFor,
        Mutant::TagRenewedByCounter,
        Mutant::TokenOfAnotherConnection,
        Mutant::WholeKeyNotCompared,
        Mutant::VersionHeldWhileForgotten,
        Mutant::VersionsBelievedForEver,
        Mutant::VersionsAgeNotCounted,
        Mutant::RefusedFillKept,
        Mutant::HoldNotToldToStore,
        Mutant::StoreWaitedFor,
    ];

    /// Their names, and whether they concern Memcached alone.
    pub(crate) fn all() -> Vec<(String, bool)> {
        ALL.iter().map(|mutant| (format!("{mutant:?}"), *mutant == Mutant::TokenOfAnotherConnection)).collect()
    }

    /// Plants what this process was told to.
    pub(crate) fn plant() {
        let Some(name) = std::env::var_os(super::VARIABLE) else { return };
        let mutant = ALL.iter().find(|mutant| *format!("{mutant:?}") == *name);
        plant_for_all(*mutant.unwrap_or_else(|| panic!("there is no mutant {}", name.display())));
    }
}
