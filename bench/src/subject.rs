//! What can be measured.

pub(crate) mod engine;
pub(crate) mod memory;
pub(crate) mod stampede;
