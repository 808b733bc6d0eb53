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
