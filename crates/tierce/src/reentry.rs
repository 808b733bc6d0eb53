//! Which memories this thread holds a shard of, so that a call back is refused instead of deadlocking.
//!
//! A shard's lock is held across foreign code in few places only: a key's `Eq`, a value's `Clone` (and a key's, for
//! `iter`), the closures of `update` and `invalidate_where`, and the weigher that `update` asks. Were one of them to call the same memory, it would wait for a lock that its
//! own thread holds. Such a call panics with a sentence instead; the unwinding releases the lock, and the memory is
//! as it was. `Hash`, `Drop`, listeners and loaders run without any lock and may call whatever they like.
//!
//! Cost: two thread-local stores an operation, under 1 ns.

use std::cell::Cell;

use crate::sync::thread_local;

/// How many memories deep foreign code may nest: keys whose `Eq` asks another memory are rare, and four of them in a
/// row more likely a loop.
const DEPTH: usize = 4;

struct Held {
    len: Cell<usize>,
    memories: [Cell<usize>; DEPTH],
}

thread_local! {
    static HELD: Held = const { Held { len: Cell::new(0), memories: [const { Cell::new(0) }; DEPTH] } };
}

/// Says that this thread is inside a memory, until dropped.
pub(crate) struct Entered(());

impl Entered {
    /// Notes that a shard of the memory at `address` is about to be locked.
    ///
    /// # Panics
    /// When this thread already is inside that memory.
    #[inline]
    pub(crate) fn new(address: usize) -> Self {
        HELD.with(|held| {
            let len = held.len.get();
            if len != 0 {
                refuse_nesting(held, len, address);
            }
            held.memories[len].set(address);
            held.len.set(len + 1);
        });
        Entered(())
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        HELD.with(|held| held.len.set(held.len.get() - 1));
    }
}

#[cold]
fn refuse_nesting(held: &Held, len: usize, address: usize) {
    let inside = held.memories[..len].iter().any(|m| m.get() == address);
    assert!(
        !inside,
        "a key's Eq, a value's Clone, or a closure given to update or invalidate_where called the memory it runs in; \
         compute outside and call again"
    );
    assert!(len < DEPTH, "memories nested {DEPTH} deep through Eq, Clone or closures");
}
