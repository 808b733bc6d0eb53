//! Why keys are not in memory: the last reason of each, for `explain`, in a table that forgets.

use crate::memory::Cause;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Keys remembered. A power of two; 8 KiB a cache, and one relaxed store for each entry that leaves.
const PLACES: usize = 1024;

/// Why a lookup missed, or an entry is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Not seen before, or so long ago that it is forgotten.
    Unknown,
    /// There was no room.
    Evicted,
    /// Its time was over.
    Expired,
    /// Its key was invalidated.
    Invalidated,
    /// One of its tags was invalidated.
    TagInvalidated,
    /// Everything was purged.
    Purged,
    /// It was loaded, but its key or a tag was invalidated before the load ended, so that it was not kept.
    Refused,
    /// Its load failed.
    LoadFailed,
    /// Its loader said not to keep it.
    NotKept,
}

const REASONS: [Reason; 9] = [
    Reason::Unknown,
    Reason::Evicted,
    Reason::Expired,
    Reason::Invalidated,
    Reason::TagInvalidated,
    Reason::Purged,
    Reason::Refused,
    Reason::LoadFailed,
    Reason::NotKept,
];

/// Each place holds the upper 56 bits of a hash and a reason's number.
pub(crate) struct Gone(Box<[AtomicU64]>);

impl Gone {
    pub(crate) fn new() -> Self {
        Gone((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    pub(crate) fn note(&self, hash: u64, reason: Reason) {
        self.place(hash).store(hash & !0xFF | reason as u64, Relaxed);
    }

    pub(crate) fn reason(&self, hash: u64) -> Reason {
        let noted = self.place(hash).load(Relaxed);
        if noted & !0xFF != hash & !0xFF {
            return Reason::Unknown;
        }
        REASONS.get((noted & 0xFF) as usize).copied().unwrap_or(Reason::Unknown)
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.0[(hash >> 8) as usize & (PLACES - 1)]
    }
}

impl Reason {
    /// The reason that a cause of leaving is. An entry that was replaced is there, and whoever invalidates says why.
    pub(crate) fn of(cause: Cause) -> Option<Reason> {
        match cause {
            Cause::Evicted => Some(Reason::Evicted),
            Cause::Expired => Some(Reason::Expired),
            Cause::Replaced | Cause::Invalidated => None,
            Cause::Purged => Some(Reason::Purged),
        }
    }

    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Unknown => "not seen before, or long ago",
            Reason::Evicted => "evicted: no room",
            Reason::Expired => "expired",
            Reason::Invalidated => "invalidated by key",
            Reason::TagInvalidated => "invalidated by tag",
            Reason::Purged => "purged",
            Reason::Refused => "loaded, but invalidated before the load ended",
            Reason::LoadFailed => "its load failed",
            Reason::NotKept => "its loader said not to keep it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_under_its_own_number() {
        let gone = Gone::new();
        for reason in REASONS {
            gone.note(0xABCD_EF01_2345_6789, reason);
            assert_eq!(gone.reason(0xABCD_EF01_2345_6789), reason);
        }
        assert_eq!(gone.reason(0x1BCD_EF01_2345_6789), Reason::Unknown);
    }
}
