//! The text of a key is read back in one way only, and golden files say what it is.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Bytes;

use proptest::prelude::*;
use serde::ser::{Error as _, SerializeMap, SerializeTupleVariant};
use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::{Names, check_namespace, tag, write};

/// All that serde can say of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Bool(bool),
    Int(i128),
    Above(u128),
    /// The bits.
    Float(u64),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    None,
    Some(Box<Value>),
    Newtype(Box<Value>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Unit(&'static str),
    Variant(&'static str, Vec<Value>),
    Fields(&'static str, Vec<(Value, Value)>),
}

use Value::{Above, Bool, Char, Fields, Float, Int, List, Map, Newtype, Text, Unit, Variant};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Bool(value) => serializer.serialize_bool(*value),
            // Whatever width holds it.
            Int(value) => match (i8::try_from(*value), u32::try_from(*value), i64::try_from(*value)) {
                (Ok(value), ..) => serializer.serialize_i8(value),
                (_, Ok(value), _) => serializer.serialize_u32(value),
                (.., Ok(value)) => serializer.serialize_i64(value),
                _ => serializer.serialize_i128(*value),
            },
            Above(value) => serializer.serialize_u128(*value),
            Float(bits) => serializer.serialize_f64(f64::from_bits(*bits)),
            Char(value) => serializer.serialize_char(*value),
            Text(value) => serializer.serialize_str(value),
            Value::Bytes(value) => serializer.serialize_bytes(value),
            Value::None => serializer.serialize_none(),
            Value::Some(value) => serializer.serialize_some(value),
            Newtype(value) => serializer.serialize_newtype_struct("Newtype", value),
            List(values) => values.serialize(serializer),
            Map(entries) => serialize_map(entries, serializer),
            Unit(name) => serializer.serialize_unit_variant("Enum", 0, name),
            Variant(name, values) => {
                let mut tuple = serializer.serialize_tuple_variant("Enum", 0, name, values.len())?;
                values.iter().try_for_each(|value| tuple.serialize_field(value))?;
                tuple.end()
            }
            Fields(name, entries) => {
                // What a struct variant writes is its name and a map; serde asks for names that are static.
                use serde::ser::SerializeStructVariant;
                let mut fields = serializer.serialize_struct_variant("Enum", 0, name, entries.len())?;
                for (name, value) in entries {
                    let Text(name) = name else { return Err(S::Error::custom("a field's name is text")) };
                    fields.serialize_field(name.clone().leak(), value)?;
                }
                fields.end()
            }
        }
    }
}

fn serialize_map<S: Serializer>(entries: &[(Value, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
    map.end()
}

impl Value {
    /// The value that stands for all which `docs/wire.md` calls one key.
    fn normal(&self) -> Value {
        let all = |values: &[Value]| values.iter().map(Value::normal).collect();
        match self {
            Above(value) => i128::try_from(*value).map_or(Above(*value), Int),
            Float(bits) if f64::from_bits(*bits) == 0.0 => Float(0),
            Char(value) => Text(value.to_string()),
            Newtype(value) => value.normal(),
            Value::Some(value) => match value.normal() {
                inner @ (Value::None | Value::Some(_)) => Value::Some(Box::new(inner)),
                inner => inner,
            },
            List(values) => List(all(values)),
            Map(entries) => Map(normal_map(entries)),
            Variant(name, values) => Variant(name, all(values)),
            Fields(name, entries) => Fields(name, normal_map(entries)),
            other => other.clone(),
        }
    }
}

fn normal_map(entries: &[(Value, Value)]) -> Vec<(Value, Value)> {
    let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.normal(), value.normal())).collect();
    entries.sort();
    entries
}

/// Reads a text back: if every text can be, no two keys have one.
struct Reader<'a>(Peekable<Bytes<'a>>);

