//! No events: the crate was built without the feature `tracing`.

use std::time::Duration;

#[inline(always)]
pub(crate) fn load_started(_: &str, _: u64) {}

#[inline(always)]
pub(crate) fn load_ended(_: &str, _: u64, _: &'static str, _: Duration) {}

#[inline(always)]
pub(crate) fn refused(_: &str, _: u64) {}

#[inline(always)]
pub(crate) fn tag_invalidated(_: &str) {}
