//! What the server has of a key.

use super::meta::{Flags, Frame};
use super::server::sound;
use crate::store::face::Stored;
use crate::store::fault::Fault;

/// What is stored beside the empty item of a hold (`F`).
pub(super) const HOLD: u32 = 2;

/// What there is of a key.
pub(super) enum Here {
    Nothing,
    /// An entry, and the number of its item.
    Entry(Stored, Flags),
    /// The empty item of a lease.
    Lease(Flags),
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
        Frame::Value(bytes, flags) if !bytes.is_empty() => Ok(Here::Entry(Stored::new(bytes, flags.is_stale), flags)),
        Frame::Value(_, flags) if flags.kind == HOLD => Ok(Here::Hold),
        Frame::Value(_, flags) => Ok(Here::Lease(flags)),
        _ => Err(Fault::Garbled("neither an item nor none")),
    }
}
