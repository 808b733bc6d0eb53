//! For tests: a simulated runtime under virtual time.
//!
//! [`ManualClock`](crate::ManualClock), at the crate's root, is the other half.

mod sim;

pub use sim::{Death, Sim, SimRuntime};
