//! What the processes of a race are ordered, and what they answer.

use serde::{Deserialize, Serialize};

use super::stampede::Wanted;
use crate::ledger::Settled;

/// Who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entrant {
    Bare,
    Guide,
    Tierce,
}

impl Entrant {
    /// What the file of his database is called.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Guide => "guide",
            Self::Tierce => "tierce",
        }
    }
}

/// What a process does next; times are of the clock that all processes share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Lets the clients run. `cursors` are how many pairs of updates each process has made. Answer: what was settled.
    Slice { entrant: Entrant, at_ns: u64, slice_ns: u64, cursors: Vec<usize> },
    /// What was settled in all processes. No answer.
    Settle { entrant: Entrant, settled: Vec<Settled> },
    /// Answer: the figures of all slices.
    Figures { entrant: Entrant },
    /// Answer: the crowd.
    Stampede { entrant: Entrant, wanted: Wanted, callers: u32, at_ns: u64 },
    /// What tierce's lookups cost for so long, of ids that begin with that one. Answer: the toll.
    Toll { length_ns: u64, from: u32 },
    /// Waits until tierce uses the store again, but no longer than so. Answer: whether it does.
    Recover { within_ms: u64 },
}

impl Order {
    pub(super) fn entrant(&self) -> Entrant {
        match self {
            Self::Slice { entrant, .. }
            | Self::Settle { entrant, .. }
            | Self::Figures { entrant }
            | Self::Stampede { entrant, .. } => *entrant,
            Self::Toll { .. } | Self::Recover { .. } => Entrant::Tierce,
        }
    }
}

/// What a process needs for a race.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Who runs, and the file of his database, which the processes share.
    pub(crate) entrants: Vec<(Entrant, std::path::PathBuf)>,
    /// The store's URL, and what stands before all names in it.
    pub(crate) store: String,
    pub(crate) namespace: String,
}
