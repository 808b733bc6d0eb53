//! LZ4 blocks.

pub(super) fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    Some(lz4_flex::block::compress(payload))
}

pub(super) fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    lz4_flex::block::decompress(packed, length).ok()
}
