use proptest::prelude::*;
use serde_json::Value as Json;

use super::{Head, MUTABLE_BYTES, Opened, STATE_AT, head_bytes, open, seal};
use crate::store::codec::Codec;
use crate::store::damage::Damage;
use crate::store::face::Version;
use crate::store::packing::Compression;

const KEY: &str = "{shop:product:1:42}";
const HEAD: Head =
    Head { created_ms: 1, fresh_ms: 2, kept_ms: 3, cost_us: 4, schema: 5, codec: Codec::Raw, is_negative: false };

fn plain(payload: &[u8]) -> Vec<u8> {
    seal(&HEAD, KEY, &[("a", Version(7)), ("b", Version(8))], payload, Compression::None).unwrap()
}

fn packings() -> impl Strategy<Value = Compression> {
    prop::sample::select(vec![Compression::None, Compression::Lz4, Compression::Zstd(1), Compression::Zstd(-3)])
}

prop_compose! {
    fn heads()(
        numbers: [u64; 3],
        [cost_us, schema]: [u32; 2],
        codec in prop::sample::select(vec![Codec::MessagePack, Codec::Json, Codec::Postcard, Codec::Raw]),
        is_negative: bool,
    ) -> Head {
        let [created_ms, fresh_ms, kept_ms] = numbers;
        Head { created_ms, fresh_ms, kept_ms, cost_us, schema, codec, is_negative }
    }
}

/// Some are long enough to be packed, and repeat themselves.
fn payloads() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(any::<u8>(), 0..40), 1..300_usize).prop_map(|(part, times)| part.repeat(times))
}

proptest! {
    #[test]
    fn an_entry_comes_back_as_it_was(
        head in heads(),
        key in any::<String>(),
        tags in prop::collection::vec((any::<String>(), any::<u128>()), 0..5),
        payload in payloads(),
        packing in packings(),
    ) {
        let tags: Vec<_> = tags.iter().map(|(tag, version)| (tag.as_str(), Version(*version))).collect();
        let payload = if head.is_negative { Vec::new() } else { payload };
        let bytes = seal(&head, &key, &tags, &payload, packing).unwrap();
        prop_assert!(bytes[STATE_AT] == 0);
        prop_assert_eq!(&bytes[..MUTABLE_BYTES], head_bytes(head.created_ms));
        let expected = Opened { head, tags, payload: payload.as_slice().into() };
        prop_assert_eq!(open(&bytes, &key, payload.len()), Ok(expected));
        if !payload.is_empty() {
            prop_assert_eq!(open(&bytes, &key, payload.len() - 1), Err(Damage::TooLarge));
        }
        prop_assert_eq!(open(&bytes, &format!("{key}x"), usize::MAX), Err(Damage::OtherKey));
    }

    #[test]
    fn a_byte_that_changed_behind_the_first_sixteen_is_damage(
        payload in payloads(),
        packing in packings(),
        at in any::<prop::sample::Index>(),
        mask in 1..=255_u8,
    ) {
        let mut bytes = seal(&HEAD, KEY, &[("a", Version(7))], &payload, packing).unwrap();
        *at.get_mut(&mut bytes[MUTABLE_BYTES..]) ^= mask;
        prop_assert!(open(&bytes, KEY, usize::MAX).is_err());
    }

    #[test]
    fn bytes_of_anybody_are_damage(bytes: Vec<u8>, begins_right: bool) {
        let begin: &[u8] = if begins_right { &head_bytes(1) } else { &[] };
        prop_assert!(open(&[begin, &bytes].concat(), KEY, 1 << 20).is_err());
    }
}

