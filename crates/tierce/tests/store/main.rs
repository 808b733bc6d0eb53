//! Stores on real servers, which these tests start on free loopback ports, freeze, kill and stop.
//!
//! They need `redis-server` and `memcached`; `./check` installs them.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod connection;
mod hubs;
mod leases;
mod memcached;
mod redis;
mod runtimes;
mod server;
mod tls;
