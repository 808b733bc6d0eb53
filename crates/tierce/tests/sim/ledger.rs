//! What must never be seen in any of several processes.
//!
//! Every event takes the next number of one sequence. A row carries the number at which its loader read the database. An
//! invalidation forbids what was read before it began: to its own process and to strong reads once it has returned, to
//! plain reads of others once the bound is over as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A value as the simulated loaders make it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) key: u32,
    pub(crate) tags: Vec<String>,
    /// The number at which its loader read the database.
    pub(crate) read_at: u64,
    /// The `set` that made it: such a row is as new as the end of that call, since nobody can tell when its value was known.
    pub(crate) set_by: Option<usize>,
}

/// What an invalidation names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Key(u32),
    Tag(String),
    All,
}

#[derive(Clone, Debug)]
struct Invalidation {
    named: Named,
    /// The process that asked.
    by: usize,
    began: u64,
    /// When it returned: its number, its time, and whether the store had taken it.
    returned: Option<(u64, u64, bool)>,
    /// Its process died before the store could be told.
    is_void: bool,
}

/// A read that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    by: usize,
    at: u64,
    at_ms: u64,
    pub(crate) is_strong: bool,
}

/// How long after an invalidation plain reads elsewhere may miss it, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) key_ms: u64,
    pub(crate) tag_ms: u64,
}

pub(crate) struct Ledger {
    bounds: Bounds,
    sequence: u64,
    invalidations: Vec<Invalidation>,
    /// Once all is told: everything holds for everybody.
    is_settled: bool,
    pub(crate) worst_ms: u64,
    pub(crate) reads: u64,
    pub(crate) violations: Vec<String>,
    pub(crate) met: BTreeMap<&'static str, u64>,
}

impl Ledger {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Ledger {
            bounds,
            sequence: 0,
            invalidations: Vec::new(),
            is_settled: false,
            worst_ms: 0,
            reads: 0,
            violations: Vec::new(),
            met: BTreeMap::new(),
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn met(&mut self, race: &'static str) {
        *self.met.entry(race).or_default() += 1;
    }

    /// Gives the number by which its end is told.
    pub(crate) fn invalidating(&mut self, by: usize, named: Named) -> usize {
        let began = self.next();
        self.invalidations.push(Invalidation { named, by, began, returned: None, is_void: false });
        self.invalidations.len() - 1
    }

    pub(crate) fn invalidated(&mut self, place: usize, now_ms: u64, was_taken: bool) {
        let at = self.next();
        self.met(if was_taken { "invalidation taken" } else { "invalidation to be told later" });
        self.invalidations[place].returned = Some((at, now_ms, was_taken));
    }

    /// A process died: what it could not tell is told by nobody.
    pub(crate) fn died(&mut self, process: usize) {
        self.met("process killed");
        for invalidation in self.invalidations.iter_mut().filter(|invalidation| invalidation.by == process) {
            invalidation.is_void |= invalidation.returned.is_none_or(|(_, _, was_taken)| !was_taken);
        }
    }

    /// From now on whatever returned holds for all.
    pub(crate) fn settled(&mut self) {
        self.is_settled = true;
    }

    pub(crate) fn reading(&mut self, by: usize, now_ms: u64, is_strong: bool) -> Reading {
        Reading { by, at: self.next(), at_ms: now_ms, is_strong }
    }

    pub(crate) fn read(&mut self, reading: Reading, row: &Entry) {
        self.reads += 1;
        let set_at = |place: usize| self.invalidations[place].returned.map_or(u64::MAX, |(at, _, _)| at);
        let read_at = row.set_by.map_or(row.read_at, set_at);
        let older = self.invalidations.iter().filter(|invalidation| invalidation.began > read_at);
        let names = |named: &Named| match named {
            Named::Key(key) => *key == row.key,
            Named::Tag(tag) => row.tags.contains(tag),
            Named::All => true,
        };
        let mut violation = None;
        let mut worst_ms = self.worst_ms;
        for invalidation in older.filter(|invalidation| names(&invalidation.named)) {
            let Some((returned, returned_ms, was_taken)) = invalidation.returned else { continue };
            if returned > reading.at {
                continue;
            }
            let age_ms = reading.at_ms - returned_ms;
            if was_taken && invalidation.by != reading.by && !reading.is_strong {
                worst_ms = worst_ms.max(age_ms);
            }
            let bound_ms = match invalidation.named {
                Named::Key(_) => self.bounds.key_ms,
                Named::Tag(_) | Named::All => self.bounds.tag_ms,
            };
            let holds = (invalidation.by == reading.by)
                || was_taken && (reading.is_strong || age_ms > bound_ms)
                || self.is_settled && !invalidation.is_void;
            if holds {
                violation = Some(format!("{row:?} read {age_ms} ms after {invalidation:?}: {reading:?}"));
            }
        }
        self.worst_ms = worst_ms;
        self.violations.extend(violation);
    }
}
