//! Caching for web services: values in the process, invalidation that holds, one load per key.

mod sync;

mod clock;
mod key;
mod memory;

pub use clock::{Clock, ManualClock};
pub use key::{KeyRef, ToKey};
pub use memory::{
    Builder as MemoryBuilder, Cause, Iter as MemoryIter, Memory, Policy, Removals, Stats as MemoryStats,
};
