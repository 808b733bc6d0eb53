//! One LZ4 block, without a length before it: the envelope has it.

use lz4_flex::block::{compress, decompress_into};

pub(super) const IS_HERE: bool = true;

pub(super) fn pack(payload: &[u8], _: i32) -> Option<Vec<u8>> {
    Some(compress(payload))
}

pub(super) fn unpack(bytes: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    let mut payload = vec![0; raw_bytes];
    let length = decompress_into(bytes, &mut payload).ok()?;
    payload.truncate(length);
    Some(payload)
}
