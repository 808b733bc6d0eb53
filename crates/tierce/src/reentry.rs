//! Which memories this thread is inside of, so that a call back is refused instead of deadlocking.
//!
//! A shard's lock is held across foreign code in few places only: a key's `Eq`, a value's `Clone` (and a key's, for
//! `iter`), the closures of `update` and `invalidate_where`, and the weigher that `update` asks. Were one of them to
//! call the same memory, it would wait for a lock that its own thread holds. Such a call panics with a sentence
//! instead; the unwinding releases the lock, and the memory is as it was. `Hash`, `Drop`, listeners and loaders run
//! without any lock and may call whatever they like.
//!
//! Most threads own a stripe of each memory, which says whether they are in it (`memory/stripes.rs`). This file is for
//! the others, and for slices of the flight table: they note for themselves what they enter.

use std::cell::Cell;

use crate::sync::thread_local;

/// How many memories deep foreign code may nest: keys whose `Eq` asks another memory are rare, and sixteen of them in a
/// row more likely a loop.
const DEPTH: usize = 16;

thread_local! {
    /// The memory that this thread entered last; 0 outside of any.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
    /// Those it entered before that, outermost first; 0 where there is none.
    static AROUND: Cell<[usize; DEPTH]> = const { Cell::new([0; DEPTH]) };
}

/// Says that this thread is inside a memory, until dropped.
pub(crate) struct Entered {
    /// The memory it was inside of before, 0 mostly.
    before: usize,
}

impl Entered {
    /// Notes that a shard of the memory at `address` is about to be locked.
    ///
    /// # Panics
    /// When this thread already is inside that memory.
    #[inline]
    pub(crate) fn new(address: usize) -> Self {
        let before = INSIDE.with(Cell::get);
        if before != 0 {
            nest(before, address);
        }
        INSIDE.with(|inside| inside.set(address));
        Entered { before }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        INSIDE.with(|inside| inside.set(self.before));
        if self.before != 0 {
            leave();
        }
    }
}

/// Refuses a call back.
#[cold]
#[inline(never)]
pub(crate) fn refuse() -> ! {
    panic!(
        "a key's Eq, a value's Clone, or a closure given to update or invalidate_where called the memory it runs in; \
         compute outside and call again"
    );
}

#[cold]
fn nest(before: usize, address: usize) {
    let mut around = AROUND.with(Cell::get);
    if address == before || around.contains(&address) {
        refuse();
    }
    let free = around.iter().position(|memory| *memory == 0);
    let place = free.filter(|place| place + 1 < DEPTH);
    around[place.unwrap_or_else(|| panic!("memories nested {DEPTH} deep through Eq, Clone or closures"))] = before;
    AROUND.with(|cell| cell.set(around));
}

#[cold]
fn leave() {
    let mut around = AROUND.with(Cell::get);
    if let Some(last) = around.iter().rposition(|memory| *memory != 0) {
        around[last] = 0;
    }
    AROUND.with(|cell| cell.set(around));
}
