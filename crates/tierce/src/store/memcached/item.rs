//! What the server has of a key.

use super::meta::{Flags, Frame};
use super::server::sound;
use crate::store::envelope::STATE_AT;
use crate::store::face::Stored;
use crate::store::fault::Fault;

/// What is stored beside the item of a lease (`F`).
pub(super) const LEASE: u32 = 1;
/// What is stored beside the empty item of a hold.
pub(super) const HOLD: u32 = 2;

/// What there is of a key.
pub(super) enum Here {
    Nothing,
    /// An entry, and the number of its item.
    Entry(Stored, Flags),
    /// The item of a lease.
    Lease,
    Hold,
}

impl Here {
    pub(super) fn entry(self) -> Option<Stored> {
        match self {
            Here::Entry(stored, _) => Some(stored),
            _ => None,
        }
    }
}

/// What an answer says that there is of a key.
pub(super) fn here(frame: Frame) -> Result<Here, Fault> {
    match sound(frame)? {
        Frame::Missing => Ok(Here::Nothing),
        Frame::Value(_, flags) if flags.kind == HOLD => Ok(Here::Hold),
        Frame::Value(_, flags) if flags.kind == LEASE => Ok(Here::Lease),
        Frame::Value(bytes, flags) => Ok(Here::Entry(stored(bytes, flags.is_stale), flags)),
        _ => Err(Fault::Garbled("neither an item nor none")),
    }
}

/// An entry as it was stored, and its mark: the server's, or one that was written into the bytes.
fn stored(mut bytes: Vec<u8>, is_stale: bool) -> Stored {
    let mark = bytes.get_mut(STATE_AT).map(std::mem::take);
    Stored::new(bytes, is_stale || mark.is_some_and(|mark| mark != 0))
}
