//! Bytes and text as they are.
//!
//! A `Vec<u8>` is a sequence of numbers to serde, which is taken number by number; what says that it is bytes
//! (`serde_bytes`, `bytes::Bytes`) is copied at once.

use std::fmt::{self, Display};

use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor, value::SeqDeserializer};
use serde::ser::{self, Impossible, Serialize};
use serde::{Deserializer, Serializer, forward_to_deserialize_any};

pub(super) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    value.serialize(Raw(out)).map_err(|error| error.0)
}

pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    V::deserialize(Bytes(bytes)).map_err(|error| error.0)
}

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
struct Raw<'a>(&'a mut Vec<u8>);

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
        self.0.extend_from_slice(value);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotBytes> {
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Sequence<'a>, NotBytes> {
        self.0.reserve(length.unwrap_or_default());
        Ok(Sequence(self.0))
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
        serialize_u8(u8), "a number";
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
        value.serialize(Byte(self.0))
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