#[test]
fn every_byte_behind_the_first_sixteen_is_watched_bit_by_bit() {
    let bytes = plain(b"a lamp");
    for at in MUTABLE_BYTES..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(open(&changed, KEY, 1 << 20).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn an_envelope_of_another_length_is_damage() {
    let bytes = plain(b"a lamp");
    assert_eq!(open(&[], KEY, 1 << 20), Err(Damage::Foreign));
    for length in 1..bytes.len() {
        assert_eq!(open(&bytes[..length], KEY, 1 << 20), Err(Damage::Truncated), "{length}");
    }
    assert_eq!(open(&[bytes, vec![0]].concat(), KEY, 1 << 20), Err(Damage::Truncated));
}

#[test]
fn the_first_bytes_may_change_while_the_entry_stays() {
    let mut bytes = plain(b"a lamp");
    bytes[STATE_AT] = 1;
    assert_eq!(open(&bytes, KEY, 1 << 20).unwrap().head, HEAD);
    bytes[..MUTABLE_BYTES].copy_from_slice(&head_bytes(99));
    assert!(bytes[STATE_AT] == 0);
    assert_eq!(open(&bytes, KEY, 1 << 20).unwrap().head, Head { created_ms: 99, ..HEAD });
}

#[test]
fn a_part_that_is_one_too_long_is_not_stored() {
    let check = |key: usize, tag: usize, tags: usize, expected: &str| {
        let (key, tag) = ("k".repeat(key), "t".repeat(tag));
        let tags = vec![(tag.as_str(), Version(0)); tags];
        let told = match seal(&HEAD, &key, &tags, b"", Compression::None) {
            Ok(bytes) if open(&bytes, &key, 0).is_ok_and(|opened| opened.tags == tags) => String::new(),
            Ok(_) => "stored, and not read back".to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(told, expected);
    };
    check(65_535, 255, 255, "");
    check(0, 0, 1, "");
    check(65_536, 0, 0, "too large for a store: bytes of the key 65536, at most 65535");
    check(1, 256, 1, "too large for a store: bytes of a tag 256, at most 255");
    check(1, 1, 256, "too large for a store: tags 256, at most 255");
}

const ENVELOPES: &str = include_str!("../../../tests/golden/envelopes.jsonl");
const DAMAGED: &str = include_str!("../../../tests/golden/damaged.jsonl");

fn lines(golden: &str) -> Vec<Json> {
    let lines: Vec<_> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    lines
}

fn text<'a>(line: &'a Json, name: &str) -> &'a str {
    line[name].as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn golden_head(line: &Json) -> Head {
    let number = |name: &str| line[name].as_u64().unwrap();
    let codecs = [Codec::MessagePack, Codec::Json, Codec::Postcard, Codec::Raw];
    Head {
        created_ms: number("created_ms"),
        fresh_ms: number("fresh_ms"),
        kept_ms: number("kept_ms"),
        cost_us: number("cost_us").try_into().unwrap(),
        schema: number("schema").try_into().unwrap(),
        codec: codecs.into_iter().find(|codec| format!("{codec:?}") == text(line, "codec")).unwrap(),
        is_negative: line["negative"].as_bool().unwrap(),
    }
}

fn golden_tags(line: &Json) -> Vec<(&str, Version)> {
    let tags = line["tags"].as_array().unwrap().iter();
    let version = |tag: &Json| u128::from_le_bytes(hex(tag[1].as_str().unwrap()).try_into().unwrap());
    tags.map(|tag| (tag[0].as_str().unwrap(), Version(version(tag)))).collect()
}

#[test]
fn golden_envelopes_are_read() {
    for line in lines(ENVELOPES) {
        let (bytes, payload) = (hex(text(&line, "bytes")), hex(text(&line, "payload")));
        let expected = Opened { head: golden_head(&line), tags: golden_tags(&line), payload: payload.into() };
        assert_eq!(open(&bytes, text(&line, "key"), 1 << 20), Ok(expected), "{}", line["about"]);
        assert_eq!(bytes[STATE_AT] != 0, line["marked"].as_bool().unwrap(), "{}", line["about"]);
    }
}

/// Compressed ones apart: what a compressor writes is its own business, and another release's is another.
#[test]
fn golden_envelopes_are_written() {
    for line in lines(ENVELOPES) {
        let payload = hex(text(&line, "payload"));
        if text(&line, "compression") != "none" {
            continue;
        }
        let mut bytes =
            seal(&golden_head(&line), text(&line, "key"), &golden_tags(&line), &payload, Compression::None).unwrap();
        bytes[STATE_AT] = u8::from(line["marked"].as_bool().unwrap());
        assert_eq!(bytes, hex(text(&line, "bytes")), "{}", line["about"]);
    }
}

#[test]
fn golden_damage_has_its_words() {
    for line in lines(DAMAGED) {
        let most_bytes = usize::try_from(line["most_bytes"].as_u64().unwrap()).unwrap();
        let bytes = hex(text(&line, "bytes"));
        let damage = open(&bytes, text(&line, "key"), most_bytes).unwrap_err();
        assert_eq!(damage.to_string(), text(&line, "damage"), "{}", line["about"]);
    }
}
