use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Codec, decode, encode};

const NAMED: [Codec; 3] = [Codec::MessagePack, Codec::Json, Codec::Postcard];

fn encoded<V: Serialize + ?Sized>(codec: Codec, value: &V) -> Result<Vec<u8>, String> {
    // What is there already stays.
    let mut out = b"before".to_vec();
    encode(codec, value, &mut out).map_err(|why| why.to_string())?;
    assert!(out.starts_with(b"before"));
    Ok(out.split_off(6))
}

#[track_caller]
fn check<V: Serialize + DeserializeOwned + PartialEq + Debug>(codec: Codec, value: &V) {
    let bytes = encoded(codec, value).unwrap();
    assert_eq!(&decode::<V>(codec, &bytes).unwrap(), value, "{codec}");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Lamp {
    name: String,
    price: f64,
    sold: Option<i64>,
    kind: Kind,
    parts: Vec<(u8, char)>,
    notes: BTreeMap<String, bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Desk,
    Floor(u32),
    Wall { left: bool },
}

fn lamps() -> impl Strategy<Value = Lamp> {
    let kind = prop_oneof![
        Just(Kind::Desk),
        any::<u32>().prop_map(Kind::Floor),
        any::<bool>().prop_map(|left| Kind::Wall { left }),
    ];
    let price = any::<f64>().prop_filter("JSON has no others", |price| price.is_finite());
    let all = (any::<String>(), price, any::<Option<i64>>(), kind, any::<Vec<(u8, char)>>());
    let notes = prop::collection::btree_map(any::<String>(), any::<bool>(), 0..3);
    (all, notes).prop_map(|((name, price, sold, kind, parts), notes)| Lamp { name, price, sold, kind, parts, notes })
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was(lamp in lamps()) {
        for codec in NAMED {
            check(codec, &lamp);
        }
    }

    #[test]
    fn bytes_and_texts_are_raw_as_they_are(bytes: Vec<u8>, text: String) {
        prop_assert_eq!(&encoded(Codec::Raw, &bytes).unwrap(), &bytes);
        prop_assert_eq!(encoded(Codec::Raw, &text).unwrap(), text.as_bytes());
        check(Codec::Raw, &bytes);
        check(Codec::Raw, &text);
        check(Codec::Raw, &bytes.into_boxed_slice());
    }

    #[test]
    fn bytes_of_anybody_are_a_value_or_none(bytes: Vec<u8>) {
        for codec in [Codec::MessagePack, Codec::Json, Codec::Postcard, Codec::Raw] {
            let _either = (decode::<Lamp>(codec, &bytes), decode::<String>(codec, &bytes));
        }
    }
}

#[test]
fn message_pack_has_names_and_plain_texts_for_other_languages() {
    #[derive(Serialize)]
    struct Small {
        id: u8,
        kind: Kind,
        none: Option<u8>,
    }
    let bytes = encoded(Codec::MessagePack, &Small { id: 7, kind: Kind::Floor(1), none: None }).unwrap();
    assert_eq!(bytes, b"\x83\xa2id\x07\xa4kind\x81\xa5Floor\x01\xa4none\xc0");
    assert_eq!(encoded(Codec::MessagePack, &Kind::Desk).unwrap(), b"\xa4Desk");
}

#[test]
fn a_field_that_came_later_has_its_default_where_there_are_names() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Later {
        name: String,
        #[serde(default)]
        stock: u32,
    }
    #[derive(Serialize)]
    struct Earlier {
        name: &'static str,
        gone: u8,
    }
    for codec in [Codec::MessagePack, Codec::Json] {
        let bytes = encoded(codec, &Earlier { name: "lamp", gone: 1 }).unwrap();
        assert_eq!(decode(codec, &bytes), Ok(Later { name: "lamp".to_string(), stock: 0 }), "{codec}");
    }
}

#[test]
fn bytes_behind_a_value_are_another_types() {
    for codec in NAMED {
        for more in [&b"\x00"[..], b"\xc1", b"\x92\x01"] {
            let bytes = [encoded(codec, &7_u8).unwrap(), more.to_vec()].concat();
            assert!(decode::<u8>(codec, &bytes).is_err(), "{codec} {more:?}");
        }
    }
    assert_eq!(decode::<[u8; 2]>(Codec::Raw, b"ab"), Ok(*b"ab"));
    assert!(decode::<[u8; 2]>(Codec::Raw, b"abc").is_err());
    assert!(decode::<[u8; 2]>(Codec::Raw, b"a").is_err());
}

