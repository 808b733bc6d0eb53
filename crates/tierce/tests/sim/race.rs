//! The races that a run must have met, by name, with how often each was.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! races {
    ($($name:ident: $words:literal,)*) => {
        /// A race, or another situation that has to be met to be tested.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Race { $($name,)* }

        /// All of them, in the order of their numbers.
        pub(crate) const ALL: &[(Race, &str)] = &[$((Race::$name, $words),)*];
    };
}

races! {
    InvalidateDuringLoad: "key invalidated during a load of it",
    SetDuringLoad: "key set during a load of it",
    WriteDuringLoad: "key written through the cache during a load of it",
    WritersOverlapped: "writers held one key at once",
    WriterVanished: "writer vanished between commit and set",
    LoadInsideHold: "load read a key that a writer held",
    TagDuringHold: "tag invalidated between a commit and the set of a value that has it",
    MarkStaleDuringLoad: "key marked stale during a load of it",
    PurgeDuringLoad: "everything purged during a load",
    ArgumentTagDuringLoad: "argument tag invalidated during a load that named it",
    ResultTagDuringLoad: "tag invalidated during a load whose result named it",
    WaiterAfterInvalidation: "caller came after an invalidation of a key that was loading",
    WaiterAfterTag: "caller came after an invalidation of a tag that a running load turned out to have",
    RefreshDuringLoad: "refresh called during an older load",
    FirstCallerCancelled: "caller whose loader ran was cancelled",
    FollowerCancelled: "caller who waited for another's load was cancelled",
    RuntimeDropped: "runtime dropped its tasks, a load among them",
    RuntimeFrozen: "runtime froze with a load on it",
    RuntimeStoodStill: "runtime stood still with a load on it, and said that it was alive",
    LoadFailedForMany: "load failed with several callers waiting",
    LoadPanickedForMany: "load panicked with several callers waiting",
    LoadTimedOut: "load ran into its deadline",
    CallerTimedOut: "caller's own time was over",
    StaleRevalidated: "stale value served while it was reloaded",
    FailedBehind: "load failed behind a caller who had been served",
    StaleOnError: "stale value served for a failed or slow load",
    NegativeServed: "known absence served",
    Cycle: "load that waited for itself",
    Unchanged: "loader answered that the stale value has not changed",
    TagForgotten: "result named a tag that had been forgotten since the load began",
    OneOfBatchChanged: "one id of a batch changed during its load",
    BatchesOverlapped: "batch missed ids of which others were loading some",
    BatchCancelled: "caller of a batch was cancelled while it loaded",
    ManyWaited: "ten or more callers waited for one load",
}

/// How often each race was met.
pub(crate) struct Met(Vec<AtomicU64>);

impl Met {
    pub(crate) fn new() -> Self {
        Met(ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn count(&self, race: Race) {
        self.0[race as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn of(&self, race: Race) -> u64 {
        self.0[race as usize].load(Relaxed)
    }
}
