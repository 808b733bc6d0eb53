//! What holds one another in a long chain goes one after the other, and not each within the one before.
//!
//! **Problem.** What frees an object frees what it alone holds, and so on: a chain of some ten thousand would overflow the stack.
//! CPython's own containers put off what lies too deep (`Py_TRASHCAN_BEGIN`), by names that are not in the limited API.
//!
//! **Idea.** The same. What lies too deep is put down for this thread, and the outermost frees it when it is done itself.
//! All of our types count together, so that a chain of several kinds is one.

use std::cell::Cell;
use std::mem::ManuallyDrop;

use crate::owned::PyObject;

/// As deep as CPython lets its own go (`_PyTrash_UNWIND_LEVEL`).
const DEEPEST: u32 = 50;

/// An object that nobody holds any more and no collector looks at, and what frees it.
type Waiting = (*mut PyObject, unsafe fn(*mut PyObject));

struct Here {
    depth: Cell<u32>,
    /// Never dropped, since objects may go when the thread's own values have gone. It is empty and holds no memory by then.
    waiting: ManuallyDrop<Cell<Vec<Waiting>>>,
}

thread_local! {
    static HERE: Here = const { Here { depth: Cell::new(0), waiting: ManuallyDrop::new(Cell::new(Vec::new())) } };
}

/// Frees an object that the collector of cycles does not look at any more: now, or when the outermost has gone.
pub(crate) unsafe fn free_in_turn(object: *mut PyObject, free: unsafe fn(*mut PyObject)) {
    HERE.with(|here| {
        let depth = here.depth.get();
        if depth >= DEEPEST {
            here.put_off((object, free));
            return;
        }
        here.depth.set(depth + 1);
        free(object);
        if depth == 0 {
            while let Some((object, free)) = here.next() {
                free(object);
            }
            drop(here.waiting.take());
        }
        here.depth.set(depth);
    });
}

impl Here {
    fn put_off(&self, one: Waiting) {
        let mut waiting = self.waiting.take();
        waiting.push(one);
        self.waiting.set(waiting);
    }

    fn next(&self) -> Option<Waiting> {
        let mut waiting = self.waiting.take();
        let one = waiting.pop();
        self.waiting.set(waiting);
        one
    }
}
