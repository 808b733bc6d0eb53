//! No sockets: nothing that was built asks for one.

use std::io;

use super::wire::{Dialing, Endpoint};

pub(super) fn open(to: &Endpoint) -> Dialing {
    let why = format!("this build has no connections, and so none to {to:?}: it has no feature of a store");
    Box::pin(std::future::ready(Err(io::Error::new(io::ErrorKind::Unsupported, why))))
}

/// What cannot be opened says so when it is tried.
pub(super) fn check(_: &Endpoint) -> io::Result<()> {
    Ok(())
}