impl Reader<'_> {
    fn read(text: &str) -> Value {
        let mut reader = Reader(text.bytes().peekable());
        let value = reader.value();
        assert_eq!(reader.0.next(), None, "{text} goes on");
        value
    }

    fn value(&mut self) -> Value {
        match self.0.next().expect("a value") {
            b'T' => Bool(true),
            b'F' => Bool(false),
            b'N' => Value::None,
            b'!' => Value::Some(Box::new(self.value())),
            b'"' => Text(self.escaped()),
            b'b' => Value::Bytes(self.hex()),
            b'f' => Float(u64::from_be_bytes(self.hex().try_into().expect("eight bytes"))),
            b'(' => List(self.list()),
            b'[' => Map(self.map()),
            b'@' => {
                let name = self.escaped().leak();
                match self.0.peek() {
                    Some(b'(') => {
                        self.0.next();
                        Variant(name, self.list())
                    }
                    Some(b'[') => {
                        self.0.next();
                        Fields(name, self.map())
                    }
                    _ => Unit(name),
                }
            }
            first => {
                let digits = std::iter::once(first).chain(self.plain()).collect();
                let digits = String::from_utf8(digits).unwrap();
                digits.parse().map(Int).unwrap_or_else(|_| Above(digits.parse().unwrap()))
            }
        }
    }

    fn plain(&mut self) -> Vec<u8> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-%".contains(byte);
        std::iter::from_fn(|| self.0.next_if(is_plain)).collect()
    }

    fn escaped(&mut self) -> String {
        let mut plain = self.plain().into_iter();
        let mut bytes = Vec::new();
        while let Some(byte) = plain.next() {
            let mut digit = || char::from(plain.next().unwrap()).to_digit(16).unwrap() as u8;
            bytes.push(if byte == b'%' { digit() << 4 | digit() } else { byte });
        }
        String::from_utf8(bytes).unwrap()
    }

    fn hex(&mut self) -> Vec<u8> {
        hex(&String::from_utf8(self.plain()).unwrap())
    }

    fn list(&mut self) -> Vec<Value> {
        let mut values = Vec::new();
        while self.0.next_if_eq(&b')').is_none() {
            assert!(values.is_empty() || self.0.next() == Some(b','));
            values.push(self.value());
        }
        values
    }

    fn map(&mut self) -> Vec<(Value, Value)> {
        let mut entries = Vec::new();
        while self.0.next_if_eq(&b']').is_none() {
            assert!(entries.is_empty() || self.0.next() == Some(b','));
            let key = self.value();
            assert_eq!(self.0.next(), Some(b'='));
            entries.push((key, self.value()));
        }
        entries.sort();
        entries
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn text<K: Serialize + ?Sized>(key: &K) -> String {
    let mut out = String::new();
    write(key, &mut out).unwrap();
    out
}

fn values() -> impl Strategy<Value = Value> {
    let name = || prop::sample::select(vec!["A", "B", "a", "", "(", "A(1)", "né"]);
    let float = any::<f64>().prop_filter("a number", |value| !value.is_nan());
    let leaf = prop_oneof![
        any::<bool>().prop_map(Bool),
        any::<i128>().prop_map(Int),
        (-3..300_i128).prop_map(Int),
        any::<u128>().prop_map(Above),
        float.prop_map(|value| Float(value.to_bits())),
        Just(Float((-0.0_f64).to_bits())),
        any::<char>().prop_map(Char),
        any::<String>().prop_map(Text),
        "[NTFb!\"(,)=@%0-9]{0,4}".prop_map(Text),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Value::Bytes),
        Just(Value::None),
        name().prop_map(Unit),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..4);
        let map = prop::collection::vec((inner.clone(), inner.clone()), 0..4);
        let fields = prop::collection::vec((any::<String>().prop_map(Text), inner.clone()), 0..4);
        prop_oneof![
            inner.clone().prop_map(|value| Value::Some(Box::new(value))),
            inner.clone().prop_map(|value| Newtype(Box::new(value))),
            list().prop_map(List),
            map.prop_map(Map),
            (name(), list()).prop_map(|(name, values)| Variant(name, values)),
            (name(), fields).prop_map(|(name, entries)| Fields(name, entries)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_text_is_read_back_in_one_way_only(value in values()) {
        let text = text(&value);
        prop_assert_eq!(Reader::read(&text), value.normal(), "{}", text);
    }

    #[test]
    fn a_text_is_printable_and_holds_neither_blank_nor_brace_nor_colon(value in values()) {
        let text = text(&value);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}:#*?\\'".contains(&byte)), "{}", text);
    }

    #[test]
    fn the_order_of_a_maps_entries_is_not_in_its_text(entries in prop::collection::vec((values(), values()), 0..6)) {
        let mut other = entries.clone();
        other.reverse();
        prop_assert_eq!(text(&Map(entries)), text(&Map(other)));
    }

    #[test]
    fn a_name_is_within_both_servers_limits(cache in ".{0,80}", version: u32, key in any::<String>(), length in 0..400_usize) {
        let names = Names::new(&"n".repeat(40), &cache, version);
        for text in [text(&key), "1".repeat(length)] {
            let (name, _) = named(&names, &text);
            let name = name.as_str();
            prop_assert!(name.len() <= 240 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{}", name);
            prop_assert!(name.starts_with(names.begin()) && name.ends_with(['}']), "{}", name);
            prop_assert_eq!(name.matches(['{', '}']).count(), 2);
        }
        let tag = tag(&"n".repeat(40), &key);
        prop_assert!(tag.as_str().len() <= 240 && tag.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

#[derive(Serialize)]
struct Trip {
    to: u32,
    from: Option<u8>,
    #[serde(flatten)]
    more: BTreeMap<&'static str, bool>,
}

#[derive(Serialize)]
enum Shape {
    Point,
    Round(u8),
    Box(u8, u8),
    Named { b: u8, a: f32 },
}

#[derive(Serialize)]
struct Wrapped(u64);

#[test]
fn types_of_rust_have_the_texts_that_the_specification_says() {
    let check = |key: &dyn erased::Key, expected: &str| assert_eq!(key.text(), expected);
    check(&(7_u8, -7_i64, u128::MAX), "(7,-7,340282366920938463463374607431768211455)");
    check(&("a b", 'ä', String::from("x-1_2.3")), "(\"a%20b,\"%C3%A4,\"x-1_2.3)");
    check(&((), None::<u8>, Some(1), Some(None::<u8>), Some(Some(1)), Some(())), "(N,N,1,!N,1,!N)");
    check(&(true, false, 1.5_f64, 1.5_f32, -0.0_f64), "(T,F,f3ff8000000000000,f3ff8000000000000,f0000000000000000)");
    check(&(Wrapped(3), [1, 2], vec![0_u8; 0]), "(3,(1,2),())");
    check(&[Shape::Point, Shape::Round(1), Shape::Box(1, 2)], "(@Point,@Round(1),@Box(1,2))");
    check(&Shape::Named { b: 1, a: 0.0 }, "@Named[\"a=f0000000000000000,\"b=1]");
    let more = BTreeMap::from([("a", true), ("z", false)]);
    check(&Trip { to: 1, from: None, more }, "[\"a=T,\"from=N,\"to=1,\"z=F]");
    check(&std::net::Ipv4Addr::LOCALHOST, "\"127.0.0.1");
}

/// Keys of several types in one table.
mod erased {
    pub(super) trait Key {
        fn text(&self) -> String;
    }

    impl<K: serde::Serialize> Key for K {
        fn text(&self) -> String {
            super::text(self)
        }
    }
}

#[test]
fn a_key_without_a_text_says_which_part_and_what_to_do() {
    #[derive(Serialize)]
    struct Price {
        amount: (u8, f64),
    }
    let error = write(&[Price { amount: (1, f64::NAN) }], &mut String::new()).unwrap_err();
    let expected = "key.0.amount.1: a float that is no number (NaN) is not equal to itself; use an Option, or a text";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_namespace_is_letters_digits_and_three_signs() {
    let check = |namespace: &str, expected: &str| {
        let told = check_namespace(namespace).map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(told, expected);
    };
    check("Shop-1_b.c", "");
    check(&"n".repeat(40), "");
    check("", "namespace: a namespace must not be empty");
    check(&"n".repeat(41), "namespace: a namespace must not be longer than 40 bytes; this one has 41");
    check("a{b", "namespace: a namespace has letters, digits, `_`, `.` and `-` alone, and no '{'");
    check("ä", "namespace: a namespace has letters, digits, `_`, `.` and `-` alone, and no 'ä'");
}

#[test]
fn a_name_is_hashed_when_it_would_have_a_byte_too_many() {
    let names = Names::new("shop", "product", 2);
    assert_eq!(names.begin(), "{shop:product:2:");
    assert_eq!(named(&names, "42"), ("{shop:product:2:42}".into(), "{shop:product:2:42}".into()));
    let fits = "1".repeat(240 - names.begin().len() - 1);
    let (name, whole) = named(&names, &fits);
    assert_eq!(name.len(), 240);
    assert_eq!(name, whole);
    let (name, whole) = named(&names, &format!("{fits}1"));
    assert_eq!(name.len(), names.begin().len() + 34);
    assert_eq!(whole.len(), 241);
}

/// The name of this text, and the name with the whole text in it.
fn named(names: &Names, text: &str) -> (String, String) {
    let write = |out: &mut String| {
        out.push_str(text);
        Ok::<_, std::convert::Infallible>(())
    };
    let name = names.of(write).unwrap();
    (name.key.as_str().to_string(), name.whole().to_string())
}

const KEYS: &str = include_str!("../../../tests/golden/keys.jsonl");
const NAMES: &str = include_str!("../../../tests/golden/names.jsonl");

fn lines(golden: &str) -> Vec<Json> {
    let lines: Vec<_> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    lines
}

/// A value as golden files write it: an object with its kind.
fn golden_value(json: &Json) -> Value {
    let (kind, json) = json.as_object().and_then(|kinds| kinds.iter().next()).unwrap();
    let text = || json.as_str().unwrap();
    let list = |json: &Json| json.as_array().unwrap().iter().map(golden_value).collect();
    let map = |json: &Json| -> Vec<_> {
        let entries = json.as_array().unwrap().iter();
        entries.map(|entry| (golden_value(&entry[0]), golden_value(&entry[1]))).collect()
    };
    let name = || -> &'static str { json[0].as_str().unwrap().to_string().leak() };
    match kind.as_str() {
        "bool" => Bool(json.as_bool().unwrap()),
        "int" => text().parse().map(Int).unwrap_or_else(|_| Above(text().parse().unwrap())),
        "float" => Float(text().parse::<f64>().unwrap().to_bits()),
        "text" => Text(text().to_string()),
        "bytes" => Value::Bytes(hex(text())),
        "none" => Value::None,
        "some" => Value::Some(Box::new(golden_value(json))),
        "list" => List(list(json)),
        "map" => Map(map(json)),
        "variant" if json.is_string() => Unit(text().to_string().leak()),
        "variant" => Variant(name(), list(&json[1])),
        "fields" => Fields(name(), map(&json[1])),
        other => panic!("no kind of value: {other}"),
    }
}

#[test]
fn golden_keys_have_their_texts() {
    for line in lines(KEYS) {
        let value = golden_value(&line["value"]);
        assert_eq!(text(&value), line["text"].as_str().unwrap(), "{line}");
        assert_eq!(Reader::read(line["text"].as_str().unwrap()), value.normal(), "{line}");
    }
}

#[test]
fn golden_names_are_made_of_their_parts() {
    for line in lines(NAMES) {
        let part = |name: &str| line[name].as_str().unwrap();
        if line.get("tag").is_some() {
            assert_eq!(tag(part("namespace"), part("tag")).as_str(), part("name"), "{line}");
            continue;
        }
        let version = u32::try_from(line["version"].as_u64().unwrap()).unwrap();
        let names = Names::new(part("namespace"), part("cache"), version);
        assert_eq!(named(&names, part("text")), (part("name").to_string(), part("whole").to_string()), "{line}");
    }
}
