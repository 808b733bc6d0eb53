//! For tests of what is built on tierce: time, runtime and source in the test's hand.
//!
//! - [`ManualClock`]: ages pass when the test says so.
//! - [`Source`]: a database in a map that counts its loads, and waits or fails when told.
//! - [`Watch`]: what a cache counted since the test began to watch.
//! - [`Shelf`]: a store in the process, which two hubs of a test may share, and which fails when told.
//! - [`Sim`]: a simulated runtime under virtual time, whose schedule is drawn from a seed: for races.
//! - [`step_wall_clock`]: the wall clock of this process is set.
//!
//! A test makes a hub of its own, so that nothing is shared with other tests. `docs/testing.md` has a page on it.
//!
//! ```
//! use std::time::Duration;
//! use tierce::Hub;
//! use tierce::testing::{ManualClock, Source, Watch};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let clock = ManualClock::new();
//! let hub = Hub::builder().clock(clock.clock()).seed(7).build();
//! let rates = hub.local_cache::<u32, f64>("rate").ttl(Duration::from_secs(60)).jitter(0.0).build();
//! let bank = Source::from([(978, 1.1)]);
//! let watch = Watch::new(&rates);
//!
//! assert_eq!(rates.get_or_load(&978, || bank.load(&978)).await.unwrap(), 1.1);
//! bank.set(978, 1.2);
//! clock.advance(Duration::from_secs(59));
//! assert_eq!(rates.get_or_load(&978, || bank.load(&978)).await.unwrap(), 1.1);
//! clock.advance(Duration::from_secs(2));
//! assert_eq!(rates.get_or_load(&978, || bank.load(&978)).await.unwrap(), 1.2);
//! watch.hits(1).loads(2);
//! # }
//! ```

mod shelf;
mod sim;
mod source;
mod watch;

pub use crate::clock::{ManualClock, step_wall_clock};
pub use shelf::Shelf;
pub use sim::{Death, Sim, SimRuntime};
pub use source::{Failure, Source};
pub use watch::Watch;
