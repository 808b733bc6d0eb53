//! Looking for a key where `==` is Python's: it may raise, take for ever, or change the very table that is looked at.
//!
//! A look compares what it can without Python code. An entry that is left undecided is compared outside of the table: its key is
//! held by references of our own, nothing of the table is borrowed. If the table has changed meanwhile all begins anew, as
//! CPython's `dict` does.

use crate::key::View;
use crate::owned::Result;
use crate::table::{Look, Table};

/// The entry with this key. When it returns, no Python code has run since the table was last looked at.
#[inline]
pub(crate) unsafe fn find<X>(table: *mut Table<X>, view: &View) -> Result<Option<u32>> {
    match (*table).look(view, &[]) {
        Look::Found(slot) => Ok(Some(slot)),
        Look::Absent => Ok(None),
        Look::Undecided(slot) => find_with_python(table, view, slot),
    }
}

#[cold]
unsafe fn find_with_python<X>(table: *mut Table<X>, view: &View, first: u32) -> Result<Option<u32>> {
    let mut told_apart = Vec::new();
    let mut generation = (*table).generation;
    let mut slot = first;
    loop {
        let key = (*table).entry(slot).key.clone();
        let same = key.equals(view)?;
        // Dropping the last reference runs Python code as well: the generation is compared after that.
        drop(key);
        if (*table).generation != generation {
            told_apart.clear();
            generation = (*table).generation;
        } else if same {
            return Ok(Some(slot));
        } else {
            told_apart.push(slot);
        }
        match (*table).look(view, &told_apart) {
            Look::Found(slot) => return Ok(Some(slot)),
            Look::Absent => return Ok(None),
            Look::Undecided(next) => slot = next,
        }
    }
}
