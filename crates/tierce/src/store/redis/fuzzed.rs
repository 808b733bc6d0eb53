//! The protocol, for fuzz targets.

use super::reply::Reply;
use super::resp::Resp;
use crate::store::connection::Protocol;

/// Takes answers of at most so many bytes.
pub(in crate::store) fn resp(longest: usize) -> impl Protocol<Frame = Reply> {
    Resp::new(longest)
}
