//! Small numbers for threads, given again when a thread has ended.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sync::thread_local;

/// A thread that has no number yet, or has given it back.
const NONE: usize = usize::MAX;

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(NONE) };
    static OWNED: Owned = Owned::new();
}

/// The numbers that no thread has. The system's own lock also under the model checker, whose locks do not outlive a run.
static FREE: Mutex<Numbers> = Mutex::new(Numbers { next: 0, back: Vec::new() });

struct Numbers {
    next: usize,
    back: Vec<usize>,
}

/// A thread's number, given back when the thread ends.
struct Owned(usize);

/// This thread's number, or one beyond all for a thread that has none.
#[inline]
pub(super) fn mine() -> usize {
    MINE.try_with(Cell::get).unwrap_or(NONE)
}

/// Numbers this thread if it has no number, and is not ending; gives what [`mine`] gives then.
pub(super) fn take() -> usize {
    if let Ok(number) = OWNED.try_with(|owned| owned.0) {
        // A thread that cannot note its number is ending, and has none.
        let _ = MINE.try_with(|mine| mine.set(number));
    }
    mine()
}

impl Owned {
    fn new() -> Self {
        let mut free = free();
        let number = free.back.pop().unwrap_or_else(|| {
            free.next += 1;
            free.next - 1
        });
        Owned(number)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Before the number is given back, so that nothing this thread still does is done under it. Where the note is
        // gone already, so is the number.
        let _ = MINE.try_with(|mine| mine.set(NONE));
        free().back.push(self.0);
    }
}

fn free() -> MutexGuard<'static, Numbers> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}
