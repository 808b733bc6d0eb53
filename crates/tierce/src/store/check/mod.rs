//! The suite that every store passes.

mod entries;
mod leases;
mod run;
mod tags;

use run::Run;

use super::face::Store;

/// Checks that a store does what [`Store`] asks of it. For the tests of a store of your own; tierce's pass it too.
///
/// The store must be of the system's time, and the caller on a runtime with a timer. It is used under names that no other
/// run has, and what is left in it goes within the hour. Takes up to ten seconds for each thing whose time has to pass.
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
    let mut run = Run::new(store);
    entries::check(&mut run).await;
    leases::check(&mut run).await;
    tags::check(&mut run).await;
    let broken = run.broken();
    assert!(broken.is_empty(), "the store breaks {} of its promises:\n{}", broken.len(), broken.join("\n"));
}
