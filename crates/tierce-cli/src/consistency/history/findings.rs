//! What was found.

use serde::Serialize;

use super::event::Event;
use crate::consistency::record::Class;

/// How many violations are kept in words; the rest are counted.
const KEPT: usize = 20;

/// What all reads of one class have shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) reads: u64,
    /// Those that brought what had been invalidated before they began.
    pub(crate) old: u64,
    /// The longest time since that invalidation, in nanoseconds.
    pub(crate) worst: u64,
}

impl Seen {
    pub(super) fn older(&mut self, by: u64) {
        self.old += 1;
        self.worst = self.worst.max(by);
    }
}

/// How often what is dangerous has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Races {
    /// Loads during which their key was invalidated by their own process, or another.
    pub(crate) loads_overtaken_here: u64,
    pub(crate) loads_overtaken_elsewhere: u64,
    /// … by a tag that callers name, or that only results name.
    pub(crate) loads_overtaken_by_tag: u64,
    pub(crate) loads_overtaken_by_result_tag: u64,
    /// Loads of a key in two processes at once.
    pub(crate) loads_beside: u64,
    /// Changes of a key at once.
    pub(crate) changes_beside: u64,
    /// Reads that brought less than an earlier one in their process had.
    pub(crate) backwards: u64,
    /// Invalidations that the store did not take at once.
    pub(crate) untold: u64,
    /// Callers who left before the end.
    pub(crate) left_reads: u64,
    pub(crate) left_changes: u64,
}

/// What processes of Python's did, of all that was done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Share {
    /// Reads that brought a value.
    pub(crate) reads: u64,
    pub(crate) changes: u64,
    pub(crate) loads: u64,
}

/// Something that must not be.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Which invariant.
    #[cfg_attr(not(test), allow(dead_code, reason = "the line begins with it"))]
    pub(crate) name: &'static str,
    pub(crate) line: String,
}

/// What was found in a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// All reads, against what their own process invalidated.
    pub(crate) here: Seen,
    /// Those of each class, against what anybody invalidated.
    pub(crate) classes: [Seen; Class::ALL.len()],
    pub(crate) misses: u64,
    pub(crate) failed_reads: u64,
    pub(crate) changes: u64,
    pub(crate) loads: u64,
    pub(crate) failed_loads: u64,
    pub(crate) store_faults: u64,
    pub(crate) damaged: u64,
    /// The slowest reads, in nanoseconds: with no fault about, and with one.
    pub(crate) slowest_calm: u64,
    pub(crate) slowest: u64,
    /// How often processes did not get to run, the machine being busy, and for how long at most, in nanoseconds.
    pub(crate) stalls: (u64, u64),
    pub(crate) races: Races,
    pub(crate) python: Share,
    pub(crate) violated: u64,
    pub(crate) violations: Vec<Violation>,
}

impl Findings {
    pub(crate) fn of(&mut self, class: Class) -> &mut Seen {
        // Their numbers begin at one.
        &mut self.classes[class as usize - 1]
    }

    pub(super) fn violates(&mut self, name: &'static str, event: &Event, why: String) {
        self.violated += 1;
        if self.violations.len() < KEPT {
            let r = &event.record;
            let line = format!(
                "{name}: process {}, key {}, {:?} {:?} {:?}, version {} (newest {:?}), from {} to {} ns: {why}",
                event.process,
                r.subject,
                r.kind,
                r.class,
                r.outcome,
                r.version,
                event.rows.first().map(|(_, newest)| *newest),
                r.begin,
                r.end,
            );
            self.violations.push(Violation { name, line });
        }
    }

    /// Something that concerns no single call.
    pub(crate) fn violates_at_rest(&mut self, name: &'static str, line: String) {
        self.violated += 1;
        self.violations.push(Violation { name, line: format!("{name}: {line}") });
    }
}
