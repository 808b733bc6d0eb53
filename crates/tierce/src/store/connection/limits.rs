//! How much a connection takes upon itself.

use std::time::Duration;

/// Bounds of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests that wait for answers.
    pub(crate) requests: usize,
    /// Bytes of requests that wait to be written.
    pub(crate) queued_bytes: usize,
    /// Bytes of one request.
    pub(crate) request_bytes: usize,
    /// Bytes of one answer.
    pub(crate) answer_bytes: usize,
    /// How long opening and greeting may take, and how long nothing may come where something was asked for.
    pub(crate) open: Duration,
    /// The first and the longest pause before a new attempt.
    pub(crate) pause: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 16_384,
            queued_bytes: 32 << 20,
            request_bytes: 16 << 20,
            answer_bytes: 64 << 20,
            open: Duration::from_secs(1),
            pause: (Duration::from_millis(10), Duration::from_millis(500)),
        }
    }
}
