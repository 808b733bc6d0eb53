//! The crate through its public face: one module for each behaviour, one line for each case where that fits.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says where it failed; clippy allows it in test functions only"
)]

mod fixture;
mod toy;
mod writes;

mod memory_basics;
mod memory_model;
mod memory_panics;
mod memory_reentry;

mod batch;
mod batch_model;
mod cycles;
mod explain;
mod glue;
mod hubs;
mod invalidation;
mod load_panics;
mod loads;
mod negative;
mod options;
mod refresh;
mod stale;
mod stats;
mod tags;
mod telemetry;
mod testing_kit;
mod timeouts;
mod window;

mod coherent;
mod guide;
mod runtimes;
mod shared;
mod shared_batch;
mod shared_faults;

mod blocking;
mod current;
mod macros;
mod methods;
