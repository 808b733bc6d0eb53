//! Planted faults, none of which exist in a normal build: `on` is `false` at compile time.
//!
//! With `--cfg tierce_mutants` a test turns one on and must then fail; a mutant that survives means that a promise of
//! `docs/guarantees.md` is not tested. `tests/sim` runs through all of them.

/// The faults. Each is named after what is missing or done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(tierce_mutants), allow(dead_code, unreachable_pub, reason = "planted by a test build only"))]
pub enum Mutant {
    /// The control: changes nothing, and must survive.
    Noop,
    /// A fill does not ask whether its flight still stands.
    NoFence,
    /// As `NoFence`, in refreshes behind a stale value only.
    RefreshNotFenced,
    /// `invalidate` leaves the flight in the table, and later callers join it.
    FlightNotDetached,
    /// `set` leaves the flight in the table, which then overwrites the newer value.
    SetNotDetaching,
    /// `mark_stale` leaves the flight in the table, which then fills old data as fresh.
    MarkStaleNotDetaching,
    /// Tags known from the arguments are stamped as of the fill.
    ArgumentTagsStampedLate,
    /// Tags named by the result are stamped as of the fill.
    ResultTagsStampedLate,
    /// An entry from before an epoch is stamped anew without comparing its cells.
    RestampedUncompared,
    /// A tag's cell that was forgotten starts at zero.
    NoFloor,
    /// The epoch is written before the cell.
    EpochBeforeCell,
    /// A waiter takes a result whose tag was invalidated before it arrived.
    NotLookedAgain,
    /// A caller joins a flight from before a purge, and takes what it brings.
    JoinedAcrossPurge,
    /// The load's guard belongs to its first caller's future.
    GuardOwnedByCaller,
    /// A panic is not published.
    PanicUnpublished,
    /// A failed load is run again by each of its waiters.
    ErrorRetriedByWaiters,
    /// `invalidate` marks the entry stale instead of taking it out.
    InvalidateMarksStale,
    /// Stale values are served on errors without a limit of age.
    StaleWithoutLimit,
    /// A flight is joined although its runtime is dead.
    DeadRuntimeJoined,
    /// `refresh` joins a load that began before it was called.
    RefreshJoinsOlder,
    /// After a failed load behind a caller the next caller starts another.
    RetriedAtOnce,
    /// Who gives a load up leaves it its permit and its counting.
    GivenUpInPart,
    /// A load fills a key that a writer holds.
    HeldKeyFilled,
    /// A writer who was not alone sets all the same.
    WritersNotCompared,
    /// The end of a hold leaves the flight in the table.
    HoldNotDetaching,
    /// What ends a hold is stamped as of its end.
    HoldStampedLate,
    /// A hold that is dropped leaves the entry.
    DroppedHoldKeeps,
    /// A batch fills ids whose flight was detached while it was loaded.
    DetachedFilledByBatch,
    /// How a batch's load ended is told to those who wait for its first id.
    OutcomeForFirstAlone,
    /// A batch loads its ids itself, whoever else is loading them.
    BatchJoinsNobody,
    /// What was overtaken within its window is loaded all the same.
    OvertakenLoaded,
    /// A load goes on past its deadline.
    DeadlineIgnored,
    /// A caller waits as long as it takes.
    HardTimeoutIgnored,
    /// A load that ends keeps its permit.
    PermitKept,
    /// An entry is fresh for twice its ttl.
    TtlStretched,
    /// An absence is believed as long as a value.
    NegativeTtlIgnored,
    /// A value that is served while it is reloaded is called fresh.
    StaleCalledFresh,
    /// What a load brings is stored though its lease is another's by now.
    FilledWithoutToken,
    /// A lease whose load failed is kept.
    LeaseNotGivenBack,
    /// The versions of arguments' tags are read after the load.
    TagVersionsReadLate,
    /// A tag that only the result names is stamped with whatever version it has after the load.
    ResultVersionsReadLate,
    /// The store is not told of an invalidation.
    NotToldToStore,
    /// The store is not told of a tag's invalidation.
    TagNotToldToStore,
    /// A key is ended in this process before the store is told, and not again after it.
    EndedBeforeToldOnly,
    /// A tag is ended in this process before the store is told, and not again after it.
    TagEndedBeforeToldOnly,
    /// The tags of an entry that the store has are not compared.
    StoredTagsNotCompared,
    /// What memory has is believed as long as it is fresh.
    MemoryBelievedForEver,
    /// What the store could not be told is forgotten.
    UntoldForgotten,
    /// A key is asked for though the store has not been told that it was invalidated.
    UntoldAskedFor,
    /// Invalidated tags are counted up, by each process from nothing.
    TagRenewedByCounter,
    /// The key in an envelope is not compared with the one that was asked for.
    WholeKeyNotCompared,
    /// A version that was on its way while its tag was invalidated is held.
    VersionHeldWhileForgotten,
    /// The versions of tags are believed for ever.
    VersionsBelievedForEver,
    /// An entry is believed from its own answer on, however old its tags' versions are.
    VersionsAgeNotCounted,
    /// What the store refused is kept in memory.
    RefusedFillKept,
    /// The store is not told of the end of a hold.
    HoldNotToldToStore,
    /// A store that fails is asked by each lookup, which waits as long as for a change.
    StoreWaitedFor,
    /// What the store tells of keys is not heard.
    KeyPushIgnored,
    /// What the store tells of tags is not heard.
    TagPushIgnored,
    /// What was read by an earlier connection is kept when the store tells by another.
    NotForgottenOnReturn,
    /// Memory is served however long no beat was answered.
    ServedWithoutBeats,
    /// The bound counts from the answer to a beat, and not from its sending.
    BoundFromTheAnswer,
    /// The bound counts from when no answer came, as by a ticker, and not from an answered beat.
    BoundFromATicker,
    /// A load is joined however long ago it began, where nobody tells what others have changed since.
    AgedFlightJoined,
    /// A load that others' changes overtook is joined.
    ChangedElsewhereKept,
    /// What is filled is stamped as of its fill: what others changed since it was asked for is not known.
    FillUnregistered,
    /// For each change of a key by this process one push of its name is taken for the echo.
    PushSwallowed,
    /// Who has lost a lease loads all the same.
    LeaseIgnored,
    /// A refresh takes what the store has.
    RefreshTakesStored,
    /// A strong read looks at memory first.
    StrongBelievesMemory,
    /// A strong read takes this process's word for what tags are at.
    StrongBelievesVersions,
    /// A strong read joins any load that runs.
    StrongJoinsAny,
    /// Who is alone behind a lock does not wait for readers that only their stripes tell of.
    BiasNotAwaited,
    /// A reader does not look again whether the lock is biased.
    BiasNotLookedAtAgain,
}

