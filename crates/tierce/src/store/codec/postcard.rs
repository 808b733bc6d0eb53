//! Postcard: serde's shapes one after the other, without names.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const IS_HERE: bool = true;

pub(super) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    *out = postcard::to_extend(value, std::mem::take(out)).map_err(|error| error.to_string())?;
    Ok(())
}

pub(super) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, String> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    // Without names a value of an older type may read as the beginning of a longer one's bytes.
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes more than the value has", rest.len())) }
}
