//! Payloads made smaller, and back within bounds.
//!
//! Compressed bytes are a stranger's: a few kilobytes can say that they are gigabytes. So nothing is allocated before what
//! they claim to become has passed the reader's limit and a ratio, and nothing is written past it.

#[cfg(any(not(feature = "lz4"), not(feature = "zstd")))]
mod absent;
#[cfg(not(feature = "lz4"))]
use absent as lz4;
#[cfg(feature = "lz4")]
mod lz4;
#[cfg(not(feature = "zstd"))]
use absent as zstd;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(test)]
mod tests;

/// From how many bytes on LZ4 is tried: at 1 KiB it saves a third for a microsecond, below hardly anything.
const LZ4_FROM_BYTES: usize = 1 << 10;

/// From how many bytes on Zstandard is tried: at 1 KiB it costs four times as much as LZ4, at 4 KiB it begins to pay.
const ZSTD_FROM_BYTES: usize = 4 << 10;

/// How many times larger a payload may become. LZ4 cannot exceed 255; what Zstandard packs smaller stays as it is.
const MOST_RATIO: usize = 256;

/// Up to so many bytes the ratio does not count, since they harm nobody.
const HARMLESS_BYTES: usize = 64 << 10;

/// How payloads are made smaller before they are stored. They are read whichever way they were stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By LZ4 (feature `lz4`), from 1 KiB on.
    Lz4,
    /// By Zstandard (feature `zstd`) at this level, from 4 KiB on.
    Zstd(i32),
}

impl Compression {
    /// The feature that this program was built without and would need for it.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Compression::Lz4 if !lz4::IS_HERE => Some("lz4"),
            Compression::Zstd(_) if !zstd::IS_HERE => Some("zstd"),
            _ => None,
        }
    }
}

/// What an envelope says of a payload's compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packed {
    Not,
    Lz4,
    Zstd,
}

impl Packed {
    pub(crate) fn number(self) -> u8 {
        match self {
            Packed::Not => 0,
            Packed::Lz4 => 1,
            Packed::Zstd => 2,
        }
    }

    /// The compression of an envelope; none where this program does not know it.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        [Packed::Not, Packed::Lz4, Packed::Zstd].into_iter().find(|packed| packed.number() == number)
    }
}

/// The payload made smaller, and by what; none where it is too small for that, does not become smaller, or becomes so
/// small that nobody would unpack it.
pub(crate) fn pack(payload: &[u8], packing: Compression) -> Option<(Packed, Vec<u8>)> {
    let (packed, bytes) = match packing {
        Compression::Lz4 if payload.len() >= LZ4_FROM_BYTES => (Packed::Lz4, lz4::pack(payload, 0)?),
        Compression::Zstd(level) if payload.len() >= ZSTD_FROM_BYTES => (Packed::Zstd, zstd::pack(payload, level)?),
        _ => return None,
    };
    let is_worth_it = bytes.len() < payload.len() && is_plausible(bytes.len(), payload.len());
    is_worth_it.then_some((packed, bytes))
}

/// Whether so many bytes may become so many.
pub(crate) fn is_plausible(packed_bytes: usize, raw_bytes: usize) -> bool {
    raw_bytes <= HARMLESS_BYTES || raw_bytes / MOST_RATIO <= packed_bytes
}

/// The payload of exactly `raw_bytes` bytes that was packed; none where it is another. The caller has bounded `raw_bytes`.
pub(crate) fn unpack(packed: Packed, bytes: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    let payload = match packed {
        Packed::Not => bytes.to_vec(),
        Packed::Lz4 => lz4::unpack(bytes, raw_bytes)?,
        Packed::Zstd => zstd::unpack(bytes, raw_bytes)?,
    };
    (payload.len() == raw_bytes).then_some(payload)
}
