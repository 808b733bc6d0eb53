//! Asking for a cache line before it is needed.
//!
//! An insertion into a full shard reads lines that have nothing to do with each other: the new key's, the victim's, the
//! victim's place in the table and in the ghost. Asked for one after the other they are waited for one after the
//! other (`bench memory --only insert_evict`).

/// Begins to fetch the cache line at which a value starts; nothing else.
#[inline]
#[allow(unsafe_code, reason = "`bench memory --only insert_evict`: there is no other way to ask for a line")]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint to the processor, which reads nothing that the program sees and faults nowhere; the address
        // is that of a live reference besides.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
