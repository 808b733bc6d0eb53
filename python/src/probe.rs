//! Looking for a key where `==` is Python's: it may raise, take for ever, or change the very table that is looked at.
//!
//! A look compares what it can without Python code. The entries that are left undecided are put down in one walk, and compared
//! outside of the table: the key of each is held by a reference of our own, nothing of the table is borrowed. If the table
//! has changed meanwhile all begins anew, as CPython's `dict` does; else each of `n` keys that collide is compared once.

use crate::key::View;
use crate::owned::Result;
use crate::table::{Look, Table};

/// The entry with this key. When it returns, no Python code has run since the table was last looked at.
#[inline]
pub(crate) unsafe fn find<X>(table: *mut Table<X>, view: &View) -> Result<Option<u32>> {
    match (*table).look(view) {
        Look::Found(slot) => Ok(Some(slot)),
        Look::Absent => Ok(None),
        Look::Undecided => find_with_python(table, view),
    }
}

#[cold]
unsafe fn find_with_python<X>(table: *mut Table<X>, view: &View) -> Result<Option<u32>> {
    let mut undecided = Vec::new();
    'anew: loop {
        undecided.clear();
        let generation = (*table).generation;
        if let Some(slot) = (*table).look_through(view, &mut undecided) {
            return Ok(Some(slot));
        }
        for slot in &undecided {
            let key = (*table).entry(*slot).key.clone();
            let same = key.equals(view)?;
            // Dropping the last reference runs Python code as well: the generation is compared after that. As long as it
            // stands, the other slots are what they were when they were put down.
            drop(key);
            if (*table).generation != generation {
                continue 'anew;
            }
            if same {
                return Ok(Some(*slot));
            }
        }
        return Ok(None);
    }
}