#[cfg(not(tierce_mutants))]
mod switch {
    use super::Mutant;

    #[inline(always)]
    pub(crate) const fn on(_: Mutant) -> bool {
        false
    }

    #[inline(always)]
    #[allow(dead_code, reason = "a memory alone shares nothing")]
    pub(crate) const fn changed(_: &str) {}

    #[inline(always)]
    #[allow(dead_code, reason = "a memory alone shares nothing")]
    pub(crate) const fn swallows(_: &str) -> bool {
        false
    }
}

#[cfg(tierce_mutants)]
mod switch {
    use std::cell::Cell;
    use std::collections::BTreeMap;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use super::Mutant;

    static ON_FOR_ALL: OnceLock<Mutant> = OnceLock::new();

    /// Turns one fault on for all threads, as long as this process lives.
    pub fn plant_for_all(mutant: Mutant) {
        let _only_the_first = ON_FOR_ALL.set(mutant);
    }

    thread_local! {
        static ON: Cell<Mutant> = const { Cell::new(Mutant::Noop) };
    }

    /// Turns one fault on for this thread; under the model checker, whose threads share one thread of the system, for
    /// all of them.
    pub fn plant(mutant: Mutant) {
        ON.set(mutant);
    }

    pub(crate) fn on(mutant: Mutant) -> bool {
        ON.get() == mutant || ON_FOR_ALL.get() == Some(&mutant)
    }

    /// How many pushes of a name are to be swallowed.
    static OWED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

    /// This process has changed a key of this name.
    pub(crate) fn changed(name: &str) {
        if on(Mutant::PushSwallowed) {
            *OWED.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Whether a push of this name is not heard.
    pub(crate) fn swallows(name: &str) -> bool {
        let mut owed = OWED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = owed.get_mut(name).filter(|count| **count > 0) else { return false };
        *count -= 1;
        true
    }
}

pub(crate) use switch::on;
#[cfg(feature = "cache")]
pub(crate) use switch::{changed, swallows};
#[cfg(tierce_mutants)]
pub use switch::{plant, plant_for_all};
