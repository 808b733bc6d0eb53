//! The database that the processes under check share: rows whose versions only grow, in the parent's memory, so that it
//! knows what was committed when, whoever is killed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock;

/// Rows, and which tags their entries have.
pub(super) const KEYS: u32 = 16;
/// Tags that callers name, and as many that only results name.
pub(super) const TAGS: u32 = 4;
/// So many commits of a row are remembered: older ones bind nobody.
const REMEMBERED: usize = 20_000;

/// The tag that callers name for a key.
pub(super) fn tag_of(key: u32) -> u32 {
    key % TAGS
}

/// The tag that only a load of the key names.
pub(super) fn result_tag_of(key: u32) -> u32 {
    key / (KEYS / TAGS)
}

/// A tag that callers name.
pub(super) fn named(tag: u32) -> String {
    format!("tag-{tag}")
}

/// A tag that only results name.
pub(super) fn named_by_result(tag: u32) -> String {
    format!("result-{tag}")
}

/// The rows.
pub(super) struct Rows(Mutex<Vec<VecDeque<(u64, u64)>>>);

impl Rows {
    /// Every row at version 1.
    pub(super) fn new() -> Self {
        Rows(Mutex::new((0..KEYS).map(|_| VecDeque::from([(0, 1)])).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<VecDeque<(u64, u64)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of a row now.
    pub(super) fn version(&self, key: u32) -> u64 {
        self.lock()[key as usize].back().map_or(0, |(_, version)| *version)
    }

    /// Changes a row; its new version.
    pub(super) fn commit(&self, key: u32) -> u64 {
        let mut rows = self.lock();
        let row = &mut rows[key as usize];
        let version = row.back().map_or(0, |(_, version)| *version) + 1;
        // Under the lock: who reads after this time reads this version.
        row.push_back((clock::common_ns(), version));
        if row.len() > REMEMBERED {
            row.pop_front();
        }
        version
    }

    /// The version that a row had at that time.
    pub(super) fn version_at(&self, key: u32, time: u64) -> u64 {
        let rows = self.lock();
        let row = &rows[key as usize];
        let after = row.partition_point(|(committed, _)| *committed <= time);
        row.get(after.wrapping_sub(1)).map_or(0, |(_, version)| *version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_has_as_many() {
        let numbers = format!("KEYS = {KEYS}\nTAGS = {TAGS}\n");
        assert!(include_str!("python/rows.py").contains(&numbers));
    }

    #[test]
    fn a_row_is_known_as_it_was() {
        let rows = Rows::new();
        assert_eq!((rows.version(3), rows.commit(3), rows.version(4)), (1, 2, 1));
        assert_eq!((rows.version_at(3, 0), rows.version_at(3, clock::common_ns())), (1, 2));
    }
}
