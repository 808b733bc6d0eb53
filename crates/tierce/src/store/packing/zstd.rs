//! Zstandard, with one context a thread: a new one for each value takes three times as long as the value.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = RefCell::new(Compressor::new(1).ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

pub(super) fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(payload).ok())
}

pub(super) fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(packed, length).ok())
}
