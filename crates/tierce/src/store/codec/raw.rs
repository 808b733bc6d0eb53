//! Bytes and text as they are.
//!
//! A `Vec<u8>` is a sequence of numbers to serde, which is taken number by number; what says that it is bytes
//! (`serde_bytes`, `bytes::Bytes`) is copied at once.

use std::fmt::{self, Display};

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor, value::SeqDeserializer};
use serde::ser::{self, Impossible, Serialize};
use serde::{Deserializer, Serializer, forward_to_deserialize_any};

pub(super) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    value.serialize(Raw { out, place: Place::Whole }).map_err(|error| error.0)
}

pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    V::deserialize(Bytes(bytes)).map_err(|error| error.0)
}

/// How much is reserved on a length that a value says of itself, in bytes: as serde does for what it reads.
const MOST_RESERVED: usize = 1 << 20;

#[derive(Debug)]
struct NotBytes(String);

impl NotBytes {
    fn found<T>(what: &str) -> Result<T, Self> {
        Err(NotBytes(format!("{what} is neither bytes nor text; choose another codec")))
    }
}

impl Display for NotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotBytes {}

impl ser::Error for NotBytes {
    fn custom<T: Display>(why: T) -> Self {
        NotBytes(why.to_string())
    }
}

impl de::Error for NotBytes {
    fn custom<T: Display>(why: T) -> Self {
        NotBytes(why.to_string())
    }
}

/// Where the bytes go.
struct Raw<'a> {
    out: &'a mut Vec<u8>,
    place: Place,
}

/// What the next value is to the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// All of them.
    Whole,
    /// One of them, in a sequence.
    Element,
}

macro_rules! refused {
    ($($name:ident($($type:ty),*) $(-> $ok:ident)?, $what:literal;)+) => {
        $(fn $name(self, $(_: $type),*) -> Result<refused!(@ $($ok)?), NotBytes> {
            NotBytes::found($what)
        })+
    };
    (@ $ok:ident) => { Self::$ok };
    (@) => { () };
}

impl<'a> Serializer for Raw<'a> {
    type Ok = ();
    type Error = NotBytes;
    type SerializeSeq = Sequence<'a>;
    type SerializeTuple = Sequence<'a>;
    type SerializeTupleStruct = Impossible<(), NotBytes>;
    type SerializeTupleVariant = Impossible<(), NotBytes>;
    type SerializeMap = Impossible<(), NotBytes>;
    type SerializeStruct = Impossible<(), NotBytes>;
    type SerializeStructVariant = Impossible<(), NotBytes>;

    fn serialize_str(self, value: &str) -> Result<(), NotBytes> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotBytes> {
        if self.place == Place::Element {
            return NotBytes::found("a list of texts");
        }
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), NotBytes> {
        if self.place == Place::Whole {
            return NotBytes::found("a number");
        }
        self.out.push(value);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotBytes> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Sequence<'a>, NotBytes> {
        if self.place == Place::Element {
            return NotBytes::found("a list of lists");
        }
        // A hint that is wrong costs no more than this.
        self.out.reserve(length.unwrap_or_default().min(MOST_RESERVED));
        Ok(Sequence(self.out))
    }

    fn serialize_tuple(self, length: usize) -> Result<Sequence<'a>, NotBytes> {
        self.serialize_seq(Some(length))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), NotBytes> {
        NotBytes::found("an option")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotBytes> {
        NotBytes::found("an enum")
    }

    refused! {
        serialize_bool(bool), "a bool";
        serialize_i8(i8), "a number";
        serialize_i16(i16), "a number";
        serialize_i32(i32), "a number";
        serialize_i64(i64), "a number";
        serialize_u16(u16), "a number";
        serialize_u32(u32), "a number";
        serialize_u64(u64), "a number";
        serialize_f32(f32), "a number";
        serialize_f64(f64), "a number";
        serialize_char(char), "a single character";
        serialize_none(), "an option";
        serialize_unit(), "nothing";
        serialize_unit_struct(&'static str), "nothing";
        serialize_unit_variant(&'static str, u32, &'static str), "an enum";
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct, "a struct";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant, "an enum";
        serialize_map(Option<usize>) -> SerializeMap, "a map";
        serialize_struct(&'static str, usize) -> SerializeStruct, "a struct";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant, "an enum";
    }
}

/// Numbers below 256, one after the other.
struct Sequence<'a>(&'a mut Vec<u8>);

impl Sequence<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        value.serialize(Raw { out: self.0, place: Place::Element })
    }
}

impl ser::SerializeSeq for Sequence<'_> {
    type Ok = ();
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        self.push(value)
    }

    fn end(self) -> Result<(), NotBytes> {
        Ok(())
    }
}

impl ser::SerializeTuple for Sequence<'_> {
    type Ok = ();
    type Error = NotBytes;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotBytes> {
        self.push(value)
    }

    fn end(self) -> Result<(), NotBytes> {
        Ok(())
    }
}

/// Where bytes come from.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn text(&self) -> Result<&'a str, NotBytes> {
        std::str::from_utf8(self.0).map_err(|_| NotBytes("not UTF-8".to_string()))
    }
}

impl<'de> Deserializer<'de> for Bytes<'de> {
    type Error = NotBytes;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_borrowed_bytes(self.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotBytes> {
        let mut numbers =
            SeqDeserializer::new(self.0.iter().map(|byte| IntoDeserializer::<NotBytes>::into_deserializer(*byte)));
        let value = visitor.visit_seq(&mut numbers)?;
        numbers.end()?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, NotBytes> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotBytes> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit unit_struct
        tuple_struct map struct enum identifier ignored_any
    }
}
