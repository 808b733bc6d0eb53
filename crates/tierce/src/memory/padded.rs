//! Distance between what different threads write.

/// Keeps two threads' lines apart, and off the pair of lines that the prefetcher takes.
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);
