//! What each fuzz target does with its bytes, as plain functions that a test can call too.

pub mod answers;
mod bytes;
pub mod corpus;
pub mod envelope;
pub mod memory_ops;
