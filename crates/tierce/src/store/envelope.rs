//! What is stored of an entry: its times, its tags, its key, its value. `docs/wire.md` is the specification.
//!
//! **Problem.** Bytes in a shared server are not ours: another program, an older version of this one, a broken server or
//! somebody who may write there has left them. Whatever they are, reading them gives the value that was written for this
//! very key, or says why not; it never fails in another way and never takes more room than allowed.
//!
//! **Idea.** A head of fixed fields; the first 16 bytes of it may change while the entry stays (`touch`, `mark_stale`), and
//! all the rest is under a checksum, one run of bytes at the end. The whole key is in it, so that an entry that was moved
//! to another name, or whose name is a hash that another key has too, is nobody's. Lengths are compared before anything is
//! allocated for them.
//!
//! **Cost.** 64 bytes, the key, and 17 and its name for each tag. A hit copies nothing of an uncompressed payload.
//!
//! **Limits.** A checksum is no signature: who may write to the server may forge entries.

use std::borrow::Cow;
use std::fmt;

use twox_hash::XxHash3_64;

use super::codec::Codec;
use super::damage::Damage;
use super::face::Version;
use super::packing::{self, Compression, Packed};
use crate::mutant::{self, Mutant};

/// Not ASCII and no beginning of MessagePack, JSON or a pickle that caches are full of.
const MAGIC: u8 = 0xC4;
const FORMAT: u8 = 1;

/// Where the state is: 0 for a live entry, 1 for one that was marked stale, which a server's script writes there.
#[allow(dead_code, reason = "Memcached keeps marks of its own")]
pub(crate) const STATE_AT: usize = 2;

/// The bytes that may change while the entry stays.
pub(super) const MUTABLE_BYTES: usize = 16;
/// What is under the checksum begins behind it.
pub(super) const CHECKED_FROM: usize = 24;
/// The key begins here.
pub(super) const HEAD_BYTES: usize = 64;

const NEGATIVE: u8 = 1;

/// What an envelope says of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// When it was made, in milliseconds since 1970 by the writer's clock.
    pub(crate) created_ms: u64,
    /// It is fresh for so long after that; `u64::MAX` never ends.
    pub(crate) fresh_ms: u64,
    /// It may be served stale until so long after that.
    pub(crate) kept_ms: u64,
    /// How long its load took.
    pub(crate) cost_us: u32,
    /// What shape its value has, by the program that wrote it.
    pub(crate) schema: u32,
    /// How its value is written.
    pub(crate) codec: Codec,
    /// Whether it says that there is no value.
    pub(crate) is_negative: bool,
}

/// An envelope that is ours, and this key's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened<'a> {
    pub(crate) head: Head,
    /// Its tags, and what they were at.
    pub(crate) tags: Vec<(&'a str, Version)>,
    /// Its value as its codec wrote it, unpacked.
    pub(crate) payload: Cow<'a, [u8]>,
}

/// Why an entry is not stored: a part of it is longer than an envelope can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge {
    part: &'static str,
    length: usize,
    most: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooLarge { part, length, most } = self;
        write!(f, "too large for a store: {part} {length}, at most {most}")
    }
}

impl std::error::Error for TooLarge {}

/// The envelope of an entry that is live.
///
/// `key` is its whole name, as [`Name::whole`](super::key::Name::whole) gives it. Without the feature that `packing`
/// needs the payload stays as it is.
///
/// # Errors
///
/// The key is longer than 65,535 bytes, a tag than 255, there are more than 255 tags, or key, tags and payload have 4 GiB.
pub(crate) fn seal(
    head: &Head,
    key: &str,
    tags: &[(&str, Version)],
    payload: &[u8],
    packing: Compression,
) -> Result<Vec<u8>, TooLarge> {
    let key_length: u16 = fit("bytes of the key", key.len(), u16::MAX.into())?;
    let tag_count: u8 = fit("tags", tags.len(), u8::MAX.into())?;
    let raw_length: u32 = fit("bytes of the value", payload.len(), u32::MAX)?;
    let small = packing::pack(payload, packing);
    let (packed, payload) = small.as_ref().map_or((Packed::Not, payload), |(packed, bytes)| (*packed, bytes));
    let tags_length: usize = tags.iter().map(|(tag, _)| 17 + tag.len()).sum();
    let body = key.len() + tags_length + payload.len();
    let body_length: u32 = fit("bytes in all", body, u32::MAX)?;

    let mut out = Vec::with_capacity(HEAD_BYTES + body);
    out.extend(head_bytes(head.created_ms));
    out.extend([0; CHECKED_FROM - MUTABLE_BYTES]);
    let flags = if head.is_negative { NEGATIVE } else { 0 };
    out.extend([flags, head.codec.number(), packed.number(), tag_count]);
    out.extend(key_length.to_le_bytes());
    out.extend([0; 2]);
    out.extend(head.cost_us.to_le_bytes());
    out.extend(head.schema.to_le_bytes());
    out.extend(head.fresh_ms.to_le_bytes());
    out.extend(head.kept_ms.to_le_bytes());
    out.extend(raw_length.to_le_bytes());
    out.extend(body_length.to_le_bytes());
    out.extend(key.as_bytes());
    for (tag, version) in tags {
        out.push(fit("bytes of a tag", tag.len(), u8::MAX.into())?);
        out.extend(tag.as_bytes());
        out.extend(version.0.to_le_bytes());
    }
    out.extend(payload);
    let checksum = XxHash3_64::oneshot(&out[CHECKED_FROM..]);
    out[MUTABLE_BYTES..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    Ok(out)
}

fn fit<N: TryFrom<usize>>(part: &'static str, length: usize, most: u32) -> Result<N, TooLarge> {
    N::try_from(length).map_err(|_| TooLarge { part, length, most: most as usize })
}

/// The first bytes of the envelope of a live entry: all that may change of it. A store's `touch` puts new ones in place.
pub(crate) fn head_bytes(created_ms: u64) -> [u8; MUTABLE_BYTES] {
    let mut bytes = [0; MUTABLE_BYTES];
    bytes[0] = MAGIC;
    bytes[1] = FORMAT;
    bytes[8..].copy_from_slice(&created_ms.to_le_bytes());
    bytes
}

/// The entry of this key, its payload of at most `most_bytes`.
///
/// # Errors
///
/// Any [`Damage`]: the entry is then not here.
pub(crate) fn open<'a>(bytes: &'a [u8], key: &str, most_bytes: usize) -> Result<Opened<'a>, Damage> {
    let fields = fields(bytes)?;
    let body = &bytes[HEAD_BYTES..];
    if fields.checksum != XxHash3_64::oneshot(&bytes[CHECKED_FROM..]) {
        return Err(Damage::Checksum);
    }
    let (own_key, rest) = body.split_at_checked(fields.key_bytes).ok_or(Damage::Malformed)?;
    if own_key != key.as_bytes() && !mutant::on(Mutant::WholeKeyNotCompared) {
        return Err(Damage::OtherKey);
    }
    let codec = Codec::numbered(fields.codec).ok_or(Damage::Codec)?;
    let packed = Packed::numbered(fields.packed).ok_or(Damage::Compression)?;
    let (tags, payload) = tags(rest, fields.tag_count)?;
    let payload = unpack(packed, payload, fields.raw_bytes, most_bytes)?;
    let is_negative = fields.flags & NEGATIVE != 0;
    if is_negative && !payload.is_empty() {
        return Err(Damage::Malformed);
    }
    let Fields { created_ms, fresh_ms, kept_ms, cost_us, schema, .. } = fields;
    let head = Head { created_ms, fresh_ms, kept_ms, cost_us, schema, codec, is_negative };
    Ok(Opened { head, tags, payload })
}

