//! Entries by key, in the order of their last use.
//!
//! **Problem.** `tierce::Memory` compares keys under a shard's lock; a Python `==` may run anything, the same cache included. And
//! `functools` promises strict LRU.
//!
//! **Idea.** Entries in one vector, linked by their numbers in the order of use; an index from hashes to numbers. Nothing
//! here runs Python code: what leaves is given to the caller, who drops it when the table is consistent. `generation` counts
//! what moves entries, so that `probe.rs` sees whether a `==` has changed the table below it.
//!
//! **Cost.** An `int` key: 40 bytes an entry and 5 to 10 for the index, and no object.

use std::mem;

use hashbrown::HashTable;

use crate::key::{Key, Rule, Verdict, View};
use crate::owned::{Owned, PyObject};

const NOBODY: u32 = u32::MAX;

/// A value, the key it belongs to, and what else is known of it.
pub(crate) struct Entry<X> {
    hash: u64,
    pub(crate) key: Key,
    pub(crate) value: Owned,
    /// The entry that was used just after this one.
    newer: u32,
    older: u32,
    pub(crate) more: X,
}

pub(crate) struct Table<X> {
    entries: Vec<Option<Entry<X>>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    newest: u32,
    oldest: u32,
    pub(crate) rule: Rule,
    /// Counts what adds or removes entries.
    pub(crate) generation: u64,
}

/// What a look without Python code finds.
pub(crate) enum Look {
    Found(u32),
    Absent,
    /// Of some entries only Python can say whether they have the key.
    Undecided,
}

impl<X> Table<X> {
    pub(crate) fn new(rule: Rule) -> Self {
        Table {
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            newest: NOBODY,
            oldest: NOBODY,
            rule,
            generation: 0,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Looks for a key, up to the first entry that may have it.
    #[inline]
    pub(crate) unsafe fn look(&self, view: &View) -> Look {
        let mut undecided = false;
        let found = self.index.find(view.hash, |&slot| {
            let entry = self.entry(slot);
            if entry.hash != view.hash {
                return false;
            }
            match self.rule.compare(&entry.key, view) {
                Verdict::Same => true,
                Verdict::Different => false,
                Verdict::Undecided => {
                    undecided = true;
                    true
                }
            }
        });
        match found {
            None => Look::Absent,
            Some(_) if undecided => Look::Undecided,
            Some(slot) => Look::Found(*slot),
        }
    }

    /// The entry that has this key without a doubt; else puts down those of which only Python can say it.
    pub(crate) unsafe fn look_through(&self, view: &View, undecided: &mut Vec<u32>) -> Option<u32> {
        let found = self.index.find(view.hash, |&slot| {
            let entry = self.entry(slot);
            if entry.hash != view.hash {
                return false;
            }
            let verdict = self.rule.compare(&entry.key, view);
            if verdict == Verdict::Undecided {
                undecided.push(slot);
            }
            verdict == Verdict::Same
        });
        found.copied()
    }

    /// The entry that has this hash and this very object as its value: without a comparison of keys.
    pub(crate) fn find_value(&self, hash: u64, value: *mut PyObject) -> Option<u32> {
        self.index.find(hash, |&slot| std::ptr::eq(self.entry(slot).value.as_ptr(), value)).copied()
    }

    /// An entry that a look has just found.
    #[inline]
    pub(crate) fn entry(&self, slot: u32) -> &Entry<X> {
        self.entries[slot as usize].as_ref().expect("the index names entries that are there")
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut Entry<X> {
        self.entries[slot as usize].as_mut().expect("the index names entries that are there")
    }

    /// It was used now.
    #[inline]
    pub(crate) fn touch(&mut self, slot: u32) {
        if slot != self.newest {
            self.unlink(slot);
            self.link(slot);
        }
    }

    /// Adds an entry whose key is not here.
    pub(crate) fn add(&mut self, hash: u64, key: Key, value: Owned, more: X) {
        self.generation += 1;
        let entry = Entry { hash, key, value, newer: NOBODY, older: NOBODY, more };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = Some(entry);
                slot
            }
            None => {
                let slot = u32::try_from(self.entries.len()).ok().filter(|slot| *slot != NOBODY);
                self.entries.push(Some(entry));
                slot.expect("four thousand million entries do not fit in memory")
            }
        };
        self.link(slot);
        let entries = &self.entries;
        self.index.insert_unique(hash, slot, |slot| entries[*slot as usize].as_ref().map_or(0, |entry| entry.hash));
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, slot: u32) -> Entry<X> {
        self.generation += 1;
        self.unlink(slot);
        let entry = self.entries[slot as usize].take().expect("the index names entries that are there");
        if let Ok(place) = self.index.find_entry(entry.hash, |other| *other == slot) {
            place.remove();
        }
        self.free.push(slot);
        entry
    }

    /// Replaces a value; gives the older one.
    pub(crate) fn replace(&mut self, slot: u32, value: Owned) -> Owned {
        mem::replace(&mut self.entry_mut(slot).value, value)
    }

    /// The entry that was not used for the longest time.
    pub(crate) fn oldest(&self) -> Option<u32> {
        (self.oldest != NOBODY).then_some(self.oldest)
    }

    /// Takes everything out.
    #[must_use = "dropping what was there runs Python code"]
    pub(crate) fn take(&mut self) -> Table<X> {
        let mut empty = Table::new(self.rule);
        empty.generation = self.generation + 1;
        mem::replace(self, empty)
    }

    /// The entry at a place in the vector, if there is one: for walks that take a few steps at a time.
    pub(crate) fn at(&self, place: usize) -> Option<&Entry<X>> {
        self.entries.get(place).and_then(Option::as_ref)
    }

    /// How many places the vector has.
    pub(crate) fn places(&self) -> usize {
        self.entries.len()
    }

    /// The bytes that the table itself takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Option<Entry<X>>>()
            + self.free.capacity() * size_of::<u32>()
            + self.index.allocation_size()
    }

    /// Shows each object that the table refers to, until `show` gives something but 0.
    pub(crate) unsafe fn visit(&self, show: &mut dyn FnMut(*mut PyObject) -> i32) -> i32 {
        for entry in self.entries.iter().flatten() {
            for object in entry.key.objects().iter().copied().chain([entry.value.as_ptr()]) {
                let said = show(object);
                if said != 0 {
                    return said;
                }
            }
        }
        0
    }

    #[inline]
    fn link(&mut self, slot: u32) {
        let older = mem::replace(&mut self.newest, slot);
        let entry = self.entry_mut(slot);
        entry.older = older;
        entry.newer = NOBODY;
        if older == NOBODY {
            self.oldest = slot;
        } else {
            self.entry_mut(older).newer = slot;
        }
    }

    #[inline]
    fn unlink(&mut self, slot: u32) {
        let Entry { newer, older, .. } = *self.entry(slot);
        if newer == NOBODY {
            self.newest = older;
        } else {
            self.entry_mut(newer).older = older;
        }
        if older == NOBODY {
            self.oldest = newer;
        } else {
            self.entry_mut(older).newer = newer;
        }
    }
}
