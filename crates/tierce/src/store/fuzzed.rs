//! What the fuzz targets of `fuzz/` reach of envelopes: the same functions behind types that are public.

use twox_hash::XxHash3_64;

use super::codec::{self, Codec};
use super::envelope::{self, CHECKED_FROM, HEAD_BYTES, Head, MUTABLE_BYTES};
use super::face::Version;
use super::packing::Compression;

/// An envelope's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The numbers of its head: created, fresh, kept, cost, schema.
    pub numbers: (u64, u64, u64, u32, u32),
    /// Its codec.
    pub codec: Codec,
    /// Whether it says that there is no value.
    pub is_negative: bool,
    /// Its tags and what they were at.
    pub tags: Vec<(String, u128)>,
    /// Its value, unpacked.
    pub payload: Vec<u8>,
}

/// Opens an envelope; the word of its damage where it is none.
pub fn open(bytes: &[u8], key: &str, most_bytes: usize) -> Result<Envelope, String> {
    let opened = envelope::open(bytes, key, most_bytes).map_err(|damage| damage.to_string())?;
    let Head { created_ms, fresh_ms, kept_ms, cost_us, schema, codec, is_negative } = opened.head;
    let tags = opened.tags.into_iter().map(|(tag, version)| (tag.to_string(), version.0)).collect();
    let numbers = (created_ms, fresh_ms, kept_ms, cost_us, schema);
    Ok(Envelope { numbers, codec, is_negative, tags, payload: opened.payload.into_owned() })
}

/// Seals an envelope: unpacked, by LZ4, by Zstandard for 0, 1 and all others.
pub fn seal(envelope: &Envelope, key: &str, packing: u8) -> Result<Vec<u8>, String> {
    let Envelope { numbers, codec, is_negative, tags, payload } = envelope;
    let (created_ms, fresh_ms, kept_ms, cost_us, schema) = *numbers;
    let head = Head { created_ms, fresh_ms, kept_ms, cost_us, schema, codec: *codec, is_negative: *is_negative };
    let tags: Vec<_> = tags.iter().map(|(tag, version)| (tag.as_str(), Version(*version))).collect();
    let packing = match packing {
        0 => Compression::None,
        1 => Compression::Lz4,
        _ => Compression::Zstd(1),
    };
    envelope::seal(&head, key, &tags, payload, packing).map_err(|error| error.to_string())
}

/// Gives bytes the beginning, the length and the checksum of an envelope, so that the fuzzer comes past these.
pub fn mend(bytes: &mut [u8]) {
    let length = bytes.len();
    if length >= HEAD_BYTES {
        bytes[..MUTABLE_BYTES].copy_from_slice(&envelope::head_bytes(0));
        let body_length = u32::try_from(length - HEAD_BYTES).unwrap_or(u32::MAX);
        bytes[HEAD_BYTES - 4..HEAD_BYTES].copy_from_slice(&body_length.to_le_bytes());
        let checksum = XxHash3_64::oneshot(&bytes[CHECKED_FROM..]);
        bytes[MUTABLE_BYTES..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Whether these bytes are a text, a list of numbers or a map to a codec; reading them must come to an end.
pub fn decode(codec: Codec, bytes: &[u8]) -> [bool; 3] {
    let text = codec::decode::<String>(codec, bytes).is_ok();
    let list = codec::decode::<Vec<Option<i64>>>(codec, bytes).is_ok();
    let map = codec::decode::<std::collections::BTreeMap<String, (bool, f64)>>(codec, bytes).is_ok();
    [text, list, map]
}
