//! Where a key's slot is: a hash table of slot numbers, one cache line a look.
//!
//! A chunk is 64 bytes: twelve tags of eight bits, a count, and twelve slot numbers. A look compares all twelve tags at
//! once and finds the slot's number in the line it has just read, where a table with its tags and its numbers apart
//! waits for two lines one after the other. The shape is that of F14 (Bronson and Shi, "Open-sourcing F14", 2019).
//!
//! A key whose chunk is full goes to the next one; the count says how many did, so that a look ends where it is zero,
//! and removing leaves no tombstones. The number of chunks need not be a power of two, so a table that has its final
//! size wastes a quarter of its places and no more.

use super::prefetch::prefetch;

/// Places in a chunk.
const LANES: usize = 12;
/// Places of a chunk that are meant to be taken. At nine of twelve one key in a hundred is not in its first chunk.
const MEANT: usize = 9;

/// In 32-bit words: three of tags, zero for an empty place; how many entries passed by; and twelve slot numbers.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Chunk([u32; 16]);

const EMPTY: Chunk = Chunk([0; 16]);
/// The word that counts.
const PASSED_BY: usize = 3;
/// The first word of slot numbers.
const SLOTS: usize = 4;

pub(super) struct Index {
    chunks: Box<[Chunk]>,
    len: usize,
}

impl Index {
    /// Has no table.
    pub(super) fn new() -> Self {
        Index { chunks: Box::default(), len: 0 }
    }

    /// A table for so many entries, with these in it. The hashes are 32 bits of the keys' own.
    pub(super) fn with(room: usize, mut each: impl FnMut(&mut dyn FnMut(u32, u32))) -> Self {
        let mut index = Index { chunks: vec![EMPTY; room.div_ceil(MEANT).max(1)].into(), len: 0 };
        each(&mut |hash, slot| index.insert(hash, slot));
        index
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether another entry would crowd it.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len >= self.chunks.len() * MEANT
    }

    /// The slot for which the closure gives something, among those whose hash may be this one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn find<T>(&self, hash: u32, mut is: impl FnMut(u32) -> Option<T>) -> Option<(u32, T)> {
        let mut at = self.home(hash);
        let mut left = self.chunks.len();
        loop {
            let chunk = self.chunks.get(at)?;
            let mut lanes = chunk.lanes(tag(hash));
            while lanes != 0 {
                let slot = chunk.slot(lanes);
                if let Some(found) = is(slot) {
                    return Some((slot, found));
                }
                lanes &= lanes - 1;
            }
            // As many chunks as there are, for the case that entries passed by all of them.
            left -= 1;
            if chunk.0[PASSED_BY] == 0 || left == 0 {
                return None;
            }
            at = self.next(at);
        }
    }

    /// Puts in a slot that is not here. The caller has made sure that the table is not full.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        loop {
            let chunk = &mut self.chunks[at];
            let lanes = chunk.lanes(0);
            if lanes != 0 {
                chunk.fill(lanes, tag(hash), slot);
                self.len += 1;
                return;
            }
            chunk.0[PASSED_BY] += 1;
            at = self.next(at);
        }
    }

    /// Takes out a slot that is here.
    #[inline]
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let mut at = self.home(hash);
        for _ in 0..self.chunks.len() {
            let chunk = &mut self.chunks[at];
            let mut lanes = chunk.lanes(tag(hash));
            while lanes != 0 {
                if chunk.slot(lanes) == slot {
                    chunk.fill(lanes, 0, 0);
                    self.len -= 1;
                    return;
                }
                lanes &= lanes - 1;
            }
            chunk.0[PASSED_BY] = chunk.0[PASSED_BY].saturating_sub(1);
            at = self.next(at);
        }
        unreachable!("every full slot is in the table");
    }

    /// Begins to fetch the line that a look for this hash will read.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        if let Some(chunk) = self.chunks.get(self.home(hash)) {
            prefetch(chunk);
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.chunks.len() as u64) >> 32) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        if at + 1 < self.chunks.len() { at + 1 } else { 0 }
    }
}

impl Chunk {
    /// The places that hold this tag, a bit each.
    #[inline]
    fn lanes(&self, tag: u8) -> u32 {
        equal(self.halves(), tag) & ((1 << LANES) - 1)
    }

    /// The slot number in the first of these places.
    #[inline]
    fn slot(&self, lanes: u32) -> u32 {
        self.0[(SLOTS + lanes.trailing_zeros() as usize) & 15]
    }

