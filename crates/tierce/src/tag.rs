//! Tags, and the sequence of their invalidations.
//!
//! **Problem.** `invalidate_tag` must end thousands of entries with one write, hits must not pay for it, and a load
//! that began before must not leave its value behind, whenever it ends and whether its tags were known beforehand.
//!
//! **Idea.** One number, the *epoch*, counts the invalidations of tags and the purges of a hub. A tag's *cell* holds
//! the epoch of its last one. An entry remembers the epoch at which it was last known to be good: at first the one its
//! *load began* at. While that equals the hub's epoch nothing else is compared; otherwise its cells are, and if none
//! changed later than the entry was good, it is stamped with the epoch read before the comparison. The invalidator
//! writes the cell first and the epoch after; the reader reads the epoch first and the cells after: an entry is never
//! stamped with an epoch whose invalidation it did not look at.
//!
//! **Unknown tags.** A cell whose tag no entry names is forgotten some day. Its last invalidation must not be: `floor`
//! is the newest epoch of any forgotten cell, and a cell that is made anew starts there. A load that began before the
//! floor and names a new tag is then refused, which costs one load and never a wrong answer.
//!
//! **Cost.** A hit: one load of the epoch. Memory: 16 bytes a cell and its name, 8 bytes an entry and tag.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// The longest tag, in bytes: a key of Memcached's (250) less its namespace and cache.
pub(crate) const LONGEST_TAG: usize = 200;

/// Cells that nothing names are looked for when there are twice as many as the last look left in use, and this many
/// more: each look is paid for by as many new cells.
const SPARE_CELLS: usize = 64;

/// The last invalidation of one tag.
pub(crate) struct Cell {
    name: Box<str>,
    changed_at: AtomicU64,
}

impl Cell {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the tag was invalidated after this epoch.
    #[inline]
    pub(crate) fn changed_since(&self, epoch: u64) -> bool {
        self.changed_at.load(Ordering::Acquire) > epoch
    }
}

/// The tags of one hub. In lines of their own: every hit reads the epoch, and what stands beside them is written often.
#[repr(align(128))]
pub(crate) struct Tags {
    epoch: AtomicU64,
    purged_at: AtomicU64,
    table: Mutex<Table>,
}

struct Table {
    cells: HashMap<Box<str>, Arc<Cell>>,
    floor: u64,
    in_use: usize,
}

impl Tags {
    pub(crate) fn new() -> Self {
        let table = Table { cells: HashMap::new(), floor: 0, in_use: 0 };
        Tags { epoch: AtomicU64::new(1), purged_at: AtomicU64::new(0), table: Mutex::new(table) }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether everything was purged after this epoch.
    #[inline]
    pub(crate) fn purged_since(&self, epoch: u64) -> bool {
        self.purged_at.load(Ordering::Acquire) > epoch
    }

    /// The cells of these tags, made where they are missing.
    pub(crate) fn cells(&self, names: &[Arc<str>]) -> Box<[Arc<Cell>]> {
        if names.is_empty() {
            return Box::default();
        }
        let mut table = lock(&self.table);
        let cells = names.iter().map(|name| table.cell(name)).collect();
        let forgotten = table.forget_unused();
        drop(table);
        drop(forgotten);
        cells
    }

    /// Ends every entry that names this tag.
    pub(crate) fn invalidate(&self, name: &str) {
        let mut table = lock(&self.table);
        let cell = table.cell(name);
        self.advance(&cell.changed_at);
        drop(cell);
        let forgotten = table.forget_unused();
        drop(table);
        drop(forgotten);
    }

    /// Ends every entry.
    pub(crate) fn purge(&self) {
        let _one_at_a_time = lock(&self.table);
        self.advance(&self.purged_at);
    }

    /// Ends every entry that compares itself with this cell: the purge cell of one cache.
    pub(crate) fn purge_one(&self, changed_at: &AtomicU64) {
        let _one_at_a_time = lock(&self.table);
        self.advance(changed_at);
    }

    /// Writes the cell, then the epoch; under the table's lock, so that epochs are given once.
    fn advance(&self, cell: &AtomicU64) {
        let next = self.epoch.load(Ordering::Relaxed) + 1;
        if mutant::on(Mutant::EpochBeforeCell) {
            self.epoch.store(next, Ordering::Release);
            cell.store(next, Ordering::Release);
            return;
        }
        cell.store(next, Ordering::Release);
        self.epoch.store(next, Ordering::Release);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.table).cells.len()
    }
}

impl Table {
    fn cell(&mut self, name: &str) -> Arc<Cell> {
        if let Some(cell) = self.cells.get(name) {
            return Arc::clone(cell);
        }
        let floor = if mutant::on(Mutant::NoFloor) { 0 } else { self.floor };
        let cell = Arc::new(Cell { name: name.into(), changed_at: AtomicU64::new(floor) });
        self.cells.insert(name.into(), Arc::clone(&cell));
        cell
    }

    /// Forgets cells that nothing names, once there are many; gives them out to be dropped without the lock.
    fn forget_unused(&mut self) -> Vec<Arc<Cell>> {
        if self.cells.len() < 2 * self.in_use + SPARE_CELLS {
            return Vec::new();
        }
        let unused = self.cells.extract_if(|_, cell| Arc::strong_count(cell) == 1);
        let unused: Vec<_> = unused.map(|(_, cell)| cell).collect();
        for cell in &unused {
            self.floor = self.floor.max(cell.changed_at.load(Ordering::Relaxed));
        }
        self.in_use = self.cells.len();
        unused
    }
}

/// A tag as users give it: not empty, not too long.
pub(crate) fn check(name: &str, operation: &'static str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::new(Kind::Invalid, operation, "a tag must not be empty"));
    }
    if name.len() > LONGEST_TAG {
        let detail = format!("a tag must not be longer than {LONGEST_TAG} bytes; this one has {}", name.len());
        return Err(Error::new(Kind::Invalid, operation, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_tag_remembers_its_last_invalidation() {
        let tags = Tags::new();
        let began = tags.epoch();
        tags.invalidate("gone");
        for i in 0..4 * SPARE_CELLS {
            drop(tags.cells(&[Arc::from(format!("t{i}"))]));
        }
        assert!(tags.len() < 2 * SPARE_CELLS, "unused cells pile up: {}", tags.len());
        assert!(tags.cells(&[Arc::from("gone")])[0].changed_since(began));
    }

    #[test]
    fn an_invalidation_is_seen_by_its_own_tag_only() {
        let tags = Tags::new();
        let cells = tags.cells(&[Arc::from("a"), Arc::from("b")]);
        let began = tags.epoch();
        tags.invalidate("a");
        assert_eq!((cells[0].changed_since(began), cells[1].changed_since(began)), (true, false));
        assert!(!cells[0].changed_since(tags.epoch()));
    }
}
