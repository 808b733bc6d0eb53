//! Values made smaller on their way to a store, and back within bounds.

#[cfg(any(not(feature = "lz4"), not(feature = "zstd")))]
mod absent;
#[cfg(not(feature = "lz4"))]
use absent as lz4;
#[cfg(not(feature = "zstd"))]
use absent as zstd;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(feature = "zstd")]
mod zstd;

use std::borrow::Cow;

use super::damage::Damage;

/// How values are compressed on their way to a store. What would not become smaller is stored as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packing {
    /// Not at all.
    #[default]
    None,
    /// By LZ4 from 1 KiB on (feature `lz4`): for a microsecond per KiB a third to a half less.
    Lz4,
    /// By Zstandard at its first level from 4 KiB on (feature `zstd`): twice as small again, at four times the time.
    Zstd,
}

/// Below this a value gains less than it costs, in bytes.
const LZ4_FROM: usize = 1 << 10;
const ZSTD_FROM: usize = 4 << 10;

/// What an envelope says of a payload that is as it was.
const PLAIN: u8 = 0;

/// The payload as it is stored, and what the envelope says of it.
pub(crate) fn pack(packing: Packing, payload: &[u8]) -> (u8, Cow<'_, [u8]>) {
    let packed = match packing {
        Packing::Lz4 if payload.len() >= LZ4_FROM => lz4::pack(payload).map(|packed| (1, packed)),
        Packing::Zstd if payload.len() >= ZSTD_FROM => zstd::pack(payload).map(|packed| (2, packed)),
        _ => None,
    };
    match packed.filter(|(_, packed)| packed.len() < payload.len()) {
        Some((number, packed)) => (number, Cow::Owned(packed)),
        None => (PLAIN, Cow::Borrowed(payload)),
    }
}

/// The payload of this length that was packed so. No more than that is allocated.
pub(crate) fn unpack(number: u8, packed: &[u8], length: usize) -> Result<Cow<'_, [u8]>, Damage> {
    let unpacked = match number {
        PLAIN => return if packed.len() == length { Ok(Cow::Borrowed(packed)) } else { Err(Damage::Truncated) },
        1 => lz4::unpack(packed, length),
        2 => zstd::unpack(packed, length),
        _ => None,
    };
    unpacked.filter(|unpacked| unpacked.len() == length).map(Cow::Owned).ok_or(Damage::Compression)
}
