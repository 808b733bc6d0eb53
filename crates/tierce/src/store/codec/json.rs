//! JSON (RFC 8259).

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const IS_HERE: bool = true;

pub(super) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    serde_json::to_writer(out, value).map_err(|error| error.to_string())
}

pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}
