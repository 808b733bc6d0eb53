//! Entries in this process: a bounded map that is safe to share, sync, and usable alone.

mod builder;
mod iter;
mod sharded;

mod fallout;
mod policy;
mod queue;
mod shard;
mod slot;
mod stats;

pub use builder::Builder;
pub use fallout::Cause;
pub(crate) use fallout::Fallout;
pub use iter::Iter;
pub use policy::Policy;
pub(crate) use shard::{Found, Fresh, Verdict};
pub(crate) use sharded::Hasher;
pub use sharded::Memory;
pub use stats::Stats;