/// The head's numbers, as they are written.
struct Fields {
    created_ms: u64,
    checksum: u64,
    flags: u8,
    codec: u8,
    packed: u8,
    tag_count: u8,
    key_bytes: usize,
    cost_us: u32,
    schema: u32,
    fresh_ms: u64,
    kept_ms: u64,
    raw_bytes: usize,
}

/// Reads the head and compares what it says of itself and of the length of all.
fn fields(bytes: &[u8]) -> Result<Fields, Damage> {
    match bytes {
        [MAGIC, FORMAT, ..] => {}
        [MAGIC] => return Err(Damage::Truncated),
        [MAGIC, ..] => return Err(Damage::Version),
        _ => return Err(Damage::Foreign),
    }
    let mut rest = Rest(bytes.get(..HEAD_BYTES).ok_or(Damage::Truncated)?);
    let [_, _, _, zeros @ ..] = rest.take::<8>()?;
    let created_ms = u64::from_le_bytes(rest.take()?);
    let checksum = u64::from_le_bytes(rest.take()?);
    let [flags, codec, packed, tag_count] = rest.take()?;
    let key_bytes = usize::from(u16::from_le_bytes(rest.take()?));
    let reserved = rest.take::<2>()?;
    let [cost_us, schema] = [u32::from_le_bytes(rest.take()?), u32::from_le_bytes(rest.take()?)];
    let [fresh_ms, kept_ms] = [u64::from_le_bytes(rest.take()?), u64::from_le_bytes(rest.take()?)];
    let [raw_bytes, body_bytes] = [u32::from_le_bytes(rest.take()?), u32::from_le_bytes(rest.take()?)];
    if bytes.len() - HEAD_BYTES != body_bytes as usize {
        return Err(Damage::Truncated);
    }
    if zeros != [0; 5] || reserved != [0; 2] || flags & !NEGATIVE != 0 {
        return Err(Damage::Malformed);
    }
    let raw_bytes = raw_bytes as usize;
    Ok(Fields {
        created_ms,
        checksum,
        flags,
        codec,
        packed,
        tag_count,
        key_bytes,
        cost_us,
        schema,
        fresh_ms,
        kept_ms,
        raw_bytes,
    })
}

type Tags<'a> = Vec<(&'a str, Version)>;

/// The tags, and what is behind them.
fn tags(bytes: &[u8], count: u8) -> Result<(Tags<'_>, &[u8]), Damage> {
    let mut rest = Rest(bytes);
    let mut tags = Vec::with_capacity(count.into());
    for _ in 0..count {
        let [length] = rest.take()?;
        let tag = std::str::from_utf8(rest.slice(length.into())?).map_err(|_| Damage::Malformed)?;
        tags.push((tag, Version(u128::from_le_bytes(rest.take()?))));
    }
    Ok((tags, rest.0))
}

fn unpack(packed: Packed, payload: &[u8], raw_bytes: usize, most_bytes: usize) -> Result<Cow<'_, [u8]>, Damage> {
    if raw_bytes > most_bytes {
        return Err(Damage::TooLarge);
    }
    if packed == Packed::Not {
        let is_whole = payload.len() == raw_bytes;
        return if is_whole { Ok(Cow::Borrowed(payload)) } else { Err(Damage::Malformed) };
    }
    if !packing::is_plausible(payload.len(), raw_bytes) {
        return Err(Damage::TooLarge);
    }
    packing::unpack(packed, payload, raw_bytes).map(Cow::Owned).ok_or(Damage::Compression)
}

/// The bytes not yet read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Damage::Malformed)?;
        self.0 = rest;
        Ok(*first)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (first, rest) = self.0.split_at_checked(length).ok_or(Damage::Malformed)?;
        self.0 = rest;
        Ok(first)
    }
}

#[cfg(test)]
mod tests;
