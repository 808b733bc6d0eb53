//! What the processes of a demo are ordered.

use serde::{Deserialize, Serialize};

use crate::load::Origin;
use crate::race::{Course, Order as RaceOrder, Seat};
use crate::service::{Order as PageOrder, Post};

/// What a process does next. Each is answered, some with nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Makes the load; the first of all orders.
    Prepare(Origin, Seat),
    /// Opens databases and connects to the store, for a race.
    Open(Course),
    Race(RaceOrder),
    /// Forgets the race.
    Leave,
    /// Begins to send lookups, for the live page.
    Serve(Post),
    Page(PageOrder),
}
