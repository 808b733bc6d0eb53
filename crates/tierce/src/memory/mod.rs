//! Entries in this process: a bounded map that is safe to share, sync, and usable alone.

mod builder;
mod face;
mod iter;
mod sharded;

mod entry;
mod fallout;
mod index;
mod lock;
mod number;
mod padded;
mod policy;
mod prefetch;
mod ring;
mod shard;
mod slot;
mod stats;
mod stripes;

pub use builder::Builder;
pub(crate) use entry::{Found, Fresh, Verdict};
pub use face::Memory;
pub use fallout::Cause;
pub(crate) use fallout::Fallout;
pub use iter::Iter;
pub use policy::Policy;
pub(crate) use sharded::{Hasher, Sharded};
pub(crate) use slot::Beside;
pub use stats::Stats;
