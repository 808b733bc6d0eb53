//! A compression whose feature is off.

pub(super) fn pack(_: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(super) fn unpack(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}