    /// Sets the first of these places.
    #[inline]
    fn fill(&mut self, lanes: u32, tag: u8, slot: u32) {
        let lane = lanes.trailing_zeros() as usize;
        self.0[(SLOTS + lane) & 15] = slot;
        let shift = lane % 4 * 8;
        let tags = &mut self.0[(lane / 4) & 3];
        *tags = *tags & !(0xFF << shift) | u32::from(tag) << shift;
    }

    /// The tags and the count.
    #[inline]
    fn halves(&self) -> [u64; 2] {
        let [a, b, c, d, ..] = self.0;
        [u64::from(a) | u64::from(b) << 32, u64::from(c) | u64::from(d) << 32]
    }
}

/// Eight bits of a hash that the choice of the chunk does not use, and never zero.
#[inline]
fn tag(hash: u32) -> u8 {
    (hash as u8).max(1)
}

/// Which of the bytes are equal to this one, a bit each.
#[cfg(target_arch = "x86_64")]
#[inline]
#[allow(unsafe_code, reason = "`bench memory --only hit_u64_zipf`: a third of the portable form's instructions")]
fn equal([low, high]: [u64; 2], byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};
    // SAFETY: these compute on values, and ask for SSE2 only, which every x86-64 processor has.
    let equal = unsafe {
        let bytes = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed())))
    };
    equal.cast_unsigned()
}

#[cfg(not(target_arch = "x86_64"))]
use equal_anywhere as equal;

/// The same without vectors: the highest bit of each byte that is zero after the exclusive or, gathered by a product.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline]
fn equal_anywhere([low, high]: [u64; 2], byte: u8) -> u32 {
    const SEVEN: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let gathered = |half: u64| {
        let differs = half ^ (u64::from(byte) * 0x0101_0101_0101_0101);
        let zero = !(((differs & SEVEN) + SEVEN) | differs | SEVEN);
        ((zero >> 7).wrapping_mul(GATHER) >> 56) as u32
    };
    gathered(low) | gathered(high) << 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn find(index: &Index, hash: u32, slot: u32) -> bool {
        index.find(hash, |found| (found == slot).then_some(())).is_some()
    }

    #[test]
    fn bytes_are_compared_alike_with_and_without_vectors() {
        let random = Random::seeded(5);
        for _ in 0..10_000 {
            // Few values, so that equal ones and neighbours of equal ones are frequent.
            let bytes: [u8; 16] = std::array::from_fn(|_| (random.unit() * 4.0) as u8);
            for byte in 0..4 {
                let wanted = bytes.iter().enumerate().fold(0, |all, (i, b)| all | u32::from(*b == byte) << i);
                let both = u128::from_le_bytes(bytes);
                let halves = [both as u64, (both >> 64) as u64];
                assert_eq!(equal(halves, byte), wanted, "{bytes:?}");
                assert_eq!(equal_anywhere(halves, byte), wanted, "{bytes:?}");
            }
        }
    }

    #[test]
    fn every_entry_is_found_until_it_is_removed_though_all_share_one_chunk() {
        // One hash for all: every chunk overflows into the next, around the end.
        let mut index = Index::with(90, |_| {});
        (0..90).for_each(|slot| index.insert(u32::MAX, slot));
        assert!(index.is_full());
        for slot in 0..90 {
            assert!(find(&index, u32::MAX, slot));
            index.remove(u32::MAX, slot);
            assert!(!find(&index, u32::MAX, slot));
        }
        assert_eq!(index.len(), 0);
        assert!(index.chunks.iter().all(|chunk| chunk.0 == [0; 16]), "nothing is left behind");
    }

    #[test]
    fn it_agrees_with_a_plain_map() {
        let random = Random::seeded(11);
        let mut index = Index::with(1000, |_| {});
        let mut plain = std::collections::HashMap::new();
        for slot in 0..20_000_u32 {
            let hash = ((random.unit() * f64::from(u32::MAX)) as u32) & 0xFF00_000F;
            if plain.len() < 1000 {
                index.insert(hash, slot);
                plain.insert(slot, hash);
            }
            let other = (random.unit() * f64::from(slot)) as u32;
            if let Some(hash) = plain.remove(&other) {
                index.remove(hash, other);
            }
            assert_eq!(index.len(), plain.len());
        }
        assert!(plain.iter().all(|(slot, hash)| find(&index, *hash, *slot)));
        let grown = Index::with(3000, |put| plain.iter().for_each(|(slot, hash)| put(*hash, *slot)));
        assert!(plain.iter().all(|(slot, hash)| find(&grown, *hash, *slot)));
    }

    #[test]
    fn a_chunk_is_a_cache_line() {
        assert_eq!((size_of::<Chunk>(), align_of::<Chunk>()), (64, 64));
    }
}
