//! How the network is: what becomes of what is sent.

use std::time::Duration;

/// Whither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the server.
    Up,
    /// To a process.
    Down,
}

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Nothing comes through until this is over.
    pub(super) black_hole: bool,
    /// Of one in so many connections nothing that this way goes comes through until this is over.
    pub(super) held: Option<(Way, u64)>,
    /// Each piece comes so much later.
    pub(super) delay: Duration,
    /// What is sent comes all at once, so often; nothing is late where this is nothing.
    pub(super) clump: Duration,
    /// Of one in so many connections answers to beats come late, and what follows them later still.
    pub(super) late_beats: Option<u64>,
    /// At each change every connection is cut.
    pub(super) cuts: u64,
    /// At each change the next piece of every connection is cut in half, and the connection with it.
    pub(super) half_cuts: u64,
}

/// One in so many connections is held where one is.
pub(super) const HELD_OF: u64 = 3;