#[test]
fn a_value_that_a_codec_cannot_write_says_why() {
    let raw = |value: &dyn erased::Value| value.encoded(Codec::Raw).unwrap_err();
    assert_eq!(raw(&7), "raw bytes: a number is neither bytes nor text; choose another codec");
    assert_eq!(raw(&["a"]), "raw bytes: a list of texts is neither bytes nor text; choose another codec");
    assert_eq!(raw(&[[1_u8]]), "raw bytes: a list of lists is neither bytes nor text; choose another codec");
    assert_eq!(raw(&[300_u16]), "raw bytes: a number is neither bytes nor text; choose another codec");
    assert_eq!(raw(&Some("a")), "raw bytes: an option is neither bytes nor text; choose another codec");
    let no_json = encoded(Codec::Json, &BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert_eq!(no_json, "JSON: key must be a string");
    assert!(decode::<String>(Codec::Raw, b"\xff").unwrap_err().to_string().ends_with("not UTF-8"));
}

/// Values of several types in one table.
mod erased {
    pub(super) trait Value {
        fn encoded(&self, codec: super::Codec) -> Result<Vec<u8>, String>;
    }

    impl<V: serde::Serialize> Value for V {
        fn encoded(&self, codec: super::Codec) -> Result<Vec<u8>, String> {
            super::encoded(codec, self)
        }
    }
}

#[test]
fn every_codec_has_a_number_of_its_own_and_no_other() {
    let found: Vec<_> = (0..=255).filter_map(|number| Some((number, Codec::numbered(number)?))).collect();
    let expected = [(1, Codec::MessagePack), (2, Codec::Json), (3, Codec::Postcard), (4, Codec::Raw)];
    assert_eq!(found, expected);
}

/// What Python's tests read and write as well (`python/tests/test_values_golden.py`).
const VALUES: &str = include_str!("../../../tests/golden/values.jsonl");

/// Checks a golden value: that it is read, and written as it stands there if this is who writes it so.
#[track_caller]
fn golden<V: Serialize + DeserializeOwned + PartialEq + Debug>(about: &'static str, value: &V) -> &'static str {
    let lines = VALUES.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let line = lines.into_iter().find(|line| line["about"] == about).unwrap();
    let hex = line["bytes"].as_str().unwrap();
    let bytes: Vec<_> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    assert_eq!(&decode::<V>(Codec::MessagePack, &bytes).unwrap(), value, "{about}");
    if line["writer"] != "python" {
        assert_eq!(encoded(Codec::MessagePack, value).unwrap(), bytes, "{about}");
    }
    about
}

/// Bytes, as `uuid::Uuid` is to a codec.
#[derive(Clone, Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        from.deserialize_bytes(Visitor)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Room {
    Desk,
    Floor,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shade {
    name: String,
    price: f64,
    sold: Option<i64>,
    room: Room,
    sizes: Vec<(u8, String)>,
    notes: BTreeMap<String, bool>,
    by_number: BTreeMap<i64, String>,
    id: Bytes,
    inner: Option<Box<Shade>>,
}

#[test]
fn golden_structs_are_read_and_written() {
    let sizes = vec![(1, "a".to_owned()), (200, "b".to_owned())];
    let lamp = Shade {
        name: "lamp".to_owned(),
        price: 1.5,
        sold: None,
        room: Room::Desk,
        sizes,
        notes: BTreeMap::from([("new".to_owned(), true)]),
        by_number: BTreeMap::from([(-1, "x".to_owned()), (300, "y".to_owned())]),
        id: Bytes(7_u128.to_be_bytes().to_vec()),
        inner: None,
    };
    golden("a struct", &lamp);
    let other = Shade {
        name: "é".to_owned(),
        price: -0.0,
        sold: Some(-5),
        room: Room::Floor,
        sizes: Vec::new(),
        notes: BTreeMap::new(),
        by_number: BTreeMap::new(),
        id: Bytes(vec![0xFF; 16]),
        inner: Some(Box::new(lamp)),
    };
    golden("a struct in a struct", &other);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Size {
        width: u32,
        label: String,
    }
    golden("a named tuple is a struct", &Size { width: 3, label: "wide".to_owned() });

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Earlier {
        gone: BTreeMap<String, u8>,
        name: String,
    }
    let gone = BTreeMap::from([("a".to_owned(), 1)]);
    golden("a struct with fields that are unknown and missing", &Earlier { gone, name: "lamp".to_owned() });
}

#[test]
fn golden_numbers_and_texts_are_read_and_written() {
    let widths = [5, 7, 8, 15, 16, 31, 32, 62].into_iter().flat_map(|width| [(1_i64 << width) - 1, 1 << width]);
    let both = widths.flat_map(|number| [number, -number]);
    golden("integers of each width", &both.chain([0, i64::MAX, i64::MIN]).collect::<Vec<_>>());
    golden("the largest integer of 64 bits", &u64::MAX);
    golden("an integer of 128 bits", &-(1_i128 << 100));
    golden("an integer of few bits in 128", &5_i128);
    golden("floats", &vec![0.0, 1.0, 1e300, f64::INFINITY, f64::NEG_INFINITY]);
    golden("a float of 32 bits", &1.5_f32);
    golden("an int where a float is annotated", &3.0_f64);
    golden("texts of each length", &[0, 31, 32, 255, 256].map(|length| "a".repeat(length)).to_vec());
    golden("bytes", &Bytes(vec![0, 0xFF]));
    golden("a tuple", &(1_u8, "a".to_owned(), ()));
    for (about, text) in [
        ("a date", "2024-01-02"),
        ("an instant in UTC", "2024-01-02T03:04:05.006000+00:00"),
        ("an instant with an offset", "2024-01-02T00:00:00-05:00"),
        ("an instant without a zone", "2024-01-02T03:04:05"),
        ("an instant in a named zone", "2024-07-01T12:00:00+02:00[Europe/Berlin]"),
        ("the second of two equal hours", "2024-10-27T02:30:00[_fold=1]"),
        ("a time", "12:30:00"),
        ("a decimal", "1.10"),
    ] {
        golden(about, &text.to_owned());
    }
    golden("a duration in microseconds", &-999_995_i64);
}

#[test]
fn golden_bare_values_are_plain_where_they_can_be() {
    let json = serde_json::json!({"a": [1, null, true, "x", 1.5], "b": {}});
    golden("bare: what JSON has", &json);
    // What is no JSON is an extension, of which serde's types know nothing: to a cache it is a miss.
    for line in VALUES.lines().filter(|line| line.contains("bare: a ")) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let hex = line["bytes"].as_str().unwrap();
        let bytes: Vec<_> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert!(decode::<serde_json::Value>(Codec::MessagePack, &bytes).is_err(), "{line}");
        assert!(decode::<String>(Codec::MessagePack, &bytes).is_err(), "{line}");
    }
}
