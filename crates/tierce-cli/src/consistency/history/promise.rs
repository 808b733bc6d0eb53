//! What is promised.

use std::time::Duration;

/// How old what is read may be, and how long a read may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::consistency) struct Promise {
    /// Of what another process invalidated, for a plain read.
    pub(in crate::consistency) elsewhere: Duration,
    /// A read without any fault in the seconds before its end.
    pub(in crate::consistency) calm: Duration,
    /// Any read.
    pub(in crate::consistency) longest: Duration,
}
