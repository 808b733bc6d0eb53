//! What is shared among processes: bytes in a server, and how they are asked for.

mod address;
mod connection;
pub mod redis;

pub use address::{Address, Kind};
pub use connection::Fault;
