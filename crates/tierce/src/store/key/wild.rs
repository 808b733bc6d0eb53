//! Parts of a key that may be anything, for patterns of keys.

use serde::{Serialize, Serializer};

/// Stands in a [`KeyPattern`](crate::KeyPattern) for a part of a key that may be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Any;

/// Stands in a [`KeyPattern`](crate::KeyPattern) for a text in which each `*` may be any text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Like<'a>(pub &'a str);

/// By these names the text of a key knows them.
pub(super) const ANY: &str = "tierce::Any";
pub(super) const LIKE: &str = "tierce::Like";

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(ANY, &())
    }
}

impl Serialize for Like<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(LIKE, self.0)
    }
}
