//! What is shared among processes: bytes in a server, and how they are asked for.
//!
//! Caches do not use it yet: so far it is a connection that many callers share.

mod address;
mod connection;
pub mod redis;

pub use address::{Address, Kind};
pub use connection::Fault;
