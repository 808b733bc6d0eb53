//! The suite that every store passes.

mod entries;
mod leases;
mod run;
mod tags;

use run::Run;

use super::face::Store;
use super::together::together;

/// Checks that a store does what [`Store`] asks of it. For the tests of a store of your own; tierce's pass it too.
///
/// The store must be of the system's time, and the caller on a runtime with a timer. It is used under names that no other
/// run has, and what is left in it goes within the hour. Where a time has to be over it waits for ten seconds at most.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let shelf = tierce::testing::Shelf::default();
/// tierce::store::check_store(&shelf).await;
/// # }
/// ```
///
/// # Panics
/// When the store breaks its contract: with each promise that it broke, and how.
pub async fn check_store(store: &dyn Store) {
    let run = Run::new(store);
    let mut checks = entries::checks(&run);
    checks.extend(leases::checks(&run));
    checks.extend(tags::checks(&run));
    // Beside each other, since most of them wait for something's time to be over.
    let (promises, checks): (Vec<_>, Vec<_>) = checks.into_iter().unzip();
    let checked = promises.into_iter().zip(together(checks).await);
    let broken = checked.filter_map(|(promise, checked)| Some(format!("- {promise}: {}", checked.err()?)));
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "the store breaks {} of its promises:\n{}", broken.len(), broken.join("\n"));
}
