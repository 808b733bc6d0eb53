//! Values to bytes and back.

mod message_pack;
mod raw;

#[cfg(any(not(feature = "json"), not(feature = "postcard")))]
mod absent;
#[cfg(not(feature = "json"))]
use absent as json;
#[cfg(feature = "json")]
mod json;
#[cfg(not(feature = "postcard"))]
use absent as postcard;
#[cfg(feature = "postcard")]
mod postcard;

#[cfg(test)]
mod tests;

use std::fmt::{self, Display};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// How values are written for other processes. `MessagePack` unless said otherwise.
///
/// All programs that share a cache name the same one; entries of another one are misses. `docs/wire.md` has what other
/// languages need to know of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// MessagePack, structs as maps from names: for any language. Fields may be added that have a default.
    #[default]
    MessagePack,
    /// JSON (feature `json`): larger and slower, and readable by everything. Floats that are no number become `null`, and
    /// maps need keys that are text or numbers.
    Json,
    /// Postcard (feature `postcard`): the smallest and fastest, for Rust alone. It has neither names nor types: whoever
    /// changes a type gives its cache another version.
    Postcard,
    /// The value is bytes or text itself: `Vec<u8>`, `String`, `Box<[u8]>` and whatever is serde's bytes.
    Raw,
}

impl Codec {
    /// What an envelope says of it.
    pub(crate) fn number(self) -> u8 {
        match self {
            Codec::MessagePack => 1,
            Codec::Json => 2,
            Codec::Postcard => 3,
            Codec::Raw => 4,
        }
    }

    /// The codec of an envelope; none where this program does not know it.
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        let all = [Codec::MessagePack, Codec::Json, Codec::Postcard, Codec::Raw];
        all.into_iter().find(|codec| codec.number() == number)
    }

    /// The feature that this program was built without and would need for it.
    pub(crate) fn missing_feature(self) -> Option<&'static str> {
        match self {
            Codec::Json if !json::IS_HERE => Some("json"),
            Codec::Postcard if !postcard::IS_HERE => Some("postcard"),
            _ => None,
        }
    }
}

impl Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::MessagePack => "MessagePack",
            Codec::Json => "JSON",
            Codec::Postcard => "postcard",
            Codec::Raw => "raw bytes",
        })
    }
}

/// Why a value is not written, or bytes are no value of its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    codec: Codec,
    why: String,
}

impl Unfit {
    pub(crate) fn new(codec: Codec, why: String) -> Self {
        Unfit { codec, why }
    }
}

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.codec, self.why)
    }
}

impl std::error::Error for Unfit {}

/// Appends a value. What is there if it fails means nothing.
pub(crate) fn encode<V: Serialize + ?Sized>(codec: Codec, value: &V, out: &mut Vec<u8>) -> Result<(), Unfit> {
    let result = match codec {
        Codec::MessagePack => message_pack::encode(value, out),
        Codec::Json => json::encode(value, out),
        Codec::Postcard => postcard::encode(value, out),
        Codec::Raw => raw::encode(value, out),
    };
    result.map_err(|why| Unfit { codec, why })
}

/// The value that all of these bytes are.
pub(crate) fn decode<V: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> Result<V, Unfit> {
    let result = match codec {
        Codec::MessagePack => message_pack::decode(bytes),
        Codec::Json => json::decode(bytes),
        Codec::Postcard => postcard::decode(bytes),
        Codec::Raw => raw::decode(bytes),
    };
    result.map_err(|why| Unfit { codec, why })
}
