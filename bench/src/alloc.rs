//! A global allocator that counts, while it is asked to.
//!
//! It counts requested bytes, not what the allocator below rounds them up to. Outside a counted
//! region it costs one relaxed load, so that contenders who allocate are not charged for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator with a counter in front.
pub(crate) struct CountingAllocator;

fn note(bytes: i64) {
    if COUNTING.load(Relaxed) {
        LIVE_BYTES.fetch_add(bytes, Relaxed);
        if bytes > 0 {
            CALLS.fetch_add(1, Relaxed);
        }
    }
}

/// A size as a signed number; a layout never exceeds `isize::MAX`.
fn signed(bytes: usize) -> i64 {
    bytes as i64
}

#[allow(unsafe_code, reason = "bytes can only be counted in the global allocator, whose trait is unsafe")]
// SAFETY: every call goes to `System` with the caller's own arguments; counting touches atomics
// only and never allocates.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(-signed(layout.size()));
        // SAFETY: `block` came from `System` through this allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        note(signed(new_size) - signed(layout.size()));
        // SAFETY: as in `dealloc`; the caller vouches for `new_size`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// A region of the program in which allocations are counted; one at a time.
pub(crate) struct Counted {
    bytes_before: i64,
    calls_before: u64,
}

impl Counted {
    /// Starts counting.
    pub(crate) fn start() -> Self {
        COUNTING.store(true, Relaxed);
        Self { bytes_before: LIVE_BYTES.load(Relaxed), calls_before: CALLS.load(Relaxed) }
    }

    /// Bytes allocated since the start and not freed since.
    pub(crate) fn live_bytes(&self) -> i64 {
        LIVE_BYTES.load(Relaxed) - self.bytes_before
    }

    /// Calls that asked for memory since the start; a growing `realloc` is one.
    pub(crate) fn calls(&self) -> u64 {
        CALLS.load(Relaxed) - self.calls_before
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        COUNTING.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The counters are the process's, and other tests allocate meanwhile: the block dwarfs them.
    // It is zeroed and never touched, so no memory stands behind it.
    const BLOCK: usize = 1 << 32;
    const OTHERS: i64 = 1 << 30;

    #[test]
    fn live_bytes_rise_with_an_allocation_and_fall_with_its_release() {
        let counted = Counted::start();
        let block = std::hint::black_box(vec![0_u8; BLOCK]);
        assert!(counted.live_bytes() >= signed(BLOCK) - OTHERS);
        assert!(counted.calls() >= 1);
        drop(block);
        assert!(counted.live_bytes() <= OTHERS);
    }
}
