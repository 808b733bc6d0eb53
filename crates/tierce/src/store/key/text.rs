//! The canonical text of a key, from its serde form.
//!
//! **Problem.** Two keys that differ must never have one text, or one is served the other's value; equal keys must have
//! one text in every process and every language, or what one of them invalidates stays with the others.
//!
//! **Idea.** Every shape of serde's begins with a mark of its own, and what users write is escaped so that it holds no
//! mark: a text can be read back in one way only, which `key/tests.rs` does. Width and names of types are not in the
//! text, since another language has others: all integers are decimal digits, `Some(x)` is `x` where no option is
//! nested, a newtype is what is in it.
//!
//! **Structs** are maps from the names of their fields, not tuples: who moves a field in one program must not be given
//! the entries of `(to, from)` for `(from, to)`, and a map is what a dataclass, a dict and a flattened struct are, too.
//!
//! **Cost.** One pass over the key into one string; a map is put in order afterwards if it is in none.

use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::ser;

use super::escape::{self, Escaping};
use super::wild::{ANY, LIKE};

/// Appends the canonical text of a key: printable ASCII without blanks or braces.
///
/// # Errors
///
/// A float in it is no number, or its own `Serialize` fails.
pub(crate) fn write<K: Serialize + ?Sized>(key: &K, out: &mut String) -> Result<(), NotAKey> {
    key.serialize(Text(out))
}

/// Why a value has no canonical text: which part of it, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAKey {
    part: String,
    why: String,
}

impl NotAKey {
    fn not_a_number() -> Self {
        let why = "a float that is no number (NaN) is not equal to itself; use an Option, or a text";
        NotAKey { part: String::new(), why: why.to_string() }
    }

    /// The same, seen from what the part is in.
    fn within(mut self, step: impl Display) -> Self {
        self.part.insert_str(0, &format!(".{step}"));
        self
    }
}

impl Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key{}: {}", self.part, self.why)
    }
}

impl std::error::Error for NotAKey {}

impl ser::Error for NotAKey {
    fn custom<T: Display>(why: T) -> Self {
        NotAKey { part: String::new(), why: why.to_string() }
    }
}

/// Where the next value goes.
struct Text<'a>(&'a mut String);

const NONE: char = 'N';
/// Before `Some(x)` where `x` alone would be read as less: as `None`, or as one `Some` less.
const SOME: char = '!';

impl<'a> Text<'a> {
    fn plain(self, value: impl Display) -> Result<(), NotAKey> {
        write!(self.0, "{value}").map_err(ser::Error::custom)
    }

    fn variant(self, name: &str) -> Self {
        self.0.push('@');
        escape::write(name, self.0);
        self
    }

    fn list(self) -> List<'a> {
        self.0.push('(');
        List { out: self.0, length: 0 }
    }

    fn map(self) -> Map<'a> {
        self.0.push('[');
        Map { start: self.0.len(), out: self.0, entries: Vec::new(), key: 0 }
    }
}

macro_rules! decimal {
    ($($name:ident $type:ty)+) => {
        $(fn $name(self, value: $type) -> Result<(), NotAKey> {
            self.plain(value)
        })+
    };
}

impl<'a> ser::Serializer for Text<'a> {
    type Ok = ();
    type Error = NotAKey;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = Map<'a>;
    type SerializeStructVariant = Map<'a>;

    decimal! {
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64 serialize_i128 i128
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64 serialize_u128 u128
    }

