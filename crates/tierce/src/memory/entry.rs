//! An entry on its way in, and as those see it who look at it or change it under its shard's lock.

use super::fallout::Cause;

/// What a reader sees of an entry.
pub(crate) struct Found<'a, V, B> {
    pub(crate) value: &'a V,
    /// When its life in the slot ends; it may be kept for longer.
    pub(crate) expiry_ms: u64,
    /// The clock's reading; 0 where the entry never expires, since the clock was not asked.
    pub(crate) now_ms: u64,
    pub(super) beside: &'a [B],
    pub(super) slot: u32,
}

impl<V, B> Found<'_, V, B> {
    /// What its owner keeps beside it, in a line of its own.
    #[inline]
    pub(crate) fn beside(&self) -> &B {
        &self.beside[self.slot as usize]
    }
}

/// What somebody who is alone may change of an entry.
pub(crate) struct Amend<'a, V, B> {
    pub(crate) value: &'a mut V,
    pub(crate) beside: &'a mut B,
    pub(crate) weight: u32,
    pub(crate) expiry_ms: u64,
    /// Whether this is a sign that the entry is wanted.
    pub(crate) used: bool,
}

/// What a reader decides about an entry.
pub(crate) enum Verdict<R> {
    /// A hit.
    Hit(R),
    /// Seen, and kept, but the lookup has to load: a miss.
    Miss(R),
    /// Not to be served: the entry goes, and the read was a miss.
    Gone(Cause),
}

/// What a look found.
pub(super) enum Looked<R> {
    Seen(u32, Verdict<R>),
    Nothing,
}

/// A new entry.
pub(crate) struct Fresh<K, V, B> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) beside: B,
    pub(crate) weight: u32,
    pub(crate) expiry_ms: u64,
}
