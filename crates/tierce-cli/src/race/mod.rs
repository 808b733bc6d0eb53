//! The race: the same load for every contender, in slices that take turns.
//!
//! Turns make a noisy machine fair: whatever else runs on it slows all contenders alike. Each contender has a copy of
//! the database of its own and keeps its cache, its place in the load and its counts from slice to slice.

mod alone;
mod lane;
mod lanes;
mod order;
mod outage;
mod report;
mod seconds;
mod several;
mod stampede;
mod tally;

use std::time::Duration;

pub(crate) use alone::Race;
pub(crate) use lane::Seat;
pub(crate) use lanes::Lanes;
pub(crate) use order::{Course, Entrant, Order};
pub(crate) use outage::strike;
pub(crate) use report::{Column, Outage, Report, Shared};
pub(crate) use several::Relay;

/// About how long a slice lasts: long beside the milliseconds of a search, short beside the whole.
const SLICE: Duration = Duration::from_millis(300);

/// How many turns so many contenders have in a race of this length, and how long a slice is.
fn turns(length: Duration, contenders: u32) -> (u32, Duration) {
    let turns = (length.div_duration_f64(SLICE * contenders).round() as u32).max(1);
    (turns, length / (turns * contenders))
}
