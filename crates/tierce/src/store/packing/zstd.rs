//! One Zstandard frame (RFC 8878), without a dictionary.
//!
//! A thread keeps what it compresses and decompresses with: at 1 KiB a new compressor costs two thirds of the call. At the
//! lower levels that is about a megabyte for each thread that has stored something.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

pub(super) const IS_HERE: bool = true;

/// A compressor and the level it is set to.
type Kept = (i32, Compressor<'static>);

thread_local! {
    static COMPRESSOR: RefCell<Option<Kept>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A level out of zstd's range is its nearest one.
pub(super) fn pack(payload: &[u8], level: i32) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| at_level(kept, level)?.compress(payload)).ok()
}

fn at_level(kept: &mut Option<Kept>, level: i32) -> io::Result<&mut Compressor<'static>> {
    let (at, mut compressor) = match kept.take() {
        Some(kept) => kept,
        None => (level, Compressor::new(level)?),
    };
    if at != level {
        compressor.set_compression_level(level)?;
    }
    Ok(&mut kept.insert((level, compressor)).1)
}

pub(super) fn unpack(bytes: &[u8], raw_bytes: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(Decompressor::new().ok()?);
        }
        let mut payload = Vec::with_capacity(raw_bytes);
        kept.as_mut()?.decompress_to_buffer(bytes, &mut payload).ok()?;
        Some(payload)
    })
}
