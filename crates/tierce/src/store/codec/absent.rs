//! A codec whose feature is off.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const IS_HERE: bool = false;

const WHY: &str = "this program was built without it; turn tierce's feature of that name on";

pub(super) fn encode<V: Serialize + ?Sized>(_: &V, _: &mut Vec<u8>) -> Result<(), String> {
    Err(WHY.to_string())
}

pub(super) fn decode<V: DeserializeOwned>(_: &[u8]) -> Result<V, String> {
    Err(WHY.to_string())
}