    fn serialize_bool(self, value: bool) -> Result<(), NotAKey> {
        self.0.push(if value { 'T' } else { 'F' });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), NotAKey> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), NotAKey> {
        if value.is_nan() {
            return Err(NotAKey::not_a_number());
        }
        // Zero and its negative are equal, and so one key.
        let bits = if value == 0.0 { 0 } else { value.to_bits() };
        self.plain(format_args!("f{bits:016x}"))
    }

    fn serialize_char(self, value: char) -> Result<(), NotAKey> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), NotAKey> {
        self.0.push('"');
        escape::write(value, self.0);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), NotAKey> {
        self.0.push('"');
        write!(Escaping(self.0), "{value}").map_err(ser::Error::custom)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), NotAKey> {
        self.0.push('b');
        value.iter().try_for_each(|byte| write!(self.0, "{byte:02x}")).map_err(ser::Error::custom)
    }

    fn serialize_none(self) -> Result<(), NotAKey> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotAKey> {
        let at = self.0.len();
        value.serialize(Text(self.0))?;
        if self.0[at..].starts_with([NONE, SOME]) {
            self.0.insert(at, SOME);
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), NotAKey> {
        self.0.push(NONE);
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotAKey> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<(), NotAKey> {
        self.variant(name);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<(), NotAKey> {
        match name {
            // Of a pattern: a star that no key's text has.
            ANY => self.0.push('*'),
            LIKE => {
                let mut text = String::new();
                value.serialize(Text(&mut text))?;
                self.0.push_str(&text.replace("%2A", "*"));
            }
            _ => value.serialize(self)?,
        }
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotAKey> {
        let mut list = self.variant(name).list();
        list.push(value).map_err(|why| why.within(name))?;
        list.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, NotAKey> {
        Ok(self.list())
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, NotAKey> {
        Ok(self.list())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, NotAKey> {
        Ok(self.list())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List<'a>, NotAKey> {
        Ok(self.variant(name).list())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'a>, NotAKey> {
        Ok(self.map())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Map<'a>, NotAKey> {
        Ok(self.map())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Map<'a>, NotAKey> {
        Ok(self.variant(name).map())
    }
}

/// `(a,b)`.
struct List<'a> {
    out: &'a mut String,
    length: usize,
}

impl List<'_> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        if self.length > 0 {
            self.out.push(',');
        }
        self.length += 1;
        value.serialize(Text(self.out))
    }

    fn push_counted<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        let at = self.length;
        self.push(value).map_err(|why| why.within(at))
    }

    fn close(self) -> Result<(), NotAKey> {
        self.out.push(')');
        Ok(())
    }
}

macro_rules! list {
    ($($kind:ident $push:ident)+) => {
        $(impl ser::$kind for List<'_> {
            type Ok = ();
            type Error = NotAKey;

            fn $push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
                self.push_counted(value)
            }

            fn end(self) -> Result<(), NotAKey> {
                self.close()
            }
        })+
    };
}

list! {
    SerializeSeq serialize_element SerializeTuple serialize_element
    SerializeTupleStruct serialize_field SerializeTupleVariant serialize_field
}

/// `[k=v,l=w]`, in the order of the keys' texts.
struct Map<'a> {
    out: &'a mut String,
    /// Where the first entry begins.
    start: usize,
    /// Where each key begins and ends and where its value ends.
    entries: Vec<[usize; 3]>,
    /// Where the key begins whose value is awaited.
    key: usize,
}

impl Map<'_> {
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotAKey> {
        if !self.entries.is_empty() {
            self.out.push(',');
        }
        self.key = self.out.len();
        key.serialize(Text(self.out)).map_err(|why| why.within("(a map's key)"))
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        let key_end = self.out.len();
        self.out.push('=');
        let result = value.serialize(Text(self.out));
        self.entries.push([self.key, key_end, self.out.len()]);
        result.map_err(|why| why.within(self.out[self.key..key_end].trim_start_matches('"')))
    }

    fn close(self) -> Result<(), NotAKey> {
        let Map { out, start, mut entries, .. } = self;
        // By the keys alone, since `=` sorts behind `-` and before letters; of one key twice, by the values.
        let parts = |text: &str, [key, key_end, end]: [usize; 3]| {
            let [key, key_end, end] = [key - start, key_end - start, end - start];
            (text[key..key_end].to_string(), text[key_end..end].to_string())
        };
        let body = out.split_off(start);
        let key = |entry: &[usize; 3]| &body[entry[0] - start..entry[1] - start];
        if entries.is_sorted_by(|a, b| key(a) < key(b)) {
            out.push_str(&body);
        } else {
            entries.sort_by_cached_key(|entry| parts(&body, *entry));
            for (at, [key, _, end]) in entries.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&body[key - start..end - start]);
            }
        }
        out.push(']');
        Ok(())
    }
}

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = NotAKey;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotAKey> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotAKey> {
        self.value(value)
    }

    fn end(self) -> Result<(), NotAKey> {
        self.close()
    }
}

macro_rules! fields {
    ($($kind:ident)+) => {
        $(impl ser::$kind for Map<'_> {
            type Ok = ();
            type Error = NotAKey;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NotAKey> {
                self.key(name)?;
                self.value(value)
            }

            fn end(self) -> Result<(), NotAKey> {
                self.close()
            }
        })+
    };
}

fields! { SerializeStruct SerializeStructVariant }
