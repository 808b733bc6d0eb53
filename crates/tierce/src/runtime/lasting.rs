//! Where what outlasts its caller runs.

use std::sync::Arc;

use super::face::Runtime;
use super::id::Id;
use super::{entered, own, tokio};

/// Where what outlasts its caller runs: the current runtime of this thread, if it lasts; else the crate's own thread. Without
/// that (no feature `tokio`) whatever there is.
pub(crate) fn lasting() -> Option<Arc<dyn Runtime>> {
    let here = entered::last().or_else(tokio::current);
    let lasts = here.as_ref().and_then(|here| here.id()).is_some_and(|id| Some(id) == lasting_id());
    if lasts { here } else { own::runtime().or(here) }
}

/// The number of [`lasting`].
pub(crate) fn lasting_id() -> Option<Id> {
    let here = entered::last_id().unwrap_or_else(tokio::id);
    here.or_else(own::id)
}
