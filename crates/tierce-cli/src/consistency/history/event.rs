//! What is judged.

use crate::consistency::record::Record;

/// A record with what the parent knew of the rows when it came.
#[derive(Clone, Debug)]
pub(in crate::consistency) struct Event {
    pub(in crate::consistency) process: u32,
    pub(in crate::consistency) record: Record,
    /// Of a change: which keys it ends, and the version that each had when it was asked for. Of a read: the newest version
    /// that there was of its key when this was told, and of a refresh the one when it was called.
    pub(in crate::consistency) rows: Vec<(u32, u64)>,
}
