//! MessagePack, structs as maps from names.

use rmp_serde::Deserializer;
use rmp_serde::decode::Error;
use rmp_serde::encode::write_named;
use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned, IgnoredAny};

pub(super) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    write_named(out, value).map_err(|error| error.to_string())
}

pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    let mut reader = Deserializer::from_read_ref(bytes);
    let value = V::deserialize(&mut reader).map_err(|error| error.to_string())?;
    // The reader does not tell how far it came: at the end there is no further value to begin.
    match IgnoredAny::deserialize(&mut reader) {
        Err(Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err("more bytes than the value has".to_string()),
    }
}
