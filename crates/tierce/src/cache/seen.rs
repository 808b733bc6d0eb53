//! What a lookup has learned of its store, and what follows.

use super::core::Accepts;
use crate::store::{Budget, Name, Stored};

/// What follows for who leads a flight from what the store says.
pub(super) enum First {
    /// The flight is over, with an entry of the store's or to be looked for again.
    Found,
    /// … with one that is to be refreshed early.
    Early,
    /// He loads, and this is what the load is told.
    Load(Option<Seen>),
    /// The same, and it is time for a stale value.
    Late(Option<Seen>),
    /// His time is over; so is the flight.
    TooLate,
}

/// Which entries of the store answer a load.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    Fresh,
    /// None that is to be refreshed early.
    NotEarly,
    /// Such as the store itself says that they stand.
    Strong,
    /// None at all.
    Anew,
}

/// What a lookup has learned of the store so far.
pub(super) struct Seen {
    pub(super) name: Name,
    /// The entry that is to be replaced.
    pub(super) stored: Option<Stored>,
    /// What is left of the lookup's time for the store.
    pub(super) budget: Budget,
    pub(super) wants: Wants,
    /// Whether a known absence answers it.
    pub(super) accepts: Accepts,
}
