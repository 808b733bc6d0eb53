//! Events of loads and invalidations: through `tracing` with the feature of that name, else none.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(crate) use off::{load_ended, load_started, refused, tag_invalidated};
#[cfg(feature = "tracing")]
pub(crate) use on::{load_ended, load_started, refused, tag_invalidated};
