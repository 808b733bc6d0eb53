//! The `tierce` command as a user meets it: a process, its output, its exit code, its HTTP routes.

#![allow(clippy::unwrap_used, reason = "a test may panic wherever something is not as it should be")]

mod arguments;
mod demo;
mod page;
mod race;
mod service;
#[cfg(unix)]
mod several;
#[cfg(unix)]
mod signals;
