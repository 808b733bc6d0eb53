//! The protocol, for fuzz targets.

use super::meta::{Frame, Meta};
use crate::store::connection::Protocol;

/// Takes answers of at most so many bytes.
pub(in crate::store) fn meta(longest: usize) -> impl Protocol<Frame = Frame> {
    Meta::new(longest)
}
