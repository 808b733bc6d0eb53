//! Envelopes: what stands around a value in a store. `docs/wire.md` is the specification.
//!
//! An envelope says what it is, whose it is, how old it may become and what its tags were at, so that a lookup decides by
//! itself whether it serves. Anything else that lies in the store under its name is a miss: foreign, damaged, cut off,
//! another key's. The first sixteen bytes may be changed in place, to mark an entry stale or to give it its time anew, and
//! are not under the checksum.

use std::borrow::Cow;

use twox_hash::XxHash3_64;

use super::codec::Codec;
use super::damage::Damage;
use super::face::Version;
use super::packing::{self, Packing};

const MAGIC: u8 = 0xC4;
const FORMAT: u8 = 1;
const CREATED_AT: usize = 8;
const CHECKSUM_AT: usize = 16;
const COVERED_AT: usize = 24;
const KEY_AT: usize = 64;
const NEGATIVE: u8 = 1;

/// What an envelope says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// When it was made, in milliseconds since 1970 by its maker's clock.
    pub(crate) created_ms: u64,
    /// For how long after that it is fresh; `u64::MAX` for good.
    pub(crate) fresh_ms: u64,
    /// For how long after that it may be served at all.
    pub(crate) kept_ms: u64,
    /// What its load took.
    pub(crate) cost_us: u32,
    /// A number for the shape of the value, where its writer gives one.
    pub(crate) schema: u32,
    pub(crate) codec: Codec,
    pub(crate) is_negative: bool,
}

/// An envelope, opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) head: Head,
    pub(crate) tags: Vec<(&'a str, Version)>,
    pub(crate) payload: Cow<'a, [u8]>,
}

/// The envelope of a value, bound to the whole name of its key. `None` where something is longer than the format has
/// room for: a key above 64 KiB, a payload above 4 GiB, a tag above 255 bytes.
pub(crate) fn seal(
    head: &Head,
    key: &str,
    tags: &[(&str, Version)],
    payload: &[u8],
    packing: Packing,
) -> Option<Vec<u8>> {
    let raw_length = u32::try_from(payload.len()).ok()?;
    let key_length = u16::try_from(key.len()).ok()?;
    let tag_count = u16::try_from(tags.len()).ok()?;
    let (compression, packed) = packing::pack(packing, payload);
    let mut out = Vec::with_capacity(KEY_AT + key.len() + tags.len() * 40 + packed.len());
    out.extend([MAGIC, FORMAT, 0, 0, 0, 0, 0, 0]);
    out.extend(head.created_ms.to_le_bytes());
    out.extend([0; 8]);
    let flags = if head.is_negative { NEGATIVE } else { 0 };
    out.extend([flags, head.codec.number(), compression, 0]);
    out.extend(head.cost_us.to_le_bytes());
    out.extend(head.fresh_ms.to_le_bytes());
    out.extend(head.kept_ms.to_le_bytes());
    out.extend(head.schema.to_le_bytes());
    out.extend(raw_length.to_le_bytes());
    out.extend(key_length.to_le_bytes());
    out.extend(tag_count.to_le_bytes());
    out.extend([0; 4]);
    out.extend(key.as_bytes());
    for (name, version) in tags {
        out.push(u8::try_from(name.len()).ok()?);
        out.extend(name.as_bytes());
        out.extend(version.0.to_le_bytes());
    }
    out.extend(&*packed);
    let checksum = XxHash3_64::oneshot(&out[COVERED_AT..]);
    out[CHECKSUM_AT..COVERED_AT].copy_from_slice(&checksum.to_le_bytes());
    Some(out)
}

/// What an envelope says, if it is one, of this key, whose value has at most so many bytes.
pub(crate) fn open<'a>(bytes: &'a [u8], key: &str, most_bytes: usize) -> Result<Opened<'a>, Damage> {
    if bytes.first() != Some(&MAGIC) {
        return Err(Damage::Foreign);
    }
    if bytes.get(1).is_some_and(|format| *format != FORMAT) {
        return Err(Damage::Version);
    }
    if bytes.len() < KEY_AT {
        return Err(Damage::Truncated);
    }
    if u64_at(bytes, CHECKSUM_AT) != XxHash3_64::oneshot(&bytes[COVERED_AT..]) {
        return Err(Damage::Checksum);
    }
    let flags = bytes[24];
    let is_reserved = flags & !NEGATIVE != 0 || bytes[27] != 0 || bytes[60..KEY_AT] != [0; 4];
    if is_reserved {
        return Err(Damage::Malformed);
    }
    let codec = Codec::numbered(bytes[25]).ok_or(Damage::Codec)?;
    let head = Head {
        created_ms: u64_at(bytes, CREATED_AT),
        fresh_ms: u64_at(bytes, 32),
        kept_ms: u64_at(bytes, 40),
        cost_us: u32_at(bytes, 28),
        schema: u32_at(bytes, 48),
        codec,
        is_negative: flags & NEGATIVE != 0,
    };
    let raw_length = usize::try_from(u32_at(bytes, 52)).map_err(|_| Damage::TooLarge)?;
    if raw_length > most_bytes {
        return Err(Damage::TooLarge);
    }
    let mut rest = Rest(&bytes[KEY_AT..]);
    if rest.take(usize::from(u16_at(bytes, 56)))? != key.as_bytes() {
        return Err(Damage::OtherKey);
    }
    let mut tags = Vec::new();
    for _ in 0..u16_at(bytes, 58) {
        let length = rest.take(1)?[0];
        let name = std::str::from_utf8(rest.take(length.into())?).map_err(|_| Damage::Malformed)?;
        let version = rest.take(16)?.try_into().map_err(|_| Damage::Malformed)?;
        tags.push((name, Version(u128::from_le_bytes(version))));
    }
    let payload = packing::unpack(bytes[26], rest.0, raw_length)?;
    Ok(Opened { head, tags, payload })
}

/// What has not been read of an envelope.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heads() -> impl Strategy<Value = Head> {
        let codecs = prop_oneof![Just(Codec::MessagePack), Just(Codec::Json), Just(Codec::Postcard)];
        (any::<(u64, u64, u64, u32, u32, bool)>(), codecs).prop_map(|(of, codec)| Head {
            created_ms: of.0,
            fresh_ms: of.1,
            kept_ms: of.2,
            cost_us: of.3,
            schema: of.4,
            codec,
            is_negative: of.5,
        })
    }

    fn tags() -> impl Strategy<Value = Vec<(String, u128)>> {
        proptest::collection::vec(("[a-zé]{0,40}", any::<u128>()), 0..5)
    }

    fn named(tags: &[(String, u128)]) -> Vec<(&str, Version)> {
        tags.iter().map(|(name, version)| (name.as_str(), Version(*version))).collect()
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(
            (head, key, tags) in (heads(), "[ -~]{0,300}", tags()),
            (byte, length) in (any::<u8>(), 0_usize..9000),
            packing in prop_oneof![Just(Packing::None), Just(Packing::Lz4), Just(Packing::Zstd)],
        ) {
            let payload = vec![byte; length];
            let sealed = seal(&head, &key, &named(&tags), &payload, packing).unwrap();
            let opened = open(&sealed, &key, 10_000).unwrap();
            prop_assert_eq!(opened, Opened { head, tags: named(&tags), payload: Cow::Borrowed(&payload) });
            prop_assert_eq!(open(&sealed, "another", 10_000), Err(Damage::OtherKey));
            if length > 0 {
                prop_assert_eq!(open(&sealed, &key, length - 1), Err(Damage::TooLarge));
            }
        }

        #[test]
        fn a_changed_byte_or_a_missing_one_is_damage(
            (head, tags) in (heads(), tags()),
            (at, bit, cut) in (any::<prop::sample::Index>(), 0_u8..8, any::<prop::sample::Index>()),
        ) {
            let sealed = seal(&head, "key", &named(&tags), b"a lamp", Packing::None).unwrap();
            let mut changed = sealed.clone();
            let at = CHECKSUM_AT + at.index(sealed.len() - CHECKSUM_AT);
            changed[at] ^= 1 << bit;
            prop_assert!(open(&changed, "key", 100).is_err());
            prop_assert!(open(&sealed[..cut.index(sealed.len())], "key", 100).is_err());
        }

        #[test]
        fn any_bytes_are_an_envelope_or_damage(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), seems in any::<bool>()) {
            if seems && bytes.len() >= COVERED_AT {
                (bytes[0], bytes[1]) = (MAGIC, FORMAT);
                let checksum = XxHash3_64::oneshot(&bytes[COVERED_AT..]);
                bytes[CHECKSUM_AT..COVERED_AT].copy_from_slice(&checksum.to_le_bytes());
            }
            if let Ok(opened) = open(&bytes, "", 100) {
                prop_assert!(opened.payload.len() <= 100);
            }
        }
    }
}
